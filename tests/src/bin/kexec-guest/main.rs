//! PID 1 of the bare machines in which kexec is tried: loads the next kernel in every way, right
//! and wrong, enters it, and says on the console what it found. What to do comes by `guest=` on the
//! command line; each stage enters the next one.
//!
//! The files that the next kernel needs are in `/next`, and it gets them again.

mod bench;
mod told;

use std::ffi::CString;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{bail, ensure, Context, Result};
use formats::entry::KexecCall;
use kexec_loader::address::{PhysAddr, Span};
use kexec_loader::errors;
use kexec_loader::errors::Then;
use kexec_loader::layout::Machine;
use kexec_loader::load;
use kexec_loader::load::{LoadError, Part};
use kexec_loader::memory_map::{Kind, MemoryMap, Region};
use kexec_loader::{initrd, running};
use rustix::mount::{mount, MountFlags};
use rustix::system::{reboot, RebootCommand};
use told::{enter, say};

const KERNEL: &str = "/next/kernel";
const INITRAMFS: &str = "/next/initramfs";
const PAYLOAD: &str = "/next/payload";
/// No multiple of a page or of four.
const PAYLOAD_BYTES: usize = (5 << 20) + 123;

fn main() {
    if std::process::id() != 1 {
        eprintln!("this is PID 1 of a test's machine, to be started by a kernel");
        std::process::exit(2);
    }
    if let Err(error) = stage() {
        say(&format!("FAILED: {error:#}"));
    }
    // Returns only if it fails, and then PID 1 ends and the kernel panics: seen from outside.
    let _ = reboot(RebootCommand::PowerOff);
}

fn stage() -> Result<()> {
    for (kind, target) in [
        ("proc", "/proc"),
        ("sysfs", "/sys"),
        ("securityfs", "/sys/kernel/security"),
        ("tmpfs", "/tmp"),
    ] {
        let _ = fs::create_dir(target);
        mount(kind, target, kind, MountFlags::empty(), None)
            .with_context(|| format!("mount {target}"))?;
    }
    let cmdline = fs::read_to_string("/proc/cmdline").context("read the command line")?;
    let word = |start: &str| {
        let mut words = cmdline.split_whitespace();
        words.find_map(|word| word.strip_prefix(start))
    };
    match word("guest=") {
        Some("times") => return bench::times(),
        Some("enter") => return bench::enter(word("guest.way=").unwrap_or_default()),
        _ => report(&cmdline)?,
    }
    match word("guest=") {
        Some("first") => first(),
        Some("older") => enter_older(11, "guest=oldest"),
        Some("oldest") => enter_older(6, "lockdown=integrity guest=locked"),
        Some("locked") => locked(),
        Some("disabled") => disabled(),
        Some("plain") => enter_plainly(),
        Some("end") => Ok(()),
        other => bail!("there is no stage {other:?}"),
    }
}

/// What this kernel was told: its command line, its memory, its payload.
fn report(cmdline: &str) -> Result<()> {
    say(&format!("cmdline {}", cmdline.trim()));
    let machine = running::read()?;
    for region in machine.map.regions() {
        say(&format!("memory {} {:?}", region.span, region.kind));
    }
    if let Some(params) = &machine.hardware.boot_params {
        // But for the size of memory, which is not of the screen.
        say(&format!("screen {:02x?}", &params[4..0x40]));
        say(&format!("loader {:#x}", params[0x210]));
        say(&format!("protocol 2.{:02}", params[0x206]));
    }
    say(&format!(
        "efi {}",
        Path::new("/sys/firmware/efi/efivars").exists()
    ));
    say(&format!(
        "processors {}",
        std::thread::available_parallelism()?
    ));
    if Path::new(PAYLOAD).exists() {
        say(&format!("payload {}", digest(PAYLOAD)?));
    }
    Ok(())
}

fn digest(path: &str) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("read {path}"))?;
    Ok(blake3::hash(&bytes).to_hex().to_string())
}

