//! `reroot-launch`: the program at the head of every image. On the machine it looks, says what it
//! would do, and then enters the RAM environment.
//!
//! It needs nothing from the old userspace to look and to plan. To stop services in their own
//! order it asks the service manager, which knows that order.
//!
//! Three rooms, and an import leads down only: [`talk`] may use [`run`] and [`survey`], [`run`] may
//! use [`survey`]. Below them, in files of their own beside this one, is what all three need: the
//! image, the run's directory, the log, the exit status.

mod exit;
mod image;
mod log_file;
mod run;
mod run_directory;
mod survey;
mod talk;

use std::process::ExitCode;

use clap::Parser;
use formats::printable;

use exit::Exit;

fn main() -> ExitCode {
    let cli = talk::cli::Cli::parse();
    match cli.run() {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(e) => {
            eprintln!("error: {}", printable::line(&format!("{e:#}")));
            eprintln!("intact: everything; nothing was changed");
            ExitCode::from(Exit::Refused as u8)
        }
    }
}
