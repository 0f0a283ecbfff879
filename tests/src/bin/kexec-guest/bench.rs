//! What loading takes, and entering: by our own loader, by the kernel's, and by kexec-tools.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{ensure, Context, Result};
use kexec_loader::load;
use kexec_loader::load::Part;
use kexec_loader::running;
use std::fs::File;

use crate::told::{self, say};

const KERNEL: &str = "/bench/kernel";
const INITRD: &str = "/bench/initrd";
const TOOLS: &str = "/bench/tools";
/// As the plans have it; nobody waits where there is no plan to follow.
const CMDLINE: &str = "rootfstype=ramfs panic=-1 console=ttyS0 no_timer_check loglevel=4";
const ROUNDS: u32 = 2;

type Load = fn() -> Result<()>;

/// The ways to load, by name.
const WAYS: [(&str, Load); 4] = [
    ("own", own),
    ("file", file),
    ("tools", || tools("-c")),
    ("tools-file", || tools("-s")),
];

/// The least time of each way, in turns.
pub fn times() -> Result<()> {
    let mut least = [Duration::MAX; WAYS.len()];
    for _ in 0..ROUNDS {
        for ((name, load), least) in WAYS.iter().zip(&mut least) {
            let start = Instant::now();
            load().with_context(|| format!("load by {name}"))?;
            *least = (*least).min(start.elapsed());
            load::unload().context("unload")?;
        }
    }
    for ((name, _), least) in WAYS.iter().zip(least) {
        say(&format!("time {name} {}", least.as_micros()));
    }
    Ok(())
}

/// Loads in one way and enters.
pub fn enter(name: &str) -> Result<()> {
    let way = WAYS.iter().find(|(known, _)| *known == name);
    let (_, load) = way.with_context(|| format!("there is no way {name}"))?;
    load()?;
    told::enter()
}

/// With the digest that the launcher takes of the payload before it is loaded.
fn own() -> Result<()> {
    let kernel = File::open(KERNEL)?;
    let initrd = File::open(INITRD)?;
    formats::Digest::of_reader(&mut &initrd, &|_| ()).context("digest")?;
    let machine = running::read()?;
    load::load(
        &kernel,
        &[Part::file(&initrd)?],
        CMDLINE.as_bytes(),
        &machine,
    )?;
    Ok(())
}

fn file() -> Result<()> {
    let cmdline = std::ffi::CString::new(CMDLINE)?;
    load::file_load(&File::open(KERNEL)?, &File::open(INITRD)?, &cmdline)?;
    Ok(())
}

fn tools(call: &str) -> Result<()> {
    let output = Command::new(format!("{TOOLS}/kexec"))
        .env("LD_LIBRARY_PATH", TOOLS)
        .args([call, "-l", KERNEL])
        .arg(format!("--initrd={INITRD}"))
        .arg(format!("--command-line={CMDLINE}"))
        // There is no /dev/null here.
        .stdin(Stdio::inherit())
        .output()
        .context("run kexec-tools' kexec")?;
    ensure!(
        output.status.success(),
        "{}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
