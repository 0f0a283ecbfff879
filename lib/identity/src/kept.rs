//! What is written, removed and made behind the unpack, held against the keep list: one list for
//! the check that is asked before anything is done, and for whoever does it.
//!
//! Behind the commit point a kept path wins whatever happens. What the new OS cannot do without is
//! therefore refused before, and what it can is told.

use formats::identity::{NewIdentity, OldIdentity};
use formats::keep::is_below;
use formats::payload::DirectoryLink;

/// Where the ssh server's program makes the host keys that are missing.
pub(crate) const KEY_FOLDER: &str = "/etc/ssh";

/// Where units of an administrator are: two of them compare the first boot with the plan.
pub(crate) const UNITS: &str = "/etc/systemd/system";

/// Written besides what the plan lists, and by what. No keep list may name any of it today.
pub(crate) const WRITTEN_BY: [(&str, &str); 14] = [
    ("/.reroot", "the run"),
    ("/boot/grub", "GRUB's programs"),
    ("/etc/default/grub.d", "the run"),
    ("/etc/fstab", "the run"),
    ("/etc/group", "the run"),
    ("/etc/gshadow", "the run"),
    ("/etc/passwd", "the run"),
    ("/etc/shadow", "the run"),
    ("/etc/subgid", "the run"),
    ("/etc/subuid", "the run"),
    ("/usr/lib/locale", "locale-gen"),
    ("/var/cache/debconf", "debconf"),
    ("/var/lib/dpkg", "debconf"),
    ("/var/log/reroot", "the run"),
];

/// What of the new OS's own cannot be, one line each, because a path of `kept` is in its way.
/// `written` are the files that the plan writes, `links` those of the payload that lead to
/// directories.
pub fn against(
    kept: &[&str],
    written: &[String],
    links: &[DirectoryLink],
    old: &OldIdentity,
    new: &NewIdentity,
) -> Vec<String> {
    let mut found: Vec<String> = written
        .iter()
        .filter(|path| {
            kept.iter()
                .any(|kept| is_below(path, kept) || is_below(kept, path))
        })
        .cloned()
        .collect();
    found.extend(
        WRITTEN_BY
            .iter()
            .filter(|(path, _)| {
                kept.iter()
                    .any(|kept| is_below(path, kept) || is_below(kept, path))
            })
            .map(|(path, by)| format!("{path}, which {by} writes to")),
    );
    found.extend(written.iter().filter_map(|path| {
        let link = links.iter().find(|link| {
            let at = format!("/{}", link.path.trim_start_matches('/'));
            path != &at && is_below(path, &at)
        })?;
        Some(format!(
            "{path}, which the new OS's link {} leads away from its place",
            link.path
        ))
    }));
    found.extend(
        old.kept_network
            .iter()
            .map(|path| format!("{path} configures the network too, and would have to be removed")),
    );
    let server = !new.host_key_types.is_empty();
    if server && is_kept(kept, KEY_FOLDER) && !has_key(old, new) {
        found.push(format!(
            "{KEY_FOLDER} has no host key that the new ssh server takes, and none may be made there"
        ));
    }
    found
}

/// What is not as a person might expect although nothing is lost.
pub(crate) fn notes(old: &OldIdentity, new: &NewIdentity) -> Vec<String> {
    let kept: Vec<&str> = old.kept.iter().map(String::as_str).collect();
    let mut notes: Vec<String> = old
        .absent_mount_points
        .iter()
        .map(|target| {
            format!(
                "the mount point {target} is not there, and is not made: that would be in what is kept"
            )
        })
        .collect();
    if !new.host_key_types.is_empty() && is_kept(&kept, KEY_FOLDER) && has_key(old, new) {
        notes.push(format!(
            "{KEY_FOLDER} is kept: its host keys stay as they are, and none of another type is made"
        ));
    }
    if is_kept(&kept, UNITS) {
        notes.push(format!(
            "{UNITS} is kept: the units that compare the first boot with the plan cannot be written there, \
             so that nobody compares it"
        ));
    }
    notes
}

