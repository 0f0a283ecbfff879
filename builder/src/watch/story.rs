//! What is told of a run while it is watched, from one answer to the next: pure.
//!
//! Each thing is said once. What an answer does not say is not made up: a machine that is silent is called
//! silent, and for how long its plan lets it be.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use formats::figures::duration;
use formats::outcomes::{StepOutcome, StepResult};
use plan::run_state::{Confirmation, RunExit, State};
use plan::status::{RunStatus, Status};

use super::seen::Seen;

/// Which run is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// The one in progress, else the newest.
    Newest,
    /// One that was begun behind this one; none at all may have been there.
    NewerThan(Option<String>),
    /// This one.
    Run(String),
}

/// What an answer adds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    /// Lines, in order.
    pub lines: Vec<String>,
    /// There is nothing more to come.
    pub end: Option<End>,
}

/// The end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// Last lines.
    pub lines: Vec<String>,
    /// The exit status.
    pub exit: u8,
}

/// How it stands between two answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Steps that are done.
    pub done: usize,
    /// Steps of the plan; 0 where that is not known.
    pub of: usize,
    /// What goes on.
    pub text: String,
}

/// What was told so far.
pub struct Story {
    host: String,
    ask: Ask,
    /// Somebody was let in at least once.
    let_in: bool,
    run: Option<String>,
    last: Option<RunStatus>,
    boot: Option<String>,
    steps: BTreeMap<String, (u32, StepResult)>,
    silence: Option<Silence>,
    /// What was said of an answer that tells nothing.
    odd: Option<String>,
}

/// The machine does not answer.
struct Silence {
    since: Duration,
    why: String,
    overdue: bool,
}

impl Story {
    /// Nothing was told yet. `let_in`: the machine has let this program in already.
    pub fn new(host: &str, ask: Ask, let_in: bool) -> Story {
        Story {
            host: host.to_owned(),
            ask,
            let_in,
            run: None,
            last: None,
            boot: None,
            steps: BTreeMap::new(),
            silence: None,
            odd: None,
        }
    }

    /// What there is to tell of what was seen, so long after the beginning.
    pub fn see(&mut self, seen: &Seen, at: Duration) -> Told {
        self.let_in |= !matches!(seen, Seen::Silent(_) | Seen::Refused(_));
        match seen {
            Seen::Answer(status) => self.answer(status),
            Seen::Refused(why) if !self.let_in => self.not_let_in(why),
            // In the RAM environment not everybody gets in who does in an OS.
            Seen::Refused(why) | Seen::Silent(why) => self.silent(why, at),
            Seen::NoRuns if self.run.is_none() => self.no_run(),
            Seen::NoRuns => self.odd("it answers, and nothing there tells of the run".to_owned()),
            Seen::Other(words) => {
                self.odd(format!("it answers, but not to this question: {words}"))
            }
        }
    }

    fn answer(&mut self, status: &Status) -> Told {
        let mut told = Told::default();
        self.odd = None;
        let silent = self.silence.take().is_some();
        let other_boot = self
            .boot
            .as_ref()
            .is_some_and(|boot| *boot != status.boot_id);
        if self.boot.is_none() || silent || other_boot {
            told.lines.push(format!(
                "{} answers: {}{}",
                self.host,
                status.os.pretty_name,
                if other_boot { ", in another boot" } else { "" }
            ));
        }
        self.boot = Some(status.boot_id.clone());
        if self.run.is_none() {
            self.run = self.choose(status);
            let Some(run) = &self.run else {
                return self.no_run();
            };
            told.lines.push(format!("run {run}"));
        }
        let run = self.run.clone().unwrap_or_default();
        let Some(found) = status.runs.iter().find(|r| r.run == run) else {
            // It has the lock, and its directory is about to appear.
            let begins = status.in_progress.as_deref() == Some(run.as_str());
            if !begins && self.last.is_none() {
                told.end = Some(end_without_a_run(&format!("there is no run {run}")));
            } else if !begins {
                told.lines.extend(
                    self.odd("nothing there tells of the run any more".to_owned())
                        .lines,
                );
            }
            return told;
        };
        if self.last.is_none() {
            if let (Some(mode), Some(from), Some(to)) = (found.mode, &found.from, &found.to) {
                told.lines
                    .push(format!("{}: {from} to {to}", mode.command()));
            }
        }
        told.lines.extend(self.new_steps(found));
        let stops = found.stopping && !self.last.as_ref().is_some_and(|last| last.stopping);
        if stops {
            told.lines.push(format!(
                "services stop: from here on the machine may be silent{}",
                limit_of_silence(found)
            ));
        }
        told.end = end_of(found, &self.host);
        self.last = Some(found.clone());
        told
    }

    fn choose(&self, status: &Status) -> Option<String> {
        match &self.ask {
            Ask::Run(run) => Some(run.clone()),
            Ask::Newest => status.in_progress.clone().or(status.newest.clone()),
            Ask::NewerThan(before) => {
                let newest = status.in_progress.clone().or(status.newest.clone());
                newest.filter(|newest| Some(newest) != before.as_ref())
            }
        }
    }

    /// A line for each step that has ended, or has begun, since the last answer.
    fn new_steps(&mut self, run: &RunStatus) -> Vec<String> {
        let mut lines = Vec::new();
        for step in &run.steps {
            let now = (step.attempts, step.result);
            if self.steps.insert(step.name.clone(), now) != Some(now) {
                lines.push(step_line(run, step));
            }
        }
        lines
    }

