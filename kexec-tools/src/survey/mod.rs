//! What is read and asked: the machine's facts, the checks, what earlier runs left. It changes
//! nothing and shows nothing, and imports no other room.

mod accounts;
pub mod apart;
pub mod brought;
pub mod carry_list;
mod chain;
pub mod checks;
pub mod earlier;
pub mod facts;
pub mod finding;
pub mod first_process;
pub mod identity;
pub mod kept;
pub mod mounts;
mod network;
pub mod own_checks;
#[cfg(test)]
pub mod plain_machine;
pub mod report_to;
pub mod take;
pub mod wishes;
mod written;
