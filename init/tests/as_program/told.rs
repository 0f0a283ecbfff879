//! The init's program as it is left among the records of a run, in a root of its own: it answers
//! `status` and `wait` in the new OS.

use std::fs;
use std::process::{Command, Output};

use formats::begun::{self, Begun};
use formats::Document;
use plan::status::{Confirmation, State, Status};

const RUN: &str = "20261124T155307Z-aaaa";

struct NewOs(tempfile::TempDir);

impl NewOs {
    /// A new OS whose first boot has compared nothing yet.
    fn new() -> NewOs {
        assert!(
            rustix::process::geteuid().is_root(),
            "this test changes its root directory: sudo -E cargo test -p reroot-init --test as_program"
        );
        let os = NewOs(tempfile::tempdir().unwrap());
        let (records, run) = (os.records(), os.0.path().join(".reroot").join(RUN));
        let units = os.0.path().join("etc/systemd/system");
        for directory in [&records, &run, &units] {
            fs::create_dir_all(directory).unwrap();
        }
        fixtures::program::put(env!("CARGO_BIN_EXE_reroot-init"), records.join("reroot"));
        let begun = Begun {
            run: RUN.to_owned(),
            number: 7,
            boot_id: "another".to_owned(),
            ..Begun::default()
        };
        fs::write(records.join(begun::NAME), begun.to_json()).unwrap();
        os.report("");
        fs::write(run.join("confirm"), "").unwrap();
        fs::write(units.join("reroot-confirm.service"), "").unwrap();
        os
    }

    fn records(&self) -> std::path::PathBuf {
        self.0.path().join("var/log/reroot").join(RUN)
    }

    fn report(&self, confirm: &str) {
        let text = format!(r#"{{"kind": "reroot-report", "version": 1{confirm}}}"#);
        fs::write(self.records().join("report.json"), text).unwrap();
    }

    fn ask(&self, arguments: &[&str]) -> Output {
        Command::new("chroot")
            .arg(self.0.path())
            .arg(format!("/var/log/reroot/{RUN}/reroot"))
            .args(arguments)
            .output()
            .unwrap()
    }

    #[track_caller]
    fn status(&self, arguments: &[&str], exit: i32) -> Status {
        let output = self.ask(arguments);
        assert_eq!(output.status.code(), Some(exit), "{output:?}");
        Status::from_json(&output.stdout).unwrap()
    }
}

#[test]
fn the_new_os_says_how_its_first_boot_stands() {
    let os = NewOs::new();
    let status = os.status(&["status", "--json"], 0);
    assert_eq!(status.newest.as_deref(), Some(RUN));
    let run = &status.runs[0];
    assert_eq!((run.number, run.begun_in.as_str()), (7, "another"));
    assert_eq!(run.directory, format!("/var/log/reroot/{RUN}"));
    assert_eq!(
        (run.state, run.confirmation, run.exit),
        (State::Done, Confirmation::Pending, None)
    );
    let waiting = os.status(&["wait", RUN, "--json", "--timeout", "1"], 7);
    assert_eq!(waiting.runs[0].confirmation, Confirmation::Pending);

    let findings = r#""findings": [{"code": "gateway", "question": "Does the gateway answer?", "verdict": "short"}]"#;
    os.report(&format!(
        r#", "confirm": {{"passed": false, "waited": 1.0, {findings}}}"#
    ));
    let short = os.status(&["wait", RUN, "--json"], 4);
    assert_eq!(short.runs[0].confirmation, Confirmation::FellShort);
    assert_eq!(short.runs[0].fell_short, ["Does the gateway answer?"]);

    // The next boot finds everything, and takes the run's directory and the units away.
    os.report(r#", "confirm": {"passed": true, "waited": 1.0, "findings": []}"#);
    fs::remove_dir_all(os.0.path().join(".reroot")).unwrap();
    fs::remove_file(
        os.0.path()
            .join("etc/systemd/system/reroot-confirm.service"),
    )
    .unwrap();
    let passed = os.status(&["wait", RUN, "--json"], 0);
    assert_eq!(passed.runs[0].confirmation, Confirmation::Passed);
    let output = os.ask(&["status"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("the first boot is as planned"), "{text}");
}

#[test]
fn a_new_os_that_will_compare_nothing_needs_a_person() {
    let os = NewOs::new();
    fs::remove_file(
        os.0.path()
            .join("etc/systemd/system/reroot-confirm.service"),
    )
    .unwrap();
    let run = &os.status(&["wait", RUN, "--json"], 4).runs[0];
    assert_eq!(run.confirmation, Confirmation::Failed);
}

#[test]
fn what_is_no_call_is_told_apart_from_what_is_no_run() {
    let os = NewOs::new();
    for arguments in [
        &["wait"][..],
        &["status", "../x"],
        &["wait", RUN, "--timeout"],
    ] {
        assert_eq!(os.ask(arguments).status.code(), Some(2), "{arguments:?}");
    }
    let absent = os.ask(&["wait", "20261124T155307Z-zzzz"]);
    assert_eq!(absent.status.code(), Some(1), "{absent:?}");
}
