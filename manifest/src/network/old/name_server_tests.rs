//! Where name servers are found, each way as a case.
