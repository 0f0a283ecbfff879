//! The three entries on the old server: how long until the init is there, and how long the machine is
//! away, beside a plain reboot of the same machine.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{bail, Context, Result};
use reroot_tests::prober::Prober;
use reroot_tests::reinstall::{self, Outcome, IMAGE_ON_MACHINE, LIMIT};
use reroot_tests::snapshot::running_old_server;
use reroot_tests::vm::Machine;

const ENTRIES: [&str; 3] = ["kexec", "takeover", "boot"];
/// Room for every entry with the payload in memory.
const MEMORY_MIB: u32 = 1024;
/// What the init says first, of its run.
const FIRST_LINE: &str = " becomes ";

/// What a machine took for one entry.
struct Times {
    reboot: Duration,
    to_the_init: Duration,
    away: Duration,
}

/// Measures and prints.
pub fn entering(image: &Path) -> Result<()> {
    println!("\nEntering and reinstalling the old server, {MEMORY_MIB} MiB");
    println!("  entry     go to the init   away   a plain reboot   away / reboot");
    for entry in ENTRIES {
        let times = measure(image, entry).with_context(|| format!("enter by {entry}"))?;
        println!(
            "  {entry:<9} {:>10.1} s {:>7.1} s {:>11.1} s {:>13.2}",
            times.to_the_init.as_secs_f64(),
            times.away.as_secs_f64(),
            times.reboot.as_secs_f64(),
            times.away.div_duration_f64(times.reboot)
        );
    }
    Ok(())
}

fn measure(image: &Path, entry: &str) -> Result<Times> {
    let mut machine = running_old_server(&format!("bench-{entry}"), MEMORY_MIB)?;
    let reboot = silence_of(&mut machine, reboot)?;
    machine.copy_to(image, IMAGE_ON_MACHINE)?;
    let mut to_the_init = None;
    let away = silence_of(&mut machine, |machine| {
        to_the_init = Some(reinstall_by(machine, entry)?);
        Ok(())
    })?;
    Ok(Times {
        reboot,
        to_the_init: to_the_init.context("the init said nothing")?,
        away,
    })
}

/// The longest time without an answer while something is done.
fn silence_of(
    machine: &mut Machine,
    done: impl FnOnce(&mut Machine) -> Result<()>,
) -> Result<Duration> {
    let prober = Prober::start(machine.ssh_port());
    // It has to have heard the machine before there is a silence to measure.
    std::thread::sleep(Duration::from_secs(2));
    done(machine)?;
    let silence = prober.silence_until_back(machine.patience(Duration::from_secs(20)))?;
    Ok(silence.length())
}

fn reboot(machine: &mut Machine) -> Result<()> {
    let before = reinstall::boot_id(machine)?;
    machine.expect("systemd-run --on-active=1 systemctl reboot")?;
    let deadline = Instant::now() + machine.patience(LIMIT);
    while Instant::now() < deadline {
        std::thread::sleep(Duration::from_secs(1));
        if machine.log_in_if_possible()? {
            match reinstall::boot_id(machine) {
                Ok(now) if now != before => return Ok(()),
                // Not gone yet, or going while it was asked.
                _ => {}
            }
        }
    }
    bail!("the machine did not come back from a reboot")
}

/// Gives the time from `go` to the init's first line.
fn reinstall_by(machine: &mut Machine, entry: &str) -> Result<Duration> {
    let begun = Instant::now();
    let mut entered = false;
    let mut to_the_init = None;
    let started = reinstall::start_copied(machine, &format!("--entry {entry}"))?;
    let limit = machine.patience(LIMIT);
    let outcome = reinstall::wait(machine, started, limit, |line| {
        entered |= line.starts_with("enter: begins");
        if entered && line.contains(FIRST_LINE) {
            to_the_init.get_or_insert_with(|| begun.elapsed());
        }
    })?;
    match (outcome, to_the_init) {
        (Outcome::Booted, Some(time)) => Ok(time),
        other => bail!("not reinstalled: {other:?}"),
    }
}
