//! The two units that start the comparison, and what a run leaves in the new OS for it.
//!
//! systemd.unit(5), systemd.special(7). Neither unit is required by anything, and both have an
//! end in time, so that a boot never fails or hangs with them.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{ensure, Context, Result};
use formats::confirm::{self, Baseline};
use formats::keep::is_below;
use formats::plan::{KeptPath, Plan};
use formats::Document;

use crate::root::place::{self, at};
use crate::root::run_directory;

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
After=systemd-remount-fs.service
@MOUNTS@
Before=local-fs.target sysinit.target shutdown.target
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
TimeoutStartSec=900

[Install]
WantedBy=multi-user.target
",
    },
];

/// Whether a run's id is one: it becomes part of units and of a script.
pub fn is_run_id(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
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
    let gate = place::gate(root, plan)?;
    gate.make_directories(&plan.run_directory())?;
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
        let text = unit.text.replace("@RUN@", &plan.run);
        let text = text.replace("@MOUNTS@", &between_mounts(plan));
        gate.write(&path(unit), text.as_bytes(), 0o644)?;
        gate.link(&link(unit), &path(unit))
            .with_context(|| format!("enable {}", unit.name))?;
    }
    Ok(())
}

/// Between which mounts the kept paths are measured: behind those of filesystems that were wiped with the root, if
/// anything is kept on them, and before all that would hide what is below a kept path.
fn between_mounts(plan: &Plan) -> String {
    let with_kept: Vec<&str> = plan
        .systems()
        .map(|(target, _)| target)
        .filter(|target| !plan.kept_on(target).is_empty())
        .collect();
    if with_kept.is_empty() {
        return "Wants=local-fs-pre.target\nBefore=local-fs-pre.target".to_owned();
    }
    let is_system = |target: &str| plan.systems().any(|(system, _)| system == target);
    let hides = |target: &str| {
        plan.keep
            .iter()
            .any(|kept| is_below(target, kept.path.as_str()))
    };
    let mounts = plan
        .identity
        .mounts
        .iter()
        .map(|mount| mount.target.as_str());
    let hiding = mounts.filter(|target| !is_system(target) && hides(target));
    let mut text: Vec<String> = with_kept.into_iter().map(quoted).collect();
    text[0].insert_str(0, "RequiresMountsFor=");
    let mut text = text.join(" ");
    for target in hiding {
        text.push_str("\nBefore=");
        text.push_str(&unit_of_mount(target));
    }
    text
}

/// A path in a list of a unit's, in quotes, with nothing in it that systemd would put something in place of.
fn quoted(path: &str) -> String {
    let plain = path.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", plain.replace('%', "%%"))
}

/// The unit that systemd makes of a line of fstab: `systemd-escape --path --suffix=mount`.
fn unit_of_mount(target: &str) -> String {
    let mut name = String::new();
    for (at, byte) in target.trim_matches('/').bytes().enumerate() {
        match byte {
            b'/' => name.push('-'),
            b'.' if at == 0 => name.push_str("\\x2e"),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b':' | b'_' | b'.' => name.push(byte as char),
            other => {
                // Text takes whatever is written to it.
                let _ = write!(name, "\\x{other:02x}");
            }
        }
    }
    // In a unit `%` begins what is put in its place; here none is left.
    format!("{name}.mount")
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

#[cfg(test)]
mod tests {
    use formats::keep::KeepPath;
    use formats::plan::{Becomes, FilesystemPlan};

    use super::*;

    #[test]
    fn kept_paths_are_measured_where_they_are_mounted_and_before_anything_hides_them() {
        let mut plan = fixtures::plan::plan();
        assert_eq!(
            between_mounts(&plan),
            "Wants=local-fs-pre.target\nBefore=local-fs-pre.target"
        );
        for target in ["/opt", "/var"] {
            plan.filesystems.push(FilesystemPlan {
                target: target.to_owned(),
                device: String::new(),
                becomes: Becomes::System,
                rule: String::new(),
                identity: Some(plan.root.clone()),
            });
        }
        plan.keep.truncate(1);
        plan.keep[0].path = KeepPath::parse("/var/lib/mysql").unwrap();
        for (mount, target) in
            plan.identity
                .mounts
                .iter_mut()
                .zip(["/var", "/var/lib/mysql/a-b c", "/srv"])
        {
            target.clone_into(&mut mount.target);
        }
        let found = between_mounts(&plan);
        let expected = "RequiresMountsFor=\"/var\"";
        assert!(found.starts_with(expected), "{found}");
        assert!(
            !found.contains("/opt") && !found.contains("srv.mount"),
            "{found}"
        );
        let hidden = "Before=var-lib-mysql-a\\x2db\\x20c.mount";
        assert!(found.contains(hidden), "{found}");
    }
}
