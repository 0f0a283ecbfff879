//! The engine of the old OS: walks the plan's steps in their order, keeps their deadlines, undoes
//! them in reverse when one fails, and records what became of each.
//!
//! It knows no step by name. What a step does and what undoes it is in the caller's table; order,
//! deadlines and what follows a failure are the plan's.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use formats::plan::Plan;
use formats::steps::{OnFailure, Place, Step};
use machine::step_record::StepRecord;
use machine::turns::{self, Turns};

use crate::image::Image;

/// What every step is given.
pub struct Job {
    /// What to do.
    pub plan: Plan,
    /// With which image.
    pub image: Image,
    /// The run's directory.
    pub directory: PathBuf,
}

/// How a step of the plan is done and undone.
pub struct Deed {
    /// The step's name.
    pub name: &'static str,
    /// Does it.
    pub act: fn(&Job) -> Result<()>,
    /// Undoes it, also where it was only begun.
    pub undo: Option<fn(&Job)>,
}

/// Why a run ended before its last step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// A step failed.
    Failed,
    /// A step took too long: it may hang in the kernel, and so may whoever waits for it.
    TooLong,
    /// Somebody asked for it.
    BrokenOff,
}

/// What is called once a run was undone: it ends the process or the machine.
pub type End = fn(&Job, OnFailure, Ended);

/// A run, as its threads share it.
pub struct Engine {
    job: Job,
    deeds: &'static [Deed],
    end: End,
    undone: AtomicBool,
    state: Mutex<State>,
}

struct State {
    record: StepRecord,
    /// The steps that were begun, in that order.
    begun: Vec<&'static Deed>,
    /// The step that was begun last: what follows its failure follows any failure now.
    current: Option<Step>,
    since: Instant,
    /// What the kernel had counted of the thread that walks, when it last got on.
    turns: Option<Turns>,
    /// That thread.
    walker: i32,
    running: bool,
    over: bool,
}

impl State {
    /// The current step, if its deadline has passed. That of a step which is to show progress begins
    /// anew with every turn that the walking thread had.
    fn late(&mut self) -> Option<Step> {
        let step = self.current.clone()?;
        if !self.running || self.over {
            return None;
        }
        if step.progress {
            let turns = Turns::of(self.walker);
            if turns != self.turns {
                self.turns = turns;
                self.since = Instant::now();
            }
        }
        (self.since.elapsed() > Duration::from_secs(step.deadline_s)).then_some(step)
    }
}

/// How long undoing may take: a kernel is unloaded, files are removed, the root is remounted.
const UNDOING: Duration = Duration::from_mins(2);
/// How often deadlines are looked at.
const LOOK: Duration = Duration::from_millis(250);

impl Engine {
    /// A run that has not begun.
    pub fn new(job: Job, deeds: &'static [Deed], record: StepRecord, end: End) -> Arc<Engine> {
        let state = Mutex::new(State {
            record,
            begun: Vec::new(),
            current: None,
            since: Instant::now(),
            turns: None,
            walker: turns::this_thread(),
            running: false,
            over: false,
        });
        Arc::new(Engine {
            job,
            deeds,
            end,
            undone: AtomicBool::new(false),
            state,
        })
    }

    /// Does every step of the old OS. Returns when a run was undone and `end` has come back, or
    /// when there is no further step.
    pub fn walk(self: &Arc<Engine>) {
        self.state().walker = turns::this_thread();
        let watcher = Arc::clone(self);
        std::thread::spawn(move || watcher.watch());
        let steps = self.job.plan.steps.iter();
        for step in steps.filter(|s| s.place == Place::OldOs) {
            let deed = self.deeds.iter().find(|d| d.name == step.name);
            let result = deed
                .with_context(|| format!("this program does not know the step {}", step.name))
                .and_then(|deed| {
                    self.begin(step, deed);
                    (deed.act)(&self.job)
                });
            match result {
                Ok(()) => self.done(step),
                Err(e) => return self.fail(step, &format!("{e:#}"), Ended::Failed),
            }
        }
    }

    /// Breaks the run off, if the old OS would go on as if nothing had been; false if it is too
    /// late for that.
    pub fn break_off(self: &Arc<Engine>, why: &str) -> bool {
        let current = self.state().current.clone();
        match current {
            Some(step) if step.on_failure == OnFailure::Revert => {
                self.fail(&step, why, Ended::BrokenOff);
                true
            }
            _ => false,
        }
    }

