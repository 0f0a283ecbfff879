//! What an operator brings beside the image: files to be carried, an overlay, programs that a run calls.
//! What of it cannot be is said before anything is done.

use formats::facts::Facts;
use formats::hooks::{self, Hooks};
use formats::identity::{InHome, NewIdentity};
use formats::keep::is_below;
use formats::manifest::Manifest;
use identity::access::sudoers;
use identity::access::written::SETTINGS;
use identity::placed::{self, There};
use identity::ssh_access;

use crate::carried;

/// The most that may be carried: it is held in memory, and again in the RAM environment.
pub const MOST_CARRIED: u64 = 256 << 20;

/// Why what the operator, or the image, wants carried cannot be carried, a line each.
#[must_use]
pub fn against_carried(facts: &Facts, manifest: &Manifest) -> Vec<String> {
    let old = &facts.identity;
    let mut found = old.uncarriable.clone();
    if old.copied_bytes > MOST_CARRIED {
        found.push(format!(
            "what is carried has {} MiB, and may have {}; keep it instead",
            old.copied_bytes >> 20,
            MOST_CARRIED >> 20
        ));
    }
    let written = carried::written(facts, manifest);
    let removed = removed(facts, manifest);
    let kept: Vec<&str> = facts.kept.iter().map(|k| k.path.as_str()).collect();
    let there = There {
        kept: &kept,
        written: &written,
        removed: &removed,
        links: &manifest.payload.directory_links,
    };
    // What is kept is left out, and a note says so.
    let wished = old.wished.iter().filter(|path| !old.keeps(path));
    found.extend(wished.filter_map(|path| placed::against(path, &there)));
    let by_image = manifest.identity.carry.iter();
    found.extend(
        by_image
            .filter(|path| old.copied.contains(path))
            .filter_map(|path| placed::through(path, there.links)),
    );
    found
}

/// Why the overlay cannot be put into the new OS, a line each.
#[must_use]
pub fn against_overlay(facts: &Facts, manifest: &Manifest) -> Vec<String> {
    let Some(overlay) = &facts.overlay else {
        return Vec::new();
    };
    let mut written = carried::written(facts, manifest);
    if let Ok(identity) = carried::identity(facts, manifest) {
        written.extend(identity.private);
        // By whose keys somebody gets in was decided by what is there.
        written.extend(identity.in_homes.iter().map(InHome::path));
    }
    let removed = removed(facts, manifest);
    let kept: Vec<&str> = facts.kept.iter().map(|k| k.path.as_str()).collect();
    let links = &manifest.payload.directory_links;
    let there = There {
        kept: &kept,
        written: &written,
        removed: &removed,
        links,
    };
    let files = overlay.files.iter();
    let written_for_server = written.iter().any(|path| path == SETTINGS);
    let mut found: Vec<String> = files
        .filter_map(|path| {
            placed::against(path, &there)
                .or_else(|| against_access(path, &manifest.identity, written_for_server))
        })
        .collect();
    // A directory that is there stays as it is; only one that would have to be made is of interest.
    found.extend(overlay.directories.iter().filter_map(|path| {
        let kept = kept.iter().find(|kept| is_below(path, kept));
        kept.map(|kept| format!("{path} is kept as it is ({kept}): nothing is put there"))
            .or_else(|| placed::through(path, links))
    }));
    // Those that cannot be merged refuse by a check of their own.
    if let Ok(accounts) = carried::accounts(facts, manifest) {
        let unknown = |names: &[String], known: &dyn Fn(&str) -> bool, what: &str| {
            let names = names.iter().filter(|name| !known(name));
            names
                .map(|name| {
                    format!(
                        "the new OS has no {what} {name}, to whom something in the overlay belongs"
                    )
                })
                .collect::<Vec<_>>()
        };
        let user = |name: &str| accounts.users.iter().any(|row| row.name == name);
        let group = |name: &str| accounts.groups.iter().any(|row| row.name == name);
        found.extend(unknown(&overlay.users, &user, "user"));
        found.extend(unknown(&overlay.groups, &group, "group"));
    }
    found
}

/// Why a file of the overlay would decide who gets in, before what the run writes of that from this machine.
fn against_access(path: &str, new: &NewIdentity, for_server: bool) -> Option<String> {
    let is_before = || {
        let folder = |path: &str| path.rsplit_once('/').map(|(above, _)| above.to_owned());
        let beside = folder(path) == folder(SETTINGS);
        beside && path < SETTINGS && ssh_access::is_included(path, &new.ssh_includes)
    };
    if for_server && path == ssh_access::MAIN {
        return Some(format!(
            "{path} says what the ssh server reads, and that it reads {SETTINGS}, by which it lets in who gets in now"
        ));
    }
    if for_server && is_before() {
        return Some(format!(
            "{path} is read before {SETTINGS}, which says who gets in: give it a name that sorts behind that"
        ));
    }
    let sudo = new.doors.as_ref().is_some_and(|doors| doors.sudo);
    (sudo && path == sudoers::MAIN).then(|| {
        format!("{path} says who becomes root by sudo, which follows from this machine: a file in {path}.d can say more")
    })
}

