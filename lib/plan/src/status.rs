//! What an earlier run did, how far it came and why it failed, from what it left: a pure function.

use serde::{Deserialize, Serialize};

use formats::begun::Begun;
use formats::facts::OsRelease;
use formats::journal::Phase;
use formats::outcomes::{Failure, Outcomes, StepOutcome, StepResult};
use formats::plan::Plan;
use formats::rehearsal::Rehearsal;
use formats::steps::{Mode, OnFailure, Place, Step};
use formats::{Digest, Document};

use crate::deadlines::{deadlines, Deadlines};
use crate::run_state;

pub use crate::run_state::{Confirmation, RunExit, State};

/// What a run left, as it was read.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// The run's id.
    pub run: String,
    /// Where it was found.
    pub directory: String,
    /// Its beginning.
    pub begun: Option<Begun>,
    /// Its plan.
    pub plan: Option<Plan>,
    /// Its steps in the old OS.
    pub old_os: Option<Outcomes>,
    /// Its steps in the RAM environment.
    pub ram: Option<Outcomes>,
    /// The report of a reinstallation.
    pub report: Option<Finished>,
    /// The report of a rehearsal.
    pub rehearsal: Option<Rehearsal>,
    /// The journal's last phase, if it is of this run.
    pub journal: Option<Phase>,
    /// The journal says that the commit was taken back: the old OS is in use.
    pub taken_back: bool,
    /// Its worker is alive.
    pub in_progress: bool,
    /// Files that only a run in progress needs.
    pub leftovers: Vec<Leftover>,
    /// The id of the boot in which this was read.
    pub boot: String,
    /// What is known of the comparison at the first boot beside the report.
    pub comparison: Comparison,
    /// What the RAM environment knows of itself, where it is the one that answers.
    pub in_ram: Option<InRam>,
}

/// A run that goes on in the RAM environment, as that sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InRam {
    /// The commit point is passed.
    pub committed: bool,
    /// Why the run holds, if it does.
    pub held: Option<String>,
    /// What can be done about that.
    pub next: Option<String>,
    /// How far the step is that runs.
    pub progress: Option<Progress>,
}

/// How far a step is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The step.
    pub step: String,
    /// Of a hundred, by an estimate of the whole.
    pub percent: u64,
}

/// Whether the new OS will compare itself with the plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Comparison {
    /// Nothing is there that would.
    #[default]
    Absent,
    /// It is there, and has not failed.
    ToCome,
    /// It has failed in this boot.
    Failed,
}

/// As much of [`formats::report::Report`] as is looked at.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Finished {
    /// What the first boot found; absent until it has.
    #[serde(default)]
    pub confirm: Option<Confirmed>,
}

impl Document for Finished {
    const KIND: &'static str = formats::report::Report::KIND;
    const VERSION: u32 = formats::report::Report::VERSION;
}

/// As much of [`formats::confirm::Confirm`] as is looked at.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Confirmed {
    /// Nothing fell short.
    pub passed: bool,
    /// Every question with its answer.
    #[serde(default)]
    pub findings: Vec<Answered>,
}

/// As much of [`formats::confirm::Finding`] as is looked at.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Answered {
    verdict: String,
    question: String,
    #[serde(default)]
    found: Option<String>,
}

/// A file that only a run in progress needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leftover {
    /// Its path.
    pub path: String,
    /// Its length.
    pub bytes: u64,
}

