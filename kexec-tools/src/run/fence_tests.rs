//! The fence, raced at by processes of their own: this very test program, started again as one of the
//! two tests that are launchers and workers where they are told to be.

use super::*;
use std::env;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use machine::runs::lock::holder;
use rustix::process::{kill_process, Pid, Signal};

/// Where a launcher or worker of a test has its runs.
const BASE: &str = "REROOT_TEST_FENCE_BASE";
const RUN: &str = "REROOT_TEST_FENCE_RUN";
/// Named if `--run` is given.
const NAMED: &str = "REROOT_TEST_FENCE_NAMED";
const AFTER: &str = "REROOT_TEST_FENCE_AFTER";

const LIMIT: Duration = Duration::from_mins(2);

fn places(base: &Path) -> Places {
    Places {
        base: base.join("runs"),
        records: base.join("records"),
        units: base.join("units"),
    }
}

fn beginning(run: &str) -> Beginning<'_> {
    Beginning {
        run,
        consent: "c".to_owned(),
        forced: Vec::new(),
        documents: vec![("plan.json", "{}".to_owned())],
        program: b"#!/bin/sh\n".to_vec(),
    }
}

fn fence(run: Option<&str>, after: Option<&str>) -> Fence {
    Fence {
        run: run.map(|r| r.parse().unwrap()),
        after: after.map(|a| a.parse().unwrap()),
    }
}

/// A worker that is there until it is ended.
fn sleeping(_: &Path, lock: OwnedFd) -> Result<Child> {
    let mut sleep = Command::new("sleep");
    Ok(sleep.arg("600").stdin(Stdio::from(lock)).spawn()?)
}

