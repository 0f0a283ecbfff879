//! The ssh server of the RAM environment, ended while a run wipes and unpacks, or unable to run at all: the run
//! goes on to its end as if there were none, and the log has what became of the server.
//!
//! Nobody who comes by ssh can end it, for before a hold nobody gets a shell; the kernel can, and does so first of
//! all when memory is short. It is told to choose whom it ends then (`pressure.rs`), so what is tried is its own
//! choice as well: it may fall on the server and its sessions, and on nothing of the run.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{ensure, Context, Result};
use formats::steps::Place;
use formats::Document;
use plan::status::{State, Status};
use reroot_tests::command::run;
use reroot_tests::crafted::with_ssh_files;
use reroot_tests::evidence;
use reroot_tests::images::tiny as tiny_image;
use reroot_tests::ram_ssh::Caller;
use reroot_tests::reinstall::{reinstall, start, wait, Outcome, LIMIT};
use reroot_tests::shop_data::KEPT;
use reroot_tests::tiny;
use reroot_tests::vm::Machine;

use crate::layouts::row;
use crate::tiny_machine::is_new;

/// The disk of these machines.
const DISK: &str = "mbr-primary";
/// What PID 1 says each time.
const ENDED: &str = "ssh: the server has ended; the run goes on";
/// What the server says each time.
const LISTENS: &str = "ssh: Server listening on ";
/// How often its end is told: init/src/first/ssh.rs.
const TOLD: usize = 5;
/// Bytes a second, so that a wipe and an unpack take minutes and not seconds.
const SLOW_WIPE: u64 = 16 << 10;
const SLOW_UNPACK: u64 = 128 << 10;
/// As many as there are processes of the server and its sessions, at the most.
const CHOICES: usize = 16;
/// Connections that nothing but noise comes by.
const NOISE: usize = 30;

/// The server, and how it is in an image beside what an image of ours puts in its place.
const SERVER: &str = "usr/sbin/sshd";
const OWN: &str = "usr/sbin/sshd-own";

/// The server's own program with a line before it: a new kernel of Debian's does not take the key by which it is
/// asked to end something. After a takeover it does.
const TAKES_THE_KEY: &str = "#!/bin/busybox sh\n\
    echo 64 >/proc/sys/kernel/sysrq\n\
    exec /usr/sbin/sshd-own \"$@\"\n";

#[test]
#[ignore = "a slow disk: make prove"]
fn a_server_that_is_ended_in_the_wipe_and_in_the_unpack_is_started_again_and_the_run_goes_on(
) -> Result<()> {
    let whole = tiny_image()?;
    let mut machine = tiny::boot(row(DISK)?, "ended-server")?;
    let image = machine.file("crafted.reroot");
    with_ssh_files(
        &whole,
        &image,
        &[(OWN, own_server()?), (SERVER, TAKES_THE_KEY.into())],
    )?;
    goes_on_without(&mut machine, &image, "--entry kexec --payload disk")
}

#[test]
#[ignore = "the same by the other entry: make prove"]
fn a_server_that_is_ended_behind_a_takeover_is_started_again_and_the_run_goes_on() -> Result<()> {
    let image = tiny_image()?;
    let mut machine = tiny::boot(row(DISK)?, "ended-server-takeover")?;
    goes_on_without(&mut machine, &image, "--entry takeover --payload disk")
}

/// Ends it once in the wipe and once in the unpack.
fn goes_on_without(machine: &mut Machine, image: &Path, arguments: &str) -> Result<()> {
    let before = evidence::gather(machine, &KEPT)?;
    let caller = Caller::of(machine)?;
    let started = start(machine, image, arguments)?;
    let limit = machine.patience(LIMIT);
    for (step, bytes_a_second) in [("wipe", SLOW_WIPE), ("unpack", SLOW_UNPACK)] {
        machine.wait_for_line(&format!("{step}: begins"), limit)?;
        machine.slow_disk(bytes_a_second)?;
        is_in(step, &caller, limit)?;
        make_noise(machine.ssh_port())?;
        is_in(step, &caller, limit)?;
        end_server(machine)?;
        // It is back in the same step.
        is_in(step, &caller, limit)?;
        machine.slow_disk(0)?;
    }
    let outcome = wait(machine, started, limit, |line| println!("{line}"))?;
    ensure!(outcome == Outcome::Booted, "{outcome:?}");
    is_new(row(DISK)?, machine, &before)?;

    let log = log_of_ram(machine)?;
    println!("{log}");
    for step in ["wipe", "unpack"] {
        let meanwhile = between(&log, step)?;
        let at = meanwhile.find(ENDED);
        let again = at.and_then(|at| meanwhile[at..].find(LISTENS));
        ensure!(again.is_some(), "in {step}: {meanwhile}");
    }
    ensure!(log.matches(ENDED).count() == 2, "{log}");
    Ok(())
}

/// Somebody logs in, and is told that the run is in that step.
fn is_in(step: &str, caller: &Caller, limit: Duration) -> Result<()> {
    caller.wait(limit)?;
    let said = caller.ask("root", &[], "status --json", "")?;
    let status = Status::from_json(said.expect_success()?.as_bytes())?;
    let run = &status.runs[0];
    ensure!(run.state == State::InProgress, "{run:?}");
    let reached = run.reached.as_ref().context("a step was begun")?;
    ensure!(
        reached.place == Place::Ram && reached.step == step,
        "{reached:?}"
    );
    Ok(())
}

