//! The takeover: PID 1 is replaced and the running kernel goes on. With systemd and with sysvinit as
//! the old init, the latter on a kernel with the system calls of Linux 3.2; what forbids it is found
//! by `check`; one that fails half-way leaves the old init unharmed.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{ensure, Result};
use reroot_tests::confirmed;
use reroot_tests::evidence;
use reroot_tests::images::small_trixie;
use reroot_tests::refusals::refusals;
use reroot_tests::reinstall::{
    start_copied, wait, Outcome, IMAGE_ON_MACHINE, LEFT_WHEN_UNDONE, LIMIT,
};
use reroot_tests::shop_data::KEPT;
use reroot_tests::snapshot::running_old_server;
use reroot_tests::sysvinit_server::running_sysvinit_server;
use reroot_tests::vm::{Machine, USUAL_MEMORY_MIB};

/// Who the machine is for others.
const IDENTITY: &str = "cat /etc/hostname /etc/machine-id; sha256sum /etc/ssh/ssh_host_*_key; \
    ip -4 -o address show scope global | tr -s ' ' | cut -d ' ' -f 2-4; \
    ip -6 -o address show scope link | tr -s ' ' | cut -d ' ' -f 2-4; \
    ip route show default | grep -o 'via [^ ]*'";

/// Takes the machine over and waits for the new OS; prints how long it took.
fn take_over(machine: &mut Machine, image: &Path, arguments: &str) -> Result<()> {
    machine.copy_to(image, IMAGE_ON_MACHINE)?;
    let begun = Instant::now();
    let started = start_copied(machine, &format!("--entry takeover {arguments}"))?;
    let limit = machine.patience(LIMIT);
    let mut entered = None;
    let mut stopping = None;
    let outcome = wait(machine, started, limit, |line| {
        println!("{:6.1} s  {line}", begun.elapsed().as_secs_f64());
        if line.starts_with("stop: services stop") {
            stopping.get_or_insert_with(|| begun.elapsed());
        }
        // The init's first line of its own.
        if line.starts_with("drivers: begins") {
            entered.get_or_insert_with(|| begun.elapsed());
        }
    })?;
    ensure!(
        outcome == Outcome::Booted,
        "{outcome:?}\n{}",
        machine.console_tail()
    );
    let of = |at: Option<Duration>| at.map_or(0.0, |at| at.as_secs_f64());
    println!(
        "measured: from `go` to services stopping {:.1} s, to the init's first line {:.1} s, to the new OS {:.1} s",
        of(stopping),
        of(entered),
        begun.elapsed().as_secs_f64()
    );
    Ok(())
}

fn assert_new_os(machine: &Machine) -> Result<()> {
    let os_release = machine.expect("cat /etc/os-release")?;
    ensure!(
        os_release.contains("VERSION_CODENAME=trixie"),
        "{os_release}"
    );
    ensure!(
        machine.expect("uname -r")?.starts_with("6.12"),
        "not the new kernel"
    );
    let plan = machine.expect("cat /var/log/reroot/*/plan.json")?;
    ensure!(plan.contains("\"takeover\""), "entered in another way");
    ensure!(
        machine
            .expect("grep Seccomp: /proc/1/status")?
            .contains('0'),
        "PID 1 of the new OS is under a filter"
    );
    confirmed::assert_passed(machine)
}

#[test]
fn systemd_is_taken_over_and_debian_11_becomes_13() -> Result<()> {
    let image = small_trixie()?;
    let mut machine = running_old_server("takeover", USUAL_MEMORY_MIB)?;
    let before = evidence::gather(&machine, &KEPT)?;
    let identity = machine.expect(IDENTITY)?;
    take_over(&mut machine, &image, "--payload ram")?;
    assert_new_os(&machine)?;
    assert_eq!(evidence::gather(&machine, &KEPT)?, before);
    assert_eq!(machine.expect(IDENTITY)?, identity);
    Ok(())
}