fn until(what: &str, is: impl Fn() -> bool) {
    let start = Instant::now();
    while !is() {
        assert!(start.elapsed() < LIMIT, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Ends the worker that holds the lock, and gives the run's name.
fn end_worker(places: &Places) -> String {
    let held = holder(places).expect("a worker holds the lock");
    kill_process(Pid::from_raw(held.pid).unwrap(), Signal::KILL).unwrap();
    until("the lock is let go", || holder(places).is_none());
    held.run
}

/// Begins a run here and ends its worker.
fn begin_and_end(places: &Places, run: &str, after: &str) {
    let fence = fence(Some(run), Some(after));
    let begun = begin(places, &fence, &beginning(run), sleeping).unwrap();
    let (mut child, _) = begun.unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn is_a_launcher_where_it_is_told_to_be() {
    let Some(base) = env::var_os(BASE) else {
        return;
    };
    let base = PathBuf::from(base);
    let run = env::var(RUN).unwrap();
    let named = env::var_os(NAMED).is_some();
    let after = env::var(AFTER).ok();
    fs::write(base.join(format!("ready-{}", std::process::id())), "").unwrap();
    until("the start", || base.join("start").exists());
    let fence = fence(named.then_some(&run), after.as_deref());
    let begun = begin(&places(&base), &fence, &beginning(&run), sleeping);
    std::process::exit(match begun {
        Ok(Ok(_)) => 0,
        Ok(Err(Closed::Busy(_))) => 1,
        Ok(Err(Closed::NotTheNewest(newest))) => {
            println!("newest {newest:?}");
            5
        }
        Ok(Err(Closed::There(_))) => 10,
        Err(e) => {
            println!("{e:#}");
            99
        }
    });
}

/// Starts launchers that wait for each other, and gives how each ended.
fn race(base: &Path, runs: &[String], named: bool, after: Option<&str>) -> Vec<ExitStatus> {
    let children: Vec<Child> = runs
        .iter()
        .map(|run| {
            let mut command = Command::new(env::current_exe().unwrap());
            command
                .args([
                    "--exact",
                    "run::fence::tests::is_a_launcher_where_it_is_told_to_be",
                ])
                .env(BASE, base)
                .env(RUN, run)
                .stdin(Stdio::null())
                .stdout(Stdio::null());
            if named {
                command.env(NAMED, "");
            }
            if let Some(after) = after {
                command.env(AFTER, after);
            }
            command.spawn().unwrap()
        })
        .collect();
    until("every launcher is ready", || {
        let entries = fs::read_dir(base).unwrap().flatten();
        let ready = entries.filter(|e| e.file_name().to_string_lossy().starts_with("ready-"));
        ready.count() == runs.len()
    });
    fs::write(base.join("start"), "").unwrap();
    let ended = children
        .into_iter()
        .map(|mut child| child.wait().unwrap())
        .collect();
    for entry in fs::read_dir(base).unwrap().flatten() {
        if entry.file_type().unwrap().is_file() {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    ended
}

fn count(ended: &[ExitStatus], code: i32) -> usize {
    ended.iter().filter(|s| s.code() == Some(code)).count()
}

const LAUNCHERS: usize = 6;

#[test]
fn of_many_that_begin_after_the_same_run_one_does() {
    let dir = tempfile::tempdir().unwrap();
    let places = places(dir.path());
    let mut after = "none".to_owned();
    for round in 0..3 {
        let runs: Vec<String> = (0..LAUNCHERS)
            .map(|i| format!("20260102T030405Z-r{round}l{i}"))
            .collect();
        let ended = race(dir.path(), &runs, true, Some(&after));
        assert_eq!(count(&ended, 0), 1, "{ended:?}");
        assert_eq!(count(&ended, 5), LAUNCHERS - 1, "{ended:?}");
        after = end_worker(&places);
        assert!(runs.contains(&after));
        let there = evidence::evidence(&places).unwrap();
        assert_eq!(there.len(), round + 1, "who was refused left nothing");
        let begun = there.last().unwrap().begun.clone().unwrap();
        assert_eq!((begun.run, begun.number), (after.clone(), round as u64 + 1));
    }
}

#[test]
fn of_many_that_begin_the_same_run_one_does_and_the_others_find_it() {
    let dir = tempfile::tempdir().unwrap();
    let run = "20260102T030405Z-same";
    let ended = race(
        dir.path(),
        &vec![run.to_owned(); LAUNCHERS],
        true,
        Some("none"),
    );
    assert_eq!(count(&ended, 0), 1, "{ended:?}");
    assert_eq!(count(&ended, 10), LAUNCHERS - 1, "{ended:?}");
    assert_eq!(end_worker(&places(dir.path())), run);
}

#[test]
fn without_a_fence_one_run_is_in_progress_at_a_time_too() {
    let dir = tempfile::tempdir().unwrap();
    let runs: Vec<String> = (0..3).map(|i| format!("20260102T030405Z-any{i}")).collect();
    let ended = race(dir.path(), &runs, false, None);
    assert_eq!(count(&ended, 0), 1, "{ended:?}");
    assert_eq!(count(&ended, 1), 2, "{ended:?}");
    end_worker(&places(dir.path()));
    assert_eq!(evidence::evidence(&places(dir.path())).unwrap().len(), 1);
}

#[test]
fn who_was_asleep_since_the_fence_was_open_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let places = places(dir.path());
    let sleeper = fence(Some("20260102T030405Z-late"), Some("none"));
    assert_eq!(sleeper.ask(&places).unwrap(), None);
    begin_and_end(&places, "20260102T030405Z-early", "none");
    let run = "20260102T030405Z-late";
    let begun = begin(&places, &sleeper, &beginning(run), |_, _| {
        panic!("it began")
    });
    assert_eq!(
        begun.unwrap().err(),
        Some(Closed::NotTheNewest(Some(
            "20260102T030405Z-early".to_owned()
        )))
    );
}

#[test]
fn the_newest_is_the_one_that_was_begun_last_whatever_clocks_and_names_say() {
    let dir = tempfile::tempdir().unwrap();
    let places = places(dir.path());
    begin_and_end(&places, "20300101T000000Z-first", "none");
    begin_and_end(&places, "20200101T000000Z-second", "20300101T000000Z-first");
    // The first one's directory is among the records of the new OS, the second one's is not there.
    begin_and_end(&places, "20250101T000000Z-third", "20200101T000000Z-second");
    fs::create_dir(&places.records).unwrap();
    let third = "20250101T000000Z-third";
    fs::rename(places.base.join(third), places.records.join(third)).unwrap();
    for gone in ["20300101T000000Z-first", "20200101T000000Z-second"] {
        fs::remove_dir_all(places.base.join(gone)).unwrap();
    }
    begin_and_end(&places, "20210101T000000Z-fourth", third);
    let runs = evidence::evidence(&places).unwrap();
    let order: Vec<u64> = runs.iter().map(number).collect();
    assert_eq!(order, [3, 4]);
    let again = fence(Some(third), Some("none"));
    assert_eq!(
        again.ask(&places).unwrap(),
        Some(Closed::There(third.parse().unwrap()))
    );
}

#[test]
fn a_worker_that_does_not_start_leaves_neither_a_run_nor_the_lock() {
    let dir = tempfile::tempdir().unwrap();
    let places = places(dir.path());
    let run = "20260102T030405Z-fails";
    let fails = |_: &Path, _| bail!("no memory");
    assert!(begin(&places, &fence(None, None), &beginning(run), fails).is_err());
    // A child of another test has every descriptor of this process for the moment until it executes.
    until("the lock is let go", || holder(&places).is_none());
    // What a launcher left that was killed in the middle is in nobody's way.
    fs::create_dir_all(places.base.join(NEW).join("below")).unwrap();
    begin_and_end(&places, run, "none");
    assert!(!places.base.join(NEW).exists());
}

#[test]
fn is_a_worker_where_it_is_told_to_be() {
    let Some(base) = env::var_os("REROOT_TEST_FENCE_WORKER") else {
        return;
    };
    let base = PathBuf::from(base);
    let lock = lock::handed_over(&places(&base))
        .unwrap()
        .expect("the lock");
    lock.held_by(std::process::id(), "20260102T030405Z-work")
        .unwrap();
    let child = Command::new("sleep").arg("600").spawn().unwrap();
    fs::write(base.join("child.new"), child.id().to_string()).unwrap();
    fs::rename(base.join("child.new"), base.join("child")).unwrap();
    until("the end", || base.join("end").exists());
    std::process::exit(0);
}

#[test]
fn the_worker_has_the_lock_when_the_launcher_is_gone_and_what_it_starts_has_not() {
    let dir = tempfile::tempdir().unwrap();
    let places = places(dir.path());
    let run = "20260102T030405Z-work";
    let start = |_: &Path, lock: OwnedFd| {
        let mut command = Command::new(env::current_exe()?);
        command
            .args([
                "--exact",
                "run::fence::tests::is_a_worker_where_it_is_told_to_be",
            ])
            .env("REROOT_TEST_FENCE_WORKER", dir.path())
            .stdin(Stdio::from(lock))
            .stdout(Stdio::null());
        Ok(command.spawn()?)
    };
    let begun = begin(&places, &fence(None, None), &beginning(run), start).unwrap();
    let (mut worker, _) = begun.unwrap();
    until("the worker has started something", || {
        dir.path().join("child").exists()
    });
    let held = holder(&places).expect("the worker has the lock");
    assert_eq!((held.pid, held.run.as_str()), (worker.id() as i32, run));
    fs::write(dir.path().join("end"), "").unwrap();
    assert!(worker.wait().unwrap().success());
    assert_eq!(
        holder(&places),
        None,
        "what the worker started has the lock"
    );
    let child = fs::read_to_string(dir.path().join("child")).unwrap();
    let child = Pid::from_raw(child.parse().unwrap()).unwrap();
    kill_process(child, Signal::KILL).unwrap();
}
