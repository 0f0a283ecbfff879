//! What a run needs of memory and of the root filesystem, what there is of them, and where the
//! payload waits for it.

use crate::choices::{entry_plan, Choices};
use formats::entry::{Entry, EntryPlan, KexecCall};
use formats::facts::{Facts, Memory, RootType};
use formats::keep::filesystem_of;
use formats::manifest::Manifest;
use formats::measure::Occupied;
use formats::payload::{Payload, LEVELS_COUNTED};
use formats::plan::PayloadAt;

use crate::{btrfs_room, filesystems};

const MIB: u64 = 1 << 20;
/// What the kernel of the RAM environment takes for itself: its code and data, page tables,
/// per-CPU areas, the slab. 42 MiB of `MemTotal` were in use on 6.12 with 2 CPUs and 512 MiB.
const KERNEL_BYTES: u64 = 56 * MIB;
/// What wiping and unpacking take: a window and a buffer for each thread, dirty pages.
pub const WORK_BYTES: u64 = 48 * MIB;
/// What the ssh server takes that waits for people, and two of them being told of the run.
const SSH_BYTES: u64 = 24 * MIB;
/// Memory that the old OS keeps to itself while the image is loaded.
const OLD_OS_SPARE: u64 = 32 * MIB;
/// Bytes that stay free on the root filesystem, at the least.
const SPACE_SPARE: u64 = 64 * MIB;
/// Inodes that stay free, at the least.
const INODES_SPARE: u64 = 1024;
/// The same on each other filesystem: records and logs, for the most.
const SPACE_SPARE_APART: u64 = 8 * MIB;
/// Inodes that stay free there.
const INODES_SPARE_APART: u64 = 64;
/// Plan, facts, carried files, logs.
const STAGED_SPARE: u64 = 16 * MIB;
/// The files of a run's directory, and more.
const STAGED_INODES: u64 = 64;

/// Sizes of an image's parts in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartSizes {
    /// The kernel.
    pub kernel: u64,
    /// The initramfs base, as stored.
    pub initramfs: u64,
    /// The payload.
    pub payload: u64,
    /// What is handed over beside the image's parts: carried files and the overlay.
    pub handed: u64,
}

impl PartSizes {
    /// The same, with what is handed over from a machine.
    #[must_use]
    pub fn with_handed(self, facts: &Facts) -> PartSizes {
        let overlay = facts.overlay.as_ref().map_or(0, |overlay| overlay.bytes);
        PartSizes {
            handed: facts.identity.copied_bytes + overlay,
            ..self
        }
    }
}

/// Bytes that a run keeps on the root filesystem from its preparation on: kernel, initramfs and
/// payload, so that it can be taken up after a power cut, and what describes it.
pub fn staged_bytes(sizes: PartSizes) -> u64 {
    sizes.kernel + sizes.initramfs + sizes.payload + sizes.handed + STAGED_SPARE
}

/// Whether the ssh server is a part of the RAM environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SshPart {
    /// It is.
    In,
    /// It is left out.
    Out,
}

/// Bytes of the image's initramfs that go into the RAM environment: the ssh server is at its end.
pub fn initramfs_bytes(manifest: &Manifest, whole: u64, ssh: SshPart) -> u64 {
    match (&manifest.initramfs.ssh, ssh) {
        (Some(archive), SshPart::Out) => whole.saturating_sub(archive.packed_bytes),
        _ => whole,
    }
}

/// Bytes that those take once unpacked.
pub fn unpacked_bytes(manifest: &Manifest, ssh: SshPart) -> u64 {
    let archive = manifest.initramfs.ssh.filter(|_| ssh == SshPart::In);
    manifest.initramfs.unpacked_bytes + archive.map_or(0, |archive| archive.unpacked_bytes)
}

/// How much memory a way of entering takes at its worst moment, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryPeak {
    /// While the old OS loads the kernel and the initramfs.
    pub load: u64,
    /// In the RAM environment.
    pub ram: u64,
}

