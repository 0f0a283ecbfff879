//! The operator's own checks of the new OS: programs in /etc/reroot/confirm.d. Whether the shop is up is
//! something that only they know. All are asked at once, so that one that hangs keeps nobody from an answer.

use std::io::ErrorKind;
use std::path::Path;
use std::thread;

use formats::confirm::{Code, Finding};
use formats::plan::Plan;
use machine::own_programs::{self, Answer, OwnProgram, Word};

/// Where they are.
pub const DIRECTORY: &str = "/etc/reroot/confirm.d";

/// One finding for each program, by name.
pub fn ask(directory: &Path, plan: &Plan) -> Vec<Finding> {
    let programs = match own_programs::in_directory(directory) {
        Ok(programs) => programs,
        Err(e) if e.kind() == ErrorKind::NotFound => return Vec::new(),
        Err(e) => {
            let question = format!("the programs in {} agree", directory.display());
            return vec![Finding::short(
                Code::Own,
                question,
                format!("it cannot be read: {e}"),
            )];
        }
    };
    let variables = plan.variables("confirm");
    thread::scope(|scope| {
        let variables = &variables;
        let asked: Vec<_> = programs
            .iter()
            .map(|program| scope.spawn(move || own_programs::ask(program, variables, "")))
            .collect();
        let answers = asked.into_iter().map(|thread| thread.join().ok());
        programs
            .iter()
            .zip(answers)
            .map(|(p, a)| finding(p, a))
            .collect()
    })
}

fn finding(program: &OwnProgram, answer: Option<Answer>) -> Finding {
    let question = format!("{} agrees", program.path.display());
    match answer {
        Some(Answer {
            word: Word::Pass, ..
        }) => Finding::pass(Code::Own, question),
        Some(Answer {
            word: Word::Note,
            said,
        }) => Finding::note(Code::Own, question, said),
        Some(Answer {
            word: Word::Refuse,
            said,
        }) => Finding::short(Code::Own, question, said),
        None => Finding::short(Code::Own, question, "it cannot be asked"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use formats::confirm::Verdict;

    use super::*;

    fn plan() -> Plan {
        Plan {
            hostname: "shop1".to_owned(),
            ..fixtures::plan::plan()
        }
    }

    fn program(directory: &Path, name: &str, script: &str) {
        let path = directory.join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn each_program_has_its_word() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        for (name, script) in [
            ("10-up", "exit 0"),
            ("20-note", "echo one replica is missing; exit 2"),
            (
                "30-down",
                r#"echo "$REROOT_HOSTNAME is down at $REROOT_MOMENT"; exit 1"#,
            ),
        ] {
            program(dir.path(), name, script);
        }
        let found = ask(dir.path(), &plan());
        let found: Vec<_> = found
            .iter()
            .map(|f| (f.verdict, f.found.as_deref()))
            .collect();
        assert_eq!(
            found,
            [
                (Verdict::Pass, None),
                (Verdict::Note, Some("one replica is missing")),
                (Verdict::Short, Some("shop1 is down at confirm")),
            ]
        );
        assert!(Code::Own.may_come(), "a service may still be starting");
    }

    #[test]
    fn a_machine_without_any_is_asked_nothing() {
        assert_eq!(ask(Path::new("/nowhere/confirm.d"), &plan()), []);
    }

    #[test]
    fn what_others_may_change_is_not_run_and_falls_short() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o777)).unwrap();
        program(dir.path(), "a", "exit 0");
        let found = ask(dir.path(), &plan());
        assert_eq!(found[0].verdict, Verdict::Short, "{found:?}");
    }
}
