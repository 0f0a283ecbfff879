//! `reroot-launch`: the program at the head of every image. On the machine it looks, says what it
//! would do, and then enters the RAM environment.
//!
//! It needs nothing from the old userspace to look and to plan. To stop services in their own
//! order it asks the service manager, which knows that order.

mod abort;
mod asked_again;
mod carried;
mod checks;
mod cli;
mod engine;
mod enter;
mod facts;
mod first_process;
mod go;
mod identity;
mod image;
mod initrd;
mod kept;
mod log_file;
mod network;
mod network_files;
mod own_checks;
mod prove;
mod run_directory;
mod show;
mod show_status;
mod staging;
mod status;
mod stop;
mod worker;

use std::process::ExitCode;

use clap::Parser;

/// How a call ended; the number is the exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What was asked for is done.
    Done = 0,
    /// A check refused, or the operator did; nothing was changed.
    Refused = 1,
    /// Something failed and was undone; nothing was changed.
    Reverted = 3,
    /// Something failed and could not be undone.
    NeedsAPerson = 4,
}

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match cli.run() {
        Ok(outcome) => ExitCode::from(outcome as u8),
        Err(e) => {
            eprintln!("error: {e:#}");
            eprintln!("intact: everything; nothing was changed");
            ExitCode::from(Outcome::Refused as u8)
        }
    }
}
