//! What became of each step, as it is recorded while a run goes on: one document for the old OS,
//! one for the RAM environment. The first failure is kept, whatever fails after it.

use serde::{Deserialize, Serialize};

use crate::steps::Place;

/// The document of the old OS in the run's directory.
pub const OLD_OS: &str = "steps-old-os.json";
/// The document of the RAM environment, in the run's directory or among the records.
pub const RAM: &str = "steps-ram.json";

/// The outcomes of a run's steps in one place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcomes {
    /// The run's id.
    pub run: String,
    /// Where the steps were done.
    pub place: Place,
    /// The kernel's id of the boot in which they were done.
    pub boot: String,
    /// The steps that were begun, in that order.
    pub steps: Vec<StepOutcome>,
    /// What failed first.
    pub first_failure: Option<Failure>,
    /// What failed after it.
    #[serde(default)]
    pub later_failures: Vec<Failure>,
}

/// What became of one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepOutcome {
    /// The step.
    pub name: String,
    /// When it began, `YYYYMMDDTHHMMSSZ` by the machine's clock.
    pub begun: String,
    /// How long its attempts took together; absent while it runs.
    pub seconds: Option<f64>,
    /// How often it was tried.
    pub attempts: u32,
    /// How it ended.
    pub result: StepResult,
    /// Its first error, also where a later attempt succeeded.
    pub error: Option<String>,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepResult {
    /// It was begun; nothing tells that it ended.
    Running,
    /// It was done.
    Done,
    /// It failed.
    Failed,
    /// It was undone, or ended in the middle and undone.
    Reverted,
}

impl StepResult {
    /// One word for people.
    pub fn name(self) -> &'static str {
        match self {
            StepResult::Running => "running",
            StepResult::Done => "done",
            StepResult::Failed => "failed",
            StepResult::Reverted => "reverted",
        }
    }
}

/// Something that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The step that it failed in.
    pub step: String,
    /// What was attempted, on what, and why it failed.
    pub error: String,
}

impl Outcomes {
    /// Nothing was begun yet.
    pub fn new(run: &str, place: Place, boot: &str) -> Outcomes {
        Outcomes {
            run: run.to_owned(),
            place,
            boot: boot.to_owned(),
            steps: Vec::new(),
            first_failure: None,
            later_failures: Vec::new(),
        }
    }

    /// A step begins, for the first time or once more; or goes on with another part of it, where the part
    /// before was done.
    pub fn begin(&mut self, name: &str, now: &str) {
        if let Some(step) = self.get_mut(name) {
            if step.result != StepResult::Done {
                step.attempts += 1;
            }
            step.result = StepResult::Running;
        } else {
            self.steps.push(StepOutcome {
                name: name.to_owned(),
                begun: now.to_owned(),
                seconds: None,
                attempts: 1,
                result: StepResult::Running,
                error: None,
            });
        }
    }

    /// The attempt was done after so many seconds.
    pub fn done(&mut self, name: &str, seconds: f64) {
        self.end(name, seconds, StepResult::Done);
    }

    /// The attempt failed after so many seconds.
    pub fn failed(&mut self, name: &str, seconds: f64, error: &str) {
        self.end(name, seconds, StepResult::Failed);
        if let Some(step) = self.get_mut(name) {
            step.error.get_or_insert_with(|| error.to_owned());
        }
    }

    /// The step was undone.
    pub fn reverted(&mut self, name: &str) {
        if let Some(step) = self.get_mut(name) {
            // What failed stays so: that is what people look for.
            if step.result != StepResult::Failed {
                step.result = StepResult::Reverted;
            }
        }
    }

    /// The run fails in a step, for good. What failed first stays first.
    pub fn note_failure(&mut self, step: &str, error: &str) {
        let failure = Failure {
            step: step.to_owned(),
            error: error.to_owned(),
        };
        if self.first_failure.is_none() {
            self.first_failure = Some(failure);
        } else if self.first_failure.as_ref() != Some(&failure) {
            self.later_failures.push(failure);
        }
    }

    /// The step of that name, if it was begun.
    pub fn get(&self, name: &str) -> Option<&StepOutcome> {
        self.steps.iter().find(|s| s.name == name)
    }

    /// The step that was begun last.
    pub fn last(&self) -> Option<&StepOutcome> {
        self.steps.last()
    }

    fn get_mut(&mut self, name: &str) -> Option<&mut StepOutcome> {
        self.steps.iter_mut().find(|s| s.name == name)
    }

    fn end(&mut self, name: &str, seconds: f64, result: StepResult) {
        if let Some(step) = self.get_mut(name) {
            step.seconds = Some(step.seconds.unwrap_or_default() + seconds);
            step.result = result;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Document;

    fn outcomes() -> Outcomes {
        Outcomes::new("20260102T030405Z-0a1b", Place::Ram, "boot")
    }

    #[test]
    fn the_first_failure_stays_first() {
        let mut o = outcomes();
        o.begin("load", "t");
        o.failed("load", 1.0, "no memory");
        o.note_failure("load", "no memory");
        o.note_failure("load", "no memory");
        o.note_failure("prepare", "the copies cannot be removed");
        let first = o.first_failure.as_ref().unwrap();
        assert_eq!(
            (first.step.as_str(), first.error.as_str()),
            ("load", "no memory")
        );
        assert_eq!(o.later_failures.len(), 1);
    }

    #[test]
    fn a_second_attempt_keeps_the_error_and_adds_to_the_time() {
        let mut o = outcomes();
        o.begin("wipe", "t1");
        o.failed("wipe", 1.0, "the disk was reset");
        o.begin("wipe", "t2");
        o.done("wipe", 2.0);
        let step = o.get("wipe").unwrap();
        assert_eq!(step.attempts, 2);
        assert_eq!(step.begun, "t1");
        assert_eq!(step.seconds, Some(3.0));
        assert_eq!(step.result, StepResult::Done);
        assert_eq!(step.error.as_deref(), Some("the disk was reset"));
        assert!(o.first_failure.is_none(), "it was made good");
    }

    #[test]
    fn a_further_part_of_a_step_is_no_attempt() {
        let mut o = outcomes();
        for _ in 0..3 {
            o.begin("find", "t");
            o.done("find", 0.5);
        }
        let step = o.get("find").unwrap();
        assert_eq!((step.attempts, step.seconds), (1, Some(1.5)));
    }

    #[test]
    fn what_failed_is_not_called_reverted() {
        let mut o = outcomes();
        o.begin("prepare", "t");
        o.done("prepare", 1.0);
        o.begin("load", "t");
        o.failed("load", 1.0, "e");
        o.reverted("load");
        o.reverted("prepare");
        o.reverted("absent");
        let results: Vec<_> = o.steps.iter().map(|s| s.result).collect();
        assert_eq!(results, [StepResult::Reverted, StepResult::Failed]);
    }

    #[test]
    fn it_survives_the_round_trip() {
        let mut o = outcomes();
        o.begin("find", "t");
        assert_eq!(Outcomes::from_json(o.to_json().as_bytes()).unwrap(), o);
    }
}
