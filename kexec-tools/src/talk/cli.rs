//! The command line on the machine. One definition gives parsing, help, man page and completions.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ::plan::choices::{Choices, SshWish};
use ::plan::consent::Consent;
use ::plan::plan_document::PlanDocument;
use ::plan::svg;
use anyhow::{Context, Result};
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use formats::entry::{Entry, KexecCall};
use formats::facts::MountWishes;
use formats::keep::{KeepPath, KeepPathError};
use formats::plan::PayloadAt;
use formats::printable;
use formats::run_id::RunId;
use formats::steps::Mode;
use formats::told::{host_and_port, NotAnUrl};
use formats::Document;
use machine::runs::told::Form;

use crate::exit::Exit;
use crate::run::fence::{After, Fence};
use crate::run::worker;
use crate::survey::brought::carry_path;
use crate::survey::carry_list;
use crate::survey::take::{take, Survey};
use crate::survey::wishes::Wishes;
use crate::survey::{apart, earlier, finding, report_to};
use crate::talk::fenced::Wanted;
use crate::talk::follow::Until;
use crate::talk::{abort, fenced, findings, go, plan, progress, status};

/// Replace the operating system of this machine, in place, from RAM, and keep its data.
///
/// This file is an image: a new operating system and the program that installs it. `check`, `plan`,
/// `status` and `wait` only read. Exit status: 0 done, or, of `go` and `rehearse`, begun: the run goes on
/// by itself; 1 refused, nothing changed; 2 usage; 3 failed and reverted, nothing changed; 4 failed, needs
/// a person; 5 another run is the newest than --after names, nothing changed; 6 the plan is another than
/// --consent, nothing changed; 7 the time of `wait` is over, or `go --follow` ended with the old OS, and the run
/// goes on.
#[derive(Parser)]
#[command(version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Say whether this machine may be reinstalled with this image; reads only
    Check {
        #[command(flatten)]
        wishes: WishArguments,
        /// Print the findings as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what `go` would do, exactly; reads only
    Plan {
        #[command(flatten)]
        wishes: WishArguments,
        /// Print the plan as JSON
        #[arg(long)]
        json: bool,
        /// Draw the steps into this file
        #[arg(long, value_name = "FILE")]
        svg: Option<PathBuf>,
        /// Instead of the plan, list what is not as packages brought it and stays behind, for --carry-from;
        /// into this file, or printed
        #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-",
              conflicts_with_all = ["json", "svg"])]
        carry_list: Option<PathBuf>,
    },
    /// Do everything up to the commit point in the RAM environment, come back, leave a report
    Rehearse(BeginArguments),
    /// Reinstall this machine: check, stop services, enter the RAM environment
    Go(BeginArguments),
    /// Tell what earlier runs did, how far they came and why they failed; reads only
    Status {
        /// This run alone
        run: Option<RunId>,
        /// Print it as JSON
        #[arg(long)]
        json: bool,
        /// Draw the steps of the newest run, with times and outcomes, into this file
        #[arg(long, value_name = "FILE")]
        svg: Option<PathBuf>,
    },
    /// Wait until a run has ended, as far as this OS sees it, and end with its exit status; reads only
    Wait {
        /// The run
        run: RunId,
        /// Print it as JSON, as `status` does
        #[arg(long)]
        json: bool,
        /// Wait for so many seconds at most, and then end with 7; without, for ever
        #[arg(long, value_name = "SECONDS")]
        timeout: Option<u64>,
    },
    /// Break off a run before services stop; remove what earlier runs left
    Abort,
    /// Print this program's manual page
    #[command(hide = true)]
    Man,
    /// Print a shell's completions for this program
    #[command(hide = true)]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Ask one mount whether it answers; may never return
    #[command(hide = true, name = "ask-mount")]
    ProbeMount {
        /// Where it is
        target: std::path::PathBuf,
    },
    /// Look at trees, for this program itself; may never return
    #[command(hide = true, name = apart::COMMAND)]
    LookApart {
        /// What is asked
        subject: apart::Subject,
        /// Where filesystems of the system are mounted
        #[arg(long)]
        system: Vec<String>,
        /// Paths
        paths: Vec<std::ffi::OsString>,
    },
    /// Go on with a run that `go` prepared, detached from the session that started it
    #[command(hide = true)]
    Worker {
        /// The run's directory
        run: PathBuf,
    },
}

