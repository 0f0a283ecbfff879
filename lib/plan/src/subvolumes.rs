//! The subvolumes of a root on Btrfs: what the wipe may do with those in it, and in those that are wiped with it, and
//! what is left beside them.

use formats::facts::{BtrfsFacts, Facts, NestedSubvolume, Subvolume};
use formats::keep::is_below;

use crate::filesystems;

/// Bytes of the longest path that the new OS's loader has room for.
pub const LONGEST_PATH: usize = 128;

/// The subvolume that all others are in.
const TOP: u64 = 5;

/// What speaks against a root on this Btrfs, wherever its subvolumes are: one line each.
pub fn against_root(root: &Subvolume, facts: &BtrfsFacts) -> Vec<String> {
    let mut found = facts.strange.clone();
    if facts.devices != 1 {
        found.push(format!("it is on {} devices", facts.devices));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.@/+".contains(c);
    if root.path.len() > LONGEST_PATH || !root.path.chars().all(plain) {
        found.push(format!(
            "a boot loader cannot be told the path {:?}",
            root.path
        ));
    }
    if root.id == TOP && facts.default != TOP {
        found.push(format!(
            "the root is the subvolume that all others are in, which nothing names to the new OS's kernel, and another one \
             (number {}) is what is mounted where none is named: `btrfs subvolume set-default {TOP} /`",
            facts.default
        ));
    }
    found
}

/// Every one that is in what is wiped: in the root, and in the subvolumes that are wiped with it.
pub fn nested(facts: &Facts) -> Vec<NestedSubvolume> {
    let in_root = facts
        .condition
        .root_btrfs
        .iter()
        .flat_map(|root| &root.nested);
    let systems = filesystems::systems_of(facts);
    let in_systems = systems.iter().flat_map(|system| &system.nested);
    in_root.chain(in_systems).cloned().collect()
}

/// What speaks against wiping these with what they are in, one line each: those that are kept stay
/// as they are, and nobody meant to lose a snapshot with the root. `default` is the number of the one that is mounted
/// where none is named.
pub fn against(nested: &[NestedSubvolume], default: u64, kept: &[&str]) -> Vec<String> {
    let against = |nested| Some((nested, why(nested, default, kept)?));
    nested
        .iter()
        .filter_map(against)
        .map(|(NestedSubvolume { path, .. }, why)| format!("{path}: {why}"))
        .collect()
}

/// Why one of them cannot be wiped with the root; `None` where it can, or is kept.
fn why(nested: &NestedSubvolume, default: u64, kept: &[&str]) -> Option<String> {
    if is_kept(nested, kept) {
        return None;
    }
    let below = kept.iter().find(|kept| is_below(kept, &nested.path));
    match below {
        Some(kept) => Some(format!("{kept} in it is kept")),
        None if nested.snapshot => Some("it is a snapshot".to_owned()),
        None if nested.read_only => Some("it is read-only".to_owned()),
        None if default == nested.id => Some("it is mounted where none is named".to_owned()),
        None if !nested.mounted.is_empty() => {
            let places = nested.mounted.join(", ");
            Some(format!("it is mounted at {places} too"))
        }
        None => None,
    }
}

/// Those of them that go with what they are in.
pub fn wiped<'f>(
    nested: &'f [NestedSubvolume],
    default: u64,
    kept: &[&str],
) -> Vec<&'f NestedSubvolume> {
    let goes =
        |nested: &&NestedSubvolume| !is_kept(nested, kept) && why(nested, default, kept).is_none();
    nested.iter().filter(goes).collect()
}

/// The paths of those that nothing is done with, from the one that all are in: neither the root nor wiped with it, nor
/// in one of these.
pub fn left(facts: &Facts) -> Vec<String> {
    let systems = filesystems::systems_of(facts);
    let wiped: Vec<&Subvolume> = systems.iter().filter_map(|s| s.subvolume()).collect();
    let others = facts
        .condition
        .root_btrfs
        .iter()
        .flat_map(|root| &root.others);
    let is_left = |path: &&String| !wiped.iter().any(|wiped| is_below(path, &wiped.path));
    others.filter(is_left).cloned().collect()
}

fn is_kept(nested: &NestedSubvolume, kept: &[&str]) -> bool {
    kept.iter().any(|kept| is_below(&nested.path, kept))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(path: &str) -> NestedSubvolume {
        NestedSubvolume {
            id: 300,
            path: path.to_owned(),
            read_only: false,
            snapshot: false,
            mounted: vec![],
        }
    }

    #[test]
    fn a_plain_subvolume_goes_and_what_somebody_would_miss_is_refused() {
        let plain = nested("/var/lib/machines");
        let snapshot = NestedSubvolume {
            snapshot: true,
            ..plain.clone()
        };
        let read_only = NestedSubvolume {
            read_only: true,
            ..plain.clone()
        };
        let mounted = NestedSubvolume {
            mounted: vec!["/machines".to_owned()],
            ..plain.clone()
        };
        let default = NestedSubvolume {
            id: 5,
            ..plain.clone()
        };
        for (nested, kept, expected) in [
            (&plain, &[][..], None),
            (&plain, &["/var/lib/machines"], None),
            (&plain, &["/var/lib"], None),
            (&plain, &["/var/lib/mach"], None),
            (
                &plain,
                &["/var/lib/machines/one"],
                Some("/var/lib/machines: /var/lib/machines/one in it is kept"),
            ),
            (&snapshot, &[], Some("/var/lib/machines: it is a snapshot")),
            (&snapshot, &["/var"], None),
            (&read_only, &[], Some("/var/lib/machines: it is read-only")),
            (
                &mounted,
                &[],
                Some("/var/lib/machines: it is mounted at /machines too"),
            ),
            (
                &default,
                &[],
                Some("/var/lib/machines: it is mounted where none is named"),
            ),
        ] {
            let found = against(std::slice::from_ref(nested), 5, kept);
            assert_eq!(
                found.first().map(String::as_str),
                expected,
                "{nested:?} {kept:?}"
            );
        }
        assert_eq!(wiped(std::slice::from_ref(&plain), 5, &[]).len(), 1);
        assert_eq!(wiped(&[plain], 5, &["/var/lib"]).len(), 0);
    }

    #[test]
    fn a_filesystem_on_one_device_with_a_plain_path_is_taken() {
        let root = |path: &str| Subvolume {
            id: 256,
            path: path.to_owned(),
        };
        let mut facts = BtrfsFacts {
            devices: 1,
            ..BtrfsFacts::default()
        };
        assert_eq!(
            against_root(&root("/@/.snapshots/1/snapshot"), &facts),
            [""; 0]
        );
        assert_eq!(against_root(&root("/a b"), &facts).len(), 1);
        assert_eq!(against_root(&root(&"/a".repeat(65)), &facts).len(), 1);
        facts.devices = 2;
        facts.strange.push("it has data as RAID 1".to_owned());
        assert_eq!(
            against_root(&root("/root"), &facts),
            ["it has data as RAID 1", "it is on 2 devices"]
        );
    }

    /// The kernel that mounts what is the default would have a root that is nobody's.
    #[test]
    fn the_top_is_a_root_only_where_it_is_what_is_mounted_by_itself() {
        let top = Subvolume {
            id: 5,
            path: "/".to_owned(),
        };
        let mut facts = BtrfsFacts {
            devices: 1,
            default: 5,
            ..BtrfsFacts::default()
        };
        assert_eq!(against_root(&top, &facts), [""; 0]);
        facts.default = 257;
        let found = against_root(&top, &facts);
        assert!(found[0].contains("set-default 5 /"), "{found:?}");
    }
}