/// A run, judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunStatus {
    /// The run's id.
    pub run: String,
    /// Where it was found.
    pub directory: String,
    /// The higher, the later it was begun; 0 where a release began it that did not count.
    pub number: u64,
    /// Its beginning, by the machine's clock; empty where that is not known.
    pub begun: String,
    /// The id of the boot in which it was begun; empty where that is not known.
    pub begun_in: String,
    /// What it was for.
    pub mode: Option<Mode>,
    /// The image's name.
    pub image: Option<String>,
    /// Digest of the image's manifest part.
    pub manifest_digest: Option<Digest>,
    /// The digest of what was consented to.
    pub consent: Option<String>,
    /// The sums of its plan's deadlines.
    pub deadlines: Option<Deadlines>,
    /// The old OS.
    pub from: Option<String>,
    /// The new OS.
    pub to: Option<String>,
    /// How it stands.
    pub state: State,
    /// What it ended with; absent while it goes on, as far as this OS sees it.
    pub exit: Option<u8>,
    /// The commit point is passed: the old OS does not come back.
    pub behind_commit_point: bool,
    /// Services are being stopped: it is too late for `abort`.
    pub stopping: bool,
    /// What the first boot says.
    pub confirmation: Confirmation,
    /// What fell short there.
    pub fell_short: Vec<String>,
    /// The last step that was begun, and where.
    pub reached: Option<Reached>,
    /// The journal's last phase.
    pub journal: Option<Phase>,
    /// What failed first.
    pub first_failure: Option<Failure>,
    /// What failed after it.
    pub later_failures: Vec<Failure>,
    /// What is intact.
    pub intact: String,
    /// What to do next.
    pub next: String,
    /// Files that only a run in progress needs, and that are still there.
    pub leftovers: Vec<Leftover>,
    /// Every step that was begun.
    pub steps: Vec<StepOutcome>,
    /// Every step of its plan, in order; empty where the plan cannot be read.
    #[serde(default)]
    pub planned: Vec<PlannedStep>,
    /// How far the step is that runs, where the RAM environment answers and the step tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
}

/// What a plan says of a step, for whoever watches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedStep {
    /// The step.
    pub name: String,
    /// Where it is done.
    pub place: Place,
    /// How long it may take, in seconds.
    pub deadline_s: u64,
}

impl From<&Step> for PlannedStep {
    fn from(step: &Step) -> PlannedStep {
        PlannedStep {
            name: step.name.clone(),
            place: step.place,
            deadline_s: step.deadline_s,
        }
    }
}

/// All runs of a machine, and the machine as it is at this moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The machine's name.
    pub hostname: String,
    /// The OS that answers.
    pub os: OsRelease,
    /// The kernel's id of this boot.
    pub boot_id: String,
    /// Now, by the machine's clock, `YYYYMMDDTHHMMSSZ`.
    pub now: String,
    /// The run that was begun last: what `--after` has to name.
    pub newest: Option<String>,
    /// The run that goes on; it may have begun a moment ago and have left nothing yet.
    pub in_progress: Option<String>,
    /// A kernel is loaded that the next reboot would enter.
    pub kexec_loaded: bool,
    /// The runs, the newest last.
    pub runs: Vec<RunStatus>,
}

impl Document for Status {
    const KIND: &'static str = "reroot-status";
    const VERSION: u32 = 1;
}

/// How far a run came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    /// The step that was begun last.
    pub step: String,
    /// Where.
    pub place: Place,
    /// How it ended, as far as is known.
    pub result: StepResult,
}

/// Judges one run.
pub fn judge(evidence: &Evidence) -> RunStatus {
    let e = evidence;
    let steps = outcomes(e);
    let all = [&e.old_os, &e.ram];
    let mut failures = all.into_iter().flatten().flat_map(|o| {
        o.first_failure
            .iter()
            .chain(&o.later_failures)
            .cloned()
            .collect::<Vec<_>>()
    });
    let first_failure = failures.next();
    let later_failures = failures.collect();
    let state = state(e, first_failure.as_ref());
    let confirmation = confirmation(e, state);
    let (intact, next) = words(e, state);
    let begun = e.begun.clone().unwrap_or_default();
    RunStatus {
        run: e.run.clone(),
        directory: e.directory.clone(),
        number: begun.number,
        begun: begun.at,
        begun_in: begun.boot_id,
        mode: e.plan.as_ref().map(|p| p.mode),
        image: e.plan.as_ref().map(|p| p.image.clone()),
        manifest_digest: e.plan.as_ref().map(|p| p.manifest_digest),
        consent: Some(begun.consent).filter(|c| !c.is_empty()),
        deadlines: e.plan.as_ref().map(deadlines),
        from: e.plan.as_ref().map(|p| p.old_os.pretty_name.clone()),
        to: e.plan.as_ref().map(|p| p.new_os.pretty_name.clone()),
        state,
        exit: run_state::exit(state, confirmation).map(|exit| exit as u8),
        behind_commit_point: matches!(state, State::Done | State::Committed)
            || e.in_ram.as_ref().is_some_and(|ram| ram.committed),
        stopping: state == State::InProgress && begun_to_stop(e),
        confirmation,
        fell_short: fell_short(e),
        reached: reached(e),
        journal: e.journal,
        first_failure,
        later_failures,
        intact,
        next,
        leftovers: e.leftovers.clone(),
        steps,
        progress: e.in_ram.as_ref().and_then(|ram| ram.progress.clone()),
        planned: e
            .plan
            .iter()
            .flat_map(|p| &p.steps)
            .map(Into::into)
            .collect(),
    }
}

