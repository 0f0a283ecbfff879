//! From manifest and facts to a plan: a pure function, so that `plan`, a dry run and `go` speak
//! of the very same thing.

use crate::below_kept;
use crate::entry;
use crate::gone;
use crate::steps::{steps, Circumstances};
use formats::accounts::{AccountPlan, Owners};
use formats::entry::{CallPlan, Entry, EntryPlan, KexecCall};
use formats::facts::{Facts, InitSystem, Memory, Mount, RootIdentity, UnkeptWay};
use formats::filesystems::Contents;
use formats::identity::IdentityPlan;
use formats::manifest::Manifest;
use formats::measure::{Measure, Occupied};
use formats::network::{LinkKind, Network};
use formats::plan::{Amount, KeptPath, NetworkPlan, PayloadAt, Plan};
use formats::steps::Mode;
use formats::Digest;
use identity::accounts::merge;
use identity::network::{dialect, select};

const MIB: u64 = 1 << 20;

/// What the kernel of the RAM environment takes for itself: its code and data, page tables,
/// per-CPU areas, the slab. 42 MiB of `MemTotal` were in use on 6.12 with 2 CPUs and 512 MiB.
const KERNEL_BYTES: u64 = 56 * MIB;
/// What wiping and unpacking take: a window and a buffer for each thread, dirty pages.
pub const WORK_BYTES: u64 = 48 * MIB;
/// Memory that the old OS keeps to itself while the image is loaded.
const OLD_OS_SPARE: u64 = 32 * MIB;
/// Bytes that stay free on the root filesystem, at the least.
const SPACE_SPARE: u64 = 64 * MIB;
/// Inodes that stay free, at the least.
const INODES_SPARE: u64 = 1024;

/// What the operator wishes of the plan.
#[derive(Clone, Debug, Default)]
pub struct Choices {
    /// Where the payload shall wait; decided by memory when absent.
    pub payload_at: Option<PayloadAt>,
    /// How the RAM environment shall be entered; decided by evidence when absent.
    pub entry: Option<Entry>,
    /// How a kernel shall be loaded; decided by evidence when absent.
    pub kexec_call: Option<KexecCall>,
    /// What the run is for.
    pub mode: Mode,
}

/// The entry, and for kexec the call, by evidence or as wished.
pub fn entry_plan(facts: &Facts, choices: &Choices) -> EntryPlan {
    let mut plan = entry::choose(facts, choices.entry);
    if let (Some(call), Some(wished)) = (&mut plan.call, choices.kexec_call) {
        *call = CallPlan::wished(wished);
    }
    plan
}

