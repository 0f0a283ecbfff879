//! kexec by our own loader and by the kernel's, on a machine that has nothing else: what is loaded
//! is what arrives, and what must not be loaded is not.

use std::time::Duration;

use anyhow::{ensure, Context, Result};
use reroot_tests::bare::{initramfs, stripped, Bare, File};
use reroot_tests::old_server::old_server;

/// Boots of all stages together, on real hardware.
const LIMIT: Duration = Duration::from_secs(30);

/// The guest with the files of the next kernel.
fn guest(kernel: &std::path::Path) -> Result<Vec<u8>> {
    let file = |name: &str, bytes: Vec<u8>| File {
        name: name.into(),
        bytes,
    };
    let init = file(
        "init",
        stripped(env!("CARGO_BIN_EXE_kexec-guest").as_ref())?,
    );
    // The directory for the files that come as parts.
    let next = initramfs(&[init.clone(), file("next/parts", Vec::new())])?;
    initramfs(&[
        init,
        file("next/kernel", std::fs::read(kernel)?),
        file("next/initramfs", next),
    ])
}

/// What the guest has said, by stage: the kernels in between are what separates them.
fn stages(console: &str) -> Vec<Vec<&str>> {
    let mut stages = Vec::new();
    for line in console.lines() {
        let Some(said) = line.trim().strip_prefix("GUEST ") else {
            continue;
        };
        if said.starts_with("cmdline ") {
            stages.push(Vec::new());
        }
        if let Some(stage) = stages.last_mut() {
            stage.push(said);
        }
    }
    stages
}

fn all<'a>(stage: &[&'a str], start: &str) -> Vec<&'a str> {
    stage
        .iter()
        .filter_map(|line| line.strip_prefix(start))
        .collect()
}

#[test]
fn what_is_loaded_arrives_and_what_must_not_be_loaded_is_not() -> Result<()> {
    let server = old_server()?;
    let console = Bare {
        kernel: &server.kernel,
        initramfs: &guest(&server.kernel)?,
        cmdline: "guest=first",
        memory_mib: 512,
        board: "pc",
        more: &[],
    }
    .run(LIMIT)?;
    let stages = stages(&console);
    ensure!(
        stages.len() == 5 && !console.contains("GUEST FAILED"),
        "{console}"
    );
    let [first, older, oldest, locked, disabled] = std::array::from_fn(|at| &stages[at]);
    let refused = |stage: &[&str]| -> Vec<String> {
        let names = all(stage, "refused ").into_iter();
        names
            .filter_map(|l| Some(l.split_once(':')?.0.to_owned()))
            .collect()
    };
    assert_eq!(
        refused(first),
        [
            "no-kernel",
            "cut-short",
            "tiny",
            "init-size",
            "no-room",
            "cmdline",
            "too-much"
        ]
    );
    assert_eq!(refused(locked), ["locked-load", "changed-kernel"]);
    assert_eq!(refused(disabled), ["disabled-file-load"]);

    // By our own loader: command line, memory map, screen and every byte of the payload.
    // Entered at its 64-bit entry, and as kernels that are too old to say that they have one.
    let made = all(first, "payload made ");
    ensure!(made.len() == 1, "{first:?}");
    for (stage, protocol, cmdline) in [
        (older, "2.15", "guest=older"),
        (oldest, "2.11", "guest=oldest"),
        (locked, "2.06", "lockdown=integrity guest=locked"),
    ] {
        let cmdline = format!("console=ttyS0 panic=-1 no_timer_check {cmdline}");
        assert_eq!(all(stage, "cmdline "), [&cmdline]);
        assert_eq!(all(stage, "protocol "), [protocol]);
        assert_eq!(all(stage, "memory "), all(first, "memory "));
        assert_eq!(all(stage, "screen "), all(first, "screen "));
        assert_eq!(all(stage, "processors "), ["2"]);
        assert_eq!(all(stage, "loader "), ["0xff"]);
        assert_eq!(all(stage, "payload "), made);
    }
    // By the kernel's.
    assert_eq!(
        all(disabled, "cmdline "),
        ["console=ttyS0 panic=-1 no_timer_check guest=disabled"]
    );
    disabled
        .last()
        .filter(|line| **line == "end")
        .context("the last stage did not end")?;
    Ok(())
}