    fn silent(&mut self, why: &str, at: Duration) -> Told {
        let mut told = Told::default();
        if let Some(silence) = &mut self.silence {
            why.clone_into(&mut silence.why);
        } else {
            let why = if why.is_empty() {
                ""
            } else {
                &format!(": {why}")
            };
            told.lines
                .push(format!("{} does not answer{why}", self.host));
            self.silence = Some(Silence {
                since: at,
                why: why.to_owned(),
                overdue: false,
            });
        }
        let deadline = self.last.as_ref().and_then(|run| run.deadlines);
        if let (Some(silence), Some(deadlines)) = (&mut self.silence, deadline) {
            let silent = at.saturating_sub(silence.since).as_secs();
            if !silence.overdue && silent > deadlines.silent_s {
                silence.overdue = true;
                told.lines.push(format!(
                    "{} has been silent for {}, longer than its plan allows: something failed there. Look at \
                     its console; do not begin another run, and do not reinstall it otherwise before you have",
                    self.host,
                    duration(silent)
                ));
            }
        }
        told
    }

    fn odd(&mut self, words: String) -> Told {
        let mut told = Told::default();
        if self.odd.as_ref() != Some(&words) {
            told.lines.push(format!("{}: {words}", self.host));
            self.odd = Some(words);
        }
        told
    }

    fn not_let_in(&self, why: &str) -> Told {
        let mut end = end_without_a_run(&format!(
            "{} does not let this program in: {why}",
            self.host
        ));
        end.lines.push(
            "next: try `ssh` with the same host and options; it has to get in by a key, without a question"
                .to_owned(),
        );
        Told {
            lines: Vec::new(),
            end: Some(end),
        }
    }

    fn no_run(&self) -> Told {
        let words = match &self.ask {
            Ask::NewerThan(_) => "no run was begun",
            _ => "no run has left anything",
        };
        Told {
            lines: Vec::new(),
            end: Some(end_without_a_run(&format!("{words} on {}", self.host))),
        }
    }

    /// The time of `--timeout` is over.
    pub fn time_is_over(&self) -> End {
        let run = self
            .run
            .as_deref()
            .map_or_else(String::new, |run| format!(" {run}"));
        End {
            lines: vec![format!(
                "the time is over; the run{run} goes on, as far as is known: watch it again with the same command"
            )],
            exit: plan::run_state::TIME_IS_OVER,
        }
    }

    /// How it stands, for a line that is written over.
    pub fn now(&self, at: Duration) -> Now {
        let mut now = Now::default();
        if let Some(run) = &self.last {
            now.of = run.planned.len();
            let is_done = |s: &&StepOutcome| s.result == StepResult::Done;
            now.done = run.steps.iter().filter(is_done).count();
        }
        now.text = match (&self.silence, &self.odd, &self.last) {
            (Some(silence), ..) => {
                let silent = duration(at.saturating_sub(silence.since).as_secs());
                let why = if silence.why.is_empty() {
                    String::new()
                } else {
                    format!(" ({})", silence.why)
                };
                format!("silent for {silent}{why}")
            }
            (None, Some(odd), _) => odd.clone(),
            (None, None, Some(run)) => going_on(run),
            (None, None, None) => String::new(),
        };
        now
    }
}

fn end_without_a_run(words: &str) -> End {
    End {
        lines: vec![words.to_owned()],
        exit: RunExit::Refused as u8,
    }
}

/// The step that goes on, and where.
fn going_on(run: &RunStatus) -> String {
    if run.confirmation == Confirmation::Pending {
        return "the first boot is being compared with the plan".to_owned();
    }
    let Some(reached) = &run.reached else {
        return String::new();
    };
    let percent = run.progress.as_ref().filter(|p| p.step == reached.step);
    let percent = percent.map_or_else(String::new, |p| format!(" {} %", p.percent));
    format!("{}{percent} in the {}", reached.step, reached.place.words())
}

fn step_line(run: &RunStatus, step: &StepOutcome) -> String {
    let at = run.planned.iter().position(|p| p.name == step.name);
    let number = at.map_or_else(String::new, |at| {
        format!("{}/{}", at + 1, run.planned.len())
    });
    let mut line = format!("{number:>5} {:10} {}", step.name, step.result.name());
    if let Some(seconds) = step.seconds.filter(|_| step.result != StepResult::Running) {
        let _ = write!(line, ", {seconds:.1} s");
    }
    if step.attempts > 1 {
        let _ = write!(line, ", attempt {}", step.attempts);
    }
    if let (Some(error), true) = (&step.error, step.result == StepResult::Failed) {
        let _ = write!(line, ": {error}");
    }
    line
}

fn limit_of_silence(run: &RunStatus) -> String {
    run.deadlines.map_or_else(String::new, |deadlines| {
        format!(", by its plan for {} at most", duration(deadlines.silent_s))
    })
}

/// The end of a run, once it has one.
fn end_of(run: &RunStatus, host: &str) -> Option<End> {
    let exit = run.exit?;
    let mut lines = vec![match (run.state, run.confirmation) {
        (State::Done, Confirmation::Passed) => "done: the first boot is as planned".to_owned(),
        (State::Done, Confirmation::FellShort) => {
            "done, and the first boot falls short of the plan:".to_owned()
        }
        (State::Done, Confirmation::Failed) => {
            "done, and the first boot could not be compared with the plan".to_owned()
        }
        (state, _) => state.words().to_owned(),
    }];
    lines.extend(run.fell_short.iter().map(|what| format!("  {what}")));
    let failures = run.first_failure.iter().chain(&run.later_failures);
    lines.extend(failures.map(|f| format!("failed: {}: {}", f.step, f.error)));
    lines.push(format!("intact: {}", run.intact));
    lines.push(format!("next: {}", run.next));
    lines.push(format!("records: {host}:{}", run.directory));
    Some(End { lines, exit })
}

#[cfg(test)]
#[path = "story_tests.rs"]
mod tests;
