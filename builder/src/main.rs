//! The `reroot` command: builds an image from an image folder, looks into images, and watches runs.
//!
//! It changes no machine, and may import every crate of lib/, but none of the other programs. Exit
//! codes: 0 done, 1 refused or failed with nothing changed, 2 usage.

mod apt_sources;
mod build;
mod called;
mod checker;
mod cli;
mod command;
mod drivers;
mod elf;
mod failure;
mod image_file;
mod initramfs;
mod inside;
mod inspect;
mod interrupt;
mod narrow;
mod new_identity;
mod new_units;
mod parts;
mod payload_drivers;
mod progress;
mod recipe;
mod requirements;
mod root_tree;
mod settle;
mod source;
mod ssh_server;
mod stage_loader;
mod suite;
mod tools;
mod verify;
mod watch;
mod with_libraries;

use std::process::ExitCode;

use anyhow::{Context, Error, Result};
use clap::{CommandFactory, Parser};
use cli::{Cli, Command};
use failure::Refusal;

fn main() -> ExitCode {
    let command = Cli::parse().command;
    match run(&command) {
        Ok(exit) => ExitCode::from(exit),
        Err(error) => {
            eprint!("{}", report(&command, &error));
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> Result<u8> {
    match command {
        Command::Watch(arguments) => return watch::watch(arguments),
        Command::Build(arguments) => {
            interrupt::listen()?;
            build::build(arguments)
        }
        Command::Inspect(arguments) => inspect::inspect(arguments),
        Command::Verify(arguments) => verify::verify(arguments),
        Command::Unpack(arguments) => parts::unpack(arguments),
        Command::Completions { shell } => {
            clap_complete::generate(
                *shell,
                &mut Cli::command(),
                "reroot",
                &mut std::io::stdout(),
            );
            Ok(())
        }
        Command::Man { dir } => {
            std::fs::create_dir_all(dir).with_context(|| format!("make {}", dir.display()))?;
            clap_mangen::generate_to(Cli::command(), dir)
                .with_context(|| format!("write man pages into {}", dir.display()))
        }
    }?;
    Ok(0)
}

/// The whole chain once, then what is still as it was, then the way on.
fn report(command: &Command, error: &Error) -> String {
    let intact = match command {
        Command::Build(arguments) => {
            format!(
                "no image was written; {} is as it was",
                arguments.output.display()
            )
        }
        Command::Inspect(cli::Inspect { file, .. }) | Command::Verify(cli::Verify { file }) => {
            format!("{} was only read", file.display())
        }
        Command::Unpack(cli::Unpack { file, dir }) => {
            format!(
                "{} was only read; {} is as it was",
                file.display(),
                dir.display()
            )
        }
        Command::Watch(arguments) => format!("{} was only asked", arguments.host),
        Command::Completions { .. } | Command::Man { .. } => "no image was touched".to_owned(),
    };
    format!(
        "reroot: {error:#}\nintact: {intact}\nnext: {}\n",
        next(error)
    )
}

fn next(error: &Error) -> String {
    if let Some(refusal) = error.downcast_ref::<Refusal>() {
        return refusal.next.clone();
    }
    if error.downcast_ref::<recipe::RecipeError>().is_some() {
        return "correct the line; docs/images.md describes every key".to_owned();
    }
    let full = error.chain().any(|cause| {
        let io = cause
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::raw_os_error);
        let plain = cause
            .downcast_ref::<rustix::io::Errno>()
            .map(|errno| errno.raw_os_error());
        io.or(plain) == Some(rustix::io::Errno::NOSPC.raw_os_error())
    });
    if full {
        return "free space on that filesystem, or write elsewhere (-o FILE for the image, TMPDIR \
                for the root filesystem while it is made)"
            .to_owned();
    }
    if error
        .downcast_ref::<formats::trailer::TrailerError>()
        .is_some()
    {
        return "use a complete image of this release of reroot".to_owned();
    }
    "correct what the message names and run the command again".to_owned()
}