/// Bytes that a run keeps on the root filesystem from its preparation on: kernel, initramfs and
/// payload, so that it can be taken up again after a power cut, and what describes it.
pub fn staged_bytes(sizes: PartSizes) -> u64 {
    sizes.kernel + sizes.initramfs + sizes.payload + STAGED_SPARE
}

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
) -> MemoryPeak {
    let payload = match at {
        PayloadAt::Ram => sizes.payload,
        PayloadAt::Disk => 0,
    };
    let kernel = manifest.kernel.init_size.max(sizes.kernel);
    let packed = sizes.initramfs + payload;
    let unpacked = manifest.initramfs.unpacked_bytes + payload;
    let load = match (entry.entry, &entry.call) {
        (Entry::Boot, _) => 0,
        (Entry::Takeover, _) => sizes.initramfs + unpacked,
        (Entry::Kexec, Some(plan)) if plan.call == KexecCall::KexecLoad => kernel + packed,
        (Entry::Kexec, _) => sizes.kernel + packed + kernel + packed,
    };
    let packed_beside = match entry.entry {
        Entry::Takeover => 0,
        Entry::Kexec | Entry::Boot => packed,
    };
    MemoryPeak {
        load: load + OLD_OS_SPARE,
        ram: KERNEL_BYTES + WORK_BYTES + packed_beside + unpacked,
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
) -> (PayloadAt, String) {
    let entry = entry_plan(facts, choices);
    if entry.entry == Entry::Boot {
        let reason = "the boot loader loads kernel and initramfs alone".to_owned();
        return (PayloadAt::Disk, reason);
    }
    if let Some(at) = choices.payload_at {
        return (at, "asked for on the command line".to_owned());
    }
    let peak = memory_peak(manifest, sizes, PayloadAt::Ram, &entry);
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

/// Size of a filesystem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filesystem {
    /// Bytes.
    pub bytes: u64,
    /// Inodes.
    pub inodes: u64,
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
    /// What is missing, in words; `None` where everything fits.
    pub fn lack(&self) -> Option<String> {
        if self.bytes_there < self.bytes_needed {
            return Some(format!(
                "the new OS takes {} MiB on the root filesystem, beside what is kept there are {} MiB",
                self.bytes_needed / MIB,
                self.bytes_there / MIB
            ));
        }
        (self.inodes_there < self.inodes_needed).then(|| {
            format!(
                "the new OS takes {} inodes on the root filesystem, beside what is kept there are {}",
                self.inodes_needed, self.inodes_there
            )
        })
    }
}

/// Computes [`Space`]. `stays` is everything that the wipe leaves: kept paths, what it spares beside
/// them, and what the run itself has or will have on the filesystem.
pub fn space(manifest: &Manifest, fs: Filesystem, stays: Occupied) -> Space {
    Space {
        bytes_needed: manifest.payload.disk_bytes + SPACE_SPARE,
        bytes_there: fs.bytes.saturating_sub(stays.bytes),
        inodes_needed: manifest.payload.inodes + INODES_SPARE,
        inodes_there: fs.inodes.saturating_sub(stays.inodes),
    }
}

/// What the wipe will leave, as far as the old OS can tell.
pub fn stays(facts: &Facts, sizes: PartSizes) -> Occupied {
    let staged = Occupied {
        bytes: staged_bytes(sizes),
        inodes: STAGED_INODES,
    };
    kept_occupies(facts) + facts.condition.spared + staged
}

/// What the kept paths take.
fn kept_occupies(facts: &Facts) -> Occupied {
    let kept = facts.kept.iter();
    Occupied::by_kept(kept.filter_map(|k| Some((&k.path, k.found.as_ref().ok()?))))
}

/// Everything that goes into a plan beside the facts.
#[derive(Clone, Debug)]
pub struct Inputs<'a> {
    /// The image's manifest.
    pub manifest: &'a Manifest,
    /// Digest of the manifest part.
    pub manifest_digest: Digest,
    /// Sizes of the image's parts.
    pub sizes: PartSizes,
    /// What the operator wishes of the plan.
    pub choices: &'a Choices,
    /// The run's id.
    pub run: String,
}

/// Why there is no plan: something that the checks refuse with more words.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NoPlan {
    /// The root filesystem is not known.
    #[error("the root filesystem is not one that can be reinstalled: {0}")]
    Root(String),
    /// A kept path cannot be kept.
    #[error("{path} cannot be kept: {why}")]
    Kept {
        /// The path.
        path: String,
        /// Why.
        why: String,
    },
    /// Something of the machine's identity cannot be carried.
    #[error("{what} cannot be carried: {why}")]
    Identity {
        /// What.
        what: &'static str,
        /// Why.
        why: String,
    },
}

/// The network of the new OS, or why it cannot have the old one's.
pub fn network(facts: &Facts, manifest: &Manifest) -> Result<NetworkPlan, Vec<String>> {
    let stack = manifest
        .network
        .as_ref()
        .ok_or_else(|| vec!["the payload has no network configuration that is known".to_owned()])?;
    let (network, mut left) = select::select(&facts.network);
    left.extend_from_slice(&facts.network_notes);
    let written = dialect::write(&network, stack)?;
    let known = |name: &str| network.links.iter().any(|l| l.name == name);
    let mut drivers: Vec<String> = network
        .links
        .iter()
        .filter_map(|l| l.driver.clone())
        .collect();
    drivers.sort_unstable();
    drivers.dedup();
    Ok(NetworkPlan {
        gateways: facts
            .gateways
            .iter()
            .filter(|g| known(&g.link))
            .cloned()
            .collect(),
        drivers,
        proved: true,
        dialect: stack.dialect,
        written,
        left,
        network,
    })
}