fn is_kept(kept: &[&str], path: &str) -> bool {
    kept.iter().any(|kept| is_below(path, kept))
}

/// Is there a key in the folder that the new server takes?
fn has_key(old: &OldIdentity, new: &NewIdentity) -> bool {
    old.host_keys
        .iter()
        .any(|key| is_below(&key.path, KEY_FOLDER) && new.host_key_types.contains(&key.kind))
}

#[cfg(test)]
mod tests {
    use formats::identity::HostKey;
    use formats::keep::KeepPath;

    use super::*;

    fn key(kind: &str) -> HostKey {
        HostKey {
            path: "/etc/ssh/ssh_host_key".into(),
            kind: kind.into(),
            fingerprint: String::new(),
        }
    }

    fn server() -> NewIdentity {
        NewIdentity {
            host_key_types: vec!["ssh-ed25519".into()],
            ..NewIdentity::default()
        }
    }

    fn asked(kept: &[&str], old: &OldIdentity) -> Vec<String> {
        let written = ["/etc/netplan/90-reroot.yaml", "/etc/hostname"].map(str::to_owned);
        let links = [DirectoryLink {
            path: "/etc/hostname".into(),
            target: "/srv".into(),
        }];
        against(kept, &written, &links, old, &server())
    }

    #[test]
    fn what_is_written_where_something_is_kept_is_named() {
        let old = OldIdentity::default();
        assert_eq!(asked(&["/srv"], &old), [""; 0]);
        for kept in [
            "/etc/netplan",
            "/etc/netplan/90-reroot.yaml",
            "/etc/netplan/90-reroot.yaml/below",
        ] {
            assert_eq!(
                asked(&[kept], &old),
                ["/etc/netplan/90-reroot.yaml"],
                "{kept}"
            );
        }
        assert_eq!(asked(&["/usr/lib/locale"], &old).len(), 1);
        let links = [DirectoryLink {
            path: "/etc/cloud".into(),
            target: "/usr/cloud".into(),
        }];
        let written = ["/etc/cloud/x.cfg".to_owned()];
        let found = against(&[], &written, &links, &old, &server());
        assert!(found[0].contains("link /etc/cloud"), "{found:?}");
    }

    #[test]
    fn a_kept_network_configuration_and_a_folder_without_a_key_are_named() {
        let mut old = OldIdentity {
            kept_network: vec!["/etc/netplan/50.yaml".into()],
            ..OldIdentity::default()
        };
        assert!(asked(&["/etc/netplan/50.yaml"], &old)[0].starts_with("/etc/netplan/50.yaml conf"));
        old.kept_network.clear();
        old.host_keys = vec![key("ssh-dss")];
        assert!(asked(&["/etc/ssh"], &old)[0].contains("no host key"));
        assert_eq!(asked(&["/etc/ssh/sshd_config"], &old), [""; 0]);
        old.host_keys.push(key("ssh-ed25519"));
        assert_eq!(asked(&["/etc/ssh"], &old), [""; 0]);
    }

    #[test]
    fn what_is_left_undone_for_the_keep_lists_sake_is_told() {
        let old = OldIdentity {
            kept: ["/srv", "/etc/ssh", "/etc/systemd"]
                .map(str::to_owned)
                .into(),
            absent_mount_points: vec!["/srv/backup".into()],
            host_keys: vec![key("ssh-ed25519")],
            ..OldIdentity::default()
        };
        let notes = notes(&old, &server());
        assert_eq!(notes.len(), 3, "{notes:?}");
        assert!(notes[0].contains("/srv/backup is not there"));
    }

    /// What programs and the run write besides is not to be had for a keep list, so that the gate
    /// and the read-only mounts never stand in their way.
    #[test]
    fn what_is_written_besides_the_plan_cannot_be_kept() {
        for (path, by) in WRITTEN_BY {
            assert!(KeepPath::parse(path).is_err(), "{path} of {by}");
            assert!(
                KeepPath::parse(&format!("{path}/x")).is_err(),
                "{path} of {by}"
            );
        }
    }
}
