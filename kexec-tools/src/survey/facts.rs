//! Reading the machine. Decides nothing: what cannot be read becomes a fact of its own, for the
//! checks to refuse.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use bootpath::grub::one_shot;
use bootpath::uefi::variables;
use formats::accounts::Accounts;
use formats::boot_path::EfiFacts;
use formats::facts::{
    Condition, Facts, Firmware, Kexec, Mount, MountWishes, MountedFilesystem, Root, RootType,
};
use formats::identity::{Home, NewIdentity};
use formats::keep::KeepPath;
use formats::overlay::Overlay;
use machine::bus_masters::{self, BusMaster};
use machine::{condition, consoles, listening, meminfo, os_release, processes, serial_logins};
use plan::filesystems;
use storage::{array, block, devices, mounts};

use crate::run_directory;
use crate::survey::chain::chain;
use crate::survey::mounts::holds_data;
use crate::survey::{accounts, apart, brought, first_process, identity, kept, network, written};

/// Reads everything that plan and checks look at.
pub fn gather(
    keep: &[KeepPath],
    wishes: &MountWishes,
    new: &NewIdentity,
    overlay: Option<Overlay>,
) -> Result<Facts> {
    let accounts = accounts::read();
    let uname = rustix::system::uname();
    let text = |path: &str| fs::read_to_string(path).with_context(|| format!("read {path}"));
    let memory = meminfo::parse(&text("/proc/meminfo")?).context("/proc/meminfo tells no total")?;
    let os = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let mounts = mounts::read().context("read /proc/self/mountinfo")?;
    let processes = processes::all().context("list processes")?;
    let (root, root_unknown) = match bootpath::root::describe() {
        Ok(root) => (Some(root), None),
        Err(e) => (None, Some(chain(&e))),
    };
    let systems = systems(&mounts, keep, wishes);
    let kept_trees = apart::kept(keep, &systems)?;
    let mut condition = condition::read(root.as_ref(), &mounts, &processes, probe_mount);
    condition.mount_wishes.clone_from(wishes);
    kept_trees.note(&mut condition);
    let (network, network_notes) = network::read(&processes).context("read the network")?;
    let efi = efi(root.as_ref(), &mounts).context("look up the root's disk")?;
    let root_drivers = match &root {
        Some(root) => block::by_name(&root.device.replace("/dev/", "").replace('/', "!"))
            .map(|d| block::driver_modules(&d))
            .context("look up the root's drivers")?,
        None => Vec::new(),
    };
    let consoles = consoles::active_names();
    let mut identity = identity::read(keep, new, accounts.as_ref().ok(), &homes(&accounts));
    identity.serial_logins = serial_logins::read(&processes, &consoles);
    let kept_paths = keep.iter().map(KeepPath::as_str);
    // This image itself would be the largest thing in root's home.
    let own = fs::read_link("/proc/self/exe").unwrap_or_default();
    let stays: Vec<&str> = kept_paths
        .chain(identity.copied.iter().map(String::as_str))
        .chain(own.to_str())
        .collect();
    let written =
        apart::written(&stays, &systems).context("look for what is written on this machine")?;
    let (hooks, unfit_hooks) = brought::hooks();
    Ok(Facts {
        overlay,
        hooks,
        unfit_hooks,
        hostname: uname.nodename().to_string_lossy().into_owned(),
        architecture: uname.machine().to_string_lossy().into_owned(),
        kernel: uname.release().to_string_lossy().into_owned(),
        os: os_release::parse(&os),
        init: first_process::init_system()?,
        firmware: if variables::started_it() {
            Firmware::Uefi
        } else {
            Firmware::Bios
        },
        container: container(),
        memory,
        cmdline: text("/proc/cmdline")?.trim().to_owned(),
        consoles,
        kexec: kexec(),
        boot_entry: boot_entry(root.as_ref(), &efi),
        efi,
        ptrace: first_process::ptrace(),
        root,
        root_unknown,
        mounts: other_mounts(&mounts),
        filesystems: apart_filesystems(&mounts, &condition),
        swaps: swaps(&text("/proc/swaps")?),
        kept: kept_trees.kept,
        gateways: network::probe_gateways(&network),
        network,
        network_notes,
        identity,
        written,
        accounts,
        arrays: array::all().context("list the arrays")?,
        root_drivers,
        watchdogs: watchdogs(),
        image_on: image_on(&mounts, &systems)?,
        listening: listening::read().map_err(|e| chain(&e)),
        other_run: run_directory::in_progress(),
        condition,
    })
}