/// Every step that was begun, in both places. What the old OS could no longer write down, since its
/// root was read-only, is known from the RAM environment's having started.
fn outcomes(e: &Evidence) -> Vec<StepOutcome> {
    let mut steps: Vec<StepOutcome> = e.old_os.iter().flat_map(|o| o.steps.clone()).collect();
    if let Some(ram) = &e.ram {
        let entered = steps.iter_mut().filter(|s| s.result == StepResult::Running);
        entered.for_each(|s| s.result = StepResult::Done);
        let known: Vec<String> = steps.iter().map(|s| s.name.clone()).collect();
        let planned: Vec<&Step> = e.plan.iter().flat_map(|p| &p.steps).collect();
        let silent = planned
            .iter()
            .filter(|s| s.place == Place::OldOs && !known.contains(&s.name));
        if !known.is_empty() {
            steps.extend(silent.map(|s| StepOutcome {
                name: s.name.clone(),
                begun: String::new(),
                seconds: None,
                attempts: 1,
                result: StepResult::Done,
                error: None,
            }));
        }
        // The last one ends with the kernel, and was come back from.
        let over = e.report.is_some() || e.rehearsal.is_some();
        steps.extend(ram.steps.iter().cloned().map(|mut s| {
            if over && s.result == StepResult::Running {
                s.result = StepResult::Done;
            }
            s
        }));
    }
    steps
}

fn state(e: &Evidence, failure: Option<&Failure>) -> State {
    match &e.in_ram {
        Some(ram) if ram.held.is_some() => return State::Committed,
        Some(_) => return State::InProgress,
        None => {}
    }
    if e.in_progress {
        return State::InProgress;
    }
    if e.report.is_some() || e.journal == Some(Phase::Done) {
        return State::Done;
    }
    if e.journal.is_some() && !e.taken_back {
        return State::Committed;
    }
    match (&e.rehearsal, failure) {
        (Some(r), _) if r.passed => State::Rehearsed,
        (Some(_), _) => State::RehearsedWithFindings,
        (None, Some(_)) => State::Reverted,
        // A worker that was killed before its first word has its plan, and has done nothing.
        (None, None) if e.old_os.is_some() || e.ram.is_some() || e.begun.is_some() => {
            State::Interrupted
        }
        (None, None) => State::Unknown,
    }
}

fn confirmation(e: &Evidence, state: State) -> Confirmation {
    if state != State::Done {
        return Confirmation::None;
    }
    match (confirmed(e), e.comparison) {
        (Some(confirmed), _) if confirmed.passed => Confirmation::Passed,
        (Some(_), _) => Confirmation::FellShort,
        (None, Comparison::ToCome) => Confirmation::Pending,
        (None, Comparison::Absent | Comparison::Failed) => Confirmation::Failed,
    }
}

fn confirmed(e: &Evidence) -> Option<&Confirmed> {
    e.report.as_ref().and_then(|r| r.confirm.as_ref())
}

/// The questions that fell short, with what was found.
fn fell_short(e: &Evidence) -> Vec<String> {
    let findings = confirmed(e).into_iter().flat_map(|c| &c.findings);
    findings
        .filter(|f| f.verdict == "short")
        .map(|f| match &f.found {
            Some(found) => format!("{}; found: {found}", f.question),
            None => f.question.clone(),
        })
        .collect()
}

fn reached(e: &Evidence) -> Option<Reached> {
    let outcomes = e.ram.as_ref().filter(|o| !o.steps.is_empty());
    let outcomes = outcomes.or(e.old_os.as_ref())?;
    let step = outcomes.last()?;
    Some(Reached {
        step: step.name.clone(),
        place: outcomes.place,
        result: step.result,
    })
}

