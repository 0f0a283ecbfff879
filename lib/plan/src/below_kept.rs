//! Other filesystems that are mounted at or below kept paths, or that a kept path is in. The run
//! unmounts and leaves them alone; what /etc/fstab names the new OS mounts again, and whatever is not
//! named would be missing there.

use crate::filesystems;
use formats::facts::{Facts, Kept, Mount, UnkeptWay};
use formats::identity::{IdentityPlan, PlannedMount};
use formats::keep::{is_below, KeepPath};

/// Mounts below kept paths, by what becomes of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BelowKept {
    /// The new OS mounts them again; in words.
    pub again: Vec<String>,
    /// Nothing will; in words.
    pub never: Vec<String>,
}

/// Looks for them.
pub fn mounts(facts: &Facts, identity: &IdentityPlan) -> BelowKept {
    let mut found = BelowKept::default();
    let systems = filesystems::systems_of(facts);
    for mount in &facts.mounts {
        // What is wiped as the root is, is looked at as the root is.
        if systems.iter().any(|system| system.target == mount.target) {
            continue;
        }
        let Some(kept) = facts.kept.iter().find(|kept| is_part(mount, kept)) else {
            continue;
        };
        let kept = kept.path.as_str();
        // Layers that are kept themselves lose nothing: containers have such, and make them anew.
        if mount
            .upper
            .as_ref()
            .is_some_and(|upper| is_below(upper, kept))
        {
            continue;
        }
        let text = format!("{} ({} on {})", mount.target, mount.fstype, mount.source);
        let place = if is_below(kept, &mount.target) {
            String::new()
        } else {
            format!(" below {kept}")
        };
        let mut planned = identity.mounts.iter();
        match planned.find(|planned| is_same(mount, planned, facts)) {
            Some(planned) if planned.required => {
                found
                    .again
                    .push(format!("{text}{place}, by {}", planned.source));
            }
            Some(planned) => found.again.push(format!(
                "{text}{place}, by {}, as it was in the old OS: not at boot, or only if it is there",
                planned.source
            )),
            None => found.never.push(text),
        }
    }
    found
}

/// Whether a mount has data of a kept path: below it, or all of it. One that shows what is wiped
/// under the path's name has none; another check refuses it.
fn is_part(mount: &Mount, kept: &Kept) -> bool {
    let path = kept.path.as_str();
    let is_elsewhere = kept
        .found
        .as_ref()
        .is_err_and(|why| why.way == UnkeptWay::Elsewhere);
    if is_below(path, &mount.target) {
        !is_elsewhere
    } else {
        is_below(&mount.target, path)
    }
}

/// The directory of what is wiped that the mount with a kept path's data is on: it stays in the path's
/// stead, and what it hides with it.
pub fn mount_point(facts: &Facts, path: &KeepPath) -> Option<KeepPath> {
    let systems = filesystems::systems_of(facts);
    let is_system = |target: &str| systems.iter().any(|system| system.target == target);
    let mounts = facts.mounts.iter().map(|mount| mount.target.as_str());
    let mounts = mounts.filter(|target| !is_system(target));
    let above = mounts.filter(|target| is_below(path.as_str(), target));
    // What is mounted in a mount has its mount point there, not on the root.
    let outermost = above.min_by_key(|target| target.len())?;
    KeepPath::parse(outermost).ok()
}

/// Whether a line of the new fstab mounts what is mounted now, where it is.
fn is_same(mount: &Mount, planned: &PlannedMount, facts: &Facts) -> bool {
    if planned.target != mount.target {
        return false;
    }
    let mut devices = facts.identity.devices.iter();
    let device = devices.find(|d| d.node == mount.source || d.links.contains(&mount.source));
    if let Some(device) = device.filter(|_| !mount.bind_of_root) {
        if let Some(partition) = planned.source.strip_prefix("PARTUUID=") {
            let found = device.part_uuid.as_ref();
            return found.is_some_and(|found| found.eq_ignore_ascii_case(partition));
        }
        if planned.source.starts_with("/dev/") {
            return device.node == planned.source || device.links.contains(&planned.source);
        }
    }
    if let Some(uuid) = planned.source.strip_prefix("UUID=") {
        // A source that names no device (a label, a pool) cannot be compared by it.
        return !mount.bind_of_root
            && device
                .and_then(|d| d.uuid.as_ref())
                .is_none_or(|found| found.eq_ignore_ascii_case(uuid));
    }
    if mount.bind_of_root {
        let mut binds = facts.condition.binds.iter();
        return binds.any(|b| b.target == mount.target && b.shows == planned.source);
    }
    if let Some(file) = &mount.backing_file {
        return planned.source == *file;
    }
    // A bind of another filesystem is listed with that filesystem's device.
    let is_path = planned.source.starts_with('/') && !planned.source.starts_with("//");
    is_path || planned.source == mount.source
}

