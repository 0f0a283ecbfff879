//! `go`, on the operator's side: consent, the run's directory, and a worker that outlives the
//! session. From then on this process only shows the worker's log.

use std::fs::{self, File};
use std::io::{self, IsTerminal, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use manifest::plan::Plan;
use manifest::steps::Mode;
use manifest::Document;

use crate::run::{checks_again, worker};
use crate::talk::cli::Survey;
use crate::talk::plan as show;
use crate::{log_file, run_directory, Outcome};

/// Whether the operator still has to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// `--yes`.
    Given,
    /// Ask on the terminal.
    Ask,
}

/// Starts the run.
pub fn go(survey: &Survey, consent: Consent) -> Result<Outcome> {
    let plan = survey.plan.as_ref().map_err(|e| anyhow::anyhow!("{e}"))?;
    print!("{}", show::plan(plan));
    eprint!("{}", show::refusals(&survey.findings));
    if consent == Consent::Ask && !ask(plan)? {
        eprintln!("not confirmed; nothing was changed");
        return Ok(Outcome::Refused);
    }
    let directory = run_directory::make(&plan.run)?;
    let started = start(plan, survey, &directory);
    if started.is_err() {
        // Nothing but the directory exists yet.
        let _ = fs::remove_dir_all(&directory);
    }
    let mut worker = started?;
    follow(&mut worker, &directory, plan.mode)
}

fn ask(plan: &Plan) -> Result<bool> {
    let hostname = &plan.hostname;
    if !io::stdin().is_terminal() {
        eprintln!("there is no terminal to ask on; confirm with --yes");
        return Ok(false);
    }
    let what = match plan.mode {
        Mode::Reinstall => "reinstall it",
        Mode::Rehearse => "rehearse: its services stop, it comes back as it is",
    };
    eprint!("\nType the machine's name ({hostname}) to {what}: ");
    io::stderr().flush().ok();
    let mut answer = String::new();
    io::stdin()
        .read_line(&mut answer)
        .context("read the answer")?;
    Ok(answer.trim() == hostname.as_str())
}

fn start(plan: &Plan, survey: &Survey, directory: &Path) -> Result<std::process::Child> {
    let write = |name: &str, text: String| {
        let path = directory.join(name);
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))
    };
    write("plan.json", plan.to_json())?;
    write("facts.json", survey.facts.to_json())?;
    write(checks_again::NAME, survey.asked.to_json())?;
    write(log_file::NAME, String::new())?;
    // Its own copy of the descriptor: the file may be replaced while the run goes on.
    Command::new("/proc/self/exe")
        .arg("worker")
        .arg(directory)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("start the worker")
}

/// Shows the worker's log until it fails or begins to stop services; from then on the console is
/// the place to look. If this session ends first, the run goes on.
fn follow(worker: &mut std::process::Child, directory: &Path, mode: Mode) -> Result<Outcome> {
    let log = directory.join(log_file::NAME);
    eprintln!(
        "\nThe run goes on by itself from here, also if this session ends. Its log: {}",
        log.display()
    );
    let mut shown = 0;
    loop {
        let ended = worker.try_wait().context("wait for the worker")?;
        let handed_over = directory.join(worker::HANDED_OVER).exists();
        shown = show_from(&log, shown);
        if let Some(status) = ended {
            return Ok(match status.code() {
                Some(code) if code == Outcome::Reverted as i32 => Outcome::Reverted,
                _ => Outcome::NeedsAPerson,
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
            return Ok(Outcome::Done);
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
    let _ = io::stderr().write_all(&text);
    from + read.unwrap_or(0) as u64
}
