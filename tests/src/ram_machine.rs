//! A bare machine: an image's kernel and initramfs, booted by QEMU itself, with no old OS around.
//! It is up in seconds, and its hardware can be made to fail in ways that a server's cannot.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{bail, Context, Result};
use formats::entry::Entry;
use formats::plan::Amount;
use formats::steps::{Mode, Step};
use formats::trailer::PartKind;
use plan::steps::{steps, Circumstances, HookCounts};
use serde_json::{json, Value};
use tempfile::TempDir;

use crate::accelerator::{accelerator, PROCESSOR};
use crate::command::{explain, last_lines};
use crate::crafted::trailer_of;
use crate::disk::Disk;
use crate::lock::{self, Lock};
use crate::old_server::{old_server, ROOT_UUID};
use crate::qmp::Qmp;
use crate::vm;

/// A running bare machine.
#[derive(Debug)]
pub struct Bare {
    process: Child,
    qmp: Qmp,
    directory: TempDir,
    /// Of the socket alone: its path has room for 107 bytes, and a checkout may lie deep.
    _socket: TempDir,
    _slot: Lock,
}

/// The steps of a rehearsal, whose deadlines a test may shorten.
pub fn rehearsal_steps() -> Vec<Step> {
    let nothing = Amount {
        entries: 0,
        bytes: 0,
    };
    steps(Circumstances {
        mode: Mode::Rehearse,
        entry: Entry::Kexec,
        load_before_stop: true,
        kept: nothing,
        wiped: nothing,
        unpacked: nothing,
        hooks: HookCounts::default(),
    })
}

