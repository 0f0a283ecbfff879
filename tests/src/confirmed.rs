//! What the new OS says of itself: whether its first boot found the machine as it was.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure, Context, Result};
use serde_json::Value;

use crate::vm::Machine;

/// The unit that compares the machine with the plan.
pub const UNIT: &str = "reroot-confirm.service";

/// Waits until the first boot has compared the machine with the plan, and gives the whole report of
/// the run, as JSON.
pub fn report(machine: &Machine) -> Result<Value> {
    let deadline = Instant::now() + machine.patience(Duration::from_mins(1));
    loop {
        // The unit runs late in the boot, writes its findings, cleans up, and is gone with its file.
        let state = machine.ssh(&format!("systemctl is-active {UNIT}"))?.stdout;
        let text = machine.expect("cat /var/log/reroot/*/report.json")?;
        let report: Value = serde_json::from_str(&text).context("the run's report.json")?;
        if report["confirm"].is_object() && state.trim() != "activating" {
            return Ok(report);
        }
        if Instant::now() > deadline {
            bail!(
                "the first boot was not compared with the plan: {UNIT} is {}",
                state.trim()
            );
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// The comparison as lines, those that are not as they should be first.
pub fn lines(report: &Value) -> Result<Vec<String>> {
    let findings = report["confirm"]["findings"]
        .as_array()
        .context("the report has no comparison")?;
    let mut passed = Vec::new();
    let mut open = Vec::new();
    for finding in findings {
        let word = |key: &str| finding[key].as_str().unwrap_or_default();
        let mut line = format!(
            "{}: {}: {}",
            word("verdict"),
            word("code"),
            word("question")
        );
        if let Some(found) = finding["found"].as_str() {
            let _ = write!(line, "; {found}");
        }
        if word("verdict") == "pass" {
            passed.push(line);
        } else {
            open.push(line);
        }
    }
    open.append(&mut passed);
    Ok(open)
}

/// The first boot found the machine as it was, said so where people look, and cleaned up.
pub fn assert_passed(machine: &Machine) -> Result<()> {
    let report = report(machine)?;
    let lines = lines(&report)?;
    ensure!(
        report["confirm"]["passed"] == Value::Bool(true),
        "the first boot fell short:\n{}",
        lines.join("\n")
    );
    ensure!(!lines.is_empty(), "the first boot compared nothing");
    let state = machine.ssh(&format!("systemctl is-failed {UNIT}"))?;
    ensure!(state.stdout.trim() != "failed", "{UNIT} failed");
    machine
        .expect("test ! -e /.reroot")
        .context("/.reroot is still there")?;
    machine
        .expect("test -s /etc/motd.d/reroot || test -x /etc/update-motd.d/99-reroot")
        .context("the motd does not tell of it")?;
    Ok(())
}