/// How a run is begun.
#[derive(Args, Clone, Debug)]
struct BeginArguments {
    #[command(flatten)]
    wishes: WishArguments,
    #[command(flatten)]
    fence: FenceArguments,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Stay until the run has ended and end with its exit status, or with 7 where this session ends first, as it
    /// does with the old OS; without, stay until services stop and end with 0
    #[arg(long)]
    follow: bool,
}

/// What the operator may decide.
#[derive(Args, Clone, Debug)]
struct WishArguments {
    /// Keep this path too, beside the image's keep list
    #[arg(long, value_name = "PATH", value_parser = parse_keep)]
    keep: Vec<KeepPath>,
    /// Do not keep this path although the image's keep list names it
    #[arg(long, value_name = "PATH", value_parser = parse_keep)]
    no_keep: Vec<KeepPath>,
    /// Carry this file or folder to the new OS too, beside the image's carry list
    #[arg(long, value_name = "PATH", value_parser = carry_path)]
    carry: Vec<String>,
    /// Carry the paths in this list too; `plan --carry-list` writes one to be edited
    #[arg(long, value_name = "FILE")]
    carry_from: Vec<PathBuf>,
    /// Put the files of this directory, or tar archive, into the new OS
    #[arg(long, value_name = "DIR|TAR")]
    overlay: Option<PathBuf>,
    /// Wipe the filesystem mounted at this path together with the root, although no rule gives it to the system
    #[arg(long, value_name = "PATH", value_parser = parse_mount)]
    wipe_mount: Vec<String>,
    /// Leave the filesystem mounted at this path alone, and have the new OS mount it again, although a rule
    /// gives it to the system
    #[arg(long, value_name = "PATH", value_parser = parse_mount)]
    keep_mount: Vec<String>,
    /// Where the payload waits while the root is wiped
    #[arg(long, value_enum, default_value_t = PayloadWish::Auto)]
    payload: PayloadWish,
    /// How to enter the RAM environment
    #[arg(long, value_enum, default_value_t = EntryWish::Auto)]
    entry: EntryWish,
    /// The system call that loads the RAM environment's kernel
    #[arg(long, value_enum, default_value_t = CallWish::Auto)]
    kexec_call: CallWish,
    /// Whether an ssh server runs in the RAM environment, for those who become root here and log in by key
    #[arg(long, value_enum, default_value_t = RamSshWish::Auto)]
    ram_ssh: RamSshWish,
    /// Ask the operator's own checks in this directory too, beside those in /etc/reroot/checks.d
    #[arg(long, value_name = "DIR")]
    checks: Vec<std::path::PathBuf>,
    /// Tell this URL (http://) of each step, from the old OS, the RAM environment and the new OS
    #[arg(long, value_name = "URL", value_parser = parse_url)]
    report_to: Option<String>,
    /// Sign what is told with the first line of this file [default: a key of the run's own]
    #[arg(long, value_name = "FILE", requires = "report_to")]
    report_key: Option<PathBuf>,
    /// Go on although this check refuses, if it is one that may be forced
    #[arg(long, value_name = "CODE")]
    force: Vec<String>,
}

/// What a program says so that nothing is done twice.
#[derive(Args, Clone, Debug)]
struct FenceArguments {
    /// Begin only if this run is the newest on the machine, or if there is none; else end with 5
    #[arg(long, value_name = "RUN|none")]
    after: Option<After>,
    /// Name the run (YYYYMMDDTHHMMSSZ-NAME); if it is there, attach to it instead of beginning one
    #[arg(long, value_name = "ID")]
    run: Option<RunId>,
    /// Begin only if this is the `consent` of `plan --json` still; else end with 6
    #[arg(long, value_name = "DIGEST")]
    consent: Option<Consent>,
}

impl FenceArguments {
    fn of(self, mode: Mode, until: Until) -> Wanted {
        Wanted {
            fence: Fence {
                run: self.run,
                after: self.after,
            },
            consent: self.consent,
            mode,
            until,
        }
    }
}