/// The network as the plan has it: one whose drivers the image lacks cannot be tried.
fn network_in_plan(
    facts: &Facts,
    manifest: &Manifest,
    entry: Entry,
    warnings: &mut Vec<String>,
) -> Result<NetworkPlan, Vec<String>> {
    let mut network = network(facts, manifest)?;
    let missing = missing_network_drivers(&network, manifest);
    // In a takeover the kernel that has the network now goes on.
    if !missing.is_empty() && entry != Entry::Takeover {
        network.proved = false;
        warnings.push(format!(
            "the network is not tried before the commit point: the image lacks {}",
            missing.join(", ")
        ));
    }
    if entry == Entry::Takeover {
        warnings.push(UNPROVED_BY_TAKEOVER.to_owned());
    }
    Ok(network)
}

/// Images of releases that did not look.
const UNPROVED_BY_IMAGE: &str =
    "the image does not say what the new OS itself can drive (build it anew): \
    that its own initrd finds this root is known only behind the commit point, and that it has the \
    firmware of the network cards is not known";

/// Sectors that a BIOS before 2002 counts to: 28 bits of ATA.
pub const FIRMWARE_LIMIT: u64 = 1 << 28;

/// The run's own files are put where the firmware reads them. Where the new OS puts its kernel and
/// initrd nobody knows before it does, and its next kernel is its own affair.
fn beyond_reach(reach: Option<u64>, root: &RootIdentity) -> Option<String> {
    const UNKNOWN: &str =
        "where the new OS's own kernel and initrd come to lie is not known before";
    let end = root.start + root.sectors;
    match reach {
        Some(reach) if end > reach => Some(format!(
            "{UNKNOWN}: the firmware reads the first {} GiB of the disk, and the root goes to {} GiB",
            reach >> 21,
            end >> 21
        )),
        None if end > FIRMWARE_LIMIT => Some(format!(
            "{UNKNOWN}, nor how far the firmware reads: the root goes to {} GiB of the disk",
            end >> 21
        )),
        _ => None,
    }
}

/// A proof by the old kernel says nothing of what the new one does with the hardware.
const UNPROVED_BY_TAKEOVER: &str = "takeover: the old kernel stays until the last reboot, so the root \
    disk and the gateways are proved on it; that the new kernel drives them is known by the names of \
    its drivers and of its firmware alone";

/// Whether a link is of some kind.
type IsKind = fn(&LinkKind) -> bool;

/// Modules for links that are no hardware.
const LINK_MODULES: [(&str, IsKind); 3] = [
    ("bonding", |kind| matches!(kind, LinkKind::Bond(_))),
    ("8021q", |kind| matches!(kind, LinkKind::Vlan { .. })),
    ("bridge", |kind| matches!(kind, LinkKind::Bridge { .. })),
];

/// Modules that bonds, VLANs and bridges of the network need, by name.
pub fn link_modules(network: &Network) -> Vec<&'static str> {
    LINK_MODULES
        .iter()
        .filter(|(_, is)| network.links.iter().any(|link| is(&link.kind)))
        .map(|(name, _)| *name)
        .collect()
}

/// Drivers that the network needs and the image does not have.
pub fn missing_network_drivers(network: &NetworkPlan, manifest: &Manifest) -> Vec<String> {
    let there = |name: &str| manifest.kernel.drivers.iter().any(|d| d == name);
    let links = link_modules(&network.network)
        .into_iter()
        .map(str::to_owned);
    network
        .drivers
        .iter()
        .cloned()
        .chain(links)
        .filter(|name| !there(name))
        .collect()
}

/// Drivers that the network needs and the payload does not have. Images of releases that did not
/// look say nothing.
pub fn network_drivers_missing_in_payload(
    network: &NetworkPlan,
    manifest: &Manifest,
) -> Vec<String> {
    let Some(own) = &manifest.payload_drivers else {
        return Vec::new();
    };
    let links = link_modules(&network.network)
        .into_iter()
        .map(str::to_owned);
    let drivers = network.drivers.iter().cloned().chain(links);
    drivers.filter(|name| !own.has(name)).collect()
}

/// Firmware that drivers of this machine name and the payload lacks, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FirmwareLacks {
    /// None of a driver's files is there, and it does nothing without.
    pub fatal: Vec<String>,
    /// Some are there, or the driver does without.
    pub some: Vec<String>,
}