fn words(e: &Evidence, state: State) -> (String, String) {
    let untouched = "everything: the old OS and its data are as they were";
    if let Some(ram) = &e.in_ram {
        return words_in_ram(ram, untouched);
    }
    let command = e.plan.as_ref().map_or("go", |p| p.mode.command());
    let (intact, next) = match state {
        State::InProgress if begun_to_stop(e) => (
            untouched.to_owned(),
            "follow the machine's console; it is too late for `abort`".to_owned(),
        ),
        State::InProgress => (
            untouched.to_owned(),
            "wait, or break it off with `abort`".to_owned(),
        ),
        State::Done => (
            "what was kept, as it was".to_owned(),
            "nothing; summary.txt has the first boot's comparison with the plan".to_owned(),
        ),
        State::Rehearsed => (
            untouched.to_owned(),
            "`go` with the same wishes".to_owned(),
        ),
        State::RehearsedWithFindings => (
            untouched.to_owned(),
            "read the differences; mend what was not expected, or rehearse again".to_owned(),
        ),
        State::Reverted => (
            untouched.to_owned(),
            format!("mend the cause, then `{command}` again"),
        ),
        State::Interrupted if entered(e) => (
            untouched.to_owned(),
            "the RAM environment was to be entered, and nothing came back from it: its kernel may not \
             run on this machine, or the power was cut; look at the console while you try again, or \
             try another --entry"
                .to_owned(),
        ),
        State::Interrupted => (
            untouched.to_owned(),
            format!("the power was cut or the worker was killed; `{command}` again"),
        ),
        // Whoever reads this may do so in the old OS: the power was cut before what the firmware starts
        // was switched to the staged image, for nothing boots the old OS behind that but by hand.
        State::Committed if e.journal == Some(Phase::Commit) => (
            "what was kept, and the old OS: nothing of it was removed yet".to_owned(),
            "reboot once, from this disk: if that starts the staged image, the run is taken up in the RAM \
             environment; if this OS comes back, the run was never committed, and `go` begins anew"
                .to_owned(),
        ),
        State::Committed => (
            "what was kept; the old OS is not whole any more".to_owned(),
            "a boot from this disk takes the run up in the RAM environment, unless what the \
             firmware starts was replaced by somebody else; see the console"
                .to_owned(),
        ),
        State::Unknown => (
            "what this directory tells of is not known".to_owned(),
            "read the logs in it".to_owned(),
        ),
    };
    // A disk may start what was left of a commit that was taken back: the next run looks before it goes.
    let stays = e.in_progress || e.taken_back || state == State::Committed;
    let next = if e.leftovers.is_empty() || stays {
        next
    } else {
        format!("{next}; `abort` removes what is left of it")
    };
    (intact, next)
}

fn words_in_ram(ram: &InRam, untouched: &str) -> (String, String) {
    let intact = if ram.committed {
        "what was kept; the old OS is not whole any more"
    } else {
        untouched
    };
    let next = match (&ram.held, &ram.next) {
        (None, _) => "wait; `log --follow` shows the run".to_owned(),
        (Some(why), next) => format!(
            "it holds: {why}; log in without a command for a shell, read /run/reroot/log, mend the cause; {}",
            next.as_deref().unwrap_or("`/init run` tries again")
        ),
    };
    (intact.to_owned(), next)
}

/// Whether services were being stopped when the last word was written.
pub fn begun_to_stop(e: &Evidence) -> bool {
    let Some(old_os) = &e.old_os else {
        return false;
    };
    let Some(plan) = &e.plan else { return false };
    old_os
        .steps
        .iter()
        .filter_map(|s| plan.step(&s.name))
        .any(|s| s.on_failure != OnFailure::Revert)
}

/// Whether the last word was that the root becomes read-only: nothing can be written from then on.
fn entered(e: &Evidence) -> bool {
    let last = e.old_os.as_ref().and_then(Outcomes::last);
    last.is_some_and(|s| ["prove", "enter"].contains(&s.name.as_str()))
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
