//! `go`, on the operator's side: consent, and then the log of the worker, which outlives the session.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::process::Child;
use std::time::Duration;

use anyhow::{Context, Result};
use formats::plan::Plan;
use formats::printable;
use formats::steps::Mode;
use plan::gone::headline;

use crate::exit::Exit;
use crate::run::start;
use crate::survey::finding;
use crate::survey::take::Survey;
use crate::talk::plan as plan_text;
use crate::{log_file, run_directory};

/// Whether the operator's consent is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// `--yes`.
    Given,
    /// To be had on the terminal.
    Wanted,
}

/// Starts the run.
pub fn go(survey: &Survey, consent: Consent) -> Result<Exit> {
    let plan = survey.plan.as_ref().map_err(|e| anyhow::anyhow!("{e}"))?;
    print!("{}", plan_text::text(plan));
    eprint!("{}", finding::refusals(&survey.findings));
    // The last words before the question, and where nobody is asked the last words at all.
    if plan.mode == Mode::Reinstall {
        if let Some(line) = headline(&plan.gone) {
            eprintln!("\n{line}.");
        }
    }
    if consent == Consent::Wanted && !consents(plan)? {
        eprintln!("not confirmed; nothing was changed");
        return Ok(Exit::Refused);
    }
    let (mut worker, directory) = start::start(plan, survey)?;
    follow(&mut worker, &directory, plan.mode)
}

fn consents(plan: &Plan) -> Result<bool> {
    let hostname = &plan.hostname;
    if !io::stdin().is_terminal() {
        eprintln!("there is no terminal to ask on; confirm with --yes");
        return Ok(false);
    }
    let what = match plan.mode {
        Mode::Reinstall => "reinstall it",
        Mode::Rehearse => "rehearse: its services stop, it comes back as it is",
    };
    eprint!(
        "\nType the machine's name ({}) to {what}: ",
        printable::line(hostname)
    );
    io::stderr().flush().ok();
    let mut answer = String::new();
    io::stdin()
        .read_line(&mut answer)
        .context("read the answer")?;
    Ok(answer.trim() == hostname.as_str())
}

/// Shows the worker's log until it fails or begins to stop services; from then on the console is
/// the place to look. If this session ends first, the run goes on.
fn follow(worker: &mut Child, directory: &Path, mode: Mode) -> Result<Exit> {
    let log = directory.join(log_file::NAME);
    eprintln!(
        "\nThe run goes on by itself from here, also if this session ends. Its log: {}",
        log.display()
    );
    let mut shown = 0;
    loop {
        let ended = worker.try_wait().context("wait for the worker")?;
        let handed_over = directory.join(run_directory::HANDED_OVER).exists();
        shown = show_from(&log, shown);
        if let Some(status) = ended {
            return Ok(match status.code() {
                Some(code) if code == Exit::Reverted as i32 => Exit::Reverted,
                _ => Exit::NeedsAPerson,
            });
        }
        if handed_over {
            eprintln!(
                "Services stop now, and so does the network. Follow the machine's console.\n{}",
                match mode {
                    Mode::Reinstall =>
                        "If the run is undone, the old OS boots again, and `status` says why; if it \
                         succeeds, the new OS has its records in /var/log/reroot.",
                    Mode::Rehearse => "The old OS boots again; then `status` says what was found.",
                }
            );
            return Ok(Exit::Done);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Shows what the log holds behind `from`; returns where it ends now.
fn show_from(log: &Path, from: u64) -> u64 {
    let mut text = Vec::new();
    let read = File::open(log).and_then(|mut file| {
        file.seek(SeekFrom::Start(from))?;
        file.read_to_end(&mut text)
    });
    // A log that cannot be read now is read the next time; a terminal that is gone does not matter.
    let text = printable::text(&String::from_utf8_lossy(&text));
    let _ = io::stderr().write_all(text.as_bytes());
    from + read.unwrap_or(0) as u64
}