impl Bare {
    /// Boots the image's RAM environment with a plan of these steps, further words on the kernel's
    /// command line and further options of QEMU. `before` is told to QEMU before the first
    /// instruction.
    pub fn boot(
        image: &Path,
        name: &str,
        steps: &[Step],
        cmdline: &str,
        options: &[String],
        before: &[(&str, Value)],
    ) -> Result<Bare> {
        let accelerator = accelerator(&old_server()?.kernel)?;
        let directory = vm::directory(name)?;
        let slot = lock::machine_slot()?;
        let at = |name: &str| directory.path().join(name);
        let socket = tempfile::tempdir().context("create a directory for a socket")?;
        let qmp = socket.path().join("qmp");
        make_parts(image, steps, &at("kernel"), &at("initrd"))?;
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "qemu-system-x86_64", "-nodefaults"])
            .args(["-machine", "pc", "-cpu", PROCESSOR, "-m", "512"])
            .args(["-display", "none"])
            .args(accelerator.options())
            .arg("-kernel")
            .arg(at("kernel"))
            .arg("-initrd")
            .arg(at("initrd"))
            .arg("-append")
            .arg(format!(
                "rootfstype=ramfs console=ttyS0,115200 loglevel=4 {cmdline}"
            ))
            .arg("-serial")
            .arg(format!("file:{}", at("console.log").display()))
            // The first reset is the end: what it leads to is the firmware's affair.
            .args(["-S", "-action", "reboot=shutdown", "-qmp"])
            .arg(format!("unix:{},server=on,wait=off", qmp.display()))
            .args(options)
            .stdin(Stdio::null());
        let log = fs::File::create(at("qemu.log")).context("create QEMU's log")?;
        command.stdout(log.try_clone()?).stderr(log);
        let process = command.spawn().map_err(|error| explain(&command, error))?;
        let qmp = Qmp::connect(&qmp)
            .with_context(|| fs::read_to_string(at("qemu.log")).unwrap_or_default())?;
        let mut machine = Bare {
            process,
            qmp,
            directory,
            _socket: socket,
            _slot: slot,
        };
        for (command, arguments) in before {
            machine.qmp.execute(command, arguments)?;
        }
        machine.qmp.execute("cont", &json!({}))?;
        Ok(machine)
    }

    /// QEMU's control socket.
    pub fn qmp(&mut self) -> &mut Qmp {
        &mut self.qmp
    }

    /// Everything the serial console has shown.
    pub fn console(&self) -> String {
        let bytes = fs::read(self.directory.path().join("console.log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).replace('\r', "")
    }

    /// Waits for a console line that contains `pattern`.
    pub fn wait_for_line(&mut self, pattern: &str, limit: Duration) -> Result<String> {
        let deadline = Instant::now() + limit;
        loop {
            let console = self.console();
            if let Some(line) = console.lines().find(|line| line.contains(pattern)) {
                return Ok(line.to_owned());
            }
            if let Some(status) = self.process.try_wait().context("ask after QEMU")? {
                bail!("QEMU ended: {status}\n{}", last_lines(&console, 40));
            }
            if Instant::now() > deadline {
                bail!("no `{pattern}`\n{}", last_lines(&console, 40));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        // Already ended is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("{}", last_lines(&self.console(), 60));
        }
    }
}

/// Takes kernel and initramfs out of the image, and adds what the launcher would add.
fn make_parts(image: &Path, steps: &[Step], kernel: &Path, initrd: &Path) -> Result<()> {
    let bytes = fs::read(image).with_context(|| format!("read {}", image.display()))?;
    let trailer = trailer_of(&bytes)?;
    let part = |kind: PartKind| {
        let part = trailer.part(kind);
        &bytes[part.offset as usize..(part.offset + part.length) as usize]
    };
    fs::write(kernel, part(PartKind::Kernel)).context("write the kernel")?;
    let digest = formats::Digest::of(part(PartKind::Manifest));
    let mut archive = part(PartKind::Initramfs).to_vec();
    archive.resize(archive.len().next_multiple_of(4), 0);
    let plan = plan(&digest.to_string(), steps);
    entry(&mut archive, "reroot", 0o040_700, b"");
    entry(&mut archive, "reroot/plan.json", 0o100_400, plan.as_bytes());
    entry(
        &mut archive,
        "reroot/manifest.json",
        0o100_400,
        part(PartKind::Manifest),
    );
    entry(&mut archive, "TRAILER!!!", 0, b"");
    fs::write(initrd, archive).context("write the initrd")
}

fn plan(manifest_digest: &str, steps: &[Step]) -> String {
    let os = json!({"id": "debian", "version_id": "", "pretty_name": "Debian"});
    let nothing = json!({"entries": 0, "bytes": 0});
    json!({
        "kind": "reroot-plan", "version": 1, "run": "20260102T030405Z-0a1b", "mode": "rehearse",
        "hostname": "bare", "image": "trixie", "manifest_digest": manifest_digest,
        "old_os": os, "new_os": os,
        "entry": {"entry": "kexec", "call": null, "reason": ""},
        "firmware": "bios", "payload_at": "disk", "payload_reason": "",
        "root": {"fs_uuid": ROOT_UUID, "disk_signature": 0x7265_726f, "partition": 1,
            "start": 2048, "sectors": ((4_u64 << 30) - (1 << 20)) / 512},
        "root_device": "", "disk": "", "disk_by_id": null, "keep": [],
        "wiped": nothing, "unpacked": nothing,
        "network": {
            "network": {"links": [], "routes": [], "rules": [], "unsaid": [],
                "dns": {"servers": [], "search": [], "options": [], "read_from": []}},
            "gateways": [], "drivers": [], "dialect": "networkd", "proved": false, "left": [],
            "written": {"files": [], "removed": [], "renamed": [], "notes": []}},
        "accounts": {"users": [], "groups": [], "left": [], "notes": []},
        "identity": {"hostname": "", "copied": [], "private": [], "files": [], "fstab": [],
            "mounts": [], "host_keys": [], "left": [], "notes": []},
        "left_alone": [], "hardware_parameters": [], "cmdline": "", "warnings": [],
        "steps": steps,
    })
    .to_string()
}

/// Appends a member to a newc archive.
fn entry(archive: &mut Vec<u8>, name: &str, mode: u32, content: &[u8]) {
    let links = if mode & 0o040_000 == 0 { 1 } else { 2 };
    let fields = [0, mode, 0, 0, links, 0, content.len() as u32, 0, 0, 0, 0];
    archive.extend_from_slice(b"070701");
    for field in fields.into_iter().chain([name.len() as u32 + 1, 0]) {
        archive.extend_from_slice(format!("{field:08x}").as_bytes());
    }
    archive.extend_from_slice(name.as_bytes());
    archive.push(0);
    archive.resize(archive.len().next_multiple_of(4), 0);
    archive.extend_from_slice(content);
    archive.resize(archive.len().next_multiple_of(4), 0);
}

/// A disk of the old server, as options of QEMU, and what makes all of its accesses hang but the
/// first: it lets a byte a second through.
pub fn hanging_disk(at: &Path) -> Result<(Vec<String>, (&'static str, Value))> {
    let disk = Disk::over(&old_server()?.disk, at)?;
    let drive = format!(
        "file={},if=none,id=root,format=qcow2",
        disk.path().display()
    );
    let options = ["-drive", &drive, "-device", "virtio-blk-pci,drive=root"];
    let throttle = json!({
        "device": "root", "bps": 1, "bps_rd": 0, "bps_wr": 0, "iops": 0, "iops_rd": 0, "iops_wr": 0,
    });
    Ok((
        options.map(str::to_owned).to_vec(),
        ("block_set_io_throttle", throttle),
    ))
}
