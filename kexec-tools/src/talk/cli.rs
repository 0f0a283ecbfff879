//! The command line on the machine. One definition gives parsing, help, man page and completions.

use std::path::PathBuf;

use anyhow::{bail, Context, Result};
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use manifest::entry::{Entry, KexecCall};
use manifest::keep::{KeepPath, KeepPathError};
use manifest::plan::PayloadAt;
use manifest::resolve::{self, Choices, Inputs};
use manifest::steps::Mode;
use manifest::trailer::PartKind;
use manifest::{svg, Document};

use crate::image::Image;
use crate::run::checks_again::Asked;
use crate::run::{abort, worker};
use crate::survey::checks::{self, Context as CheckContext, Finding};
use crate::survey::{earlier, facts, own_checks};
use crate::talk::{go, plan as show};
use crate::{run_directory, Outcome};

/// Replace the operating system of this machine, in place, from RAM, and keep its data.
///
/// This file is an image: a new operating system and the program that installs it. `check`, `plan`
/// and `status` only read. Exit status: 0 done, or, of `go` and `rehearse`, begun: the run goes on by
/// itself; 1 refused, nothing changed; 2 usage; 3 failed and reverted, nothing changed; 4 failed, needs
/// a person.
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
        wishes: Wishes,
        /// Print the findings as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what `go` would do, exactly; reads only
    Plan {
        #[command(flatten)]
        wishes: Wishes,
        /// Print the plan as JSON
        #[arg(long)]
        json: bool,
        /// Draw the steps into this file
        #[arg(long, value_name = "FILE")]
        svg: Option<PathBuf>,
    },
    /// Do everything up to the commit point in the RAM environment, come back, leave a report
    Rehearse {
        #[command(flatten)]
        wishes: Wishes,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Reinstall this machine: check, stop services, enter the RAM environment
    Go {
        #[command(flatten)]
        wishes: Wishes,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Tell what earlier runs did, how far they came and why they failed; reads only
    Status {
        /// This run alone
        run: Option<String>,
        /// Print it as JSON
        #[arg(long)]
        json: bool,
        /// Draw the steps of the newest run, with times and outcomes, into this file
        #[arg(long, value_name = "FILE")]
        svg: Option<PathBuf>,
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
    #[command(hide = true)]
    AskMount {
        /// Where it is
        target: std::path::PathBuf,
    },
    /// Go on with a run that `go` prepared, detached from the session that started it
    #[command(hide = true)]
    Worker {
        /// The run's directory
        run: PathBuf,
    },
}

/// What the operator may decide.
#[derive(Args, Clone, Debug)]
pub struct Wishes {
    /// Keep this path too, beside the image's keep list
    #[arg(long, value_name = "PATH", value_parser = parse_keep)]
    keep: Vec<KeepPath>,
    /// Do not keep this path although the image's keep list names it
    #[arg(long, value_name = "PATH", value_parser = parse_keep)]
    no_keep: Vec<KeepPath>,
    /// Where the payload waits while the root is wiped
    #[arg(long, value_enum, default_value_t = Payload::Auto)]
    payload: Payload,
    /// How to enter the RAM environment
    #[arg(long, value_enum, default_value_t = EntryWish::Auto)]
    entry: EntryWish,
    /// The system call that loads the RAM environment's kernel
    #[arg(long, value_enum, default_value_t = CallWish::Auto)]
    kexec_call: CallWish,
    /// Ask the operator's own checks in this directory too, beside those in /etc/reroot/checks.d
    #[arg(long, value_name = "DIR")]
    checks: Vec<std::path::PathBuf>,
    /// Go on although this check refuses, if it is one that may be forced
    #[arg(long, value_name = "CODE")]
    force: Vec<String>,
}

fn parse_keep(text: &str) -> Result<KeepPath, KeepPathError> {
    KeepPath::parse(text)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Payload {
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

/// Everything that was looked at, with what the checks and the plan make of it.
pub struct Survey {
    /// The machine.
    pub facts: manifest::facts::Facts,
    /// What has to be known to ask the checks again.
    pub asked: Asked,
    /// The checks' findings, in the order of their table; the operator's own come last.
    pub findings: Vec<Finding>,
    /// The plan, if there can be one.
    pub plan: Result<manifest::plan::Plan, resolve::NoPlan>,
}

impl Survey {
    /// Whether the machine may be reinstalled.
    pub fn refused(&self) -> bool {
        self.findings.iter().any(Finding::refuses) || self.plan.is_err()
    }
}

impl Cli {
    /// Does what was asked for.
    pub fn run(self) -> Result<Outcome> {
        match self.command {
            Command::Check { wishes, json } => {
                let survey = survey(&wishes, Mode::Reinstall)?;
                if json {
                    println!("{}", show::findings_json(&survey.findings));
                } else {
                    print!("{}", show::findings(&survey));
                }
                Ok(outcome(&survey))
            }
            Command::Plan { wishes, json, svg } => {
                let survey = survey(&wishes, Mode::Reinstall)?;
                if let (Ok(plan), Some(path)) = (&survey.plan, svg) {
                    std::fs::write(&path, svg::graph(plan, &[]))
                        .with_context(|| format!("write {}", path.display()))?;
                }
                match &survey.plan {
                    Ok(plan) if json => print!("{}", plan.to_json()),
                    Ok(plan) => print!("{}", show::plan(plan)),
                    Err(why) => eprintln!("no plan: {why}"),
                }
                eprint!("{}", show::refusals(&survey.findings));
                Ok(outcome(&survey))
            }
            Command::Go { wishes, yes } => start(&wishes, Mode::Reinstall, yes),
            Command::Rehearse { wishes, yes } => start(&wishes, Mode::Rehearse, yes),
            Command::Status { run, json, svg } => {
                earlier::show(run.as_deref(), json, svg.as_deref())
            }
            Command::Abort => abort::abort(),
            Command::Man => {
                clap_mangen::Man::new(Cli::command())
                    .render(&mut std::io::stdout())
                    .context("print the manual page")?;
                Ok(Outcome::Done)
            }
            Command::Completions { shell } => {
                let mut definition = Cli::command();
                let name = definition.get_name().to_owned();
                clap_complete::generate(shell, &mut definition, name, &mut std::io::stdout());
                Ok(Outcome::Done)
            }
            Command::AskMount { target } => {
                // That it answers is what was asked; with what does not matter.
                let _ = machine::condition::answers::ask(&target);
                Ok(Outcome::Done)
            }
            Command::Worker { run } => Ok(worker::main(&run)),
        }
    }
}

/// Starts a run, if no check refuses.
fn start(wishes: &Wishes, mode: Mode, yes: bool) -> Result<Outcome> {
    let survey = survey(wishes, mode)?;
    if survey.refused() {
        eprint!("{}", show::refusals(&survey.findings));
        eprintln!("intact: everything; nothing was changed");
        return Ok(Outcome::Refused);
    }
    go::go(
        &survey,
        if yes {
            go::Consent::Given
        } else {
            go::Consent::Ask
        },
    )
}

fn outcome(survey: &Survey) -> Outcome {
    if survey.refused() {
        Outcome::Refused
    } else {
        Outcome::Done
    }
}

/// Reads image and machine, runs every check, and resolves the plan.
fn survey(wishes: &Wishes, mode: Mode) -> Result<Survey> {
    if !rustix::process::geteuid().is_root() {
        bail!("this needs root: it reads disks and other people's processes; run it with sudo");
    }
    let asked = Asked {
        forced: wishes.force.clone(),
        checks: wishes
            .checks
            .iter()
            .map(|d| {
                d.canonicalize()
                    .with_context(|| format!("--checks {}", d.display()))
            })
            .collect::<Result<_>>()?,
    };
    let own = own_checks::find(&asked.checks)?;
    let unknown = wishes
        .force
        .iter()
        .find(|code| !checks::may_be_forced(code) && !own.iter().any(|o| o.code == **code));
    if let Some(code) = unknown {
        bail!("--force {code}: there is no check with this code that may be forced");
    }
    let image = Image::open_running()?;
    image.verify()?;
    let manifest = image.manifest().context("read the image's manifest")?;
    let mut keep: Vec<KeepPath> = manifest.keep.clone();
    keep.extend(wishes.keep.iter().cloned());
    keep.retain(|path| !wishes.no_keep.contains(path));
    keep.sort();
    keep.dedup();
    let facts = facts::gather(&keep, &manifest.identity.carry)?;
    let choices = Choices {
        payload_at: match wishes.payload {
            Payload::Auto => None,
            Payload::Ram => Some(PayloadAt::Ram),
            Payload::Disk => Some(PayloadAt::Disk),
        },
        entry: match wishes.entry {
            EntryWish::Auto => None,
            EntryWish::Kexec => Some(Entry::Kexec),
            EntryWish::Takeover => Some(Entry::Takeover),
            EntryWish::Boot => Some(Entry::Boot),
        },
        kexec_call: match wishes.kexec_call {
            CallWish::Auto => None,
            CallWish::Load => Some(KexecCall::KexecLoad),
            CallWish::FileLoad => Some(KexecCall::KexecFileLoad),
        },
        mode,
    };
    let sizes = image.sizes();
    let mut findings = checks::run(&CheckContext {
        facts: &facts,
        manifest: &manifest,
        sizes,
        choices: &choices,
        forced: &wishes.force,
    });
    findings.extend(own_checks::run(
        &own,
        &facts,
        own_checks::Moment::Check,
        &asked.forced,
    ));
    let plan = resolve::resolve(
        &facts,
        &Inputs {
            manifest: &manifest,
            manifest_digest: image.part(PartKind::Manifest).digest,
            sizes,
            choices: &choices,
            run: run_directory::new_id()?,
        },
    );
    Ok(Survey {
        facts,
        asked,
        findings,
        plan,
    })
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
}
