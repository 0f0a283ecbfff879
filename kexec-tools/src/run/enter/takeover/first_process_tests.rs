//! Real processes, held and let go: not PID 1, but in the states that it may be in.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use super::*;

/// A shell that echoes what it is told, in a call that waits for input.
fn shell() -> Child {
    Command::new("/bin/sh")
        .args(["-c", "while read line; do echo \"$line\"; done"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

const BOTH: [How; 2] = [How::Seize, How::Attach];

fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(child.id() as i32)
}

fn echoes(child: &mut Child, word: &str) -> bool {
    writeln!(child.stdin.as_mut().unwrap(), "{word}").unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    line.trim() == word
}

#[test]
fn a_process_that_waits_in_a_call_goes_on_after_a_trial() {
    for how in BOTH {
        let mut child = shell();
        assert!(echoes(&mut child, "before"));
        for _ in 0..3 {
            let mut held = FirstProcess::hold_process(pid_of(&child), how).unwrap();
            held.try_call().unwrap();
            held.try_call().unwrap();
        }
        assert!(echoes(&mut child, "after"));
        drop(FirstProcess::hold_process(pid_of(&child), how).unwrap());
        assert!(echoes(&mut child, "untouched"));
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn a_process_that_computes_is_made_to_call_too() {
    for how in BOTH {
        let mut child = Command::new("/bin/sh")
            .args(["-c", "while :; do :; done"])
            .spawn()
            .unwrap();
        for _ in 0..20 {
            let mut held = FirstProcess::hold_process(pid_of(&child), how).unwrap();
            held.try_call().unwrap();
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[test]
fn a_program_that_cannot_be_executed_leaves_the_process_as_it_was() {
    for how in BOTH {
        let mut child = shell();
        let mut held = FirstProcess::hold_process(pid_of(&child), how).unwrap();
        let error = held.execute(&["/nonexistent/init"], &[]).unwrap_err();
        assert!(format!("{error:#}").contains("No such file"), "{error:#}");
        drop(held);
        assert!(echoes(&mut child, "as it was"));
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn a_process_becomes_another_program() {
    for how in BOTH {
        let mut child = shell();
        let mut held = FirstProcess::hold_process(pid_of(&child), how).unwrap();
        let script = "echo became $0 $WHAT";
        held.execute(&["/bin/sh", "-c", script, "another"], &["WHAT=it"])
            .unwrap();
        drop(held);
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(line.trim(), "became another it");
        assert!(child.wait().unwrap().success());
    }
}

/// A memory map as a hardened kernel shows it.
fn zeros(_: Pid) -> Result<Vec<Mapping>> {
    let line = "00000000-00000000 rw-p 00000000 00:00 0";
    let mapping = parse_mapping(line).context("it is no mapping")?;
    Ok(vec![mapping; 7])
}

#[test]
fn a_process_whose_memory_map_is_hidden_is_taken_over_as_any_other() {
    for how in BOTH {
        let mut child = shell();
        assert!(echoes(&mut child, "before"));
        let mut held = FirstProcess::hold_process_by(pid_of(&child), how, zeros).unwrap();
        let argv = ["/bin/sh", "-c", "echo became $0", "another"];
        held.try_everything(&argv, &[]).unwrap();
        drop(held);
        assert!(echoes(&mut child, "still the old one"));
        let mut held = FirstProcess::hold_process_by(pid_of(&child), how, zeros).unwrap();
        held.execute(&argv, &[]).unwrap();
        drop(held);
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(line.trim(), "became another");
        assert!(child.wait().unwrap().success());
    }
}

/// It computes for half a second and waits then: that is found, and used.
#[test]
fn a_busy_process_whose_memory_map_is_hidden_is_found_in_a_call() {
    for how in BOTH {
        let script = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; read x";
        let mut child = Command::new("/bin/sh")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut held = FirstProcess::hold_process_by(pid_of(&child), how, zeros).unwrap();
        let argv = ["/bin/sh"];
        // Where it computed for longer than anybody waits, the trial says so.
        if held.instruction_in_use().is_some() {
            held.try_everything(&argv, &[]).unwrap();
        } else {
            assert!(held.try_everything(&argv, &[]).is_err());
        }
        drop(held);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

/// What fails in the real call fails in the trial, when services still run.
#[test]
fn a_trial_fails_where_the_real_call_would() {
    let mut child = shell();
    let mut held = FirstProcess::hold_process(pid_of(&child), How::Seize).unwrap();
    let long = "x".repeat(5000);
    let argv = ["/bin/true", long.as_str()];
    let trial = held.try_everything(&argv, &[]).unwrap_err().to_string();
    let real = held.execute(&argv, &[]).unwrap_err().to_string();
    assert!(trial.contains("a program that is not there"), "{trial}");
    assert!(real.contains("longer than a page"), "{real}");
    drop(held);
    assert!(echoes(&mut child, "as it was"));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn signals_that_come_while_it_is_held_are_given_to_it() {
    for how in BOTH {
        let mut child = Command::new("/bin/sh")
            .args([
                "-c",
                "trap 'echo got; exit 7' USR1; echo ready; while read x; do :; done",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "ready");
        let mut held = FirstProcess::hold_process(pid_of(&child), how).unwrap();
        signal::kill(pid_of(&child), Signal::SIGUSR1).unwrap();
        held.try_call().unwrap();
        drop(held);
        // It was held on its way into read(2), perhaps, and the shell looks for signals before and
        // behind that: a line brings it there. It may have ended already.
        let _ = child.stdin.as_mut().unwrap().write_all(b"\n");
        assert_eq!(lines.next().unwrap().unwrap(), "got");
        assert_eq!(child.wait().unwrap().code(), Some(7));
    }
}

#[test]
fn mappings_are_read_as_proc_writes_them() {
    let line = "7ffd1000-7ffd3000 r-xp 00000000 00:00 0    [vdso]";
    assert_eq!(
        parse_mapping(line),
        Some((0x7ffd_1000, 0x7ffd_3000, "r-xp".to_owned()))
    );
    assert_eq!(parse_mapping(""), None);
}
