//! The first boot of the new OS, compared with the plan. This program is left in the run's
//! directory for that, with two units that start it: `confirm kept DIR` early, before anything can
//! write to what is kept, and `confirm DIR` when the network is up.
//!
//! It refuses to mend anything: it changes nothing of the machine but its own traces: a record of what it found, a line in the
//! message of the day, and, once nothing falls short, the run's directory goes. It never waits
//! without an end, and nothing of the boot requires it. Of the other rooms it may import
//! [`crate::root`] and where [`crate::ram`] has its state; what a run does is none of its business.

mod dns;
mod documents;
mod hooks;
mod kept;
mod live;
mod logins;
mod mirror;
mod own;
mod placed;
mod say;
mod started;
#[cfg(test)]
mod tests;
mod traces;
pub mod units;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use formats::confirm::{Baseline, Code, Confirm, Finding, KeptFound, Verdict};
use formats::plan::Plan;
use formats::report::Report;
use formats::steps::Place;
use formats::told::What;
use formats::Document;
use identity::confirm;
use machine::outside;
use machine::patience::Patience;

use self::documents::{read_document, read_plan};
use self::say::{say, to_console};
use crate::root::place;

/// The exit status where something falls short, or could not be compared or recorded.
const NEEDS_A_PERSON: u8 = 4;
/// How long it waits for addresses, routes and answers to come.
const PATIENCE: Duration = Duration::from_mins(1);
/// The same on a machine that takes long to boot.
const PATIENCE_SLOW: Duration = Duration::from_mins(2);
/// A machine that has been up for longer than this when it is compared takes long to boot.
const SLOW_BOOT: Duration = Duration::from_mins(1);
/// How long it waits where nothing falls short and a name server has not answered.
const PATIENCE_UNKNOWN: Duration = Duration::from_secs(10);
/// The longest on a machine however busy: the unit of the comparison has fifteen minutes, and the server is
/// asked behind this.
const LONGEST: Duration = Duration::from_mins(8);
/// How long the end waits for what is yet to be told.
const TOLD: Duration = Duration::from_secs(30);
/// The step of the plan that this is.
const STEP: &str = "confirm";
/// The step before it, where programs are called.
const FIRST_BOOT: &str = "first-boot";
/// Between two looks.
const PAUSE: Duration = Duration::from_secs(2);

/// `confirm kept DIR`: measures every kept path.
pub fn kept(directory: &str) -> ExitCode {
    match kept::measure(Path::new(directory)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            say(&format!("reroot: measure the kept paths: {e:#}"));
            ExitCode::from(NEEDS_A_PERSON)
        }
    }
}

/// `confirm DIR`: compares, records, and cleans up if nothing falls short.
pub fn main(directory: &str) -> ExitCode {
    match compare_and_record(Path::new(directory)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(NEEDS_A_PERSON),
        Err(e) => {
            let text = format!("reroot: the first boot cannot be confirmed: {e:#}");
            say(&text);
            to_console(&text);
            ExitCode::from(NEEDS_A_PERSON)
        }
    }
}

fn compare_and_record(directory: &Path) -> Result<bool> {
    let root = Path::new("/");
    let plan = read_plan(directory)?;
    outside::begin(&plan);
    outside::tell(Place::NewOs, STEP, What::Begun, 1, None, None);
    let compared = compare_by(root, directory, &plan);
    let (what, error) = match &compared {
        Ok((true, _)) => (What::Done, None),
        Ok((false, short)) => (What::GivenUp, Some(short.clone())),
        Err(e) => (What::GivenUp, Some(format!("{e:#}"))),
    };
    outside::tell(Place::NewOs, STEP, what, 1, None, error.as_deref());
    outside::flush(TOLD);
    Ok(compared?.0)
}

