//! What hangs in the RAM environment before the commit point ends in a reset, and so in the old OS: a
//! kernel that locks up by the hardware's watchdog, a step that hangs in the kernel by its deadline.

use std::time::{Duration, Instant};

use anyhow::{ensure, Result};
use reroot_tests::images::tiny;
use reroot_tests::ram_machine::{hanging_disk, rehearsal_steps, Bare};
use serde_json::json;

const PATIENCE: Duration = Duration::from_mins(10);

/// The machine has no disk, so that the init waits for one; meanwhile an interrupt that nobody can
/// mask makes its kernel panic and stand still. PID 1 gives no sign of life any more.
#[test]
fn a_kernel_that_locks_up_is_reset_by_the_hardwares_watchdog() -> Result<()> {
    let mut steps = rehearsal_steps();
    if let Some(find) = steps.iter_mut().find(|s| s.name == "find") {
        find.deadline_s = 3600;
    }
    let options = ["-device", "i6300esb", "-action", "watchdog=reset"].map(str::to_owned);
    let cmdline = "unknown_nmi_panic panic=0";
    let mut machine = Bare::boot(&tiny()?, "lock-up", &steps, cmdline, &options, &[])?;
    machine.wait_for_line("without a sign of life", PATIENCE)?;
    machine.qmp().execute("inject-nmi", &json!({}))?;
    machine.wait_for_line("Kernel panic", PATIENCE)?;
    machine.qmp().wait_for_event("WATCHDOG", PATIENCE)?;
    Ok(())
}

/// The disk takes a command and never answers: the worker cannot even be killed. The machine has no
/// other watchdog than the kernel's own.
#[test]
fn a_step_that_hangs_in_the_kernel_ends_with_its_deadline() -> Result<()> {
    let mut steps = rehearsal_steps();
    let deadline = Duration::from_secs(20);
    for step in &mut steps {
        if ["drivers", "find"].contains(&step.name.as_str()) {
            step.deadline_s = deadline.as_secs();
        }
    }
    let scratch = tempfile::tempdir()?;
    let (options, hang) = hanging_disk(&scratch.path().join("disk.qcow2"))?;
    let mut machine = Bare::boot(&tiny()?, "hang", &steps, "", &options, &[hang])?;
    machine.wait_for_line("drivers: begins", PATIENCE)?;
    let begun = Instant::now();
    let reset = machine.qmp().wait_for_event("SHUTDOWN", PATIENCE)?;
    ensure!(reset["data"]["reason"] == "guest-reset", "{reset}");
    let took = begun.elapsed();
    // The console's line is seen a moment after it was written.
    ensure!(took + Duration::from_secs(2) >= deadline, "{took:?}");
    Ok(())
}