/// Firmware for the network cards and the root disk.
pub fn firmware(facts: &Facts, manifest: &Manifest) -> FirmwareLacks {
    let mut lacks = FirmwareLacks::default();
    let Some(own) = &manifest.payload_drivers else {
        return lacks;
    };
    let links = facts.network.links.iter();
    let mut drivers: Vec<&str> = links
        .filter_map(|link| link.driver.as_deref())
        .chain(facts.root_drivers.iter().map(String::as_str))
        .collect();
    drivers.sort_unstable();
    drivers.dedup();
    for found in drivers.iter().filter_map(|name| own.firmware_of(name)) {
        let files = found.missing.join(", ");
        if found.is_fatal() {
            lacks.fatal.push(format!(
                "{} needs one of its files, and the new OS has none: {files}",
                found.driver
            ));
        } else if !found.missing.is_empty() {
            lacks
                .some
                .push(format!("{} also names {files}", found.driver));
        }
    }
    lacks
}

/// What of the new OS's own cannot be because a kept path is in its way, one line each.
pub fn against_kept(facts: &Facts, manifest: &Manifest) -> Vec<String> {
    let kept: Vec<&str> = facts.kept.iter().map(|k| k.path.as_str()).collect();
    let links = &manifest.payload.directory_links;
    identity::kept::against(
        &kept,
        &written(facts, manifest),
        links,
        &facts.identity,
        &manifest.identity,
    )
}

/// Every path that the new OS gets by its identity, as far as it is known.
fn written(facts: &Facts, manifest: &Manifest) -> Vec<String> {
    let mut paths = Vec::new();
    if let Ok(network) = network(facts, manifest) {
        paths.extend(network.written.files.into_iter().map(|f| f.path));
    }
    if let Ok(identity) = identity(facts, manifest) {
        paths.extend(identity.files.into_iter().map(|f| f.path));
    }
    paths
}

/// Users and groups of the new OS, or why they cannot be merged.
pub fn accounts(facts: &Facts, manifest: &Manifest) -> Result<AccountPlan, Vec<String>> {
    let old = facts.accounts.as_ref().map_err(|why| vec![why.clone()])?;
    let mut kept = Owners::default();
    for measure in facts.kept.iter().filter_map(|k| k.found.as_ref().ok()) {
        kept.users.extend(&measure.owners.users);
        kept.groups.extend(&measure.owners.groups);
    }
    merge::merge(old, &manifest.accounts, &kept, &manifest.identity.shells)
}

/// Names, keys and mounts of the new OS, or why they cannot be carried.
pub fn identity(facts: &Facts, manifest: &Manifest) -> Result<IdentityPlan, Vec<String>> {
    let root = facts
        .root
        .as_ref()
        .map_or("", |r| r.identity.fs_uuid.as_str());
    let mut plan = identity::plan::plan(&facts.identity, &manifest.identity, root)?;
    plan.notes.extend(root_notes(facts));
    Ok(plan)
}

/// What of the root's mount the filesystem and the kernel's parameters say, not fstab.
fn root_notes(facts: &Facts) -> Vec<String> {
    let mut notes = Vec::new();
    let features = facts.condition.root_features;
    if features.is_some_and(|f| f.ro_compat & RO_COMPAT_QUOTA != 0) {
        notes.push(
            "quotas of the root are in the filesystem itself: limits and counts stay".to_owned(),
        );
    }
    let parameters = facts.cmdline.split_whitespace();
    notes.extend(parameters.filter(|p| p.starts_with("rootflags=")).map(|p| {
        format!("{p:?} of the kernel's parameters is not carried; the image's `[boot] cmdline` can have it")
    }));
    notes
}

/// `EXT4_FEATURE_RO_COMPAT_QUOTA`.
const RO_COMPAT_QUOTA: u32 = 0x100;

