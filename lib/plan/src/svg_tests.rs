//! Pictures of plans: whole, of bounded size, and safe for whatever a machine is called.

use super::*;
use crate::steps::{steps, Circumstances, HookCounts};
use formats::entry::Entry;
use formats::plan::Amount;

fn plan(mode: Mode) -> Plan {
    let amount = Amount {
        entries: 16_000,
        bytes: 300 << 20,
    };
    let mut plan = fixtures::plan::plan();
    plan.mode = mode;
    plan.hostname = "shop1".to_owned();
    plan.run = "20260102T030405Z-0a1b".to_owned();
    plan.old_os.pretty_name = "Debian GNU/Linux 11 (bullseye)".to_owned();
    plan.new_os.pretty_name = "Debian GNU/Linux 13 (trixie)".to_owned();
    plan.steps = steps(Circumstances {
        mode,
        entry: Entry::Kexec,
        load_before_stop: true,
        kept: amount,
        wiped: amount,
        unpacked: amount,
        hooks: HookCounts::default(),
    });
    plan
}

fn outcome(name: &str, result: StepResult) -> StepOutcome {
    StepOutcome {
        name: name.to_owned(),
        begun: "20260102T030405Z".to_owned(),
        seconds: (result != StepResult::Running).then_some(1.25),
        attempts: 1,
        result,
        error: (result == StepResult::Failed).then(|| "the disk does not answer".to_owned()),
    }
}

/// A run whose old OS did not let go of its root.
fn undone() -> Vec<StepOutcome> {
    let timed = |name, result, seconds| StepOutcome {
        seconds: Some(seconds),
        ..outcome(name, result)
    };
    let mut outcomes = vec![
        timed("prepare", StepResult::Reverted, 7.4),
        timed("load", StepResult::Reverted, 2.2),
        timed("ask", StepResult::Done, 0.4),
        timed("stop", StepResult::Reverted, 9.6),
        timed("prove", StepResult::Failed, 5.3),
    ];
    outcomes[4].error = Some(
        "make the root read-only; open for writing: /dev/loop0 on /root/held: Device or resource busy"
            .to_owned(),
    );
    outcomes
}

/// The pictures of docs/steps.md. Set `REROOT_WRITE_PICTURE` to write them anew.
#[test]
fn the_pictures_in_the_documents_are_what_is_drawn() {
    for (name, outcomes) in [("steps", vec![]), ("steps-undone", undone())] {
        let path = format!("{}/../../docs/{name}.svg", env!("CARGO_MANIFEST_DIR"));
        let drawn = graph(&plan(Mode::Reinstall), &outcomes);
        if std::env::var_os("REROOT_WRITE_PICTURE").is_some() {
            std::fs::write(&path, &drawn).unwrap();
        }
        let there = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            there == drawn,
            "REROOT_WRITE_PICTURE=1 cargo test -p manifest svg writes {path} anew"
        );
    }
}

#[test]
fn every_step_is_in_the_picture_and_every_tag_is_closed() {
    for mode in [Mode::Reinstall, Mode::Rehearse] {
        let plan = plan(mode);
        let outcomes = [
            outcome("prepare", StepResult::Reverted),
            outcome("load", StepResult::Failed),
            outcome("stop", StepResult::Running),
        ];
        for outcomes in [&outcomes[..], &[]] {
            let drawn = graph(&plan, outcomes);
            for step in &plan.steps {
                assert!(
                    drawn.contains(&format!(" {}</text>", step.name)),
                    "{}",
                    step.name
                );
            }
            for tag in ["g", "text", "defs", "marker", "svg", "title", "desc"] {
                let opened = drawn.matches(&format!("<{tag}>")).count()
                    + drawn.matches(&format!("<{tag} ")).count();
                let closed = drawn.matches(&format!("</{tag}>")).count();
                assert_eq!(opened, closed, "{tag}");
            }
            assert_eq!(
                drawn.contains("COMMIT POINT"),
                mode == Mode::Reinstall,
                "{mode:?}"
            );
            assert_eq!(drawn.contains("First failure: load"), !outcomes.is_empty());
        }
    }
}

#[test]
fn ends_are_told_in_words_as_well() {
    let plan = plan(Mode::Reinstall);
    for result in [
        StepResult::Done,
        StepResult::Failed,
        StepResult::Reverted,
        StepResult::Running,
    ] {
        let drawn = graph(&plan, &[outcome("load", result)]);
        assert!(drawn.contains(&format!(">{}", result.name())), "{result:?}");
    }
    let mut twice = outcome("wipe", StepResult::Done);
    twice.attempts = 2;
    assert!(graph(&plan, &[twice]).contains("2 attempts"));
}

#[test]
fn names_with_a_meaning_in_xml_are_harmless() {
    let mut plan = plan(Mode::Reinstall);
    plan.hostname = "<script>&\"\u{0}".to_owned();
    let drawn = graph(&plan, &[]);
    assert!(!drawn.contains("<script>") && !drawn.contains('\u{0}'));
    assert!(drawn.contains("&lt;script&gt;&amp;&quot;\\u{0}"));
}

#[test]
fn long_texts_are_broken_between_words_and_cut_with_a_mark() {
    assert_eq!(wrap("one two three", 7, 3), ["one two", "three"]);
    assert_eq!(wrap("one two three", 7, 1), ["one tw…"]);
    assert_eq!(wrap("extraordinary", 5, 1), ["extr…"]);
    assert!(wrap("", 5, 1).is_empty());
}
