//! What the new OS says of itself: whether its first boot found the machine as it was.

use std::time::{Duration, Instant};

use anyhow::{bail, ensure, Context, Result};
use formats::confirm::{Confirm, Verdict};
use formats::report::Report;
use formats::Document;

use crate::vm::Machine;

/// The unit that compares the machine with the plan.
pub const UNIT: &str = "reroot-confirm.service";

/// Waits until the first boot has compared the machine with the plan, and gives what it found.
pub fn wait(machine: &Machine) -> Result<Confirm> {
    let deadline = Instant::now() + machine.patience(Duration::from_mins(2));
    loop {
        // The unit runs late in the boot, writes its findings, cleans up, and is gone with its file:
        // the findings first, for a unit that had not begun may be at its cleaning up a moment later.
        let text = machine.expect("cat /var/log/reroot/*/report.json")?;
        let state = machine.ssh(&format!("systemctl is-active {UNIT}"))?.stdout;
        let report = Report::from_json(text.as_bytes()).context("the run's report.json")?;
        match report.confirm {
            Some(confirm) if state.trim() != "activating" => return Ok(confirm),
            _ if Instant::now() > deadline => bail!(
                "the first boot was not compared with the plan: {UNIT} is {}",
                state.trim()
            ),
            _ => std::thread::sleep(Duration::from_millis(500)),
        }
    }
}

/// The findings with a verdict, a line each.
pub fn lines(confirm: &Confirm, verdict: Verdict) -> Vec<String> {
    confirm
        .findings
        .iter()
        .filter(|finding| finding.verdict == verdict)
        .map(|finding| {
            let found = finding.found.as_deref();
            let found = found.map_or_else(String::new, |found| format!("; found: {found}"));
            format!("{}: {}{found}", finding.code.word(), finding.question)
        })
        .collect()
}

/// The first boot found the machine as it was, said so where people look, and cleaned up.
pub fn assert_passed(machine: &Machine) -> Result<()> {
    assert_agrees(machine)?;
    machine
        .expect("test ! -e /.reroot")
        .context("/.reroot is still there")
        .map(drop)
}

/// The first boot found the machine as it was, and said so where people look.
pub fn assert_agrees(machine: &Machine) -> Result<()> {
    let confirm = wait(machine)?;
    ensure!(
        confirm.passed,
        "the first boot fell short:\n{}",
        lines(&confirm, Verdict::Short).join("\n")
    );
    ensure!(
        !lines(&confirm, Verdict::Pass).is_empty(),
        "the first boot compared nothing"
    );
    let opened = lines(&confirm, Verdict::Note);
    ensure!(
        opened.is_empty(),
        "the new OS opens ports:\n{}",
        opened.join("\n")
    );
    for line in lines(&confirm, Verdict::Unknown) {
        println!("cannot be told: {line}");
    }
    let state = machine.ssh(&format!("systemctl is-failed {UNIT}"))?;
    ensure!(state.stdout.trim() != "failed", "{UNIT} failed");
    machine
        .expect("test -s /etc/motd.d/reroot || test -x /etc/update-motd.d/99-reroot")
        .context("the motd does not tell of it")?;
    Ok(())
}

/// The first boot asked the machine's own ssh server about somebody at these ports, and it takes their key.
pub fn assert_asked_about(machine: &Machine, user: &str, ports: &[u16]) -> Result<()> {
    let confirm = wait(machine)?;
    let passed = lines(&confirm, Verdict::Pass);
    for port in ports {
        let head = format!("login: {user} gets in by key at ");
        let tail = format!(":{port}");
        ensure!(
            passed
                .iter()
                .any(|line| line.starts_with(&head) && line.ends_with(&tail)),
            "nobody was asked about {user} at port {port}: {confirm:#?}"
        );
    }
    Ok(())
}
