//! The graph of steps, for every kind of run.

use std::collections::BTreeSet;

use super::*;

fn every_kind() -> Vec<Circumstances> {
    let amount = |n| Amount {
        entries: n,
        bytes: n * 1000,
    };
    let mut all = Vec::new();
    for mode in [Mode::Reinstall, Mode::Rehearse] {
        for entry in [Entry::Kexec, Entry::Takeover, Entry::Boot] {
            for (load_before_stop, hooks) in [(true, 0), (false, 0), (true, 2), (false, 2)] {
                all.push(Circumstances {
                    mode,
                    entry,
                    load_before_stop,
                    kept: amount(1000),
                    wiped: amount(20_000),
                    unpacked: amount(300_000),
                    hooks: HookCounts {
                        before_stop: hooks,
                        after_unpack: hooks,
                        first_boot: hooks,
                    },
                });
            }
        }
    }
    all
}

fn place_of(steps: &[Step], name: &str) -> Option<usize> {
    steps.iter().position(|s| s.name == name)
}

#[test]
fn every_step_comes_behind_what_it_needs_so_there_is_no_circle() {
    for kind in every_kind() {
        let steps = steps(kind);
        let mut done = BTreeSet::new();
        for step in &steps {
            for need in &step.needs {
                assert!(done.contains(need), "{kind:?}: {} needs {need}", step.name);
            }
            assert!(done.insert(step.name.clone()), "{} twice", step.name);
        }
    }
}

#[test]
fn everything_but_the_first_is_needed_for_something_or_is_the_end() {
    for kind in every_kind() {
        let steps = steps(kind);
        let needed: BTreeSet<_> = steps.iter().flat_map(|s| s.needs.clone()).collect();
        let ends: Vec<_> = steps
            .iter()
            .filter(|s| !needed.contains(&s.name))
            .map(|s| s.name.as_str())
            .collect();
        let end = match kind.mode {
            Mode::Reinstall => "confirm",
            Mode::Rehearse => "return",
        };
        assert_eq!(ends, [end], "{kind:?}");
        let firsts: Vec<_> = steps.iter().filter(|s| s.needs.is_empty()).collect();
        assert_eq!(firsts.len(), 1, "{kind:?}");
    }
}

#[test]
fn there_is_one_commit_what_is_before_goes_back_and_what_is_behind_is_retried() {
    for kind in every_kind() {
        let steps = steps(kind);
        let commits = steps.iter().filter(|s| s.name == COMMIT).count();
        if kind.mode == Mode::Rehearse {
            assert_eq!(commits, 0);
            assert!(steps.iter().all(|s| s.retry.is_none()));
            continue;
        }
        assert_eq!(commits, 1);
        let commit = place_of(&steps, COMMIT).unwrap();
        for (i, step) in steps.iter().enumerate() {
            let goes_back = matches!(step.on_failure, OnFailure::Revert | OnFailure::Reboot);
            assert_eq!(goes_back, i <= commit, "{}", step.name);
            let retried = step.on_failure == OnFailure::Hold;
            assert_eq!(retried, step.retry.is_some(), "{}", step.name);
            assert!(i <= commit || step.undo.is_none(), "{}", step.name);
        }
    }
}

#[test]
fn the_old_os_goes_on_until_services_stop_and_boots_again_from_then_on() {
    for kind in every_kind() {
        let steps = steps(kind);
        let stop = place_of(&steps, STOP).unwrap();
        let load = place_of(&steps, "load").unwrap();
        assert_eq!(load < stop, kind.load_before_stop);
        for (i, step) in steps.iter().enumerate() {
            assert_eq!(step.on_failure == OnFailure::Revert, i < stop);
        }
    }
}

#[test]
fn every_step_has_a_deadline_and_what_grows_with_the_data_counts_from_its_last_progress() {
    for kind in every_kind() {
        for step in steps(kind) {
            assert!((60..=24 * 3600).contains(&step.deadline_s), "{step:?}");
            assert!(!step.does.is_empty(), "{}", step.name);
        }
    }
    let of = |kept| {
        let kind = Circumstances {
            kept: Amount {
                entries: kept,
                bytes: 0,
            },
            ..every_kind()[0]
        };
        let verify = place_of(&steps(kind), "verify").unwrap();
        steps(kind)[verify].deadline_s
    };
    assert_eq!(
        of(10_000_000),
        of(0),
        "ten million files are no reason to wait for a day"
    );
    let anew: Vec<_> = steps(every_kind()[0])
        .into_iter()
        .filter(|step| step.progress)
        .map(|step| step.name)
        .collect();
    assert_eq!(
        anew,
        ["prepare", "load", "verify", "wipe", "unpack", "check"]
    );
    let wipe = |bytes| {
        let kind = Circumstances {
            wiped: Amount { entries: 0, bytes },
            ..every_kind()[0]
        };
        steps(kind)[place_of(&steps(kind), "wipe").unwrap()].deadline_s
    };
    assert_eq!(wipe(1 << 40) - wipe(0), (1 << 40) / (100 << 20));
}

#[test]
fn a_rehearsal_has_every_step_before_the_commit_point_and_none_behind() {
    let names = |mode| -> Vec<String> {
        let kind = Circumstances {
            mode,
            ..every_kind()[0]
        };
        steps(kind).into_iter().map(|s| s.name).collect()
    };
    let real = names(Mode::Reinstall);
    let rehearsed = names(Mode::Rehearse);
    let commit = real.iter().position(|n| n == COMMIT).unwrap();
    assert_eq!(rehearsed[..commit], real[..commit]);
    assert_eq!(rehearsed[commit..], ["compare", "report", "return"]);
}

#[test]
fn each_entry_says_in_its_own_words_how_it_enters() {
    let mut texts = BTreeSet::new();
    for kind in every_kind() {
        for name in ["load", "enter"] {
            let step = &steps(kind)[place_of(&steps(kind), name).unwrap()];
            texts.insert(step.does.clone());
        }
    }
    assert_eq!(texts.len(), 6);
}

#[test]
fn programs_that_are_called_are_steps_with_their_time_and_where_there_are_none_there_is_no_step() {
    for kind in every_kind() {
        let steps = steps(kind);
        let at = |name| place_of(&steps, name);
        let called = [BEFORE_STOP, AFTER_UNPACK, FIRST_BOOT].map(|name| at(name).is_some());
        let any = kind.hooks.before_stop > 0;
        let reinstalls = any && kind.mode == Mode::Reinstall;
        assert_eq!(called, [any, reinstalls, reinstalls], "{kind:?}");
        if any {
            let before = &steps[at(BEFORE_STOP).unwrap()];
            assert_eq!(before.on_failure, OnFailure::Revert);
            assert_eq!(before.deadline_s, 60 + 2 * 300);
            assert!(at("ask") < at(BEFORE_STOP) && at(BEFORE_STOP) < at(STOP));
        }
        if reinstalls {
            assert_eq!(steps[at(AFTER_UNPACK).unwrap()].on_failure, OnFailure::Tell);
            assert!(at("carry") < at(AFTER_UNPACK) && at(AFTER_UNPACK) < at("loader"));
            assert!(at(FIRST_BOOT) < at("confirm"));
        }
    }
}
