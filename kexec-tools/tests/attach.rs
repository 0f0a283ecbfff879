//! The launcher as a program, in a root of its own: what it says of runs that are there, and with which
//! exit status it ends.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use formats::begun::{self, Begun};
use formats::outcomes::{Outcomes, OLD_OS};
use formats::rehearsal::{self, Rehearsal};
use formats::steps::Place;
use formats::Document;
use machine::runs::directory::Places;
use machine::runs::lock;
use plan::status::{State, Status};

const REVERTED: &str = "20261124T155307Z-aaaa";
const REHEARSED: &str = "20201124T155307Z-bbbb";
const COMMITTED: &str = "20201124T155307Z-cccc";
const CONSENT: &str = "2.00000000000000000000000000000000.\
    000000000000000000000000000000000000000000000000000000000000000000";

fn other_consent() -> String {
    CONSENT.replacen("2.0", "2.f", 1)
}

/// A root with nothing in it but the launcher and runs.
struct Root(tempfile::TempDir);

impl Root {
    fn new() -> Root {
        assert!(
            rustix::process::geteuid().is_root(),
            "this test changes its root directory: sudo -E cargo test -p reroot-launch --test attach"
        );
        let dir = tempfile::tempdir().unwrap();
        fixtures::program::put(
            env!("CARGO_BIN_EXE_reroot-launch"),
            dir.path().join("launch"),
        );
        fs::create_dir(dir.path().join(".reroot")).unwrap();
        Root(dir)
    }

    fn places(&self) -> Places {
        Places {
            base: self.0.path().join(".reroot"),
            records: self.0.path().join("var/log/reroot"),
            units: self.0.path().join("etc/systemd/system"),
        }
    }

    fn run(&self, run: &str, number: u64) -> std::path::PathBuf {
        let directory = self.places().base.join(run);
        fs::create_dir(&directory).unwrap();
        let begun = Begun {
            run: run.to_owned(),
            number,
            consent: CONSENT.to_owned(),
            ..Begun::default()
        };
        fs::write(directory.join(begun::NAME), begun.to_json()).unwrap();
        directory
    }

    fn launch(&self, arguments: &str) -> Output {
        let mut command = Command::new("chroot");
        command.arg(self.0.path()).arg("/launch");
        command.args(arguments.split_whitespace()).output().unwrap()
    }

    #[track_caller]
    fn ends_with(&self, arguments: &str, exit: i32, said: &str) -> String {
        let output = self.launch(arguments);
        let err = String::from_utf8_lossy(&output.stderr);
        let out = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(exit), "{arguments}: {out}{err}");
        assert!(
            out.contains(said) || err.contains(said),
            "{arguments}: {out}{err}"
        );
        out.into_owned()
    }

    fn status(&self, arguments: &str) -> Status {
        let out = self.ends_with(arguments, 0, "");
        Status::from_json(out.as_bytes()).unwrap()
    }
}

fn failed(directory: &Path, run: &str) {
    let mut outcomes = Outcomes::new(run, Place::OldOs, "boot");
    outcomes.begin("prepare", "20261124T155307Z");
    outcomes.failed("prepare", 1.0, "no room");
    outcomes.note_failure("prepare", "no room");
    fs::write(directory.join(OLD_OS), outcomes.to_json()).unwrap();
}

fn rehearsed(directory: &Path, run: &str) {
    let report = Rehearsal {
        run: run.to_owned(),
        passed: true,
        differences: Vec::new(),
        kept: Vec::new(),
        memory_total: 1,
        memory_available: 1,
        notes: Vec::new(),
    };
    fs::write(directory.join(rehearsal::NAME), report.to_json()).unwrap();
}

#[test]
fn a_machine_without_runs_says_so_and_lets_none_be_the_newest() {
    let root = Root::new();
    let status = root.status("status --json");
    assert_eq!((status.newest, status.in_progress), (None, None));
    assert!(!status.hostname.is_empty() && !status.now.is_empty());
    let go = format!("go --yes --after {REVERTED}");
    root.ends_with(&go, 5, "there is no run on this machine");
    // The fence is open: what follows is the survey, and this is no image.
    root.ends_with("go --yes --after none", 1, "running image");
    root.ends_with(&format!("wait {REVERTED}"), 1, "there is no run");
    root.ends_with(&format!("status {REVERTED}"), 1, "there is no run");
    assert_eq!(fs::read_dir(root.places().base).unwrap().count(), 0);
}

