//! The two units that start the comparison, and what a run leaves in the new OS for it.
//!
//! systemd.unit(5), systemd.special(7). Neither unit is required by anything, and both have an
//! end in time, so that a boot never fails or hangs with them.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{ensure, Context, Result};
use formats::confirm::Baseline;
use formats::plan::{KeptPath, Plan};
use formats::Document;

use crate::root::place::at;
use crate::root::remove;
use crate::root::replace::{replace, replace_with_link};

/// Where an administrator's units are.
const DIRECTORY: &str = "/etc/systemd/system";
/// Programs that make an OS one with systemd.
const SYSTEMD: [&str; 2] = ["/lib/systemd/systemd", "/usr/lib/systemd/systemd"];

const MACHINE_ID: &str = "/etc/machine-id";

/// A unit: its name, the target that wants it, its text with `@RUN@` for the run's id.
struct Unit {
    name: &'static str,
    wanted_by: &'static str,
    text: &'static str,
}

/// The kept paths are measured when the root is writable and before other local filesystems are
/// mounted, which would hide what is below them. The services named after that write to /var and
/// /etc before sysinit.target without ordering themselves after any mount.
const UNITS: [Unit; 2] = [
    Unit {
        name: "reroot-confirm-kept.service",
        wanted_by: "sysinit.target",
        text: "[Unit]
Description=Measure what reroot kept
ConditionPathExists=/.reroot/@RUN@/plan.json
DefaultDependencies=no
Conflicts=shutdown.target
Wants=local-fs-pre.target
After=systemd-remount-fs.service
Before=local-fs-pre.target local-fs.target sysinit.target shutdown.target
Before=systemd-tmpfiles-setup.service systemd-sysusers.service
Before=systemd-journal-flush.service systemd-random-seed.service
Before=systemd-update-utmp.service systemd-machine-id-commit.service
Before=systemd-firstboot.service systemd-hwdb-update.service
Before=systemd-journal-catalog-update.service ldconfig.service

[Service]
Type=oneshot
ExecStart=/.reroot/@RUN@/confirm confirm kept /.reroot/@RUN@
TimeoutStartSec=180

[Install]
WantedBy=sysinit.target
",
    },
    Unit {
        name: "reroot-confirm.service",
        wanted_by: "multi-user.target",
        text: "[Unit]
Description=Compare this machine with what reroot planned
ConditionPathExists=/.reroot/@RUN@/plan.json
Wants=network-online.target
After=network-online.target remote-fs.target ssh.service sshd.service

[Service]
Type=oneshot
ExecStart=/.reroot/@RUN@/confirm confirm /.reroot/@RUN@
TimeoutStartSec=600

[Install]
WantedBy=multi-user.target
",
    },
];

/// Whether a run's id is one: it becomes part of units and of a script.
pub fn is_run_id(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// Whether a path is one that is kept, or below one: never written to.
pub fn is_kept(plan: &Plan, path: &str) -> bool {
    plan.keep
        .iter()
        .any(|k| Path::new(path).starts_with(k.path.as_str()))
}

/// Leaves the program, the plan, the baseline and the units in the OS at `root`.
pub fn install(root: &Path, plan: &Plan, kept: Vec<KeptPath>) -> Result<()> {
    ensure!(
        SYSTEMD
            .iter()
            .any(|p| at(root, p).symlink_metadata().is_ok()),
        "the new OS has no systemd to start it"
    );
    ensure!(is_run_id(&plan.run), "{:?} is no id of a run", plan.run);
    let run = real_directory(root, &plan.run_directory())?;
    // Copied, or written from the one that D-Bus kept.
    let names = plan.identity.files.iter().map(|f| &f.path);
    let carried = names
        .chain(&plan.identity.copied)
        .any(|path| path == MACHINE_ID);
    let baseline = Baseline {
        kept,
        machine_id: fs::read_to_string(at(root, MACHINE_ID))
            .ok()
            .filter(|_| carried)
            .map(|text| text.trim_end().to_owned()),
    };
    let program = fs::read("/proc/self/exe").context("read this program")?;
    replace(&run.join("confirm"), &program, 0o700)?;
    replace(&run.join("plan.json"), plan.to_json().as_bytes(), 0o600)?;
    replace(&run.join("kept.json"), baseline.to_json().as_bytes(), 0o600)?;
    ensure!(
        UNITS
            .iter()
            .all(|unit| !is_kept(plan, &path(unit)) && !is_kept(plan, &link(unit))),
        "{DIRECTORY} is kept, where the units would be written"
    );
    for unit in &UNITS {
        let wants = format!("{DIRECTORY}/{}.wants", unit.wanted_by);
        real_directory(root, &wants)?;
        let text = unit.text.replace("@RUN@", &plan.run);
        replace(&at(root, &path(unit)), text.as_bytes(), 0o644)?;
        replace_with_link(&at(root, &link(unit)), path(unit))
            .with_context(|| format!("enable {}", unit.name))?;
    }
    Ok(())
}

/// Removes the units; those that are gone already are no failure, and what is kept is left alone.
pub fn uninstall(root: &Path, plan: &Plan) -> Result<()> {
    for unit in &UNITS {
        for path in [link(unit), path(unit)] {
            if !is_kept(plan, &path) {
                remove_file(&at(root, &path))?;
            }
        }
    }
    Ok(())
}

fn path(unit: &Unit) -> String {
    format!("{DIRECTORY}/{}", unit.name)
}

fn link(unit: &Unit) -> String {
    format!("{DIRECTORY}/{}.wants/{}", unit.wanted_by, unit.name)
}

/// Makes a directory where there is none. None of its parents may be a link: from the RAM
/// environment it could lead out of the new OS.
fn real_directory(root: &Path, path: &str) -> Result<PathBuf> {
    let mut here = root.to_owned();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        here.push(part);
        match fs::symlink_metadata(&here) {
            Ok(found) => ensure!(found.is_dir(), "{} is no directory", here.display()),
            Err(e) if e.kind() == ErrorKind::NotFound => {
                fs::create_dir(&here).with_context(|| format!("make {}", here.display()))?;
            }
            Err(e) => return Err(e).with_context(|| format!("look at {}", here.display())),
        }
    }
    Ok(here)
}

fn remove_file(path: &Path) -> Result<()> {
    match remove::file(path) {
        // Nor is it there where what should hold it is no directory.
        Err(e) if e.kind() == ErrorKind::NotADirectory => Ok(()),
        other => other.with_context(|| format!("remove {}", path.display())),
    }
}
