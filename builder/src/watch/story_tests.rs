//! What is told of whole runs, answer by answer.

use super::*;
use formats::outcomes::Failure;
use formats::steps::{Mode, Place};
use plan::deadlines::Deadlines;
use plan::status::{PlannedStep, Progress, Reached};

const RUN: &str = "20261128T220103Z-7f2a";

fn planned(name: &str, place: Place) -> PlannedStep {
    PlannedStep {
        name: name.to_owned(),
        place,
        deadline_s: 300,
    }
}

fn outcome(name: &str, result: StepResult) -> StepOutcome {
    StepOutcome {
        name: name.to_owned(),
        begun: "20261128T220105Z".to_owned(),
        seconds: (result != StepResult::Running).then_some(4.25),
        attempts: 1,
        result,
        error: None,
    }
}

/// A run whose steps so far are these.
fn run(steps: &[(&str, StepResult)]) -> RunStatus {
    let planned = [
        planned("prepare", Place::OldOs),
        planned("stop", Place::OldOs),
        planned("wipe", Place::Ram),
        planned("confirm", Place::NewOs),
    ];
    let place = |name: &str| planned.iter().find(|p| p.name == name).unwrap().place;
    RunStatus {
        run: RUN.to_owned(),
        directory: format!("/.reroot/{RUN}"),
        number: 1,
        begun: "20261128T220104Z".to_owned(),
        begun_in: "old".to_owned(),
        mode: Some(Mode::Reinstall),
        image: Some("trixie".to_owned()),
        manifest_digest: None,
        consent: None,
        deadlines: Some(Deadlines {
            serving_s: 600,
            silent_s: 1000,
            confirm_s: 600,
            all_s: 2200,
        }),
        from: Some("Debian 11".to_owned()),
        to: Some("Debian 13".to_owned()),
        state: State::InProgress,
        exit: None,
        behind_commit_point: false,
        stopping: false,
        confirmation: Confirmation::None,
        fell_short: Vec::new(),
        reached: steps.last().map(|&(name, result)| Reached {
            step: name.to_owned(),
            place: place(name),
            result,
        }),
        journal: None,
        first_failure: None,
        later_failures: Vec::new(),
        intact: "everything".to_owned(),
        next: "wait".to_owned(),
        leftovers: Vec::new(),
        steps: steps
            .iter()
            .map(|&(name, result)| outcome(name, result))
            .collect(),
        planned: planned.to_vec(),
        progress: None,
    }
}

fn answer(boot: &str, os: &str, runs: Vec<RunStatus>) -> Seen {
    let mut status = Status {
        boot_id: boot.to_owned(),
        newest: runs.last().map(|r| r.run.clone()),
        runs,
        ..Status::default()
    };
    status.os.pretty_name = os.to_owned();
    Seen::Answer(Box::new(status))
}

fn silent() -> Seen {
    Seen::Silent("Connection refused".to_owned())
}

fn story(ask: Ask) -> Story {
    Story::new("root@shop1", ask, false)
}

/// Everything that is told, one question a second.
fn told(story: &mut Story, seen: &[Seen]) -> (Vec<String>, Option<End>) {
    let mut lines = Vec::new();
    for (at, seen) in seen.iter().enumerate() {
        let told = story.see(seen, Duration::from_secs(at as u64));
        lines.extend(told.lines);
        if told.end.is_some() {
            return (lines, told.end);
        }
    }
    (lines, None)
}

#[test]
fn a_whole_run_is_told_once_from_the_old_os_to_the_new() {
    use StepResult::{Done, Running};
    let stopping = RunStatus {
        stopping: true,
        ..run(&[("prepare", Done), ("stop", Running)])
    };
    let all = [("prepare", Done), ("stop", Done), ("wipe", Done)];
    let pending = RunStatus {
        state: State::Done,
        confirmation: Confirmation::Pending,
        ..run(&all)
    };
    let passed = RunStatus {
        confirmation: Confirmation::Passed,
        exit: Some(0),
        ..pending.clone()
    };
    let (lines, end) = told(
        &mut story(Ask::Newest),
        &[
            answer("old", "Debian 11", vec![run(&[("prepare", Running)])]),
            answer("old", "Debian 11", vec![run(&[("prepare", Running)])]),
            answer("old", "Debian 11", vec![stopping.clone()]),
            answer("old", "Debian 11", vec![stopping]),
            silent(),
            silent(),
            answer(
                "ram",
                "reroot",
                vec![run(&[("prepare", Done), ("stop", Done), ("wipe", Running)])],
            ),
            silent(),
            answer("new", "Debian 13", vec![pending]),
            answer("new", "Debian 13", vec![passed]),
        ],
    );
    assert_eq!(
        lines,
        [
            "root@shop1 answers: Debian 11",
            &format!("run {RUN}"),
            "go: Debian 11 to Debian 13",
            "  1/4 prepare    running",
            "  1/4 prepare    done, 4.2 s",
            "  2/4 stop       running",
            "services stop: from here on the machine may be silent, by its plan for 17 min at most",
            "root@shop1 does not answer: Connection refused",
            "root@shop1 answers: reroot, in another boot",
            "  2/4 stop       done, 4.2 s",
            "  3/4 wipe       running",
            "root@shop1 does not answer: Connection refused",
            "root@shop1 answers: Debian 13, in another boot",
            "  3/4 wipe       done, 4.2 s",
        ]
    );
    let end = end.unwrap();
    assert_eq!(end.exit, 0);
    assert_eq!(end.lines[0], "done: the first boot is as planned");
    assert_eq!(end.lines[3], format!("records: root@shop1:/.reroot/{RUN}"));
}

