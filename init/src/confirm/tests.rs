//! What is left in the new OS for its first boot, and what goes, in a directory that stands for
//! the new OS's root.

use std::fs;
use std::os::unix::fs::{symlink, PermissionsExt};
use std::path::PathBuf;

use formats::confirm::Finding;
use serde_json::json;
use tempfile::TempDir;

use super::*;

const RUN: &str = "20261123T091247Z-1234";
const DIRECTORY: &str = ".reroot/20261123T091247Z-1234";

fn measure() -> serde_json::Value {
    let owners = json!({ "users": [], "groups": [] });
    let digest = "00".repeat(32);
    json!({ "entries": 1, "bytes": 0, "disk_bytes": 0, "digest": digest, "owners": owners })
}

/// A plan that keeps these paths.
fn plan(keep: &[&str]) -> Plan {
    let os = json!({ "id": "x", "version_id": "1", "pretty_name": "X 1" });
    let amount = json!({ "entries": 1, "bytes": 1 });
    let keep: Vec<_> = keep
        .iter()
        .map(|path| json!({ "path": path, "measure": measure() }))
        .collect();
    let plan = json!({
        "kind": "reroot-plan", "version": 1, "run": RUN, "hostname": "web1", "image": "trixie",
        "manifest_digest": "00".repeat(32), "old_os": os, "new_os": os,
        "entry": { "entry": "kexec", "call": null, "reason": "" },
        "firmware": "bios", "payload_at": "ram", "payload_reason": "",
        "root": { "fs_uuid": "1", "disk_signature": 1, "partition": 1, "start": 1, "sectors": 1 },
        "root_device": "", "disk": "", "disk_by_id": null, "keep": keep, "wiped": amount,
        "unpacked": amount,
        "network": {
            "network": { "links": [], "routes": [], "rules": [], "unsaid": [],
                "dns": { "servers": [], "search": [], "options": [], "read_from": [] } },
            "gateways": [], "drivers": [], "dialect": "networkd",
            "proved": true, "left": [],
            "written": { "files": [], "removed": [], "renamed": [], "notes": [] } },
        "accounts": { "users": [], "groups": [], "left": [], "notes": [] },
        "identity": { "hostname": "", "copied": ["/etc/machine-id"], "private": [], "files": [], "fstab": [],
            "mounts": [], "host_keys": [], "left": [], "notes": [] },
        "left_alone": [], "hardware_parameters": [], "cmdline": "", "warnings": [], "steps": [],
    });
    Plan::from_json(plan.to_string().as_bytes()).unwrap()
}

/// A new OS with systemd.
fn new_os() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    for path in [
        "usr/lib/systemd",
        "etc/systemd/system",
        "etc/update-motd.d",
        DIRECTORY,
    ] {
        fs::create_dir_all(root.join(path)).unwrap();
    }
    fs::write(root.join("usr/lib/systemd/systemd"), "").unwrap();
    fs::write(root.join("etc/machine-id"), "0123\n").unwrap();
    dir
}

fn left(plan: &Plan) -> units::Left {
    units::Left {
        kept: plan.keep.clone(),
        ..units::Left::default()
    }
}