/// Resolves a plan.
pub fn resolve(facts: &Facts, inputs: &Inputs) -> Result<Plan, NoPlan> {
    let manifest = inputs.manifest;
    let root = facts
        .root
        .as_ref()
        .ok_or_else(|| NoPlan::Root(facts.root_unknown.clone().unwrap_or_default()))?;
    let keep = keep(facts)?;
    let (payload_at, payload_reason) = payload_at(manifest, inputs.sizes, facts, inputs.choices);
    let stays = kept_occupies(facts) + facts.condition.spared;
    let used_bytes = root.bytes.saturating_sub(root.bytes_free);
    let mut warnings = Vec::new();
    let identity =
        identity(facts, manifest).map_err(|why| cannot_carry("names, keys and mounts", &why))?;
    let accounts = accounts(facts, manifest).map_err(|why| cannot_carry("the accounts", &why))?;
    let used_inodes = root.inodes.saturating_sub(root.inodes_free);
    let entry = entry_plan(facts, inputs.choices);
    warnings.extend(stop_warning(&facts.init));
    warnings.extend(facts.listening.as_ref().err().map(|why| {
        format!("the first boot cannot tell which ports are newly open: what listens now cannot be read: {why}")
    }));
    if manifest.payload_drivers.is_none() {
        warnings.push(UNPROVED_BY_IMAGE.to_owned());
    }
    warnings.extend(beyond_reach(facts.condition.firmware_reach, &root.identity));
    let wiped = Amount {
        entries: used_inodes.saturating_sub(stays.inodes),
        bytes: used_bytes.saturating_sub(stays.bytes),
    };
    let unpacked = Amount {
        entries: manifest.payload.entries,
        bytes: manifest.payload.disk_bytes,
    };
    let peak = memory_peak(manifest, inputs.sizes, payload_at, &entry);
    let steps = steps(Circumstances {
        mode: inputs.choices.mode,
        entry: entry.entry,
        load_before_stop: peak.load <= facts.memory.available,
        kept: Amount {
            entries: stays.inodes,
            bytes: stays.bytes,
        },
        wiped,
        unpacked,
    });
    Ok(Plan {
        run: inputs.run.clone(),
        mode: inputs.choices.mode,
        hostname: facts.hostname.clone(),
        image: manifest.name.clone(),
        manifest_digest: inputs.manifest_digest,
        old_os: facts.os.clone(),
        new_os: manifest.os.clone(),
        entry: entry.clone(),
        firmware: facts.firmware,
        payload_at,
        payload_reason,
        root: root.identity.clone(),
        root_device: root.device.clone(),
        disk: root.disk.clone(),
        disk_by_id: root.disk_by_id.clone(),
        keep,
        wiped,
        unpacked,
        gone: gone::gone(facts, &accounts),
        network: network_in_plan(facts, manifest, entry.entry, &mut warnings)
            .map_err(|why| cannot_carry("the network", &why))?,
        accounts,
        listening: facts.listening.clone().ok(),
        about_kept: about_kept(facts, &identity),
        left_alone: left_alone(facts, &identity),
        identity,
        cmdline: ram_cmdline(
            &facts.consoles,
            &manifest.boot.consoles,
            &hardware_parameters(&facts.cmdline),
        ),
        hardware_parameters: hardware_parameters(&facts.cmdline),
        warnings,
        steps,
    })
}

/// The paths that the wipe leaves. Where the data is on a mount, the mount point stays.
fn keep(facts: &Facts) -> Result<Vec<KeptPath>, NoPlan> {
    let mut keep = Vec::with_capacity(facts.kept.len());
    for kept in &facts.kept {
        let (path, measure) = match &kept.found {
            Ok(measure) => (Some(kept.path.clone()), measure.clone()),
            Err(why) => {
                let mounted = why.way == UnkeptWay::Mounted;
                let place = mounted.then(|| below_kept::mount_point(facts, &kept.path));
                (place.flatten(), Measure::not_taken())
            }
        };
        let Some(path) = path else {
            return Err(NoPlan::Kept {
                path: kept.path.to_string(),
                why: kept
                    .found
                    .as_ref()
                    .err()
                    .map(ToString::to_string)
                    .unwrap_or_default(),
            });
        };
        keep.push(KeptPath { path, measure });
    }
    keep.sort_by(|a, b| a.path.cmp(&b.path));
    keep.dedup_by(|a, b| a.path == b.path);
    Ok(keep)
}

