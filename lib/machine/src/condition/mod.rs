//! The condition that a machine is in: thin readers around pure parsers, a file a subject.
//! Decides nothing; what cannot be read is as if it were not there, unless the facts have a word
//! for it.

mod exports;
mod hypervisor;
mod packages;
mod stuck;
mod xen;

pub(crate) use stuck::{family, is_session};

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use formats::facts::{Bind, Condition, MountWishes, Root, Subvolume, WipedTargets};
use formats::measure::Occupied;

use crate::answers;
use crate::processes::Process;
use bootpath::{other_loader, other_systems, secure_boot, started};
use storage::mounts::Mount;
use storage::subvolumes;
use storage::superblock::{self, Superblock};
use storage::{block, edd, gpt, mbr, mounts};
use storage::{disk_health, layers, swaps};

/// Reads it. `probe` makes the command that probes one mount, [`answers::probe`].
pub fn read(
    root: Option<&Root>,
    mounts: &[Mount],
    processes: &[Process],
    probe: impl Fn(&Path) -> Command,
) -> Condition {
    let swaps = swaps::parse(&fs::read_to_string("/proc/swaps").unwrap_or_default());
    let areas: Vec<_> = swaps
        .iter()
        .filter(|s| !s.file)
        .map(|s| s.path.clone())
        .collect();
    let crash = fs::read_to_string("/sys/kernel/kexec_crash_loaded").unwrap_or_default();
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let head = root.and_then(|root| head(&root.disk));
    let superblock = root.and_then(|root| superblock::read(Path::new(&root.device)).ok()?);
    let secure_boot = secure_boot::read();
    Condition {
        xen: xen::read(),
        hypervisor: hypervisor::read(),
        secure_boot: secure_boot.clone().unwrap_or_default(),
        secure_boot_unread: secure_boot.err(),
        crash_kernel: crash.trim() == "1",
        clock: now.map_or(0, |d| d.as_secs()),
        root_read_only: mounts::at(mounts, Path::new("/")).is_some_and(|m| !m.writable),
        root_features: match &superblock {
            Some(Superblock::Ext(found)) => Some(found.features),
            _ => None,
        },
        root_xfs: match &superblock {
            Some(Superblock::Xfs(found)) => Some(found.features),
            _ => None,
        },
        root_btrfs: match &superblock {
            Some(Superblock::Btrfs(found)) => subvolumes::read(Path::new("/"), found, mounts).ok(),
            _ => None,
        },
        root_journal_elsewhere: superblock.is_some_and(|s| s.journal_elsewhere()),
        disks: disk_health::read(&root_disks(root)),
        started: started::read(
            root.and_then(|root| boot_on(&root.disk, mounts)),
            root.and_then(|root| root.identity.subvolume.as_ref())
                .map_or("", Subvolume::prefix),
        ),
        other_loader: head
            .as_deref()
            .and_then(|head| other_loader::name(head, active_sector(root, head).as_deref())),
        firmware_reach: root.and_then(|root| {
            // Whichever of a mirror's disks it starts.
            let signatures = root.identity.disk_signatures().into_iter();
            signatures.filter_map(edd::reach).min()
        }),
        exports: exports::read(Path::new("/")),
        packages: packages::signs(Path::new("/"), processes),
        stuck: stuck::stuck(),
        sessions: mounts::at(mounts, Path::new("/"))
            .map(|root| stuck::sessions(processes, root.device))
            .unwrap_or_default(),
        silent_mounts: answers::silent(&answers::to_probe(mounts), probe),
        // Of the operator, who tells the launcher.
        mount_wishes: MountWishes::default(),
        layers: layers::read(mounts, &areas),
        root_place: layers::root(mounts),
        other_systems: other_systems::read(Path::new("/")),
        swaps,
        binds: binds(mounts),
        // What the kept trees tell, their reader adds.
        outside_links: None,
        wiped_targets: WipedTargets::default(),
        spared: Occupied::default(),
    }
}

/// Every disk that has the root.
fn root_disks(root: Option<&Root>) -> Vec<&str> {
    let disks = root.map(|root| {
        let copies = root.copies.iter().map(|copy| copy.disk.as_str());
        std::iter::once(root.disk.as_str()).chain(copies)
    });
    disks.into_iter().flatten().collect()
}

/// Where /boot is, if it is a partition of this disk.
fn boot_on<'a>(disk: &str, mounts: &'a [Mount]) -> Option<&'a Path> {
    let boot = mounts::at(mounts, Path::new("/boot"))?;
    let device = block::by_number(boot.device.0, boot.device.1).ok()?;
    device
        .is_on(Path::new(disk))
        .then_some(boot.target.as_path())
}

/// The first bytes of a disk: record, and GUID partition table.
fn head(node: &str) -> Option<Vec<u8>> {
    let mut bytes = vec![0; gpt::HEAD];
    File::open(node).ok()?.read_exact_at(&mut bytes, 0).ok()?;
    Some(bytes)
}

/// The first sector of the active partition.
fn active_sector(root: Option<&Root>, head: &[u8]) -> Option<Vec<u8>> {
    let start = mbr::parse(head)?.active_start?;
    let mut sector = vec![0; mbr::MBR_SIZE];
    let disk = File::open(&root?.disk).ok()?;
    disk.read_exact_at(&mut sector, start * block::SECTOR)
        .ok()?;
    Some(sector)
}

/// Places where a part of the root filesystem is shown a second time.
fn binds(mounts: &[Mount]) -> Vec<Bind> {
    let Some(root) = mounts::at(mounts, Path::new("/")) else {
        return Vec::new();
    };
    mounts
        .iter()
        .filter(|m| m.shows_part_of(root) && m.target != Path::new("/"))
        .map(|m| Bind {
            shows: below(&root.root, &m.root),
            target: m.target.display().to_string(),
        })
        .collect()
}

/// A directory of a filesystem as a path of the root, which shows the directory `top` of it.
fn below(top: &Path, directory: &Path) -> String {
    let path = directory.strip_prefix(top).unwrap_or(directory);
    Path::new("/").join(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_the_root_shown_twice_is_a_bind() {
        let mounts = mounts::parse(
            b"22 1 253:1 / / rw - ext4 /dev/vda1 rw\n\
              23 22 253:1 /srv/shop /mnt/shop rw - ext4 /dev/vda1 rw\n\
              24 22 0:5 / /proc rw - proc proc rw\n",
        );
        let found = binds(&mounts);
        assert_eq!(found.len(), 1);
        assert_eq!(
            (&*found[0].shows, &*found[0].target),
            ("/srv/shop", "/mnt/shop")
        );
    }

    #[test]
    fn this_machine_can_be_read() {
        let mounts = mounts::read().unwrap();
        let processes = crate::processes::all().unwrap();
        let found = read(None, &mounts, &processes, |_| Command::new("true"));
        assert!(found.clock > 1_700_000_000);
        assert!(found.silent_mounts.is_empty());
    }
}