/// Every file and link below a directory, sorted.
fn names(root: &Path) -> Vec<String> {
    fn walk(root: &Path, here: &Path, names: &mut Vec<String>) {
        for entry in fs::read_dir(here).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.symlink_metadata().unwrap().is_dir() {
                walk(root, &path, names);
            } else {
                names.push(
                    path.strip_prefix(root)
                        .unwrap()
                        .to_string_lossy()
                        .into_owned(),
                );
            }
        }
    }
    let mut all = Vec::new();
    walk(root, root, &mut all);
    all.sort();
    all
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn the_new_os_gets_units_that_find_the_program_and_loses_them_again() {
    let dir = new_os();
    let root = dir.path();
    let before = names(root);
    let plan = plan(&["/home"]);
    // A second attempt of the run installs over the first.
    for _ in 0..2 {
        units::install(root, &plan, left(&plan)).unwrap();
    }
    let run = root.join(DIRECTORY);
    assert_eq!(mode(&run.join("confirm")), 0o700);
    assert_eq!(mode(&run.join("plan.json")), 0o600);
    let baseline: Baseline = read_document(&run.join("kept.json")).unwrap();
    assert_eq!(baseline.kept, plan.keep);
    assert_eq!(baseline.machine_id.as_deref(), Some("0123"));
    let system = root.join("etc/systemd/system");
    for (target, unit) in [
        ("sysinit.target", "reroot-confirm-kept.service"),
        ("multi-user.target", "reroot-confirm.service"),
    ] {
        let link = system.join(format!("{target}.wants/{unit}"));
        assert_eq!(
            fs::read_link(link).unwrap(),
            Path::new("/etc/systemd/system").join(unit)
        );
        let text = fs::read_to_string(system.join(unit)).unwrap();
        let program = format!("ExecStart=/{DIRECTORY}/confirm confirm ");
        assert!(text.contains(&program), "{text}");
        assert!(text.contains("\nTimeoutStartSec="), "{text}");
        assert!(text.contains(&format!("\nWantedBy={target}\n")), "{text}");
        assert!(!text.contains('@') && !text.contains("Requires"), "{text}");
    }
    traces::remove(root, &plan).unwrap();
    let mut after = before;
    after.retain(|name| !name.starts_with(".reroot"));
    assert_eq!(names(root), after);
    assert!(!root.join(".reroot").exists());
    // Nothing is there any more, which is as good.
    traces::remove(root, &plan).unwrap();
}

#[test]
fn an_os_that_cannot_confirm_is_left_without_units() {
    type Change = fn(&Path);
    let cases: [(&str, &[&str], Change, &str); 4] = [
        (
            "no systemd",
            &[],
            |root| fs::remove_dir_all(root.join("usr")).unwrap(),
            "no systemd",
        ),
        ("units are kept", &["/etc/systemd"], |_| {}, "is kept"),
        (
            "a target is kept",
            &["/etc/systemd/system/sysinit.target.wants"],
            |_| {},
            "is kept",
        ),
        (
            "units lie behind a link",
            &[],
            |root| {
                fs::remove_dir(root.join("etc/systemd/system")).unwrap();
                symlink("/elsewhere", root.join("etc/systemd/system")).unwrap();
            },
            "is no directory",
        ),
    ];
    for (name, keep, change, expected) in cases {
        let dir = new_os();
        change(dir.path());
        let plan = plan(keep);
        let error = units::install(dir.path(), &plan, left(&plan)).unwrap_err();
        assert!(format!("{error:#}").contains(expected), "{name}: {error:#}");
        let units = names(&dir.path().join("etc"));
        assert!(
            !units.iter().any(|n| n.contains("reroot")),
            "{name}: {units:?}"
        );
    }
}

#[test]
fn records_in_the_runs_directory_stay_there() {
    let dir = new_os();
    let plan = plan(&["/var/log"]);
    units::install(dir.path(), &plan, left(&plan)).unwrap();
    for name in ["report.json", "summary.txt", "kept-found.json", "payload"] {
        fs::write(dir.path().join(DIRECTORY).join(name), "").unwrap();
    }
    traces::remove_staged(dir.path(), &plan).unwrap();
    traces::remove(dir.path(), &plan).unwrap();
    assert_eq!(
        names(&dir.path().join(DIRECTORY)),
        ["plan.json", "report.json", "summary.txt"]
    );
}

#[test]
fn the_message_of_the_day_goes_where_this_os_has_one() {
    let plan_with = plan;
    let plan = plan_with(&[]);
    let dir = new_os();
    let root = dir.path();
    let records = root.join("var/log/reroot").join(RUN);
    fs::create_dir_all(&records).unwrap();
    fs::write(records.join("summary.txt"), "line\n".repeat(20)).unwrap();
    traces::write_motd(root, &plan).unwrap();
    let script = root.join("etc/update-motd.d/99-reroot");
    assert_eq!(mode(&script), 0o755);
    assert_eq!(
        fs::read_to_string(&script).unwrap(),
        format!(
            "#!/bin/sh\nhead -n 12 '/var/log/reroot/{RUN}/summary.txt' 2>/dev/null || exit 0\n\
             echo 'All of it: /var/log/reroot/{RUN}/summary.txt'\n\
             echo 'No longer to show this: rm /etc/update-motd.d/99-reroot'\n"
        )
    );

    fs::remove_dir_all(root.join("etc/update-motd.d")).unwrap();
    traces::write_motd(root, &plan).unwrap();
    assert_eq!(names(&root.join("etc")), ["machine-id"], "neither is there");

    fs::create_dir(root.join("etc/motd.d")).unwrap();
    traces::write_motd(root, &plan_with(&["/etc/motd.d"])).unwrap();
    assert_eq!(
        names(&root.join("etc")),
        ["machine-id"],
        "what is kept is not written to"
    );
    traces::write_motd(root, &plan).unwrap();
    let text = fs::read_to_string(root.join("etc/motd.d/reroot")).unwrap();
    assert_eq!(text.lines().count(), 14);
    assert!(
        text.ends_with("No longer to show this: rm /etc/motd.d/reroot\n"),
        "{text}"
    );
}