impl WishArguments {
    /// The wishes for a run of this mode.
    fn of(self, mode: Mode) -> Wishes {
        Wishes {
            run: None,
            keep: self.keep,
            no_keep: self.no_keep,
            carry: self.carry,
            carry_from: self.carry_from,
            overlay: self.overlay,
            mounts: MountWishes {
                wipe: self.wipe_mount,
                keep: self.keep_mount,
            },
            check_directories: self.checks,
            forced: self.force,
            report_to: self.report_to.map(|url| report_to::Wish {
                url,
                key: self.report_key,
            }),
            choices: Choices {
                payload_at: match self.payload {
                    PayloadWish::Auto => None,
                    PayloadWish::Ram => Some(PayloadAt::Ram),
                    PayloadWish::Disk => Some(PayloadAt::Disk),
                },
                entry: match self.entry {
                    EntryWish::Auto => None,
                    EntryWish::Kexec => Some(Entry::Kexec),
                    EntryWish::Takeover => Some(Entry::Takeover),
                    EntryWish::Boot => Some(Entry::Boot),
                },
                kexec_call: match self.kexec_call {
                    CallWish::Auto => None,
                    CallWish::Load => Some(KexecCall::KexecLoad),
                    CallWish::FileLoad => Some(KexecCall::KexecFileLoad),
                },
                ram_ssh: match self.ram_ssh {
                    RamSshWish::Auto => SshWish::Auto,
                    RamSshWish::No => SshWish::No,
                },
                report_to: None,
                mode,
            },
        }
    }
}

fn parse_url(text: &str) -> Result<String, NotAnUrl> {
    host_and_port(text).map(|_| text.to_owned())
}

fn parse_keep(text: &str) -> Result<KeepPath, KeepPathError> {
    KeepPath::parse(text)
}

