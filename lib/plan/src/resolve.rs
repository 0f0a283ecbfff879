//! From manifest and facts to a plan: a pure function, so that `plan`, a dry run and `go` speak
//! of the very same thing.

use crate::below_kept;
use crate::boot_paths;
use crate::brought;
use crate::carried;
use crate::choices::{entry_plan, Choices};
use crate::drivers::missing_network_drivers;
use crate::filesystems;
use crate::firmware;
use crate::gone;
use crate::needs::{self, memory_peak, PartSizes, SshPart};
use crate::ram_cmdline::{beside, hardware_parameters, named_consoles, ram_cmdline};
use crate::ram_ssh;
use crate::steps::{steps, Circumstances, HookCounts};
use formats::entry::Entry;
use formats::facts::{Facts, Firmware, InitSystem, Mount, UnkeptWay};
use formats::filesystems::Contents;
use formats::identity::IdentityPlan;
use formats::manifest::Manifest;
use formats::measure::Measure;
use formats::plan::{Amount, KeptPath, NetworkPlan, Plan};
use formats::Digest;

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

/// Resolves a plan.
pub fn resolve(facts: &Facts, inputs: &Inputs) -> Result<Plan, NoPlan> {
    let manifest = inputs.manifest;
    let root = facts
        .root
        .as_ref()
        .ok_or_else(|| NoPlan::Root(facts.root_unknown.clone().unwrap_or_default()))?;
    let keep = keep(facts)?;
    let ram_ssh = ram_ssh::decide(manifest, inputs.sizes, facts, inputs.choices);
    let ssh = SshPart::from(&ram_ssh);
    let (payload_at, payload_reason) =
        needs::payload_at(manifest, inputs.sizes, facts, inputs.choices, ssh);
    let stays = needs::kept_occupies(facts) + facts.condition.spared;
    let systems = filesystems::spacious(facts).into_iter();
    let systems = systems.map(|s| (s.bytes, s.bytes_free, s.inodes, s.inodes_free));
    let root_size = (root.bytes, root.bytes_free, root.inodes, root.inodes_free);
    let (mut used_bytes, mut used_inodes) = (0_u64, 0_u64);
    for (bytes, bytes_free, inodes, inodes_free) in systems.chain([root_size]) {
        used_bytes += bytes.saturating_sub(bytes_free);
        used_inodes += inodes.saturating_sub(inodes_free);
    }
    let mut warnings = Vec::new();
    let identity = carried::identity(facts, manifest)
        .map_err(|why| cannot_carry("names, keys and mounts", &why))?;
    let accounts =
        carried::accounts(facts, manifest).map_err(|why| cannot_carry("the accounts", &why))?;
    let entry = entry_plan(facts, inputs.choices);
    warnings.extend(stop_warning(&facts.init));
    warnings.extend(facts.listening.as_ref().err().map(|why| {
        format!("the first boot cannot tell which ports are newly open: what listens now cannot be read: {why}")
    }));
    if manifest.payload_drivers.is_none() {
        warnings.push(UNPROVED_BY_IMAGE.to_owned());
    }
    warnings.extend(boot_paths::leaves_uefi(facts, root, &manifest.tools));
    warnings.extend(boot_paths::leaves_bios(facts, root));
    warnings.extend(boot_paths::leaves_copies(facts, root));
    if facts.firmware == Firmware::Bios {
        warnings.extend(firmware::beyond_reach(
            facts.condition.firmware_reach,
            &root.identity,
        ));
    }
    let wiped = Amount {
        entries: used_inodes.saturating_sub(stays.inodes),
        bytes: used_bytes.saturating_sub(stays.bytes),
    };
    let unpacked = Amount {
        entries: manifest.payload.entries,
        bytes: manifest.payload.disk_bytes,
    };
    let peak = memory_peak(manifest, inputs.sizes, payload_at, &entry, ssh);
    let hooks = brought::hooks(facts, &manifest.hooks);
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
        hooks: HookCounts::from(&hooks),
    });
    let consoles = named_consoles(&facts.cmdline, &facts.consoles);
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
        boot_paths: boot_paths::boot_paths(facts, root, &manifest.tools),
        copies: boot_paths::copies(facts, root),
        loader_apart: boot_paths::loader_apart(facts, root, &manifest.tools),
        payload_at,
        payload_reason,
        ram_ssh,
        root: root.identity.clone(),
        root_device: root.device.clone(),
        disk: root.disk.clone(),
        disk_by_id: root.disk_by_id.clone(),
        arrays: facts.arrays.clone(),
        filesystems: filesystems::plan(facts),
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
        overlay: facts.overlay.clone(),
        hooks,
        cmdline: ram_cmdline(
            &facts.consoles,
            &consoles,
            &beside(&facts.identity.serial_logins, &manifest.boot.consoles),
            &hardware_parameters(&facts.cmdline),
        ),
        hardware_parameters: hardware_parameters(&facts.cmdline),
        consoles,
        report_to: inputs.choices.report_to.clone(),
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

/// The network as the plan has it: one whose drivers the image lacks cannot be tried.
fn network_in_plan(
    facts: &Facts,
    manifest: &Manifest,
    entry: Entry,
    warnings: &mut Vec<String>,
) -> Result<NetworkPlan, Vec<String>> {
    let mut network = carried::network(facts, manifest)?;
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

/// A proof by the old kernel says nothing of what the new one does with the hardware.
const UNPROVED_BY_TAKEOVER: &str = "takeover: the old kernel stays until the last reboot, so the root \
    disk and the gateways are proved on it; that the new kernel drives them is known by the names of \
    its drivers and of its firmware alone";

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
    let systems = filesystems::systems_of(facts);
    let wiped = |target: &str| systems.iter().any(|s| s.target == target);
    mounts
        .filter(|m| !carried(&m.target) && !wiped(&m.target))
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
