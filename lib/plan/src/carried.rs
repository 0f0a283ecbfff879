//! What a machine is known by as its new OS gets it: network, accounts, names, keys and mounts.

use crate::filesystems;
use formats::accounts::{AccountPlan, Owners};
use formats::facts::{Facts, RootType};
use formats::identity::IdentityPlan;
use formats::manifest::Manifest;
use formats::plan::NetworkPlan;
use identity::access::decided;
use identity::accounts::merge;
use identity::fstab;
use identity::mounts;
use identity::network::{dialect, select};

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
    let root = facts.root.as_ref().map(|r| &r.identity);
    let systems = filesystems::systems_of(facts).into_iter();
    let systems: Vec<&str> = systems.map(|system| system.target.as_str()).collect();
    let mut plan = identity::plan::plan(
        &facts.identity,
        &manifest.identity,
        root.map_or("", |r| r.fs_uuid.as_str()),
        root.map_or(RootType::default(), |r| r.filesystem),
        &systems,
    )?;
    // Whoever mounts the root finds its subvolume by the path.
    let subvolume = root.and_then(|root| root.subvolume.as_ref());
    plan.root_options
        .extend(subvolume.map(|subvolume| format!("subvol={}", subvolume.path)));
    let refused = against_systems(facts, &plan);
    if !refused.is_empty() {
        return Err(refused);
    }
    // Accounts that cannot be read or merged refuse by a check of their own.
    if let (Ok(old), Ok(merged)) = (&facts.accounts, accounts(facts, manifest)) {
        let sides = (&facts.identity, &manifest.identity);
        decided::decide(&mut plan, sides, (old, &manifest.accounts), &merged);
    }
    plan.notes.extend(root_notes(facts));
    Ok(plan)
}

/// Which of the filesystems that the new OS is unpacked on it would not mount where they are now.
fn against_systems(facts: &Facts, plan: &IdentityPlan) -> Vec<String> {
    let systems = filesystems::systems_of(facts).into_iter();
    let others = systems.filter_map(|system| {
        let identity = system.identity.as_ref().ok()?;
        let planned = plan.mounts.iter().find(|m| m.target == system.target)?;
        let expected = mounts::source_of(&system.target, identity);
        let same = mounts::is_same_source(&expected, &planned.source);
        if let Some(subvolume) = system.subvolume().filter(|_| same) {
            let lines = plan.fstab.iter().flat_map(|line| fstab::parse(line));
            let mut fields = lines.filter_map(|line| line.fields.ok());
            let line = fields.find(|fields| fields.target == system.target)?;
            let options = line.options.iter().map(String::as_str);
            return (!subvolume.is_named_by(options)).then(|| {
                format!(
                    "/etc/fstab does not name {} for {}, which is there now; mend the line with subvol={}",
                    subvolume.words(),
                    system.target,
                    subvolume.path
                )
            });
        }
        (!same).then(|| {
            format!(
                "/etc/fstab mounts {} at {}, where {} ({expected}) is now; mend the line",
                planned.source, system.target, system.device
            )
        })
    });
    others.collect()
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
pub(crate) fn written(facts: &Facts, manifest: &Manifest) -> Vec<String> {
    let mut paths = Vec::new();
    if let Ok(network) = network(facts, manifest) {
        paths.extend(network.written.files.into_iter().map(|f| f.path));
    }
    if let Ok(identity) = identity(facts, manifest) {
        paths.extend(identity.files.into_iter().map(|f| f.path));
    }
    paths
}