#[test]
fn a_failure_is_told_with_what_is_intact_and_what_to_do() {
    let mut reverted = run(&[("prepare", StepResult::Failed)]);
    reverted.steps[0].error = Some("no space".to_owned());
    reverted.state = State::Reverted;
    reverted.exit = Some(3);
    reverted.first_failure = Some(Failure {
        step: "prepare".to_owned(),
        error: "no space".to_owned(),
    });
    let (lines, end) = told(
        &mut story(Ask::Run(RUN.to_owned())),
        &[answer("old", "Debian 11", vec![reverted])],
    );
    assert_eq!(
        lines.last().unwrap(),
        "  1/4 prepare    failed, 4.2 s: no space"
    );
    let end = end.unwrap();
    assert_eq!(end.exit, 3);
    for line in [
        "failed: prepare: no space",
        "intact: everything",
        "next: wait",
    ] {
        assert!(end.lines.iter().any(|l| l == line), "{line}: {end:?}");
    }
}

#[test]
fn a_run_that_holds_ends_the_watching_with_the_way_in() {
    let going_on = RunStatus {
        progress: Some(Progress {
            step: "wipe".to_owned(),
            percent: 43,
        }),
        ..run(&[("wipe", StepResult::Running)])
    };
    let held = RunStatus {
        state: State::Committed,
        exit: Some(4),
        next: "it holds: the disk is gone; log in without a command for a shell".to_owned(),
        ..run(&[("wipe", StepResult::Failed)])
    };
    let mut story = story(Ask::Newest);
    story.see(
        &answer("ram", "reroot's RAM environment", vec![going_on]),
        Duration::ZERO,
    );
    let now = story.now(Duration::ZERO).text;
    assert_eq!(now, "wipe 43 % in the RAM environment");
    let held = answer("ram", "reroot's RAM environment", vec![held]);
    let (_, end) = told(&mut story, &[held]);
    let end = end.unwrap();
    assert_eq!(end.exit, 4);
    assert!(
        end.lines.iter().any(|l| l.contains("for a shell")),
        "{end:?}"
    );
}

#[test]
fn silence_beyond_the_plan_is_told_once() {
    let mut story = story(Ask::Newest);
    let begun = answer(
        "old",
        "Debian 11",
        vec![run(&[("stop", StepResult::Running)])],
    );
    story.see(&begun, Duration::ZERO);
    let mut told = Vec::new();
    for at in (10..3000).step_by(10) {
        told.extend(story.see(&silent(), Duration::from_secs(at)).lines);
    }
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[1].contains("longer than its plan allows"), "{told:?}");
    let now = story.now(Duration::from_mins(50));
    assert!(now.text.contains("silent for 50 min"), "{now:?}");
    assert_eq!(now.of, 4);
}

#[test]
fn who_never_got_in_is_told_why_and_who_did_waits() {
    let refused = Seen::Refused("root@shop1: Permission denied (publickey).".to_owned());
    let (_, end) = told(&mut story(Ask::Newest), std::slice::from_ref(&refused));
    let end = end.unwrap();
    assert_eq!(end.exit, 1);
    assert!(end.lines[0].contains("Permission denied"), "{end:?}");
    // In the RAM environment; and after a command that began the run before the first question.
    let begun = answer(
        "old",
        "Debian 11",
        vec![run(&[("stop", StepResult::Running)])],
    );
    let (_, end) = told(&mut story(Ask::Newest), &[begun, refused.clone()]);
    assert_eq!(end, None);
    let mut story = Story::new("root@shop1", Ask::Newest, true);
    let (lines, end) = told(&mut story, &[refused]);
    assert_eq!(end, None);
    assert!(lines[0].contains("Permission denied"), "{lines:?}");
}

#[test]
fn the_right_run_is_watched() {
    let older = RunStatus {
        run: "20261127T220103Z-0000".to_owned(),
        state: State::Reverted,
        exit: Some(3),
        ..run(&[])
    };
    let both = || answer("old", "Debian 11", vec![older.clone(), run(&[])]);
    for (ask, expected) in [
        (Ask::Newest, Some(RUN)),
        (Ask::Run(older.run.clone()), Some(&*older.run)),
        (Ask::NewerThan(Some(older.run.clone())), Some(RUN)),
        (Ask::NewerThan(None), Some(RUN)),
        (Ask::NewerThan(Some(RUN.to_owned())), None),
    ] {
        let mut story = story(ask.clone());
        let (lines, end) = told(&mut story, &[both()]);
        assert_eq!(story.run.as_deref(), expected, "{ask:?}");
        if expected.is_none() {
            assert_eq!(end.unwrap().exit, 1, "{ask:?}: {lines:?}");
        }
    }
    let (_, end) = told(
        &mut story(Ask::Run("20200101T000000Z-aaaa".to_owned())),
        &[both()],
    );
    assert!(end.unwrap().lines[0].starts_with("there is no run 2020"));
    let (_, end) = told(&mut story(Ask::Newest), &[Seen::NoRuns]);
    assert_eq!(
        end.unwrap().lines,
        ["no run has left anything on root@shop1"]
    );
}

#[test]
fn an_answer_that_tells_nothing_is_told_once_and_waited_for() {
    let begun = || {
        answer(
            "old",
            "Debian 11",
            vec![run(&[("stop", StepResult::Running)])],
        )
    };
    let odd = || Seen::Other("bash: fork: Cannot allocate memory".to_owned());
    let (lines, end) = told(
        &mut story(Ask::Newest),
        &[begun(), odd(), odd(), Seen::NoRuns, Seen::NoRuns, begun()],
    );
    assert_eq!(end, None);
    assert_eq!(
        lines
            .iter()
            .filter(|l| l.contains("Cannot allocate"))
            .count(),
        1
    );
    assert_eq!(
        lines.iter().filter(|l| l.contains("nothing there")).count(),
        1
    );
}
