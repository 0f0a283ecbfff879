//! Failures on the way, on tiny machines: before the RAM environment and in it the old OS is back as it
//! was, behind the commit point the machine holds and the kept data is whole. A payload that is damaged
//! is with the power cuts.

use std::time::Duration;

use anyhow::{ensure, Context, Result};
use formats::steps::Place;
use formats::Document;
use plan::status::{State, Status};
use reroot_tests::crafted::with_manifest;
use reroot_tests::evidence::{self, Evidence};
use reroot_tests::images::tiny as tiny_image;
use reroot_tests::ram_ssh::Caller;
use reroot_tests::reinstall::{start, wait, Outcome, LAST_WORD, LEFT_WHEN_UNDONE, LIMIT};
use reroot_tests::shop_data::KEPT;
use reroot_tests::tiny;
use reroot_tests::vm::Machine;

use crate::layouts::row;
use crate::tiny_machine::is_old;

/// The disk of these machines.
const DISK: &str = "mbr-primary";

fn boot(name: &str) -> Result<Machine> {
    tiny::boot(row(DISK)?, name)
}

/// The old OS is back, and not a file of it is another.
fn is_as_it_was(machine: &Machine, before: &[Evidence], listing: &str) -> Result<()> {
    is_old(row(DISK)?, machine, before)?;
    machine.expect("test $(cat /sys/kernel/kexec_loaded) = 0")?;
    assert_eq!(machine.expect(evidence::EVERYTHING)?, listing);
    Ok(())
}

#[test]
fn a_payload_that_does_not_unpack_makes_the_machine_hold_with_the_data_whole() -> Result<()> {
    let mut machine = boot("hold")?;
    let crafted = machine.file("crafted.reroot");
    // One entry is promised that is not there, of a frame that has room for it.
    with_manifest(&tiny_image()?, &crafted, |manifest| {
        let frames = manifest.payload.frames.iter_mut();
        if let Some(frame) = frames.max_by_key(|frame| frame.unpacked) {
            frame.entries += 1;
            manifest.payload.entries += 1;
        }
    })?;
    let before = evidence::gather(&machine, &KEPT)?;
    let caller = Caller::of(&machine)?;

    // Here as well as anywhere: the kernel's own loader, and the payload in one file with the
    // initramfs. The others go by kexec_load.
    let started = start(&machine, &crafted, "--kexec-call file-load --payload ram")?;
    let limit = machine.patience(LIMIT);
    let outcome = std::thread::scope(|scope| {
        let looks_on = scope.spawn(|| looks_on(&caller, limit));
        let outcome = wait(&mut machine, started, limit, |line| println!("{line}"))?;
        looks_on.join().expect("a thread that does not panic")?;
        anyhow::Ok(outcome)
    })?;
    ensure!(matches!(outcome, Outcome::Held(_)), "{outcome:?}");
    is_let_in(&machine, &caller, limit)?;
    // The rescue shell answers: it is asked for a sum, for an echo would show the question.
    let limit = machine.patience(Duration::from_secs(20));
    machine.wait_for_line("reroot rescue #", limit)?;
    let skip = machine.console().len();
    machine.type_on_console("echo answer $((6 * 7))")?;
    machine.wait_for_line_after(skip, "answer 42", limit)?;

    // The same digests as on the old OS, by the same programs, on a machine with this disk.
    let off = machine.cut_power()?;
    let disk = off.disk.look_into()?;
    assert_eq!(evidence::gather_from(&disk, &KEPT)?, before);
    Ok(())
}

/// Somebody who becomes root in the old OS by key, in the RAM environment while the run goes on, under the
/// machine's own host key: told of the run, and of nothing else, to its end.
fn looks_on(caller: &Caller, limit: Duration) -> Result<()> {
    caller.wait(limit)?;
    let said = caller.ask("root", &[], "/root/x.reroot status --json", "")?;
    let status = Status::from_json(said.expect_success()?.as_bytes())?;
    let run = &status.runs[0];
    ensure!(
        run.state == State::InProgress && run.exit.is_none(),
        "{run:?}"
    );
    let reached = run.reached.as_ref().context("a step was begun")?;
    ensure!(reached.place == Place::Ram, "{reached:?}");
    let refused = caller.ask("root", &[], "reboot", "")?;
    ensure!(refused.status == 2, "{refused:?}");
    let followed = caller.ask("root", &[], "log --follow", "")?;
    ensure!(followed.status == 4, "{followed:?}");
    ensure!(followed.stdout.contains("network: done"), "{followed:?}");
    Ok(())
}