/// Files of the network's configuration that the run removes, by pattern.
fn removed(facts: &Facts, manifest: &Manifest) -> Vec<String> {
    carried::network(facts, manifest)
        .map(|network| network.written.removed)
        .unwrap_or_default()
}

/// The programs that the run calls: the operator's in the old OS, and in the new one those of the image, of
/// the overlay, and of the old OS as far as they come along.
#[must_use]
pub fn hooks(facts: &Facts, image: &Hooks) -> Hooks {
    let old = &facts.identity;
    let comes_along =
        |path: &str| old.keeps(path) || old.copied.iter().any(|copied| is_below(path, copied));
    let overlay: Vec<&String> = facts
        .overlay
        .iter()
        .flat_map(|overlay| &overlay.files)
        .collect();
    let in_new_os = |directory: &str, image: &[String], theirs: &[String]| {
        let ours = |path: &String| {
            let name = path
                .strip_prefix(directory)
                .and_then(|rest| rest.strip_prefix('/'));
            name.is_some_and(hooks::is_name)
        };
        let mut all: Vec<String> = image.to_vec();
        all.extend(theirs.iter().filter(|path| comes_along(path)).cloned());
        all.extend(
            overlay
                .iter()
                .filter(|path| ours(path))
                .map(|path| (*path).clone()),
        );
        all.sort();
        all.dedup();
        all
    };
    Hooks {
        before_stop: facts.hooks.before_stop.clone(),
        after_unpack: in_new_os(
            hooks::AFTER_UNPACK,
            &image.after_unpack,
            &facts.hooks.after_unpack,
        ),
        first_boot: in_new_os(
            hooks::FIRST_BOOT,
            &image.first_boot,
            &facts.hooks.first_boot,
        ),
    }
}

#[cfg(test)]
mod tests {
    use formats::access::Doors;
    use formats::overlay::Overlay;
    use formats::Digest;

    use super::*;

    #[test]
    fn what_goes_before_who_gets_in_is_refused() {
        let new = NewIdentity {
            ssh_includes: vec!["/etc/ssh/sshd_config.d/*.conf".into()],
            doors: Some(Doors {
                sudo: true,
                ..Doors::default()
            }),
            ..NewIdentity::default()
        };
        let folder = "/etc/ssh/sshd_config.d";
        for (path, for_server, expected) in [
            ("/etc/ssh/sshd_config".to_owned(), true, true),
            // Of a server that is told nothing here, this is all that is said.
            ("/etc/ssh/sshd_config".to_owned(), false, false),
            (format!("{folder}/00-a.conf"), true, true),
            (format!("{folder}/00-a.txt"), true, false),
            (format!("{folder}/50-a.conf"), true, false),
            ("/etc/sudoers".to_owned(), false, true),
            ("/etc/sudoers.d/ops".to_owned(), true, false),
        ] {
            let found = against_access(&path, &new, for_server);
            assert_eq!(found.is_some(), expected, "{path}: {found:?}");
        }
    }

    #[test]
    fn programs_come_from_the_image_the_overlay_and_what_comes_along() {
        let path = |name: &str| format!("{}/{name}", hooks::AFTER_UNPACK);
        let image = Hooks {
            after_unpack: vec![path("20-image")],
            ..Hooks::default()
        };
        let mut facts = fixtures::facts::facts();
        facts.hooks.before_stop = vec!["/etc/reroot/before-stop.d/drain".into()];
        facts.hooks.after_unpack = vec![path("30-old")];
        facts.overlay = Some(Overlay {
            source: "/root/o".into(),
            digest: Digest([0; 32]),
            bytes: 0,
            files: ["10-overlay", "20-image", "README.bak", "lib/x"]
                .map(path)
                .into(),
            directories: vec![],
            users: vec![],
            groups: vec![],
        });
        let found = super::hooks(&facts, &image);
        assert_eq!(found.before_stop, facts.hooks.before_stop);
        assert_eq!(found.after_unpack, [path("10-overlay"), path("20-image")]);
        facts.identity.copied = vec!["/etc/reroot".into()];
        let found = super::hooks(&facts, &image);
        assert_eq!(found.after_unpack[2], path("30-old"));
    }
}