#[test]
fn a_run_that_is_there_is_attached_to_and_ends_as_it_did() {
    let root = Root::new();
    failed(&root.run(REVERTED, 1), REVERTED);
    rehearsed(&root.run(REHEARSED, 2), REHEARSED);
    let status = root.status("status --json");
    assert_eq!(status.newest.as_deref(), Some(REHEARSED));
    let ends: Vec<_> = status.runs.iter().map(|r| (r.state, r.exit)).collect();
    assert_eq!(
        ends,
        [(State::Reverted, Some(3)), (State::Rehearsed, Some(0))]
    );
    // Whatever is the newest.
    for after in ["", "--after none", &format!("--after {REHEARSED}")] {
        let go = format!("go --yes --run {REVERTED} {after}");
        root.ends_with(&go, 3, "nothing new is begun");
        root.ends_with(&go, 3, "prepare: no room");
    }
    let consent = format!("go --yes --run {REVERTED} --consent");
    root.ends_with(&format!("{consent} {CONSENT}"), 3, "nothing new is begun");
    root.ends_with(&format!("{consent} {}", other_consent()), 6, CONSENT);
    root.ends_with(&format!("wait {REVERTED}"), 3, "failed and reverted");
    root.ends_with(&format!("wait {REHEARSED} --json"), 0, "\"rehearsed\"");
    // Another run, and the fence.
    let new = "20261124T155307Z-dddd";
    root.ends_with(
        &format!("go --yes --run {new} --after {REVERTED}"),
        5,
        &format!("the newest run on this machine is {REHEARSED} (rehearsed"),
    );
    root.ends_with(
        &format!("go --yes --run {new} --after {REHEARSED}"),
        1,
        "running image",
    );
    let one = root.status(&format!("status {REVERTED} --json"));
    assert_eq!(one.runs.len(), 1);
    assert_eq!(one.newest.as_deref(), Some(REHEARSED), "of the machine");
}

#[test]
fn a_run_behind_the_commit_point_needs_a_person() {
    let root = Root::new();
    root.run(COMMITTED, 1);
    let record = formats::journal::Record {
        sequence: 1,
        phase: formats::journal::Phase::Wipe,
        run: COMMITTED.to_owned(),
        taken_up: 0,
        taken_back: false,
    };
    let mut journal = vec![0; formats::journal::JOURNAL_SIZE as usize];
    let at = record.offset() as usize;
    let bytes = record.encode();
    journal[at..at + bytes.len()].copy_from_slice(&bytes);
    fs::write(root.places().base.join("journal"), journal).unwrap();
    root.ends_with(
        &format!("go --yes --run {COMMITTED}"),
        4,
        "behind the commit point",
    );
    root.ends_with(&format!("wait {COMMITTED}"), 4, "behind the commit point");
    let run = &root.status("status --json").runs[0];
    assert!(run.behind_commit_point);
    assert_eq!(run.state, State::Committed);
}

#[test]
fn a_run_in_progress_is_waited_for_and_followed() {
    let root = Root::new();
    let directory = root.run(REVERTED, 1);
    let lock = lock::take(&root.places(), REVERTED).unwrap().unwrap();
    let status = root.status("status --json");
    assert_eq!(status.in_progress.as_deref(), Some(REVERTED));
    assert_eq!(
        (status.runs[0].state, status.runs[0].exit),
        (State::InProgress, None)
    );
    let wait = format!("wait {REVERTED} --json --timeout 1");
    let out = root.ends_with(&wait, 7, "goes on");
    let told = Status::from_json(out.as_bytes()).unwrap();
    assert_eq!(told.runs[0].state, State::InProgress);
    fs::write(directory.join("launch.log"), "prepare: begins\n").unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| root.launch(&format!("wait {REVERTED}")));
        let following = scope.spawn(|| root.launch(&format!("go --yes --run {REVERTED}")));
        std::thread::sleep(Duration::from_millis(1500));
        assert!(!waiting.is_finished() && !following.is_finished());
        failed(&directory, REVERTED);
        drop(lock);
        let waited = waiting.join().unwrap();
        assert_eq!(waited.status.code(), Some(3), "{waited:?}");
        let followed = following.join().unwrap();
        assert_eq!(followed.status.code(), Some(3), "{followed:?}");
        let log = String::from_utf8_lossy(&followed.stderr);
        assert!(log.contains("prepare: begins"), "{log}");
    });
    // Services stop: the session ends, the run goes on.
    let _lock = lock::take(&root.places(), REVERTED).unwrap().unwrap();
    fs::write(directory.join("handed-over"), "").unwrap();
    root.ends_with(
        &format!("go --yes --run {REVERTED}"),
        0,
        "Services stop now",
    );
}