/// Memory that entering takes.
///
/// By `kexec_load` the kernel copies everything once, from files that it may drop from memory
/// meanwhile, and gives the kernel all that it unpacks itself in. By `kexec_file_load` it reads the
/// files into memory first. The new kernel then unpacks the initramfs beside the packed bytes: again both at once. A takeover unpacks
/// it once, by streams, and what is unpacked is what the RAM environment has. Through the boot loader
/// nothing is loaded while the old OS runs.
pub fn memory_peak(
    manifest: &Manifest,
    sizes: PartSizes,
    at: PayloadAt,
    entry: &EntryPlan,
    ssh: SshPart,
) -> MemoryPeak {
    let payload = match at {
        PayloadAt::Ram => sizes.payload,
        PayloadAt::Disk => 0,
    };
    let kernel = manifest.kernel.init_size.max(sizes.kernel);
    let initramfs = initramfs_bytes(manifest, sizes.initramfs, ssh);
    let packed = initramfs + payload + sizes.handed;
    let unpacked = unpacked_bytes(manifest, ssh) + payload + sizes.handed;
    let load = match (entry.entry, &entry.call) {
        (Entry::Boot, _) => 0,
        (Entry::Takeover, _) => initramfs + unpacked,
        (Entry::Kexec, Some(plan)) if plan.call == KexecCall::KexecLoad => kernel + packed,
        (Entry::Kexec, _) => sizes.kernel + packed + kernel + packed,
    };
    let packed_beside = match entry.entry {
        Entry::Takeover => 0,
        Entry::Kexec | Entry::Boot => packed,
    };
    let served = match ssh {
        SshPart::In => SSH_BYTES,
        SshPart::Out => 0,
    };
    MemoryPeak {
        load: load + OLD_OS_SPARE,
        // What is handed over is read whole where it is put into its place.
        ram: KERNEL_BYTES + WORK_BYTES + served + packed_beside + unpacked + sizes.handed,
    }
}

/// Whether there is room for a peak: the old OS must have it to spare, the machine must have it
/// at all.
pub fn memory_suffices(peak: MemoryPeak, memory: Memory) -> bool {
    peak.load <= memory.available && peak.ram <= memory.total
}

/// Where the payload will wait, and why.
pub fn payload_at(
    manifest: &Manifest,
    sizes: PartSizes,
    facts: &Facts,
    choices: &Choices,
    ssh: SshPart,
) -> (PayloadAt, String) {
    let entry = entry_plan(facts, choices);
    if entry.entry == Entry::Boot {
        let reason = "the boot loader loads kernel and initramfs alone".to_owned();
        return (PayloadAt::Disk, reason);
    }
    if let Some(at) = choices.payload_at {
        return (at, "asked for on the command line".to_owned());
    }
    let peak = memory_peak(manifest, sizes, PayloadAt::Ram, &entry, ssh);
    let memory = facts.memory;
    if memory_suffices(peak, memory) {
        (
            PayloadAt::Ram,
            format!(
                "memory suffices: loading takes {} MiB of {} MiB available, the RAM environment {} MiB of {} MiB",
                peak.load / MIB,
                memory.available / MIB,
                peak.ram / MIB,
                memory.total / MIB
            ),
        )
    } else {
        (
            PayloadAt::Disk,
            format!(
                "too little memory for it: loading would take {} MiB of {} MiB available, the RAM environment {} MiB of {} MiB",
                peak.load / MIB,
                memory.available / MIB,
                peak.ram / MIB,
                memory.total / MIB
            ),
        )
    }
}

