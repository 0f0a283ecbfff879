//! What is read and asked: the machine's facts, the checks, the operator's own checks.

pub mod checks;
pub mod earlier;
pub mod facts;
pub mod first_process;
pub mod identity;
pub mod network;
pub mod own_checks;
#[cfg(test)]
mod plain_machine;