/// Launcher and init, before and after the takeover, and all of the old OS beside them, run without
/// any system call that came after Linux 3.2.
#[test]
fn sysvinit_on_a_linux_3_2_is_taken_over() -> Result<()> {
    let image = small_trixie()?;
    let floor = Path::new(env!("CARGO_BIN_EXE_floor"));
    let mut machine = running_sysvinit_server("sysvinit", USUAL_MEMORY_MIB, floor)?;
    assert_eq!(machine.expect("cat /proc/1/comm")?.trim(), "sysvinit");
    for process in ["1", "self"] {
        let status = machine.expect(&format!("grep Seccomp: /proc/{process}/status"))?;
        ensure!(status.contains('2'), "no filter: {status}");
    }
    let probe = machine.expect("/sbin/floor --probe")?;
    ensure!(
        probe.lines().count() == 3 && probe.lines().all(|line| line.ends_with(" not there")),
        "{probe}"
    );
    let before = evidence::gather(&machine, &KEPT)?;
    let identity = machine.expect(IDENTITY)?;
    take_over(&mut machine, &image, "--payload disk")?;
    assert_new_os(&machine)?;
    assert_eq!(evidence::gather(&machine, &KEPT)?, before);
    assert_eq!(machine.expect(IDENTITY)?, identity);
    Ok(())
}

/// A tracer for PID 1, without any tool that the machine may not have: request 0x4206 is
/// `PTRACE_SEIZE`, call 101 is ptrace.
const TRACE: &str = "perl -e 'syscall(101, 0x4206, 1, 0, 0) == 0 or die $!; print \"tracing\\n\"; \
    $| = 1; sleep 600' >/root/tracer 2>&1 & \
    for i in $(seq 50); do grep -q '^TracerPid:.0$' /proc/1/status || exit 0; sleep 0.1; done; exit 1";

#[test]
#[ignore = "minutes more than make test has: make prove"]
fn what_forbids_a_takeover_is_found_and_one_that_fails_leaves_the_old_init_unharmed() -> Result<()>
{
    let mut machine = running_old_server("forbidden", USUAL_MEMORY_MIB)?;
    machine.copy_to(&small_trixie()?, IMAGE_ON_MACHINE)?;
    assert_eq!(refusals(&machine, "--entry takeover")?, [""; 0]);
    machine.expect(TRACE)?;
    assert_eq!(refusals(&machine, "--entry takeover")?, ["takeover"]);
    machine.expect(
        "pkill perl; for i in $(seq 50); do \
        grep -q '^TracerPid:.0$' /proc/1/status && exit 0; sleep 0.1; done; exit 1",
    )?;
    assert_eq!(refusals(&machine, "--entry takeover")?, [""; 0]);

    // The init in the RAM environment loses the right to be executed once it is there: PID 1 is
    // stopped, made to execute it, and refused.
    let before = evidence::gather(&machine, &KEPT)?;
    let listing = machine.expect(evidence::EVERYTHING)?;
    machine.expect(
        "nohup sh -c 'until test -e /.reroot/*-*/handed-over; do sleep 0.1; done; \
         chmod 644 /.reroot/*-*/ram/init' >/dev/null 2>&1 &",
    )?;
    let started = start_copied(&machine, "--entry takeover --payload disk")?;
    let limit = machine.patience(LIMIT);
    let outcome = wait(&mut machine, started, limit, |line| println!("{line}"))?;
    ensure!(outcome == Outcome::Booted, "{outcome:?}");
    // systemd went on and rebooted in its own way.
    let log = machine.expect("cat /.reroot/*-*/launch.log")?;
    // The root was read-only when it failed; the reason came into the file with the next line.
    ensure!(log.contains("failed: enter: "), "{log}");
    ensure!(
        machine.expect("cat /etc/os-release")?.contains("bullseye"),
        "not the old OS"
    );
    machine.expect("systemctl is-system-running --wait; systemctl is-active ssh nginx")?;
    assert_eq!(evidence::gather(&machine, &KEPT)?, before);
    assert_eq!(machine.expect(evidence::EVERYTHING)?, listing);
    let left = machine.expect("cd /.reroot/*-*/ && ls")?;
    assert_eq!(
        left.split_whitespace().collect::<Vec<_>>(),
        LEFT_WHEN_UNDONE,
        "{log}"
    );

    // Yama's strictest scope cannot be taken back, so it comes last.
    machine.expect("echo 3 >/proc/sys/kernel/yama/ptrace_scope")?;
    assert_eq!(refusals(&machine, "--entry takeover")?, ["takeover"]);
    Ok(())
}
