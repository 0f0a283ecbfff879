//! Runs that ended in every way, judged.

use super::*;

fn old_os(until: &[(&str, StepResult)]) -> Outcomes {
    let mut outcomes = Outcomes::new("r", Place::OldOs, "boot");
    for (name, result) in until {
        outcomes.begin(name, "t");
        match result {
            StepResult::Done => outcomes.done(name, 1.0),
            StepResult::Failed => {
                outcomes.failed(name, 1.0, "why");
                outcomes.note_failure(name, "why");
            }
            _ => {}
        }
    }
    outcomes
}

fn rehearsal(passed: bool) -> Rehearsal {
    Rehearsal {
        run: "r".into(),
        passed,
        differences: vec![],
        kept: vec![],
        memory_total: 1,
        memory_available: 1,
        notes: vec![],
    }
}

#[test]
fn every_end_has_its_state() {
    use StepResult::{Done, Failed, Running};
    let base = Evidence::default();
    for (expected, evidence) in [
        (State::Unknown, base.clone()),
        (
            State::InProgress,
            Evidence {
                in_progress: true,
                ..base.clone()
            },
        ),
        (
            State::Reverted,
            Evidence {
                old_os: Some(old_os(&[("prepare", Done), ("load", Failed)])),
                ..base.clone()
            },
        ),
        (
            State::Interrupted,
            Evidence {
                old_os: Some(old_os(&[("prepare", Done), ("load", Running)])),
                ..base.clone()
            },
        ),
        (
            State::Rehearsed,
            Evidence {
                rehearsal: Some(rehearsal(true)),
                ..base.clone()
            },
        ),
        (
            State::RehearsedWithFindings,
            Evidence {
                rehearsal: Some(rehearsal(false)),
                ..base.clone()
            },
        ),
        (
            State::Committed,
            Evidence {
                journal: Some(Phase::Wipe),
                ..base.clone()
            },
        ),
        (
            State::Done,
            Evidence {
                journal: Some(Phase::Done),
                ..base.clone()
            },
        ),
    ] {
        assert_eq!(judge(&evidence).state, expected);
    }
}

#[test]
fn an_old_os_that_booted_behind_the_journals_first_word_is_called_whole() {
    for (phase, whole) in [(Phase::Commit, true), (Phase::Wipe, false)] {
        let evidence = Evidence {
            journal: Some(phase),
            ..Evidence::default()
        };
        let status = judge(&evidence);
        assert_eq!(status.state, State::Committed);
        assert_eq!(status.intact.contains("and the old OS"), whole, "{phase:?}");
        assert_eq!(status.next.contains("reboot once"), whole, "{phase:?}");
    }
}

#[test]
fn the_first_failure_is_the_first_of_both_places() {
    let mut early = old_os(&[("load", StepResult::Failed)]);
    early.note_failure("prepare", "could not be undone");
    let evidence = Evidence {
        old_os: Some(early),
        ..Evidence::default()
    };
    let status = judge(&evidence);
    assert_eq!(status.first_failure.unwrap().step, "load");
    assert_eq!(status.later_failures[0].step, "prepare");
}

#[test]
fn what_nobody_could_write_down_is_known_from_what_came_after() {
    let evidence = Evidence {
        old_os: Some(old_os(&[
            ("stop", StepResult::Done),
            ("prove", StepResult::Running),
        ])),
        ..Evidence::default()
    };
    let alone = judge(&evidence);
    assert_eq!(alone.state, State::Interrupted);
    assert!(alone.next.contains("RAM environment"), "{}", alone.next);

    let mut ram = Outcomes::new("r", Place::Ram, "other");
    ram.begin("drivers", "t");
    let both = judge(&Evidence {
        ram: Some(ram),
        ..evidence
    });
    assert_eq!(both.steps[1].result, StepResult::Done, "it was entered");
    assert_eq!(both.reached.unwrap().step, "drivers");
}

#[test]
fn leftovers_are_mentioned_with_what_removes_them() {
    let left = Evidence {
        old_os: Some(old_os(&[("load", StepResult::Running)])),
        leftovers: vec![Leftover {
            path: "/.reroot/r/payload".into(),
            bytes: 1,
        }],
        ..Evidence::default()
    };
    assert!(judge(&left).next.contains("abort"));
    let resumable = Evidence {
        journal: Some(Phase::Unpack),
        ..left
    };
    assert!(
        !judge(&resumable).next.contains("abort"),
        "it is needed to go on"
    );
}