/// The initrd of the next kernel, as the launcher makes it: archives and files, never copied
/// together.
fn parts(files: &[&str]) -> Result<Vec<Part>> {
    let mut parts = vec![part(INITRAMFS)?];
    for path in files {
        let size = u32::try_from(fs::metadata(path)?.len())?;
        let header = initrd::member(path.trim_start_matches('/'), size).context("a long name")?;
        parts.extend([Part::Bytes(header), part(path)?]);
    }
    parts.push(Part::Bytes(initrd::trailer()));
    Ok(parts)
}

fn part(path: &str) -> Result<Part> {
    let file = File::open(path).with_context(|| format!("open {path}"))?;
    Part::file(&file).with_context(|| format!("map {path}"))
}

fn own_load(kernel: &str, cmdline: &str, machine: &Machine) -> Result<(), LoadError> {
    let kernel = File::open(kernel).map_err(LoadError::Read)?;
    let parts = parts(&[KERNEL, INITRAMFS, PAYLOAD]).expect("the parts are in /next");
    let layout = load::load(&kernel, &parts, cmdline.as_bytes(), machine)?;
    for segment in &layout.segments {
        say(&format!("segment {}", segment.memory));
    }
    Ok(())
}

fn loaded() -> Result<String> {
    let text = fs::read_to_string("/sys/kernel/kexec_loaded").context("read kexec_loaded")?;
    Ok(text.trim().to_owned())
}

/// What must not be loaded, then what is, taken back and loaded again.
fn first() -> Result<()> {
    let mut state = 1_u64;
    let payload: Vec<u8> = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    })
    .take(PAYLOAD_BYTES)
    .collect();
    fs::write(PAYLOAD, payload).context("write a payload")?;
    say(&format!("payload made {}", digest(PAYLOAD)?));

    let machine = running::read()?;
    for (name, damage) in DAMAGES {
        let damaged = "/tmp/damaged";
        fs::copy(KERNEL, damaged)?;
        damage(&File::options().write(true).open(damaged)?)?;
        refused(name, own_load(damaged, "", &machine))?;
    }
    let small = Span::between(PhysAddr(16 << 20), PhysAddr(20 << 20)).context("a span")?;
    let cramped = Machine {
        map: MemoryMap::new(&[Region {
            span: small,
            kind: Kind::Ram,
        }])?,
        ..machine.clone()
    };
    refused("no-room", own_load(KERNEL, "", &cramped))?;
    refused("cmdline", own_load(KERNEL, &"x".repeat(5000), &machine))?;
    // More than half of the memory: the kernel's own limit, of which the loader knows nothing.
    refused("too-much", too_much(&machine))?;

    let next = "console=ttyS0 panic=-1 no_timer_check guest=older";
    own_load(KERNEL, next, &machine)?;
    ensure!(loaded()? == "1", "not loaded");
    load::unload().context("unload")?;
    ensure!(loaded()? == "0", "still loaded");
    load::unload().context("unload what is not loaded")?;
    say("unloaded");
    own_load(KERNEL, next, &machine)?;
    enter()
}

/// Enters this kernel as one of boot protocol 2.`minor`, which cannot say that it has a 64-bit entry.
fn enter_older(minor: u8, next: &str) -> Result<()> {
    let older = "/tmp/older";
    fs::copy(KERNEL, older)?;
    let file = File::options().write(true).open(older)?;
    file.write_all_at(&[minor], 0x206)?;
    file.write_all_at(&[0; 2], 0x236)?;
    let cmdline = format!("console=ttyS0 panic=-1 no_timer_check {next}");
    own_load(older, &cmdline, &running::read()?)?;
    enter()
}

type Damage = fn(&File) -> std::io::Result<()>;

const DAMAGES: [(&str, Damage); 4] = [
    ("no-kernel", |file| file.write_all_at(b"XdrS", 0x202)),
    ("cut-short", |file| file.set_len(1 << 20)),
    ("tiny", |file| file.set_len(0x204)),
    ("init-size", |file| file.write_all_at(&[0xff; 4], 0x260)),
];