/// Reads again what may be different by now, cheaply: not the kept trees, not the network.
pub fn refresh(facts: &mut Facts) -> Result<()> {
    let mounts = mounts::read().context("read /proc/self/mountinfo")?;
    let processes = processes::all().context("list processes")?;
    let text = fs::read_to_string("/proc/meminfo").context("read /proc/meminfo")?;
    facts.memory = meminfo::parse(&text).context("/proc/meminfo tells no total")?;
    facts.mounts = other_mounts(&mounts);
    let systems: Vec<String> = filesystems::systems_of(facts)
        .into_iter()
        .map(|system| system.target.clone())
        .collect();
    facts.written.open = written::open(&processes, &mounts, &systems);
    facts.watchdogs = watchdogs();
    (facts.root, facts.root_unknown) = match bootpath::root::describe() {
        Ok(root) => (Some(root), None),
        Err(e) => (None, Some(chain(&e))),
    };
    facts.efi = efi(facts.root.as_ref(), &mounts).context("look up the root's disk")?;
    let before = std::mem::take(&mut facts.condition);
    facts.condition = condition::read(facts.root.as_ref(), &mounts, &processes, probe_mount);
    kept::take_over(&mut facts.condition, before);
    facts.filesystems = apart_filesystems(&mounts, &facts.condition);
    Ok(())
}

/// This program again, to probe one mount.
fn probe_mount(target: &Path) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg("ask-mount").arg(target);
    command
}

/// Where people's own files are: homes that may not be kept, but whose keys come along.
fn homes(accounts: &Result<Accounts, String>) -> Vec<Home> {
    let Ok(accounts) = accounts else {
        return Vec::new();
    };
    let (first, last) = accounts.ranges.users;
    let people = accounts.users.iter();
    people
        .filter(|user| (first..=last).contains(&user.uid) || user.password)
        .map(|user| Home {
            path: user.home.clone(),
            uid: user.uid,
            gid: user.gid,
        })
        .collect()
}

fn container() -> Option<String> {
    let environment = fs::read("/proc/1/environ").unwrap_or_default();
    let told = environment
        .split(|&b| b == 0)
        .find_map(|v| v.strip_prefix(b"container="))
        .map(|v| String::from_utf8_lossy(v).into_owned());
    let openvz = Path::new("/proc/vz").exists() && !Path::new("/proc/bc").exists();
    told.or_else(|| {
        Path::new("/.dockerenv")
            .exists()
            .then(|| "docker".to_owned())
    })
    .or_else(|| openvz.then(|| "openvz".to_owned()))
}

fn kexec() -> Kexec {
    let disabled = fs::read_to_string("/proc/sys/kernel/kexec_load_disabled");
    // The mode in force stands in brackets: `none [integrity] confidentiality`.
    let lockdown = fs::read_to_string("/sys/kernel/security/lockdown")
        .ok()
        .and_then(|text| {
            let mode = text.split('[').nth(1)?.split(']').next()?.to_owned();
            (mode != "none").then_some(mode)
        });
    Kexec {
        load: syscalls::kexec::load_exists(),
        file_load: syscalls::kexec::file_load_exists(),
        disabled: disabled.is_ok_and(|t| t.trim() != "0"),
        lockdown,
        unstoppable: bus_masters::find(Path::new("/sys"))
            .into_iter()
            .filter(BusMaster::is_bound_for_good)
            .map(|master| master.name)
            .collect(),
    }
}