    /// Whether the run was undone; waits until it is, if it is being undone.
    pub fn is_over(&self) -> bool {
        self.state().over
    }

    fn begin(&self, step: &Step, deed: &'static Deed) {
        let mut state = self.state();
        if state.over {
            drop(state);
            stand_still();
        }
        log::info!("{}: begins", step.name);
        state.record.begin(&step.name);
        state.begun.push(deed);
        state.current = Some(step.clone());
        state.since = Instant::now();
        state.running = true;
    }

    fn done(&self, step: &Step) {
        let mut state = self.state();
        state.running = false;
        let seconds = state.record.done(&step.name);
        drop(state);
        log::info!("{}: done in {seconds:.1} s", step.name);
    }

    /// Undoes everything, last first, and ends the run. Whoever comes second waits for ever: the
    /// first one ends the process.
    fn fail(self: &Arc<Engine>, step: &Step, error: &str, ended: Ended) {
        let mut state = self.state();
        if std::mem::replace(&mut state.over, true) {
            drop(state);
            stand_still();
        }
        log::error!("failed: {}: {error}", step.name);
        self.limit_undoing(step.on_failure);
        state.record.failed(&step.name, error);
        state.record.note_failure(&step.name, error);
        let begun = std::mem::take(&mut state.begun);
        for deed in begun.iter().rev() {
            if let Some(undo) = deed.undo {
                undo(&self.job);
                state.record.reverted(deed.name);
            }
        }
        drop(state);
        self.undone.store(true, Ordering::SeqCst);
        (self.end)(&self.job, step.on_failure, ended);
    }

    /// What hangs may hang its undoing as well: the run ends all the same.
    fn limit_undoing(self: &Arc<Engine>, on_failure: OnFailure) {
        let engine = Arc::clone(self);
        std::thread::spawn(move || {
            std::thread::sleep(UNDOING);
            if engine.undone.load(Ordering::SeqCst) {
                return;
            }
            log::error!("undoing took longer than {} s", UNDOING.as_secs());
            (engine.end)(&engine.job, on_failure, Ended::TooLong);
        });
    }

    /// Fails a step that takes longer than it may, or than it may without getting on.
    fn watch(self: &Arc<Engine>) {
        loop {
            std::thread::sleep(LOOK);
            let mut state = self.state();
            let late = state.late();
            drop(state);
            if let Some(step) = late {
                let way = if step.progress {
                    "no progress"
                } else {
                    "not done"
                };
                let why = format!("{way} within {} s", step.deadline_s);
                self.fail(&step, &why, Ended::TooLong);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stand_still() -> ! {
    loop {
        std::thread::park();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    /// Whether a step is found late within some seconds that may take one without progress.
    fn is_late(progress: bool, work: impl FnOnce(&mpsc::Receiver<()>) + Send + 'static) -> bool {
        let step = Step {
            name: "load".into(),
            place: Place::OldOs,
            needs: vec![],
            does: String::new(),
            before: String::new(),
            after: String::new(),
            undo: None,
            retry: None,
            deadline_s: 1,
            progress,
            on_failure: OnFailure::Revert,
        };
        let (tell, told) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        let walker = thread::spawn(move || {
            tell.send(turns::this_thread()).unwrap();
            work(&ended);
        });
        let directory = tempfile::tempdir().unwrap();
        let mut state = State {
            record: StepRecord::open(&directory.path().join("steps"), "r", Place::OldOs),
            begun: Vec::new(),
            current: Some(step),
            since: Instant::now(),
            turns: None,
            walker: told.recv().unwrap(),
            running: true,
            over: false,
        };
        let late = (0..16).any(|_| {
            thread::sleep(LOOK);
            state.late().is_some()
        });
        // Who works on has ended by itself, or does by this.
        let _ = end.send(());
        walker.join().unwrap();
        late
    }

    fn work(end: &mpsc::Receiver<()>) {
        while end.try_recv().is_err() {
            thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn a_step_that_gets_on_is_not_late_however_long_it_takes() {
        assert!(!is_late(true, work));
        assert!(is_late(false, work));
    }

    #[test]
    fn a_step_that_hangs_in_one_call_is_late() {
        assert!(is_late(true, |end| {
            let _ = end.recv();
        }));
    }
}
