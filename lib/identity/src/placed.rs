//! What an operator has put into the new OS beside what comes along by itself, held against what the run
//! writes there, the keep list, and the links of the payload.
//!
//! Behind the commit point the run's own files win, a kept path wins, and no link is followed. Whoever
//! asked for something else learns it before anything is done.

use formats::keep::is_below;
use formats::payload::DirectoryLink;

use crate::kept::WRITTEN_BY;

/// What is in the new OS already.
#[derive(Clone, Copy, Debug)]
pub struct There<'a> {
    /// Kept paths.
    pub kept: &'a [&'a str],
    /// Files that the run writes or brings by itself.
    pub written: &'a [String],
    /// Patterns of files that it removes.
    pub removed: &'a [String],
    /// Links of the payload that lead to directories.
    pub links: &'a [DirectoryLink],
}

/// Why a path cannot be put there, with everything that is below it.
#[must_use]
pub fn against(path: &str, there: &There) -> Option<String> {
    let overlap = |other: &str| is_below(path, other) || is_below(other, path);
    if let Some(kept) = there.kept.iter().find(|kept| overlap(kept)) {
        return Some(if is_below(path, kept) {
            format!("{path} is kept as it is ({kept}): it is there in the new OS, and nothing is put there")
        } else {
            format!("{path} has the kept path {kept} in it: name what is beside that, one by one")
        });
    }
    let by_run = WRITTEN_BY.iter().find(|(other, _)| overlap(other));
    let by_run = by_run.map(|(other, by)| (*other, *by));
    let written = there.written.iter().find(|other| overlap(other));
    if let Some((other, by)) = by_run.or(written.map(|other| (other.as_str(), "the run"))) {
        return Some(if other == path {
            format!("{path} is written by {by} itself")
        } else if is_below(path, other) {
            format!("{path} is below {other}, which {by} writes itself")
        } else {
            format!("{path} has {other} in it, which {by} writes itself: name the rest, one by one")
        });
    }
    let of_network = |pattern: &&String| {
        let (folder, name) = pattern.rsplit_once('/').unwrap_or(("", pattern));
        let (above, own) = path.rsplit_once('/').unwrap_or(("", path));
        let matches = match name.strip_prefix('*') {
            Some(ending) => own.ends_with(ending),
            None => own == name,
        };
        above == folder && matches || is_below(folder, path)
    };
    if let Some(pattern) = there.removed.iter().find(of_network) {
        return Some(format!(
            "{path} configures the network, which the run writes itself: what {pattern} names is removed"
        ));
    }
    through(path, there.links)
}

/// Whether the payload's own links are in a path's way.
#[must_use]
pub fn through(path: &str, links: &[DirectoryLink]) -> Option<String> {
    let link = links.iter().find(|link| is_below(path, &link.path))?;
    let rest = path.strip_prefix(&link.path).unwrap_or_default();
    Some(format!(
        "{path} leads through the new OS's link {}: its place there is {}{rest}",
        link.path, link.target
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_run_writes_what_is_kept_and_what_leads_away_is_named() {
        let links = [DirectoryLink {
            path: "/lib".into(),
            target: "/usr/lib".into(),
        }];
        let there = There {
            kept: &["/srv/shop"],
            written: &["/etc/hostname".into(), "/etc/cloud/cloud.cfg.d/x".into()],
            removed: &[
                "/etc/netplan/*.yaml".into(),
                "/etc/network/interfaces".into(),
            ],
            links: &links,
        };
        for (path, told) in [
            ("/etc/fstab", "/etc/fstab is written by the run"),
            ("/etc/hostname", "is written by the run"),
            ("/boot/grub/custom.cfg", "is below /boot/grub, which GRUB"),
            ("/etc", "has /etc/"),
            ("/etc/cloud", "has /etc/cloud/cloud.cfg.d/x in it"),
            ("/srv/shop/data", "is kept as it is"),
            ("/srv", "has the kept path /srv/shop in it"),
            ("/etc/netplan/50.yaml", "configures the network"),
            ("/etc/netplan", "configures the network"),
            ("/etc/network/interfaces", "configures the network"),
            (
                "/lib/systemd/system/x",
                "its place there is /usr/lib/systemd/system/x",
            ),
        ] {
            let found = against(path, &there).unwrap_or_else(|| panic!("{path}"));
            assert!(found.contains(told), "{path}: {found}");
        }
        for path in [
            "/etc/hostname.d",
            "/etc/netplan/README",
            "/etc/network/if-up.d/x",
            "/srv/other",
            "/library",
            "/usr/lib/systemd/system/x",
        ] {
            assert_eq!(against(path, &there), None, "{path}");
        }
    }
}
