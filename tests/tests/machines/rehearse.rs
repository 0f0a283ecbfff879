//! A rehearsal of a tiny machine comes back, and nothing on the disk is different but its report and what the
//! old OS's own boot writes. Before it, on the same machine: runs that are broken off and killed, what
//! `status` says of them, and what `abort` removes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{ensure, Context, Result};
use reroot_tests::images::tiny as tiny_image;
use reroot_tests::reinstall::{
    boot_id, start_command, wait, Outcome, IMAGE_ON_MACHINE, KEEP, LIMIT,
};
use reroot_tests::tiny::{self, WHOLE};
use reroot_tests::vm::Machine;
use serde_json::Value;

use crate::layouts::row;

/// What a boot of the old OS writes by itself, and so does a login of the test.
const WRITTEN_BY_A_BOOT: [&str; 13] = [
    "/var/log/",
    "/var/lib/systemd/",
    "/var/lib/dhcp/",
    "/var/tmp/",
    "/tmp/",
    // The directory's time changes with the file that is replaced in it.
    "/etc/resolv.conf",
    "/etc/mtab",
    "/boot/grub/grubenv",
    "/var/cache/ldconfig/",
    // Other filesystems are mounted here.
    "/dev/",
    "/proc/",
    "/run/",
    "/sys/",
];

/// Every name on the root filesystem: kind, mode, links, owner, group, size, time, link target, and
/// for files the digest of what is in them.
const EVERYTHING: &str = r"cd / && export LC_ALL=C
    find / -xdev -type f ! -name new.reroot -print0 | xargs -0 b2sum -z -- | sed -z 's/^/content /'
    find / -xdev -printf 'entry %p\t%y %m %n %U %G %s %T@ %l\0'";

fn everything(machine: &Machine) -> Result<BTreeMap<String, String>> {
    let text = machine.script(EVERYTHING)?;
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for line in text.split('\0').filter(|line| !line.is_empty()) {
        let (path, what) = if let Some(rest) = line.strip_prefix("content ") {
            let (digest, path) = rest.split_once("  ").context("b2sum")?;
            (path, digest)
        } else {
            let rest = line.strip_prefix("entry ").context("find")?;
            rest.split_once('\t').context("find")?
        };
        let entry = found.entry(path.to_owned()).or_default();
        entry.push_str(what);
        entry.push(' ');
    }
    ensure!(found.len() > 4_000, "{} names only", found.len());
    Ok(found)
}