/// Whether nothing falls short, and what does.
fn compare_by(root: &Path, directory: &Path, plan: &Plan) -> Result<(bool, String)> {
    // A baseline that cannot be read makes the kept paths fall short; the rest is compared.
    let baseline = read_document::<Baseline>(&directory.join("kept.json")).unwrap_or_else(|e| {
        say(&format!("reroot: {e:#}"));
        Baseline::default()
    });
    let kept = kept::outcome(directory).map_err(|e| format!("{e:#}"));
    // Before anything is compared, for they may change it.
    let called = first_boot(directory, plan, &baseline);
    let (mut findings, waited) = patiently(plan, &baseline, &kept);
    findings.extend(placed::compare(root, plan, &baseline.obstructed));
    findings.extend(called);
    // Once, when everything else has come: a server that is asked too often keeps who asks out.
    let logins = &plan.identity.logins;
    findings.extend(confirm::compare_logins(logins, &logins::ask(plan)));
    let confirm = Confirm::new(findings, waited);
    let summary = confirm::summary(plan, &confirm);
    let passed = confirm.passed;
    let short = confirm
        .findings
        .iter()
        .filter(|f| f.verdict == Verdict::Short);
    let short = short
        .map(|f| f.question.as_str())
        .collect::<Vec<_>>()
        .join("; ");
    let recorded = record(root, plan, confirm, &summary);
    say(&summary);
    to_console(&summary);
    if let Err(e) = traces::write_motd(root, plan) {
        say(&format!("reroot: write the message of the day: {e:#}"));
    }
    recorded?;
    // Of a mirror every path is looked at, below: which disk was started does not matter.
    let in_use = started::not_by_the_path_in_use(&plan.boot_paths);
    if let Some(path) = in_use.filter(|_| plan.root.array.is_none()) {
        // That one starts the staged image if the power was cut before its last switch.
        say(&format!(
            "reroot: what the run staged stays until the machine was started by {path} and looks again"
        ));
        return Ok((passed, short));
    }
    let left = mirror::left(root, plan);
    if !left.is_empty() {
        // A disk that starts the staged image still, or is not there to be asked.
        say(&format!(
            "reroot: what the run staged stays, and the next boot looks again: {}. Where a disk will not come \
             back, remove /.reroot",
            left.join("; ")
        ));
        return Ok((passed, short));
    }
    traces::remove_staged(root, plan).context("remove what was staged")?;
    if passed {
        traces::remove(root, plan).context("remove the run's traces")?;
        say(&format!("reroot: confirmed run {}", plan.run));
    }
    Ok((passed, short))
}

/// Calls the programs for the first boot, as a step of its own where there are any.
fn first_boot(directory: &Path, plan: &Plan, baseline: &Baseline) -> Vec<Finding> {
    let tell = |what, error: Option<&str>| {
        if !plan.hooks.first_boot.is_empty() {
            outside::tell(Place::NewOs, FIRST_BOOT, what, 1, None, error);
        }
    };
    tell(What::Begun, None);
    let found = hooks::call(directory, plan, &baseline.hooks);
    let short = found.iter().find(|f| f.verdict == Verdict::Short);
    match short.map(|f| f.question.as_str()) {
        None => tell(What::Done, None),
        Some(short) => tell(What::GivenUp, Some(short)),
    }
    found
}

/// Looks again while something that may still come falls short; gives what was found last, and how long it took.
fn patiently(
    plan: &Plan,
    baseline: &Baseline,
    kept: &Result<KeptFound, String>,
) -> (Vec<Finding>, f64) {
    let patience = match live::uptime() {
        Some(up) if up > SLOW_BOOT => PATIENCE_SLOW,
        _ => PATIENCE,
    };
    let start = Instant::now();
    let (mut may_come, mut unknown) = (Patience::new(patience), Patience::new(PATIENCE_UNKNOWN));
    loop {
        let live = live::read(plan, kept);
        let mut findings = confirm::compare(plan, baseline, &live);
        findings.extend(own::ask(Path::new(own::DIRECTORY), plan));
        let waits = |verdict| {
            let code = |c: Code| c.may_come();
            findings
                .iter()
                .any(|f| f.verdict == verdict && code(f.code))
        };
        // Both run on; which of them counts may change from look to look.
        let (over, unknown_over) = (may_come.is_over(), unknown.is_over());
        let enough = if waits(Verdict::Short) {
            over
        } else {
            unknown_over || !waits(Verdict::Unknown)
        };
        if enough || start.elapsed() > LONGEST {
            return (findings, start.elapsed().as_secs_f64());
        }
        std::thread::sleep(PAUSE);
    }
}

/// Adds the comparison to the run's report, and writes the summary beside it.
fn record(root: &Path, plan: &Plan, confirm: Confirm, summary: &str) -> Result<()> {
    let directory = plan.record_directory();
    let path = format!("{directory}/report.json");
    let mut report: Report = read_document(&place::at(root, &path))?;
    report.confirm = Some(confirm);
    let gate = place::gate(root, plan)?;
    gate.write(&path, report.to_json().as_bytes(), 0o600)?;
    gate.write(
        &format!("{directory}/summary.txt"),
        summary.as_bytes(),
        0o600,
    )?;
    Ok(())
}