/// What of the new OS goes to the root filesystem and to each of those that are mounted at `targets`, in this
/// order; where one is mounted in another one, that comes first. A name of a file that it has on another
/// filesystem too counts as a file on both. `root` is the type of the root filesystem, if there is one.
pub fn parts(payload: &Payload, root: Option<RootType>, targets: &[&str]) -> Vec<Occupied> {
    let mut parts = vec![Occupied {
        bytes: payload.disk_bytes,
        inodes: payload.inodes,
    }];
    for (at, target) in targets.iter().enumerate() {
        let level = target.matches('/').count().min(LEVELS_COUNTED);
        let counted: Vec<&str> = target.split('/').take(level + 1).collect();
        let counted = counted.join("/");
        let there = payload.directories.iter().find(|d| d.path == counted);
        let mut part = Occupied::default();
        if let Some(size) = there {
            let above = filesystem_of(target, &targets[..at]);
            let above = targets
                .iter()
                .position(|t| *t == above)
                .map_or(0, |above| above + 1);
            part.bytes = size.bytes + size.shared_bytes;
            part.inodes = size.inodes + size.shared_inodes;
            let above = &mut parts[above];
            // Deeper than was counted it is at most this, and the filesystem above may have all of it.
            if counted == *target {
                above.bytes = above.bytes.saturating_sub(size.bytes);
                above.inodes = above.inodes.saturating_sub(size.inodes);
            }
            above.bytes += size.shared_bytes;
            above.inodes += size.shared_inodes;
        }
        parts.push(part);
    }
    if root == Some(RootType::Btrfs) {
        // Btrfs is taken under the root alone.
        parts[0] = on_btrfs(parts[0]);
    }
    parts
}

/// The same on Btrfs, which has its own trees twice on one device, and small files in them.
fn on_btrfs(part: Occupied) -> Occupied {
    Occupied {
        bytes: part.bytes + part.bytes / 4 + 2 * part.inodes * 1024,
        ..part
    }
}

/// Size of a filesystem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filesystem {
    /// Bytes.
    pub bytes: u64,
    /// Inodes.
    pub inodes: u64,
}

impl Filesystem {
    /// What there is on Btrfs, where nothing is counted that the wipe gives free: other subvolumes share the space,
    /// and what a snapshot has too stays. `free` are the bytes that are free now; `there` is what of that which
    /// stays is on it already.
    pub fn of_btrfs(free: u64, there: Occupied) -> Filesystem {
        Filesystem {
            bytes: free + there.bytes,
            inodes: u64::from(u32::MAX),
        }
    }
}

/// Space on the root filesystem, in bytes and inodes: what there will be after the wipe, and
/// what the new OS takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes that the new OS takes, spare included.
    pub bytes_needed: u64,
    /// Bytes free once the old OS is gone.
    pub bytes_there: u64,
    /// Inodes that the new OS takes.
    pub inodes_needed: u64,
    /// Inodes free once the old OS is gone.
    pub inodes_there: u64,
}

impl Space {
    /// What is missing on the filesystem at `target` (`/` is the root), in words; `None` where everything fits.
    pub fn lack(&self, target: &str) -> Option<String> {
        let place = match target {
            "/" => "the root filesystem".to_owned(),
            target => format!("the filesystem at {target}"),
        };
        if self.bytes_there < self.bytes_needed {
            return Some(format!(
                "the new OS takes {} MiB on {place}, beside what is kept there are {} MiB",
                self.bytes_needed / MIB,
                self.bytes_there / MIB
            ));
        }
        (self.inodes_there < self.inodes_needed).then(|| {
            format!(
                "the new OS takes {} inodes on {place}, beside what is kept there are {}",
                self.inodes_needed, self.inodes_there
            )
        })
    }
}

/// Computes [`Space`] of the filesystem at `target`, which gets this part of the new OS. `stays` is everything
/// that the wipe leaves: kept paths, what it spares beside them, and what the run itself has or will have on the
/// filesystem.
pub fn space(target: &str, part: Occupied, fs: Filesystem, stays: Occupied) -> Space {
    let (bytes_spare, inodes_spare) = match target {
        "/" => (SPACE_SPARE, INODES_SPARE),
        _ => (SPACE_SPARE_APART, INODES_SPARE_APART),
    };
    Space {
        bytes_needed: part.bytes + bytes_spare,
        bytes_there: fs.bytes.saturating_sub(stays.bytes),
        inodes_needed: part.inodes + inodes_spare,
        inodes_there: fs.inodes.saturating_sub(stays.inodes),
    }
}

