//! What is said to the operator, and heard: command line, plan, findings, status, consent. It does
//! nothing to the machine itself, and may import the other rooms; nobody imports it but `main.rs`.

mod abort;
mod attach;
pub mod cli;
mod fenced;
mod figures;
mod findings;
mod follow;
mod go;
mod plan;
mod progress;
mod status;