/// The paths that differ and that neither the run nor a boot accounts for.
fn unaccounted(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<String> {
    let paths: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    paths
        .into_iter()
        .filter(|path| before.get(*path) != after.get(*path))
        .filter(|path| {
            let accounted = |start: &str| {
                let directory = start
                    .rsplit_once('/')
                    .map_or("", |(directory, _)| directory);
                path.starts_with(start) || path.as_str() == directory
            };
            // The root directory has one name more, once.
            path.as_str() != "/"
                && !accounted("/.reroot/")
                && !WRITTEN_BY_A_BOOT.iter().any(|start| accounted(start))
        })
        .map(|path| format!("{path}: {:?} -> {:?}", before.get(path), after.get(path)))
        .collect()
}

/// What `status` says of the newest run.
fn newest(machine: &Machine) -> Result<Value> {
    let text = machine.expect(&format!("{IMAGE_ON_MACHINE} status --json"))?;
    let status: Value = serde_json::from_str(&text).context("status --json")?;
    ensure!(status["kexec_loaded"] == false, "a kernel is loaded");
    let runs = status["runs"].as_array().context("runs")?;
    Ok(runs.last().context("no run")?.clone())
}

/// Starts `go` and waits until it stages the run.
fn begin(machine: &Machine) -> Result<reroot_tests::reinstall::Started> {
    let runs = "ls -d /.reroot/*-* 2>/dev/null | wc -l";
    let earlier = machine.expect(runs)?;
    let started = start_command(machine, "go", "--payload disk")?;
    let deadline = Instant::now() + machine.patience(Duration::from_mins(1));
    let staging = format!(
        "[ \"$({runs})\" != {} ] && ls /.reroot/*-*/payload",
        earlier.trim()
    );
    while machine.ssh(&staging)?.status != 0 {
        ensure!(Instant::now() < deadline, "nothing is staged");
    }
    Ok(started)
}

fn broken_off(machine: &mut Machine) -> Result<()> {
    let boot = boot_id(machine)?;
    let started = begin(machine)?;
    let said = machine.expect(&format!("{IMAGE_ON_MACHINE} abort"))?;
    ensure!(said.contains("broken off"), "{said}");
    let limit = machine.patience(LIMIT);
    let outcome = wait(machine, started, limit, |line| println!("{line}"))?;
    ensure!(outcome == Outcome::CameBack(3), "{outcome:?}");
    let run = newest(machine)?;
    ensure!(run["state"] == "reverted", "{run}");
    let error = run["first_failure"]["error"].as_str().unwrap_or_default();
    ensure!(error.contains("broken off"), "{run}");
    ensure!(
        run["leftovers"].as_array().is_some_and(Vec::is_empty),
        "{run}"
    );
    assert_eq!(boot_id(machine)?, boot);
    Ok(())
}

fn killed(machine: &mut Machine) -> Result<()> {
    let started = begin(machine)?;
    machine.expect("kill -KILL $(head -n 1 /.reroot/lock | cut -d ' ' -f 1)")?;
    let limit = machine.patience(LIMIT);
    let outcome = wait(machine, started, limit, |line| println!("{line}"))?;
    ensure!(outcome == Outcome::CameBack(4), "{outcome:?}");
    let run = newest(machine)?;
    ensure!(run["state"] == "interrupted", "{run}");
    ensure!(
        !run["leftovers"].as_array().is_some_and(Vec::is_empty),
        "{run}"
    );
    machine.expect(&format!("{IMAGE_ON_MACHINE} abort"))?;
    let run = newest(machine)?;
    ensure!(
        run["leftovers"].as_array().is_some_and(Vec::is_empty),
        "{run}"
    );
    Ok(())
}

#[test]
fn a_rehearsal_comes_back_and_leaves_nothing_but_its_report() -> Result<()> {
    let image = tiny_image()?;
    let mut machine = tiny::boot(row("mbr-primary")?, "rehearse")?;
    machine.copy_to(&image, IMAGE_ON_MACHINE)?;
    let none = machine.expect(&format!("{IMAGE_ON_MACHINE} status"))?;
    ensure!(none.starts_with("No run"), "{none}");
    broken_off(&mut machine)?;
    killed(&mut machine)?;
    let picture = format!("{IMAGE_ON_MACHINE} plan {KEEP} --svg /run/plan.svg >/run/plan.txt");
    machine.expect(&format!("{picture} && grep -q '</svg>' /run/plan.svg"))?;

    let before = everything(&machine)?;
    let started = start_command(&machine, "rehearse", "--payload disk")?;
    let limit = machine.patience(LIMIT);
    let outcome = wait(&mut machine, started, limit, |line| println!("{line}"))?;
    ensure!(outcome == Outcome::Booted, "{outcome:?}");
    machine.expect(&format!("{WHOLE} && sync"))?;
    let after = everything(&machine)?;
    let left = unaccounted(&before, &after);
    ensure!(left.is_empty(), "{left:#?}");

    let run = newest(&machine)?;
    println!("{run:#}");
    println!("{}", machine.expect(&format!("{IMAGE_ON_MACHINE} status"))?);
    ensure!(run["state"] == "rehearsed", "{run}");
    ensure!(run["first_failure"].is_null(), "{run}");
    ensure!(
        run["leftovers"].as_array().is_some_and(Vec::is_empty),
        "{run}"
    );
    let steps = run["steps"].as_array().context("steps")?;
    for name in [
        "load", "prove", "find", "verify", "network", "compare", "report",
    ] {
        let step = steps.iter().find(|s| s["name"] == name);
        ensure!(
            step.is_some_and(|s| s["result"] == "done"),
            "{name}: {steps:#?}"
        );
    }
    let files = machine.expect(&format!(
        "ls {}",
        run["directory"].as_str().unwrap_or_default()
    ))?;
    for name in [
        "rehearsal.json",
        "init.log",
        "steps-old-os.json",
        "steps-ram.json",
    ] {
        ensure!(files.lines().any(|f| f == name), "{files}");
    }
    machine.expect(&format!(
        "{IMAGE_ON_MACHINE} status --svg /run/status.svg >/run/status.txt && grep -q 'done, ' /run/status.svg"
    ))?;
    Ok(())
}