/// And by ssh once it holds: a root shell by the right key, and by nothing else.
fn is_let_in(machine: &Machine, caller: &Caller, limit: Duration) -> Result<()> {
    caller.wait(limit)?;
    let shell = |input: &str| -> Result<String> {
        let said = caller.ask("root", &[], "", input)?;
        println!("{}{}", said.stdout, said.stderr);
        Ok(said.stdout)
    };
    let said = shell("echo answer $((6 * 7)); ls -d /target/srv; id -u\n")?;
    ensure!(said.contains("answer 42\n/target/srv\n0\n"), "{said}");
    let said = caller.ask("root", &[], "status --json", "")?;
    let status = Status::from_json(said.expect_success()?.as_bytes())?;
    let run = &status.runs[0];
    ensure!(
        run.state == State::Committed && run.exit == Some(4),
        "{run:?}"
    );
    let denied = "Permission denied (publickey)";
    let said = caller.foreign(machine)?.ask("root", &[], "status", "")?;
    ensure!(
        said.status == 255 && said.stderr.contains(denied),
        "{said:?}"
    );
    let password = [
        "PubkeyAuthentication=no",
        "PreferredAuthentications=password,keyboard-interactive",
    ];
    // alice has a password in the old OS, and no key.
    for user in ["root", "alice"] {
        let said = caller.ask(user, &password, "status", "")?;
        ensure!(
            said.status == 255 && said.stderr.contains(denied),
            "{said:?}"
        );
    }
    // A worker that is killed says nothing: what PID 1 starts then looks at the disk in its place.
    let said = shell(
        "cat /run/reroot/next; rm /run/reroot/next\n/init leave 'ended by signal 9'\necho; echo looked; cat /run/reroot/next\n",
    )?;
    let (by_worker, by_other) = said.split_once("looked\n").context("two looks")?;
    ensure!(
        by_worker.contains("`reboot -f` does the same from the staged image")
            && by_worker.contains(by_other.trim()),
        "{said}"
    );
    ensure!(!by_other.trim().is_empty(), "{said}");
    // What it costs, for whoever reads; and it comes back when it is ended.
    let cost =
        "grep -H -e Name: -e VmRSS -e RssAnon /proc/[0-9]*/status | grep -A2 -e sshd -e init; free";
    shell(&format!("{cost}; cat /run/reroot/log\n"))?;
    shell("killall -9 sshd\n")?;
    caller.wait(limit)?;
    let said = shell("echo again $((6 * 7))\n")?;
    ensure!(said.contains("again 42"), "{said}");
    Ok(())
}

/// A loop device on a file of the root is held open by the kernel itself: no process can be ended to
/// make it let go, so the proof that nothing is open must fail, after services were stopped.
#[test]
fn an_old_os_that_does_not_let_go_is_booted_again() -> Result<()> {
    let mut machine = boot("not-let-go")?;
    machine.expect("truncate -s 8M /root/held && losetup -f /root/held")?;
    let before = evidence::gather(&machine, &KEPT)?;
    let listing = machine.expect(evidence::EVERYTHING)?;
    let started = start(&machine, &tiny_image()?, "--payload disk")?;
    let limit = machine.patience(LIMIT);
    let outcome = wait(&mut machine, started, limit, |line| println!("{line}"))?;

    ensure!(outcome == Outcome::Booted, "{outcome:?}");
    is_as_it_was(&machine, &before, &listing)?;
    // What was copied for the run is gone, its log is there.
    let left = machine.expect("cd /.reroot/*-*/ && ls")?;
    assert_eq!(
        left.split_whitespace().collect::<Vec<_>>(),
        LEFT_WHEN_UNDONE
    );
    Ok(())
}

/// The network's cable is out while the machine is between the two: the new OS would be out of reach,
/// so the old one comes back, and nothing of it has changed.
#[test]
fn a_machine_whose_network_is_gone_on_the_way_stays_what_it_was() -> Result<()> {
    let mut machine = boot("no-network")?;
    let before = evidence::gather(&machine, &KEPT)?;
    let listing = machine.expect(evidence::EVERYTHING)?;
    let started = start(&machine, &tiny_image()?, "--entry kexec --payload disk")?;
    let limit = machine.patience(LIMIT);
    machine.wait_for_line(LAST_WORD, limit)?;
    machine.plug_cable(false)?;
    machine.wait_for_line("rebooting into the old OS", limit)?;
    machine.plug_cable(true)?;
    let outcome = wait(&mut machine, started, limit, |line| println!("{line}"))?;
    ensure!(outcome == Outcome::Booted, "{outcome:?}");
    is_as_it_was(&machine, &before, &listing)?;
    // It was for this reason and no other.
    machine.expect("grep 'failed: gateways .* 10.0.2.2 on eth0' /.reroot/*/init.log")?;
    Ok(())
}