/// What is no ssh, by many at once; some of it looks as if it were.
fn make_noise(port: u16) -> Result<()> {
    let packets: [&[u8]; 4] = [
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        b"SSH-2.0-noise\r\n\x00\x00\x00\x0c\x0a\x14\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"SSH-2.0-noise\r\n\xff\xff\xff\xff\x00\x00\x00\x00",
    ];
    let made = (0..NOISE).map(|n| -> std::io::Result<usize> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.write_all(packets[n % packets.len()])?;
        let mut greeting = [0; 64];
        stream.read(&mut greeting)
    });
    // That it is turned away is for the server to decide.
    let heard = made.filter(|answer| answer.as_ref().is_ok_and(|&read| read > 0));
    let heard = heard.count();
    println!("{heard} of {NOISE} connections with noise were greeted");
    ensure!(heard > 0, "nobody was greeted");
    Ok(())
}

/// Has the kernel end what it would end for want of memory, until the server is gone.
fn end_server(machine: &mut Machine) -> Result<()> {
    let ends = |machine: &Machine| machine.console().matches(ENDED).count();
    let before = ends(machine);
    for _ in 0..CHOICES {
        let victim = machine.end_one_as_if_memory_were_short()?;
        println!("ended by the kernel: {victim:?}");
        ensure!(
            victim.willingly == 1000,
            "{victim:?} is none of the server's"
        );
        // The next one is asked for when this one's end is known.
        std::thread::sleep(Duration::from_secs(1));
        if ends(machine) > before {
            return Ok(());
        }
    }
    anyhow::bail!(
        "{CHOICES} processes were ended, and the server is there\n{}",
        machine.console_tail()
    )
}

/// Its first instructions are none that a processor has: it ends whenever it is started, by a signal.
#[test]
#[ignore = "as with one that is ended: make prove"]
fn a_server_that_crashes_whenever_it_is_started_changes_nothing_else() -> Result<()> {
    let whole = tiny_image()?;
    let mut machine = tiny::boot(row(DISK)?, "damaged-server")?;
    let image = machine.file("crafted.reroot");
    let mut damaged = own_server()?;
    let entry = entry_point(&damaged)?;
    damaged[entry..entry + 2].copy_from_slice(&UNDEFINED);
    with_ssh_files(&whole, &image, &[(SERVER, damaged)])?;
    let before = evidence::gather(&machine, &KEPT)?;
    reinstall(&mut machine, &image, "--entry kexec --payload disk")?;
    is_new(row(DISK)?, &machine, &before)?;

    let log = log_of_ram(&machine)?;
    println!("{log}");
    let ended = log.matches(ENDED).count();
    let crashed = log
        .matches("ssh: the server ended with signal: 4 (SIGILL)")
        .count();
    ensure!(
        (2..=TOLD).contains(&ended) && crashed >= ended && !log.contains(LISTENS),
        "{ended} ends are told, {crashed} crashes\n{log}"
    );
    Ok(())
}

/// `ud2`.
const UNDEFINED: [u8; 2] = [0x0f, 0x0b];

/// Where in an ELF file of 64 bits its first instruction is: its address, by the segment that has it.
fn entry_point(elf: &[u8]) -> Result<usize> {
    let number = |at: usize| -> Result<u64> {
        let bytes = elf.get(at..at + 8).context("the file is too short")?;
        Ok(u64::from_le_bytes(bytes.try_into()?))
    };
    let short = |at: usize| -> Result<u64> { Ok(number(at)? & 0xffff) };
    let (entry, table) = (number(0x18)?, number(0x20)? as usize);
    let (size, count) = (short(0x36)? as usize, short(0x38)? as usize);
    for header in (0..count).map(|n| table + n * size) {
        let (offset, address) = (number(header + 8)?, number(header + 16)?);
        let length = number(header + 32)?;
        // PT_LOAD
        if number(header)? & 0xffff_ffff == 1 && (address..address + length).contains(&entry) {
            return Ok((entry - address + offset) as usize);
        }
    }
    anyhow::bail!("no segment has the entry point {entry:#x}")
}

/// The ssh server of the tiny new OS.
fn own_server() -> Result<Vec<u8>> {
    let tree: PathBuf = tiny::tree(tiny::NEW)?;
    let at = tempfile::tempdir()?;
    run(Command::new("tar")
        .arg("-xf")
        .arg(&tree)
        .arg("-C")
        .arg(at.path())
        .arg(format!("./{SERVER}")))?;
    std::fs::read(at.path().join(SERVER)).context("read the new OS's ssh server")
}

/// What the RAM environment has left of its log.
fn log_of_ram(machine: &Machine) -> Result<String> {
    machine.expect("cat /var/log/reroot/*/init.log")
}

/// The log from a step's beginning to its end.
fn between<'a>(log: &'a str, step: &str) -> Result<&'a str> {
    let begins = log.find(&format!("{step}: begins"));
    let begins = begins.with_context(|| format!("{step} does not begin in {log}"))?;
    let length = log[begins..].find(&format!("{step}: done"));
    let length = length.with_context(|| format!("{step} does not end in {log}"))?;
    Ok(&log[begins..begins + length])
}
