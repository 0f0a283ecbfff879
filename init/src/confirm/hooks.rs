//! Programs for the first boot, called before anything of the machine is compared: it is compared as they
//! leave it. Each is called until it has passed once, at this boot or at one that compares again.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use formats::confirm::{Code, Finding, HookOutcome};
use formats::hooks::{FIRST_BOOT, LIMIT_S};
use formats::plan::Plan;
use machine::own_programs::{self, Word};

use crate::confirm::say::say;

/// In the run's directory: those that have passed, a path a line.
const PASSED: &str = "first-boot";

/// Calls them, and gives a finding for each, also for those that were called in the root before.
pub fn call(directory: &Path, plan: &Plan, before: &[HookOutcome]) -> Vec<Finding> {
    call_in(Path::new(FIRST_BOOT), directory, plan, before)
}

fn call_in(programs: &Path, directory: &Path, plan: &Plan, before: &[HookOutcome]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = before
        .iter()
        .map(|outcome| judged(&outcome.path, outcome.failed.clone()))
        .collect();
    let record = directory.join(PASSED);
    let text = fs::read_to_string(&record).unwrap_or_default();
    let mut passed: BTreeSet<String> = text.lines().map(str::to_owned).collect();
    let variables = plan.variables("first-boot");
    for path in &plan.hooks.first_boot {
        if passed.contains(path) {
            findings.push(judged(path, None));
            continue;
        }
        let name = path.rsplit('/').next().unwrap_or_default();
        let found = own_programs::in_directory(programs).unwrap_or_default();
        let Some(program) = found.into_iter().find(|program| program.name == name) else {
            let why = "it is not there, or not executable";
            findings.push(judged(path, Some(why.to_owned())));
            continue;
        };
        say(&format!("reroot: first boot: {path}"));
        let answer = own_programs::call(&program, &variables, Duration::from_secs(LIMIT_S));
        if answer.word == Word::Refuse {
            findings.push(judged(path, Some(answer.said)));
            continue;
        }
        passed.insert(path.clone());
        let mut lines = passed
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join("\n");
        lines.push('\n');
        if let Err(e) = fs::write(&record, lines) {
            say(&format!("reroot: write {}: {e}", record.display()));
        }
        findings.push(match answer.word {
            Word::Note => Finding::note(Code::Hook, question(path), answer.said),
            _ => judged(path, None),
        });
    }
    findings
}

fn question(path: &str) -> String {
    format!("{path} was called and did what it should")
}

fn judged(path: &str, failed: Option<String>) -> Finding {
    Finding::judge(Code::Hook, question(path), failed)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use formats::confirm::Verdict;

    use super::*;

    #[test]
    fn each_is_called_until_it_has_passed_once() {
        let dir = tempfile::tempdir().unwrap();
        let programs = dir.path().join("first-boot.d");
        fs::create_dir(&programs).unwrap();
        fs::set_permissions(&programs, Permissions::from_mode(0o755)).unwrap();
        let program = |name: &str, script: &str| {
            let path = programs.join(name);
            fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        };
        let log = dir.path().join("log");
        program("10-once", &format!("echo called >>{}", log.display()));
        program("20-fails", "echo no route; exit 1");
        let mut plan = fixtures::plan::plan();
        plan.hooks.first_boot = ["10-once", "20-fails", "30-gone"]
            .map(|name| format!("{FIRST_BOOT}/{name}"))
            .into();
        let before = [HookOutcome {
            path: "/etc/reroot/after-unpack.d/x".into(),
            failed: Some("exit status: 1".into()),
        }];
        let verdicts = || {
            let found = call_in(&programs, dir.path(), &plan, &before);
            let row = |f: &Finding| (f.verdict, f.found.clone().unwrap_or_default());
            found.iter().map(row).collect::<Vec<_>>()
        };
        let expected = [
            (Verdict::Short, "exit status: 1".to_owned()),
            (Verdict::Pass, String::new()),
            (Verdict::Short, "no route".to_owned()),
            (
                Verdict::Short,
                "it is not there, or not executable".to_owned(),
            ),
        ];
        assert_eq!(verdicts(), expected);
        program("20-fails", "exit 0");
        assert_eq!(verdicts()[2].0, Verdict::Pass);
        assert_eq!(fs::read_to_string(&log).unwrap(), "called\n");
    }
}
