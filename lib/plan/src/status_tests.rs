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
    type Left = fn(&mut Evidence);
    let cases: [(State, Left); 8] = [
        (State::Unknown, |_| ()),
        (State::InProgress, |e| e.in_progress = true),
        (State::Reverted, |e| {
            e.old_os = Some(old_os(&[("prepare", Done), ("load", Failed)]));
        }),
        (State::Interrupted, |e| {
            e.old_os = Some(old_os(&[("prepare", Done), ("load", Running)]));
        }),
        (State::Rehearsed, |e| e.rehearsal = Some(rehearsal(true))),
        (State::RehearsedWithFindings, |e| {
            e.rehearsal = Some(rehearsal(false));
        }),
        (State::Committed, |e| e.journal = Some(Phase::Wipe)),
        (State::Done, |e| e.journal = Some(Phase::Done)),
    ];
    for (expected, left) in cases {
        let mut evidence = Evidence::default();
        left(&mut evidence);
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
fn a_commit_that_was_taken_back_is_none_and_abort_is_not_named_for_what_it_leaves() {
    let mut ram = old_os(&[("commit", StepResult::Failed)]);
    ram.note_failure("commit", "a disk takes no writes");
    let mut evidence = Evidence {
        ram: Some(ram),
        journal: Some(Phase::Commit),
        leftovers: vec![Leftover {
            path: "/.reroot/r/kernel".into(),
            bytes: 4096,
        }],
        ..Evidence::default()
    };
    assert_eq!(judge(&evidence).state, State::Committed);
    evidence.taken_back = true;
    let status = judge(&evidence);
    assert_eq!(status.state, State::Reverted);
    assert!(!status.next.contains("abort"), "{}", status.next);
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

#[test]
fn the_document_on_the_page_is_one_that_is_written() {
    let page = include_str!("../../../docs/automation.md");
    let behind = page.split_once("## `status --json`").unwrap().1;
    let json = behind.split("```json\n").nth(1).unwrap();
    let json = json.split("```").next().unwrap();
    let status = Status::from_json(json.as_bytes()).unwrap();
    // Nothing on the page that is not in the document, and the other way round.
    let on_page: serde_json::Value = serde_json::from_str(json).unwrap();
    let written: serde_json::Value = serde_json::from_str(&status.to_json()).unwrap();
    assert_eq!(on_page, written);
    assert!(status.runs[0]
        .consent
        .as_ref()
        .unwrap()
        .parse::<crate::consent::Consent>()
        .is_ok());
}

#[test]
fn a_run_has_an_exit_status_once_it_has_ended() {
    use Confirmation::{Failed, FellShort, None, Passed, Pending};
    for (state, confirmation, exit) in [
        (State::InProgress, None, Option::None),
        (State::Done, Pending, Option::None),
        (State::Done, Passed, Some(0)),
        (State::Done, FellShort, Some(4)),
        (State::Done, Failed, Some(4)),
        (State::Rehearsed, None, Some(0)),
        (State::RehearsedWithFindings, None, Some(1)),
        (State::Reverted, None, Some(3)),
        (State::Interrupted, None, Some(3)),
        (State::Committed, None, Some(4)),
        (State::Unknown, None, Some(4)),
    ] {
        let found = run_state::exit(state, confirmation).map(|e| e as u8);
        assert_eq!(found, exit, "{state:?} {confirmation:?}");
    }
}

#[test]
fn a_done_run_waits_for_its_first_boot_and_says_what_fell_short() {
    let confirm = |passed| {
        Some(Confirmed {
            passed,
            findings: vec![Answered {
                verdict: "short".into(),
                question: "Does the gateway answer?".into(),
                found: Some("no".into()),
            }],
        })
    };
    let done = |confirm, comparison| {
        judge(&Evidence {
            report: Some(Finished { confirm }),
            comparison,
            ..Evidence::default()
        })
    };
    let pending = done(None, Comparison::ToCome);
    assert_eq!(
        (pending.confirmation, pending.exit),
        (Confirmation::Pending, None)
    );
    let lost = done(None, Comparison::Failed);
    assert_eq!(
        (lost.confirmation, lost.exit),
        (Confirmation::Failed, Some(4))
    );
    let never = done(None, Comparison::Absent);
    assert_eq!(never.confirmation, Confirmation::Failed);
    // The comparison of an earlier boot stands until there is another.
    let short = done(confirm(false), Comparison::ToCome);
    assert_eq!(
        (short.confirmation, short.exit),
        (Confirmation::FellShort, Some(4))
    );
    assert_eq!(short.fell_short, ["Does the gateway answer?; found: no"]);
    assert_eq!(done(confirm(true), Comparison::Absent).exit, Some(0));
}

#[test]
fn a_run_whose_worker_never_said_a_word_has_changed_nothing() {
    let evidence = Evidence {
        begun: Some(Begun::default()),
        ..Evidence::default()
    };
    let status = judge(&evidence);
    assert_eq!((status.state, status.exit), (State::Interrupted, Some(3)));
    assert!(!status.behind_commit_point);
}

#[test]
fn the_ram_environment_tells_of_a_run_that_goes_on_and_of_one_that_holds() {
    let evidence = |in_ram: InRam| Evidence {
        in_progress: in_ram.held.is_none(),
        in_ram: Some(in_ram),
        ..Evidence::default()
    };
    let before = judge(&evidence(InRam::default()));
    assert_eq!((before.state, before.exit), (State::InProgress, None));
    assert!(!before.behind_commit_point);
    let behind = judge(&evidence(InRam {
        committed: true,
        progress: Some(Progress {
            step: "wipe".into(),
            percent: 43,
        }),
        ..InRam::default()
    }));
    assert_eq!((behind.state, behind.exit), (State::InProgress, None));
    assert!(behind.behind_commit_point);
    assert!(behind.intact.contains("not whole"), "{}", behind.intact);
    assert_eq!(behind.progress.unwrap().percent, 43);
    let held = judge(&evidence(InRam {
        committed: true,
        held: Some("the run failed".into()),
        ..InRam::default()
    }));
    assert_eq!((held.state, held.exit), (State::Committed, Some(4)));
    assert!(held.next.contains("the run failed"), "{}", held.next);
}