#[test]
fn the_report_gets_its_part_and_keeps_the_rest() {
    let dir = new_os();
    let plan = plan(&[]);
    let records = dir.path().join("var/log/reroot").join(RUN);
    fs::create_dir_all(&records).unwrap();
    let os = json!({ "id": "x", "version_id": "1", "pretty_name": "X 1" });
    let before = json!({
        "kind": "reroot-report", "version": 1, "run": RUN, "image": "trixie", "old_os": os,
        "new_os": os, "phases": [], "kept": [], "removed": 5, "unpacked": 1, "skipped": 0,
        "skipped_first": [], "retried": ["wipe"],
    });
    fs::write(records.join("report.json"), before.to_string()).unwrap();
    let finding = Finding {
        code: Code::MachineId,
        question: "q".to_owned(),
        verdict: Verdict::Short,
        found: None,
    };
    let confirm = Confirm::new(vec![finding], 1.5);
    record(dir.path(), &plan, confirm.clone(), "summary\n").unwrap();
    let report: Report = read_document(&records.join("report.json")).unwrap();
    assert_eq!((report.removed, &*report.retried[0]), (5, "wipe"));
    assert_eq!(report.confirm, Some(confirm));
    let text = fs::read_to_string(records.join("report.json")).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["confirm"]["passed"], false);
    assert_eq!(value["confirm"]["findings"][0]["code"], "machine-id");
    assert_eq!(
        fs::read_to_string(records.join("summary.txt")).unwrap(),
        "summary\n"
    );

    fs::write(records.join("report.json"), "{").unwrap();
    let confirm = Confirm::new(Vec::new(), 0.0);
    assert!(record(dir.path(), &plan, confirm, "").is_err());
}

#[test]
fn a_plan_of_another_directory_is_refused() {
    let dir = new_os();
    let run = dir.path().join(DIRECTORY);
    fs::write(run.join("plan.json"), plan(&[]).to_json()).unwrap();
    let error = read_plan(&run).unwrap_err().to_string();
    assert!(error.contains("has the plan of run"), "{error}");
    for (id, expected) in [
        (RUN, true),
        ("", false),
        ("..", false),
        ("a'b", false),
        ("a/b", false),
    ] {
        assert_eq!(units::is_run_id(id), expected, "{id:?}");
    }
}

#[test]
fn a_tree_that_takes_too_long_is_no_shortfall_and_keeps_nothing_else_from_being_compared() {
    // Nothing is kept below /tmp.
    let home = tempfile::tempdir_in(".").unwrap();
    let path = home.path().canonicalize().unwrap();
    let path = path.to_str().unwrap();
    fs::write(home.path().join("file"), "x").unwrap();
    let plan = plan(&[path]);
    let told = std::cell::Cell::new(0);
    let count = |so_far: &KeptFound| {
        assert!(!so_far.ended);
        told.set(told.get() + 1);
    };
    let found = kept::measure_all(&plan, Duration::ZERO, &count).unwrap();
    assert!(found.ended && told.get() == 2);
    let unkept = found.kept[0].found.as_ref().unwrap_err();
    assert_eq!(unkept.way, formats::facts::UnkeptWay::Unasked);
    assert!(unkept.why.contains("longer than 0 s"), "{unkept}");
    let found = kept::measure_all(&plan, Duration::from_mins(10), &count).unwrap();
    assert_eq!(found.kept[0].found.as_ref().unwrap().entries, 2);
}