#[cfg(test)]
mod tests {
    use super::*;
    use formats::facts::{Bind, Unkept};
    use formats::identity::DeviceFacts;
    use formats::keep::KeepPath;

    /// A mount, and a line of the new fstab.
    struct Case {
        mounted: (&'static str, &'static str, Option<&'static str>),
        shows: Option<&'static str>,
        planned: (&'static str, &'static str),
        again: bool,
    }

    fn facts(case: &Case) -> Facts {
        let (target, source, backing_file) = case.mounted;
        let mut facts = fixtures::facts::facts();
        facts.mounts = vec![Mount {
            target: target.into(),
            source: source.into(),
            fstype: "ext4".into(),
            bind_of_root: case.shows.is_some(),
            upper: None,
            backing_file: backing_file.map(str::to_owned),
        }];
        facts.condition.binds = case
            .shows
            .iter()
            .map(|shows| Bind {
                shows: (*shows).into(),
                target: target.into(),
            })
            .collect();
        facts.identity.devices = vec![DeviceFacts {
            node: "/dev/vdb1".into(),
            links: vec!["/dev/mapper/data".into()],
            logical: None,
            uuid: Some("0a-B".into()),
            label: None,
            part_uuid: Some("c0-1".into()),
            fstype: None,
            member: None,
        }];
        facts.kept = vec![Kept {
            path: KeepPath::parse("/srv").unwrap(),
            found: Err(Unkept {
                way: UnkeptWay::Unasked,
                why: String::new(),
            }),
        }];
        facts
    }

    #[test]
    fn only_what_fstab_mounts_at_that_very_place_comes_again() {
        let archive = ("/srv/archive", "/dev/vdb1", None);
        let vol = ("/srv/vol", "/dev/loop0", Some("/srv/vol.img"));
        let case = |mounted, shows, planned, again| Case {
            mounted,
            shows,
            planned,
            again,
        };
        for (n, case) in [
            case(archive, None, ("UUID=0A-b", "/srv/archive"), true),
            case(archive, None, ("UUID=0A-b", "/srv/archive2"), false),
            case(archive, None, ("UUID=other", "/srv/archive"), false),
            case(
                ("/srv/a", "/dev/mapper/data", None),
                None,
                ("UUID=0a-b", "/srv/a"),
                true,
            ),
            case(archive, None, ("PARTUUID=C0-1", "/srv/archive"), true),
            case(archive, None, ("PARTUUID=c0-2", "/srv/archive"), false),
            case(archive, None, ("/dev/mapper/data", "/srv/archive"), true),
            case(archive, None, ("/dev/mapper/copy", "/srv/archive"), false),
            case(
                ("/srv/a", "pool", None),
                None,
                ("UUID=0a-b", "/srv/a"),
                true,
            ),
            case(
                ("/srv/pub", "/dev/vda1", None),
                Some("/srv/shop/pub"),
                ("/srv/shop/pub", "/srv/pub"),
                true,
            ),
            case(
                ("/srv/pub", "/dev/vda1", None),
                Some("/old/pub"),
                ("/srv/shop/pub", "/srv/pub"),
                false,
            ),
            case(
                ("/srv/pub", "/dev/vda1", None),
                Some("/"),
                ("UUID=0a-b", "/srv/pub"),
                false,
            ),
            case(
                ("/srv/b", "/dev/vdb1", None),
                None,
                ("/mnt/data/b", "/srv/b"),
                true,
            ),
            case(vol, None, ("/srv/vol.img", "/srv/vol"), true),
            case(vol, None, ("/srv/vol2.img", "/srv/vol"), false),
            case(
                ("/srv/nfs", "host:/x", None),
                None,
                ("host:/x", "/srv/nfs"),
                true,
            ),
            case(
                ("/srv/nfs", "host:/x", None),
                None,
                ("host:/y", "/srv/nfs"),
                false,
            ),
        ]
        .iter()
        .enumerate()
        {
            let identity = IdentityPlan {
                mounts: vec![PlannedMount {
                    source: case.planned.0.into(),
                    target: case.planned.1.into(),
                    fstype: "ext4".into(),
                    required: true,
                    checked: false,
                }],
                ..IdentityPlan::default()
            };
            let found = mounts(&facts(case), &identity);
            assert_eq!(
                (found.again.len(), found.never.len()),
                (case.again.into(), (!case.again).into()),
                "case {n}: {found:?}"
            );
        }
    }
}
