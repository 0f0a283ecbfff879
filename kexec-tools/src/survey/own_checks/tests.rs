//! Own checks are run for real: programs in a directory, as an operator puts them there.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::SystemTime;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::*;
use crate::survey::plain_machine::machine;

fn directory() -> TempDir {
    tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o755))
        .tempdir()
        .unwrap()
}

fn program(directory: &TempDir, name: &str, script: &str) {
    let path = directory.path().join(name);
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
}

/// Code, verdict and what was found, of every check of a directory.
fn findings(directory: &TempDir, forced: &[&str]) -> Vec<(String, Verdict, Option<String>)> {
    let forced: Vec<_> = forced.iter().map(ToString::to_string).collect();
    let checks = find(&[directory.path().to_owned()]).unwrap();
    ask_all(&checks, &machine(), Moment::Stop, &forced)
        .into_iter()
        .map(|f| (f.code.into_owned(), f.verdict, f.found))
        .collect()
}

#[test]
fn exit_status_and_first_line_are_the_answer_in_the_order_of_names() {
    let checks = directory();
    program(
        &checks,
        "30-refuse",
        "echo; echo not today; echo more; exit 1",
    );
    program(&checks, "10-pass", "exit 0");
    program(&checks, "20-note", "printf 'a\\033[31m note'; exit 2");
    program(&checks, "40-broken", "echo oops >&2; exit 77");
    program(&checks, "50-killed", "kill -SEGV $$");
    program(&checks, ".hidden", "exit 1");
    program(&checks, "old.bak", "exit 1");
    fs::write(checks.path().join("README"), "no program").unwrap();
    let found = findings(&checks, &[]);
    let expected = [
        ("own:10-pass", Verdict::Pass, None),
        ("own:20-note", Verdict::Note, Some("a\u{1b}[31m note")),
        ("own:30-refuse", Verdict::Refuse, Some("not today")),
        (
            "own:40-broken",
            Verdict::Refuse,
            Some("it ended with status 77: oops"),
        ),
        (
            "own:50-killed",
            Verdict::Refuse,
            Some("a signal ended it: it says nothing"),
        ),
    ];
    let expected: Vec<_> = expected
        .iter()
        .map(|(code, verdict, said)| (code.to_string(), *verdict, said.map(str::to_owned)))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn only_the_one_that_is_named_is_forced() {
    let checks = directory();
    program(&checks, "a", "exit 1");
    program(&checks, "b", "exit 1");
    let verdicts: Vec<_> = findings(&checks, &["own:a"])
        .into_iter()
        .map(|f| f.1)
        .collect();
    assert_eq!(verdicts, [Verdict::Forced, Verdict::Refuse]);
}

#[test]
fn what_others_may_change_is_not_run_and_refuses() {
    let checks = directory();
    let mark = checks.path().join("ran");
    let touch = format!("touch {}", mark.display());
    program(&checks, "open", &touch);
    let path = checks.path().join("open");
    fs::set_permissions(&path, Permissions::from_mode(0o775)).unwrap();
    assert_eq!(findings(&checks, &[])[0].1, Verdict::Refuse);
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::chown(&path, Some(1000), None).unwrap();
    assert_eq!(findings(&checks, &[])[0].1, Verdict::Refuse);
    std::os::unix::fs::chown(&path, Some(0), None).unwrap();
    fs::set_permissions(checks.path(), Permissions::from_mode(0o777)).unwrap();
    assert_eq!(findings(&checks, &[])[0].1, Verdict::Refuse);
    assert!(!mark.exists());
    fs::set_permissions(checks.path(), Permissions::from_mode(0o755)).unwrap();
    assert_eq!(findings(&checks, &[])[0].1, Verdict::Pass);
    assert!(mark.exists());
}

#[test]
fn it_gets_the_facts_the_moment_and_the_kept_paths_and_need_not_read_them() {
    let checks = directory();
    program(
        &checks,
        "reads",
        "grep -q '\"kind\": \"reroot-facts\"' || exit 1
         echo \"$REROOT_MOMENT $REROOT_HOSTNAME $REROOT_KEPT $HOME\"; exit 2",
    );
    program(&checks, "says-much", "yes | head -c 3000000; exit 0");
    let found = findings(&checks, &[]);
    assert_eq!(found[0].2.as_deref(), Some("stop shop1 /srv"));
    assert_eq!(found[1].1, Verdict::Pass);
}

#[test]
fn what_it_leaves_running_is_ended_with_it() {
    let checks = directory();
    let pid = checks.path().join("pid");
    let script = format!("sleep 1000 & echo $! >{}; exit 0", pid.display());
    program(&checks, "leaves", &script);
    let started = Instant::now();
    assert_eq!(findings(&checks, &[])[0].1, Verdict::Pass);
    assert!(started.elapsed() < Duration::from_mins(1));
    let pid = fs::read_to_string(&pid).unwrap();
    let state = || fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    let deadline = Instant::now() + Duration::from_secs(5);
    while !state().is_empty() && !state().contains(") Z ") && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(
        state().is_empty() || state().contains(") Z "),
        "{}",
        state()
    );
}

#[test]
fn directories_that_are_named_must_exist_and_names_are_there_once() {
    assert!(find(&[PathBuf::from("/no/such/directory")]).is_err());
    let (one, two) = (directory(), directory());
    program(&one, "same", "exit 0");
    program(&two, "same", "exit 0");
    let both = [one.path().to_owned(), two.path().to_owned()];
    assert!(find(&both).unwrap_err().to_string().contains("own:same"));
}

/// The example that docs/checks.md tells to copy, through the launcher.
#[test]
fn the_example_refuses_a_backup_that_is_old_or_not_there() {
    let example = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../docs/examples/checks.d/fresh-backup"
    );
    let (checks, files) = (directory(), directory());
    let at = |name: &str| files.path().join(name);
    program(
        &checks,
        "fresh-backup",
        &format!(
            "export FRESH_BACKUP_CONF={}\nexec /bin/sh {example}",
            at("conf").display()
        ),
    );
    let answer = || findings(&checks, &[]).remove(0);
    assert_eq!(answer().1, Verdict::Refuse, "nothing is configured");

    let stamp = at("stamp");
    let configure = |more: &str| {
        fs::write(at("conf"), format!("STAMP={}\n{more}", stamp.display())).unwrap();
    };
    configure("MAX_AGE_MINUTES=120\n");
    let (_, verdict, said) = answer();
    assert_eq!(verdict, Verdict::Refuse);
    assert!(said.unwrap().contains("there is no backup"));

    fs::write(&stamp, "done\n").unwrap();
    assert_eq!(answer().1, Verdict::Pass);
    configure("MIN_BYTES=1000\n");
    assert_eq!(answer().1, Verdict::Refuse, "it is too small");
    configure("MAX_AGE_MINUTES=soon\n");
    assert_eq!(answer().1, Verdict::Refuse, "that is no number");

    configure("MAX_AGE_MINUTES=120\n");
    let changed = |ago: i64| {
        let now = SystemTime::now();
        let span = Duration::from_secs(ago.unsigned_abs());
        let then = if ago < 0 { now + span } else { now - span };
        fs::File::options()
            .write(true)
            .open(&stamp)
            .unwrap()
            .set_modified(then)
            .unwrap();
    };
    for (ago, verdict) in [
        (60 * 60, Verdict::Pass),
        (3 * 60 * 60, Verdict::Refuse),
        (-24 * 60 * 60, Verdict::Refuse),
    ] {
        changed(ago);
        assert_eq!(answer().1, verdict, "changed {ago} s ago");
    }
}
