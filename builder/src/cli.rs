//! The command line of `reroot`. Help, man pages and shell completions come from here.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use formats::run_id::RunId;

/// Build and examine images that reinstall a running Linux server in place; watch their runs
#[derive(Debug, Parser)]
#[command(
    name = "reroot",
    version,
    propagate_version = true,
    max_term_width = 100
)]
#[command(
    after_help = "Exit codes: 0 done; 1 refused or failed, nothing changed; 2 usage.\n\
                        Results go to stdout, everything else to stderr."
)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build an image from an image folder (as root)
    Build(Build),
    /// Show what an image contains
    Inspect(Inspect),
    /// Read an image to its end and prove every digest in it
    Verify(Verify),
    /// Write the parts of an image into a new directory
    Unpack(Unpack),
    /// Show a run on a machine to its end, by ssh, and end with its exit status
    Watch(Watch),
    /// Print the completions for a shell
    Completions {
        /// Write them for this shell
        shell: Shell,
    },
    /// Write the man pages of all commands into a directory
    Man {
        /// Write them here; made if it does not exist
        dir: PathBuf,
    },
}

/// Arguments of `build`.
#[derive(Debug, Args)]
pub struct Build {
    /// Read image.toml and the hooks from this folder
    pub image_dir: PathBuf,
    /// Write the image here; it gets its name when it is complete
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Install from this archive [default: image.toml's, else the one this machine's apt uses, if
    /// it is of the same distribution]
    #[arg(long, value_name = "URL", value_parser = mirror)]
    pub mirror: Option<String>,
    /// Install security updates from this archive [default: as for --mirror]
    #[arg(long, value_name = "URL", value_parser = mirror)]
    pub security_mirror: Option<String>,
    /// Trust the keys in this file instead of those that image.toml names
    #[arg(long, value_name = "FILE")]
    pub keyring: Option<PathBuf>,
    /// Compress the payload with this zstd level, 1 (fast) to 19 (small)
    #[arg(long, value_name = "N", default_value_t = 9,
          value_parser = clap::value_parser!(i32).range(1..=19))]
    pub level: i32,
    /// Compress with this many threads [default: one for each CPU]
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
    /// Put this program at the head of the image [default: reroot-launch beside this program]
    #[arg(long, value_name = "PATH")]
    pub launcher: Option<PathBuf>,
    /// Put this program into the RAM environment as PID 1 [default: reroot-init beside this
    /// program]
    #[arg(long, value_name = "PATH")]
    pub init: Option<PathBuf>,
    /// Make the root filesystem in this directory and leave it there; it must be absent or empty
    /// [default: a temporary directory below $TMPDIR or /var/tmp, removed afterwards]
    #[arg(long, value_name = "DIR")]
    pub keep_work: Option<PathBuf>,
}

/// Arguments of `inspect`.
#[derive(Debug, Args)]
pub struct Inspect {
    /// Look at this image
    pub file: PathBuf,
    /// Print JSON: the table of parts and the manifest
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// Look at this image
    pub file: PathBuf,
}

/// Arguments of `unpack`.
#[derive(Debug, Args)]
pub struct Unpack {
    /// Take the parts of this image
    pub file: PathBuf,
    /// Write them into this directory; it must be absent or empty
    pub dir: PathBuf,
}

/// Arguments of `watch`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Asks the machine every few seconds how the run stands, and nothing else: it may be ended and begun again \
at any moment, and any number of them may watch. ssh has to get in by a key, without a question, as root \
or as somebody whom sudo lets become root without one.

Exit status: 0 done, and the first boot is as planned, or rehearsed; 1 rehearsed, and something differs, or \
there is no such run; 3 reverted: the old OS is as it was; 4 needs a person; 7 the time of --timeout is over \
and the run goes on. Those of COMMAND, if it fails.

  reroot watch root@shop1
  reroot watch root@shop1 -- /root/trixie.reroot go")]
pub struct Watch {
    /// Ask this machine: HOST, USER@HOST, or a name of ssh's configuration
    pub host: String,
    /// Watch this run [default: the one in progress, else the newest]
    pub run: Option<RunId>,
    /// Give this option to ssh, as its -o; may be repeated
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub option: Vec<String>,
    /// Watch for so many seconds at most, and then end with 7; without, to the end
    #[arg(long, value_name = "SECONDS")]
    pub timeout: Option<u64>,
    /// Run this on the machine first, with this terminal: a `go`, for instance
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

fn mirror(text: &str) -> Result<String, String> {
    crate::recipe::check_mirror(text).map(|()| text.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn odd_values_are_usage_errors() {
        for (arguments, part) in [
            (&["build", "x", "-o", "y", "--level", "20"][..], "1..=19"),
            (&["build", "x", "-o", "y", "--threads", "0"], "non-zero"),
            (&["build", "x", "-o", "y", "--mirror", "ftp://x"], "http://"),
            (&["build", "x"], "--output"),
            (&["fly"], "unrecognized"),
        ] {
            let line = std::iter::once("reroot").chain(arguments.iter().copied());
            let error = Cli::try_parse_from(line).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            let text = error.to_string();
            assert!(text.contains(part), "{text}");
        }
    }
}
