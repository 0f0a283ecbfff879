//! The two units that start the comparison, and what a run leaves in the new OS for it.
//!
//! systemd.unit(5), systemd.special(7). Neither unit is required by anything, and both have an
//! end in time, so that a boot never fails or hangs with them.

use std::fs;
use std::path::Path;

use anyhow::{ensure, Context, Result};
use formats::confirm::{self, Baseline, HookOutcome};
use formats::hooks::LIMIT_S;
use formats::plan::{KeptPath, Plan};
use formats::Document;

use crate::root::place::{self, at};
use crate::root::run_directory;

/// Where an administrator's units are.
const DIRECTORY: &str = "/etc/systemd/system";
/// Programs that make an OS one with systemd.
const SYSTEMD: [&str; 2] = ["/lib/systemd/systemd", "/usr/lib/systemd/systemd"];

const MACHINE_ID: &str = "/etc/machine-id";

/// How long the comparison may take, in seconds, beside the programs that are called at the first boot.
const COMPARING_S: u64 = 900;

/// A unit: its name, the target that wants it, its text with `@RUN@` for the run's id, and `@LIMIT@` for how
/// long it may take.
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
        name: confirm::UNIT,
        wanted_by: "multi-user.target",
        text: "[Unit]
Description=Compare this machine with what reroot planned
ConditionPathExists=/.reroot/@RUN@/plan.json
Wants=network-online.target
After=network-online.target remote-fs.target ssh.service sshd.service

[Service]
Type=oneshot
ExecStart=/.reroot/@RUN@/confirm confirm /.reroot/@RUN@
TimeoutStartSec=@LIMIT@

[Install]
WantedBy=multi-user.target
",
    },
];

/// Whether a run's id is one: it becomes part of units and of a script.
pub fn is_run_id(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// What a run found that the first boot tells of, or compares with.
#[derive(Default)]
pub struct Left {
    /// Kept paths, measured.
    pub kept: Vec<KeptPath>,
    /// What of the carried files and the overlay was left out.
    pub obstructed: Vec<String>,
    /// What became of the programs that were called.
    pub hooks: Vec<HookOutcome>,
}

/// Leaves the program, the plan, the baseline and the units in the OS at `root`.
pub fn install(root: &Path, plan: &Plan, left: Left) -> Result<()> {
    ensure!(
        SYSTEMD
            .iter()
            .any(|p| at(root, p).symlink_metadata().is_ok()),
        "the new OS has no systemd to start it"
    );
    ensure!(is_run_id(&plan.run), "{:?} is no id of a run", plan.run);
    let gate = place::gate(root, plan)?;
    gate.make_directories(&plan.run_directory())?;
    // Copied, or written from the one that D-Bus kept.
    let names = plan.identity.files.iter().map(|f| &f.path);
    let carried = names
        .chain(&plan.identity.copied)
        .any(|path| path == MACHINE_ID);
    let baseline = Baseline {
        kept: left.kept,
        obstructed: left.obstructed,
        hooks: left.hooks,
        machine_id: fs::read_to_string(at(root, MACHINE_ID))
            .ok()
            .filter(|_| carried)
            .map(|text| text.trim_end().to_owned()),
    };
    let program = fs::read("/proc/self/exe").context("read this program")?;
    for (name, bytes, mode) in [
        (confirm::PROGRAM, &program[..], 0o700),
        ("plan.json", plan.to_json().as_bytes(), 0o600),
        ("kept.json", baseline.to_json().as_bytes(), 0o600),
    ] {
        gate.write(&run_directory::path(plan, name), bytes, mode)?;
    }
    ensure!(
        UNITS
            .iter()
            .all(|unit| !gate.is_kept(&path(unit)) && !gate.is_kept(&link(unit))),
        "{DIRECTORY} is kept, where the units would be written"
    );
    for unit in &UNITS {
        let wants = format!("{DIRECTORY}/{}.wants", unit.wanted_by);
        gate.make_directories(&wants)?;
        let calls = plan.hooks.first_boot.len() as u64 * LIMIT_S;
        let text = unit
            .text
            .replace("@RUN@", &plan.run)
            .replace("@LIMIT@", &(COMPARING_S + calls).to_string());
        gate.write(&path(unit), text.as_bytes(), 0o644)?;
        gate.link(&link(unit), &path(unit))
            .with_context(|| format!("enable {}", unit.name))?;
    }
    Ok(())
}

/// Removes the units; those that are gone already are no failure, and what is kept is left alone.
pub fn uninstall(root: &Path, plan: &Plan) -> Result<()> {
    let gate = place::gate(root, plan)?;
    for unit in &UNITS {
        for path in [link(unit), path(unit)] {
            if !gate.is_kept(&path) {
                gate.remove(&path)?;
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