/// The RAM environment's command line: the machine's own consoles first, so that the operator
/// sees the blind phase where he sees the machine boot, then the image's.
///
/// `rootfstype=ramfs` keeps the initramfs off tmpfs, which would stop at half of the memory.
/// `panic=` brings the old OS back if the kernel dies before the init could do anything.
fn ram_cmdline(machine: &[String], image: &[String], hardware: &[String]) -> String {
    let mut consoles: Vec<&str> = image.iter().map(String::as_str).collect();
    for console in machine {
        let known = |c: &&str| c.split(',').next() == Some(console);
        match consoles.iter().position(known) {
            // The old OS's last console is where its operator looks: it stays last.
            Some(at) => {
                let console = consoles.remove(at);
                consoles.push(console);
            }
            None => consoles.push(console),
        }
    }
    let mut words = vec!["rootfstype=ramfs".to_owned(), "panic=30".to_owned()];
    words.extend(consoles.iter().map(|c| format!("console={c}")));
    words.extend_from_slice(hardware);
    words.push("loglevel=4".to_owned());
    words.join(" ")
}

/// Kernel parameters that a machine has because of its hardware, by how they begin. Without them
/// the next kernel may hang where this one does not.
const HARDWARE_PARAMETERS: [&str; 23] = [
    "acpi=",
    "acpi_",
    "ahci.",
    "amd_iommu=",
    "clocksource=",
    "edd=",
    "intel_iommu=",
    "iommu=",
    "libata.",
    "mem=",
    // Of virtual machines on busy hosts, whose timer may be late when it is looked for.
    "no_timer_check",
    "noacpi",
    "noapic",
    "nolapic",
    "nomodeset",
    "nox2apic",
    "nvme",
    "pci=",
    "pcie_",
    "processor.",
    "rootdelay=",
    "scsi_mod.",
    "tsc=",
];

/// The old OS's parameters that are there for the hardware. Those with characters that a shell or
/// GRUB reads in its own way are left out: none of them needs any.
fn hardware_parameters(cmdline: &str) -> Vec<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.,:=@/".contains(c);
    cmdline
        .split_whitespace()
        .filter(|word| {
            HARDWARE_PARAMETERS
                .iter()
                .any(|start| word.starts_with(start))
        })
        .filter(|word| word.chars().all(plain))
        .map(str::to_owned)
        .collect()
}

/// What is mounted below kept paths, and links there that lead to what is wiped.
fn about_kept(facts: &Facts, identity: &IdentityPlan) -> Vec<String> {
    let mounts = below_kept::mounts(facts, identity).again.into_iter();
    let mounts = mounts.map(|m| format!("unmounted, left alone, mounted again: {m}"));
    mounts.chain(facts.condition.wiped_targets.told()).collect()
}

/// What the run leaves as it is and the new OS does not use by itself.
fn left_alone(facts: &Facts, identity: &IdentityPlan) -> Vec<String> {
    // What is laid over the root's directories, and software images in its files, go with them.
    let of_root = |m: &&Mount| matches!(m.contents(), Contents::View | Contents::Image);
    let mounts = facts.mounts.iter();
    let mounts = mounts.filter(|m| !m.bind_of_root && !of_root(m));
    let carried = |target: &str| identity.mounts.iter().any(|m| m.target == target);
    mounts
        .filter(|m| !carried(&m.target))
        .map(|m| format!("{} ({} on {})", m.target, m.fstype, m.source))
        .collect()
}

fn cannot_carry(what: &'static str, why: &[String]) -> NoPlan {
    NoPlan::Identity {
        what,
        why: why.join("; "),
    }
}

/// What to know about stopping services under an old init.
fn stop_warning(init: &InitSystem) -> Option<String> {
    match init {
        InitSystem::Systemd | InitSystem::Sysvinit => None,
        InitSystem::Upstart => Some(
            "PID 1 is upstart: its jobs are stopped by the order of its list, which was tried on \
             recorded lists only"
                .to_owned(),
        ),
        InitSystem::Other(name) => Some(format!(
            "PID 1 is {name}, which is not known: services are not stopped in an order of their \
             own, every process gets SIGTERM and, after 10 s, SIGKILL"
        )),
    }
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;
