//! The subvolumes of a root on Btrfs: what the wipe may do with those in it, and what is left beside it.

use formats::facts::{BtrfsFacts, NestedSubvolume, Subvolume};
use formats::keep::is_below;

/// Bytes of the longest path that the new OS's loader has room for.
pub const LONGEST_PATH: usize = 128;

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
    found
}

/// What speaks against wiping the root with the subvolumes that are in it, one line each: those that are kept stay
/// as they are, and nobody meant to lose a snapshot with the root.
pub fn against(facts: &BtrfsFacts, kept: &[&str]) -> Vec<String> {
    let nested = facts.nested.iter();
    let against = |nested| Some((nested, why(nested, facts.default, kept)?));
    nested
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

/// Those in the root that go with it.
pub fn wiped<'f>(facts: &'f BtrfsFacts, kept: &[&str]) -> Vec<&'f NestedSubvolume> {
    let goes = |nested: &&NestedSubvolume| {
        !is_kept(nested, kept) && why(nested, facts.default, kept).is_none()
    };
    facts.nested.iter().filter(goes).collect()
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

    fn with(nested: NestedSubvolume) -> BtrfsFacts {
        BtrfsFacts {
            devices: 1,
            default: 5,
            nested: vec![nested],
            ..BtrfsFacts::default()
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
            let found = against(&with(nested.clone()), kept);
            assert_eq!(
                found.first().map(String::as_str),
                expected,
                "{nested:?} {kept:?}"
            );
        }
        assert_eq!(wiped(&with(plain.clone()), &[]).len(), 1);
        assert_eq!(wiped(&with(plain), &["/var/lib"]).len(), 0);
    }

    #[test]
    fn a_filesystem_on_one_device_with_a_plain_path_is_taken() {
        let root = |path: &str| Subvolume {
            id: 256,
            path: path.to_owned(),
        };
        let mut facts = with(nested("/a"));
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
}