/// What will be lacking on each of the filesystems that the new OS goes to, as far as the old OS can tell.
pub fn lacks(facts: &Facts, manifest: &Manifest, sizes: PartSizes) -> Vec<String> {
    let systems = filesystems::spacious(facts);
    let targets: Vec<&str> = systems
        .iter()
        .map(|system| system.target.as_str())
        .collect();
    let filesystem = facts.root.as_ref().map(|root| root.identity.filesystem);
    let root = facts.root.iter().map(|root| {
        let there = kept_on(facts, "/", &targets) + facts.condition.spared;
        let bytes = match root.identity.filesystem {
            RootType::Btrfs => Filesystem::of_btrfs(root.bytes_free, there).bytes,
            RootType::Ext4 | RootType::Xfs => root.bytes,
        };
        ("/", bytes, root.inodes)
    });
    let apart = systems
        .iter()
        .map(|s| (s.target.as_str(), s.bytes, s.inodes));
    let parts = parts(&manifest.payload, filesystem, &targets);
    let each = root.chain(apart).zip(parts);
    let lacks = each.filter_map(|((target, bytes, inodes), part)| {
        let stays = if target == "/" {
            stays_on_root(facts, sizes, &targets)
        } else {
            // Which of them gets how much of it is not looked at.
            let handed = Occupied {
                bytes: sizes.handed,
                inodes: 0,
            };
            kept_on(facts, target, &targets) + handed
        };
        space(target, part, Filesystem { bytes, inodes }, stays).lack(target)
    });
    lacks
        .chain(lack_of_trees(facts, manifest, sizes, &targets))
        .collect()
}

/// What a root's Btrfs will be lacking in its trees; `targets` have space of their own.
fn lack_of_trees(
    facts: &Facts,
    manifest: &Manifest,
    sizes: PartSizes,
    targets: &[&str],
) -> Option<String> {
    let btrfs = facts.condition.root_btrfs.as_ref()?;
    let root = facts.root.as_ref()?.identity.subvolume.iter();
    let beside = filesystems::systems_of(facts);
    let beside = beside.iter().filter_map(|system| system.subvolume());
    let wiped: Vec<u64> = root.chain(beside).map(|wiped| wiped.id).collect();
    let there = kept_on(facts, "/", targets) + facts.condition.spared;
    let taken = btrfs_room::Taken {
        wiped: &wiped,
        part: parts(&manifest.payload, None, targets)[0],
        beside: stays_on_root(facts, sizes, targets).bytes - there.bytes,
        kept: there,
    };
    btrfs_room::lack(&btrfs.room, taken)
}

/// What the wipe will leave on the root filesystem, as far as the old OS can tell.
pub fn stays_on_root(facts: &Facts, sizes: PartSizes, targets: &[&str]) -> Occupied {
    let staged = Occupied {
        // Once where it waits, and once in its place.
        bytes: staged_bytes(sizes) + sizes.handed,
        inodes: STAGED_INODES,
    };
    kept_on(facts, "/", targets) + facts.condition.spared + staged
}

/// What the kept paths on a filesystem take.
fn kept_on(facts: &Facts, target: &str, targets: &[&str]) -> Occupied {
    let kept = facts.kept.iter();
    let kept = kept.filter(|k| filesystem_of(k.path.as_str(), targets) == target);
    Occupied::by_kept(kept.filter_map(|k| Some((&k.path, k.found.as_ref().ok()?))))
}

/// What the kept paths take.
pub(crate) fn kept_occupies(facts: &Facts) -> Occupied {
    let kept = facts.kept.iter();
    Occupied::by_kept(kept.filter_map(|k| Some((&k.path, k.found.as_ref().ok()?))))
}

#[cfg(test)]
#[path = "needs_tests.rs"]
mod tests;