/// Only the GRUB that is started from the root's own disk is known to read the root's grub.cfg.
fn boot_entry(root: Option<&Root>, efi: &EfiFacts) -> Result<(), String> {
    let root = root.ok_or("the root is not one that can be reinstalled")?;
    if root.identity.array.is_some() {
        return Err("GRUB cannot write to a mirror, so that what it starts once it would start again and again".to_owned());
    }
    if efi.bits.is_none() && !root.grub_on_disk {
        return Err(format!(
            "{} does not start a GRUB 2 that lies before its first partition or in its BIOS boot partition",
            root.disk
        ));
    }
    if root.identity.subvolume.is_some() {
        return Err("GRUB writes nothing to Btrfs, so that it would start the RAM environment again and again".to_owned());
    }
    if root.identity.logical.is_some() {
        return Err(
            "GRUB writes nothing to a logical volume, so that it would start the RAM environment again and again"
                .to_owned(),
        );
    }
    one_shot::find(Path::new("/"))
        .map(|_| ())
        .map_err(|e| chain(&e))
}

/// How UEFI starts the root's disk.
fn efi(root: Option<&Root>, mounts: &[mounts::Mount]) -> std::io::Result<EfiFacts> {
    let Some(root) = root else {
        return Ok(EfiFacts::default());
    };
    let copies = root.copies.iter().map(|copy| &copy.disk);
    let disks: Vec<_> = std::iter::once(&root.disk).chain(copies).collect();
    let by_node = |node: &&String| block::by_name(&node.replace("/dev/", "").replace('/', "!"));
    let devices = disks
        .iter()
        .map(by_node)
        .collect::<std::io::Result<Vec<_>>>()?;
    let device = |mount: &mounts::Mount| block::by_number(mount.device.0, mount.device.1).ok();
    let on_disk = |mount: &&mounts::Mount| {
        let is_own = |d: block::BlockDevice| disks.iter().any(|disk| d.is_on(Path::new(disk)));
        mount.fstype == "vfat" && device(mount).is_some_and(is_own)
    };
    let mounted = mounts.iter().filter(on_disk);
    let mounted: Vec<_> = mounted.map(|mount| mount.target.clone()).collect();
    let boot = mounts::at(mounts, Path::new("/boot"))
        .and_then(device)
        .and_then(|device| devices::on(&device.node())?.uuid);
    let uuids: Vec<_> = [root.identity.fs_uuid.clone()]
        .into_iter()
        .chain(boot)
        .collect();
    bootpath::uefi::survey::read(&devices, &mounted, &uuids)
}

/// Mounted filesystems that hold somebody's data, other than the root: those that a run
/// unmounts.
fn other_mounts(mounts: &[mounts::Mount]) -> Vec<Mount> {
    let root = mounts::at(mounts, Path::new("/"));
    let device = root.map(|m| m.device);
    mounts
        .iter()
        .filter(|m| holds_data(m, device))
        .map(|m| Mount {
            target: m.target.display().to_string(),
            source: m.source.to_string_lossy().into_owned(),
            fstype: m.fstype.clone(),
            bind_of_root: root.is_some_and(|root| m.shows_part_of(root)),
            upper: m.upper.as_ref().map(|p| p.display().to_string()),
            backing_file: backing_file(m.device),
        })
        .collect()
}

/// The file behind a loop device.
fn backing_file((major, minor): (u32, u32)) -> Option<String> {
    let path = format!("/sys/dev/block/{major}:{minor}/loop/backing_file");
    Some(fs::read_to_string(path).ok()?.trim_end().to_owned())
}

/// Watchdogs that reset the machine unless somebody keeps them from it. Drivers that do not tell
/// their state are taken as quiet.
fn watchdogs() -> Vec<String> {
    let Ok(entries) = fs::read_dir("/sys/class/watchdog") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter(|e| fs::read_to_string(e.path().join("state")).is_ok_and(|t| t.trim() == "active"))
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .collect()
}