fn too_much(machine: &Machine) -> Result<(), LoadError> {
    let ram: u64 = machine.map.ram().map(|span| span.size().0).sum();
    let kernel = File::open(KERNEL).map_err(LoadError::Read)?;
    // Zeros that nobody has touched take no memory: the kernel counts before it copies.
    let part = Part::Bytes(vec![0; ram as usize / 2]);
    load::load(&kernel, &[part], b"", machine).map(|_| ())
}

/// An attempt that must have failed, with nothing loaded.
fn refused(name: &str, attempt: Result<(), LoadError>) -> Result<()> {
    let Err(error) = attempt else {
        bail!("{name} was loaded");
    };
    ensure!(loaded()? == "0", "{name} left something loaded");
    say(&format!("refused {name}: {:#}", anyhow::Error::new(error)));
    Ok(())
}

/// Under lockdown: only files with a good signature are loaded.
fn locked() -> Result<()> {
    say(&format!(
        "lockdown {}",
        fs::read_to_string("/sys/kernel/security/lockdown")?.trim()
    ));
    let machine = running::read()?;
    answered(
        "locked-load",
        KexecCall::KexecLoad,
        Then::Other,
        own_load(KERNEL, "", &machine),
    )?;
    fs::copy(KERNEL, "/tmp/changed")?;
    {
        let changed = File::options()
            .read(true)
            .write(true)
            .open("/tmp/changed")?;
        let mut byte = [0];
        changed.read_exact_at(&mut byte, 1 << 20)?;
        changed.write_all_at(&[byte[0] ^ 1], 1 << 20)?;
    }
    answered(
        "changed-kernel",
        KexecCall::KexecFileLoad,
        Then::Final,
        file_load("/tmp/changed", ""),
    )?;
    file_load(
        KERNEL,
        "console=ttyS0 panic=-1 no_timer_check guest=disabled",
    )?;
    ensure!(loaded()? == "1", "not loaded");
    load::unload().context("unload under lockdown")?;
    ensure!(loaded()? == "0", "still loaded");
    file_load(
        KERNEL,
        "console=ttyS0 panic=-1 no_timer_check guest=disabled",
    )?;
    enter()
}

fn file_load(kernel: &str, cmdline: &str) -> Result<(), LoadError> {
    let [kernel, initramfs] = [kernel, INITRAMFS].map(File::open);
    let cmdline = CString::new(cmdline).expect("a command line");
    load::file_load(
        &kernel.map_err(LoadError::Read)?,
        &initramfs.map_err(LoadError::Read)?,
        &cmdline,
    )
}

/// An attempt that the kernel must have refused, with something to say about it.
fn answered(name: &str, call: KexecCall, then: Then, attempt: Result<(), LoadError>) -> Result<()> {
    let answer = attempt.as_ref().err().and_then(LoadError::answer);
    let explained = answer.and_then(|answer| errors::explain(call, answer));
    let Some(explained) = explained else {
        bail!("{name}: {attempt:?}");
    };
    ensure!(explained.then == then, "{name}: {explained:?}");
    say(&format!("explained {name}: {}", explained.text));
    refused(name, attempt)
}

/// With kexec switched off nothing can be loaded any more.
fn disabled() -> Result<()> {
    // The files of the next kernel are not here: this stage came with the initramfs alone.
    for file in [KERNEL, INITRAMFS, PAYLOAD] {
        fs::create_dir_all("/next")?;
        fs::copy("/init", file)?;
    }
    fs::write("/proc/sys/kernel/kexec_load_disabled", "1")?;
    let attempt = load::file_load(&File::open(KERNEL)?, &File::open(INITRAMFS)?, c"");
    answered(
        "disabled-file-load",
        KexecCall::KexecFileLoad,
        Then::Final,
        attempt,
    )?;
    load::unload().context("unload where nothing is loaded")?;
    say("end");
    Ok(())
}

/// Loads and enters, and nothing else.
fn enter_plainly() -> Result<()> {
    fs::write(PAYLOAD, vec![7; PAYLOAD_BYTES]).context("write a payload")?;
    say(&format!("payload made {}", digest(PAYLOAD)?));
    let machine = running::read()?;
    own_load(
        KERNEL,
        "console=ttyS0 panic=-1 no_timer_check guest=end",
        &machine,
    )?;
    enter()
}
