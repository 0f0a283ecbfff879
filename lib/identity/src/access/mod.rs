//! Who gets in by ssh and becomes root: read from the files of an OS, and decided for the new one.
//!
//! The new OS's ssh server is to let in the same people in the same way. What of the old server's
//! configuration decides about that is written for the new one ([`written`]); whether somebody who could
//! become root still can is compared ([`ways`]).

pub mod addresses;
pub mod asked;
pub mod becoming;
pub mod by_name;
pub mod carried;
pub mod closed;
pub mod compared;
pub mod decided;
pub mod doas;
pub mod elsewhere;
pub mod gained;
pub mod held_to;
pub mod in_force;
pub mod keys;
pub mod locked;
pub mod logged;
pub mod matching;
pub mod operator;
pub mod other_gates;
pub mod others;
pub mod pam;
pub mod promised;
pub mod ram;
pub mod ram_files;
pub mod server;
pub mod server_keys;
pub mod socket;
pub mod sudoers;
pub mod units;
pub mod ways;
pub mod written;