/// The mount that this program runs from, if it is one that must be unmounted.
fn image_on(mounts: &[mounts::Mount], systems: &[String]) -> Result<Option<String>> {
    let device = fs::metadata("/proc/self/exe")
        .context("look at the running image")?
        .dev();
    let device = (rustix::fs::major(device), rustix::fs::minor(device));
    let root = mounts::at(mounts, Path::new("/"));
    let on_root = |m: &mounts::Mount| root.is_some_and(|root| m.shows_part_of(root));
    // A subvolume has a number of its own, which no mount shows: there the path has to tell.
    let by_path = fs::read_link("/proc/self/exe")
        .ok()
        .and_then(|path| Some(mounts::containing(mounts, &path)?.id));
    let has_image = |m: &mounts::Mount| m.device == device || Some(m.id) == by_path;
    Ok(mounts
        .iter()
        .filter(|m| has_image(m) && !on_root(m) && holds_data(m, root.map(|root| root.device)))
        .map(|m| m.target.display().to_string())
        .find(|target| !systems.contains(target)))
}

/// Filesystems beside the root, but for what can only be asked of those that answer.
fn apart_filesystems(mounts: &[mounts::Mount], condition: &Condition) -> Vec<MountedFilesystem> {
    let silent = &condition.silent_mounts;
    let is_silent = |mount: &mounts::Mount| silent.iter().any(|s| Path::new(s) == mount.target);
    storage::apart::describe(mounts, |mount| !is_silent(mount))
}

/// Where filesystems are mounted that are wiped as the root is, as far as their types allow it.
fn systems(mounts: &[mounts::Mount], keep: &[KeepPath], wishes: &MountWishes) -> Vec<String> {
    let root = mounts::at(mounts, Path::new("/"));
    let kept: Vec<&str> = keep.iter().map(KeepPath::as_str).collect();
    let of_root = |m: &mounts::Mount| root.is_some_and(|root| m.shows_part_of(root));
    let could = mounts
        .iter()
        .filter(|m| !of_root(m) && RootType::of(&m.fstype).is_some());
    filesystems::systems(could.filter_map(|m| m.target.to_str()), &kept, wishes)
}

/// The first word of every line of /proc/swaps behind the heading.
fn swaps(text: &str) -> Vec<String> {
    text.lines()
        .skip(1)
        .filter_map(|l| Some(l.split_whitespace().next()?.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey::checks::{self, check::Context};
    use crate::survey::plain_machine::{image, machine, SIZES};
    use plan::choices::Choices;

    #[test]
    fn an_old_os_spread_over_a_filesystem_without_a_device_is_seen() {
        let text =
            b"22 1 253:1 / / rw - ext4 /dev/vda1 rw\n25 22 0:50 / /var rw - zfs tank/var rw\n";
        let found = other_mounts(&mounts::parse(text));
        assert_eq!(found.len(), 1);
        assert_eq!((&*found[0].target, &*found[0].source), ("/var", "tank/var"));
        let facts = Facts {
            mounts: found,
            ..machine()
        };
        let refusing = checks::ask_all(&Context {
            facts: &facts,
            manifest: &image(),
            sizes: SIZES,
            choices: &Choices::default(),
            forced: &[],
        });
        let codes = refusing.iter().filter(|f| f.refuses()).map(|f| &*f.code);
        assert_eq!(codes.collect::<Vec<_>>(), ["separate-mounts"]);
    }

    #[test]
    fn swap_areas_are_listed_without_the_heading() {
        let text = "Filename\tType\tSize\n/swapfile file 1 0 -2\n/dev/sda2 partition 1 0 -3\n";
        assert_eq!(swaps(text), ["/swapfile", "/dev/sda2"]);
        assert!(swaps("Filename\n").is_empty());
    }
}
