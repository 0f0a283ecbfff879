//! What is said to the operator, and heard: command line, plan, findings, status, consent.

pub mod cli;
mod go;
pub mod plan;
pub mod status;