/// Where something is mounted, in its shortest spelling.
fn parse_mount(text: &str) -> Result<String, KeepPathError> {
    KeepPath::internal(text).map(String::from)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PayloadWish {
    /// In memory if there is enough, else on disk
    Auto,
    /// In memory
    Ram,
    /// In the run's directory on the root filesystem, which the wipe spares
    Disk,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum EntryWish {
    /// By evidence: kexec where it works, else takeover, else boot
    Auto,
    /// Replace the running kernel
    Kexec,
    /// Replace PID 1 and go on with the running kernel
    Takeover,
    /// Reboot through the boot loader
    Boot,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum CallWish {
    /// By evidence: `kexec_load` where it works, `kexec_file_load` under lockdown
    Auto,
    /// `kexec_load(2)`
    Load,
    /// `kexec_file_load(2)`
    FileLoad,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum RamSshWish {
    /// Where the image has one, memory suffices and somebody has a key
    Auto,
    /// None
    No,
}

impl Cli {
    /// Does what the command line says.
    pub fn run(self) -> Result<Exit> {
        match self.command {
            Command::Check { wishes, json } => {
                let survey = take(&wishes.of(Mode::Reinstall), &progress::verifying)?;
                if json {
                    println!("{}", findings::json(&survey.findings));
                } else {
                    print!("{}", findings::text(&survey));
                }
                Ok(exit(&survey))
            }
            Command::Plan {
                wishes,
                carry_list: Some(file),
                ..
            } => list_to_carry(&wishes, &file),
            Command::Plan {
                wishes, json, svg, ..
            } => {
                let survey = take(&wishes.of(Mode::Reinstall), &progress::verifying)?;
                if let (Ok(plan), Some(path)) = (&survey.plan, svg) {
                    std::fs::write(&path, svg::graph(plan, &[]))
                        .with_context(|| format!("write {}", path.display()))?;
                }
                match (&survey.plan, &survey.consent) {
                    (Ok(plan), Some(consent)) if json => {
                        print!("{}", PlanDocument::new(plan, consent).to_json());
                    }
                    (Ok(plan), _) => print!("{}", plan::text(plan)),
                    (Err(why), _) => eprintln!("no plan: {}", printable::line(&why.to_string())),
                }
                eprint!("{}", finding::refusals(&survey.findings));
                Ok(exit(&survey))
            }
            Command::Go(arguments) => start(arguments, Mode::Reinstall),
            Command::Rehearse(arguments) => start(arguments, Mode::Rehearse),
            Command::Status { run, json, svg } => {
                status::show(run.as_ref(), form(json), svg.as_deref())
            }
            Command::Wait { run, json, timeout } => {
                status::wait(&run, timeout.map(Duration::from_secs), form(json))
            }
            Command::Abort => abort::abort(),
            Command::Man => {
                clap_mangen::Man::new(Cli::command())
                    .render(&mut std::io::stdout())
                    .context("print the manual page")?;
                Ok(Exit::Done)
            }
            Command::Completions { shell } => {
                let mut definition = Cli::command();
                let name = definition.get_name().to_owned();
                clap_complete::generate(shell, &mut definition, name, &mut std::io::stdout());
                Ok(Exit::Done)
            }
            Command::ProbeMount { target } => {
                // That it answers is what was wanted; with what does not matter.
                let _ = machine::answers::probe(&target);
                Ok(Exit::Done)
            }
            Command::LookApart {
                subject,
                system,
                paths,
            } => {
                print!("{}", apart::look(subject, &system, &paths)?);
                Ok(Exit::Done)
            }
            Command::Worker { run } => Ok(worker::main(&run)),
        }
    }
}

/// Writes the list of what stays behind.
fn list_to_carry(wishes: &WishArguments, file: &Path) -> Result<Exit> {
    let survey = take(&wishes.clone().of(Mode::Reinstall), &progress::verifying)?;
    let kept = survey.facts.kept.iter().map(|kept| kept.path.to_string());
    let carried = survey.facts.identity.copied.iter().cloned();
    let stays: Vec<String> = kept.chain(carried).collect();
    let list = carry_list::list(Path::new("/"), &stays);
    if file == Path::new("-") {
        print!("{list}");
    } else {
        std::fs::write(file, list).with_context(|| format!("write {}", file.display()))?;
    }
    Ok(Exit::Done)
}

fn form(json: bool) -> Form {
    if json {
        Form::Json
    } else {
        Form::Text
    }
}

/// Starts a run, if neither the fence nor a check refuses.
fn start(arguments: BeginArguments, mode: Mode) -> Result<Exit> {
    let BeginArguments {
        wishes,
        fence,
        yes,
        follow,
    } = arguments;
    let until = if follow {
        Until::Ended
    } else {
        Until::ServicesStop
    };
    let wanted = &fence.of(mode, until);
    earlier::ensure_root()?;
    if let Some(exit) = fenced::ask(wanted)? {
        return Ok(exit);
    }
    let mut wishes = wishes.of(wanted.mode);
    wishes.run.clone_from(&wanted.fence.run);
    let survey = take(&wishes, &progress::verifying)?;
    // A run that has begun meanwhile makes a check refuse; that it is there says more.
    if let Some(exit) = fenced::ask(wanted)? {
        return Ok(exit);
    }
    if survey.refused() {
        eprint!("{}", finding::refusals(&survey.findings));
        eprintln!("intact: everything; nothing was changed");
        return Ok(Exit::Refused);
    }
    if let Some(exit) = fenced::ask_consent(wanted, &survey) {
        return Ok(exit);
    }
    go::go(
        &survey,
        if yes {
            go::Consent::Given
        } else {
            go::Consent::Wanted
        },
        wanted,
    )
}

fn exit(survey: &Survey) -> Exit {
    if survey.refused() {
        Exit::Refused
    } else {
        Exit::Done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn bad_keep_paths_are_usage_errors() {
        for path in ["srv", "/", "/srv/../etc", "/usr", ""] {
            let result = Cli::try_parse_from(["x", "go", "--keep", path]);
            let error = result.err().unwrap_or_else(|| panic!("{path:?} was taken"));
            assert_eq!(error.exit_code(), 2, "{path:?}");
        }
        assert!(Cli::try_parse_from(["x", "go", "--keep", "/srv/shop"]).is_ok());
    }

    #[test]
    fn ids_and_digests_that_are_none_are_usage_errors() {
        for arguments in [
            ["go", "--run", "../etc"],
            ["go", "--run", "none"],
            ["go", "--after", "newest"],
            ["go", "--after", "/.reroot/20261124T155307Z-077c"],
            ["go", "--consent", "yes"],
            ["rehearse", "--run", "20261124T155307Z-0.7c"],
            ["wait", "20261124T155307Z-077c/..", "--json"],
            ["status", "..", "--json"],
        ] {
            let result = Cli::try_parse_from(["x"].into_iter().chain(arguments));
            let error = result.err().unwrap_or_else(|| panic!("{arguments:?}"));
            assert_eq!(error.exit_code(), 2, "{arguments:?}");
        }
        for arguments in [
            ["go", "--after", "none", "--run", "20261124T155307Z-077c"],
            [
                "go",
                "--after",
                "20261124T155307Z-077c",
                "--run",
                "20261124T155307Z-077d",
            ],
            ["wait", "20261124T155307Z-077c", "--json", "--timeout", "60"],
        ] {
            assert!(Cli::try_parse_from(["x"].into_iter().chain(arguments)).is_ok());
        }
    }
}
