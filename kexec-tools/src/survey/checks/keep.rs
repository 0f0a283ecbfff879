//! The keep list: that what is named is there, and that the new OS leaves it where it is.

use formats::counted::counted;
use formats::facts::UnkeptWay;
use formats::keep::is_below;
use plan::below_kept::{self, BelowKept};
use plan::{carried, gone};

use super::check::Force::{Allowed, Never, NotNeeded};
use super::check::Moment::{Ram, Stop};
use super::check::{joined, Check, Context};

/// In the order in which a person would ask.
pub(super) const CHECKS: &[Check] = &[
    Check {
        code: "keep-mounts",
        question: "Will what is mounted at or below a kept path be mounted there again?",
        reads: "/proc/self/mountinfo, /etc/fstab, block devices",
        force: Never,
        again: &[Stop, Ram],
        remedy: "add it to /etc/fstab, and the new OS mounts it; or unmount it: it is left alone, and what its mount \
                 point hid is kept",
        against: |c| joined(&below_kept(c).never),
    },
    Check {
        code: "keep-mounted",
        question: "Is nothing mounted at or below a kept path?",
        reads: "the same",
        force: NotNeeded,
        again: &[],
        remedy: "nothing: the run unmounts it and leaves it alone, and the new OS mounts it again; see that its backup \
                 is good all the same",
        against: |c| joined(&below_kept(c).again),
    },
    Check {
        code: "data-in-use",
        question: "Does no service write where everything is wiped?",
        reads: "/proc/*/fd, /proc/*/maps, /proc/*/mountinfo",
        force: Allowed,
        again: &[Stop],
        remedy: "keep it with --keep PATH, or copy it to another machine first; force it only where nobody will want it again",
        against: |c| joined(&gone::in_use(c.facts)),
    },
    Check {
        code: "gone",
        question: "Is nothing written on this machine that will be gone?",
        reads: "/proc/*/fd; sizes and times below /root, /opt, /srv, /home, /var, and of all at the top that no OS has",
        force: NotNeeded,
        again: &[],
        remedy: "read that section of the plan; keep what is needed with --keep PATH, or copy it to another machine",
        against: |c| {
            // A check of its own says more as long as it refuses.
            let refuses = !gone::in_use(c.facts).is_empty();
            if refuses && !c.forced.iter().any(|code| code == "data-in-use") {
                return None;
            }
            let accounts = carried::accounts(c.facts, c.manifest).unwrap_or_default();
            gone::headline(&gone::gone(c.facts, &accounts))
        },
    },
    Check {
        code: "image-links",
        question: "Does the new OS have real directories where its loader and records go?",
        reads: "the image's manifest",
        force: Never,
        again: &[],
        remedy: "build the image from a root filesystem without these links",
        against: |c| {
            let links = &c.manifest.payload.directory_links;
            let found: Vec<_> = links
                .iter()
                .map(|l| format!("/{}", l.path.trim_start_matches('/')))
                .filter(|path| WRITTEN.contains(&path.as_str()))
                .collect();
            (!found.is_empty()).then(|| found.join(", "))
        },
    },
    Check {
        code: "keep",
        question: "Is every kept path there?",
        reads: "every kept path, name by name",
        force: Never,
        again: &[Ram],
        remedy: "name it as it is called on this machine; one that this machine never had is left out with \
                 --no-keep PATH",
        against: |c| unkept(c, UnkeptWay::Missing),
    },
    Check {
        code: "keep-place",
        question: "Is every kept path where it seems to be, and not reached through a link?",
        reads: "every kept path, name by name; /proc/self/mountinfo",
        force: Never,
        again: &[],
        remedy: "keep the place where the data is, with --keep; then a bind mount of it that /etc/fstab has may stay in \
                 the list, and a link to it is left out with --no-keep; what is in memory is copied to the root first",
        against: |c| unkept(c, UnkeptWay::Elsewhere),
    },
    Check {
        code: "keep-unread",
        question: "Can every kept path be measured?",
        reads: "every inode in the kept trees",
        force: Never,
        again: &[],
        remedy: "look for the cause in the kernel's log, mend it, and ask again; do not leave the path out, for what \
                 is left out is wiped",
        against: |c| unkept(c, UnkeptWay::Unread),
    },
    Check {
        code: "keep-binds",
        question: "Is no kept path shown at a second place that would not come back?",
        reads: "/proc/self/mountinfo, /etc/fstab",
        force: Allowed,
        again: &[Stop],
        remedy: "unmount it, put it in /etc/fstab (it comes along), or force it if nobody needs it there",
        against: |c| {
            let carried = carried::identity(c.facts, c.manifest).map(|i| i.mounts).unwrap_or_default();
            let shown: Vec<_> = c
                .facts
                .condition
                .binds
                .iter()
                .filter(|b| {
                    // Either is within the other: /srv shown at /mnt shows /srv/shop there.
                    c.facts.kept.iter().map(|k| k.path.as_str()).any(|k| {
                        is_below(&b.shows, k) || (b.shows != "/" && is_below(k, &b.shows))
                    })
                })
                .filter(|b| !carried.iter().any(|m| m.target == b.target))
                .map(|b| format!("{} is shown at {} too", b.shows, b.target))
                .collect();
            joined(&shown)
        },
    },
    Check {
        code: "keep-hard-links",
        question: "Are all names of the kept files kept?",
        reads: "the kept trees",
        force: NotNeeded,
        again: &[],
        remedy: "nothing: the files stay, their names outside of the kept paths go with the old OS",
        against: |c| {
            let Some(outside) = &c.facts.condition.outside_links else {
                return Some("there are too many files with several names to tell".to_owned());
            };
            (outside.files > 0).then(|| {
                format!(
                    "{} outside of the kept paths, {} for one",
                    counted(outside.files, "file has names", "files have names"),
                    outside.example
                )
            })
        },
    },
    Check {
        code: "keep-symlinks",
        question: "Do symbolic links in the kept trees lead to what is kept too?",
        reads: "the text of every symbolic link in the kept trees, links in the root directory",
        force: NotNeeded,
        again: &[],
        remedy: "keep what they lead to as well, with --keep, where that is data: it is wiped, and the link will lead \
                 nowhere or to something of the new OS",
        against: |c| c.facts.condition.wiped_targets.told(),
    },
    Check {
        code: "keep-link",
        question: "Does the new OS have real directories where kept paths are?",
        reads: "the image's manifest",
        force: Never,
        again: &[],
        remedy: "use an image without that link, or move the data first to a path that has none in the new OS, and \
                 keep that: what is not kept is wiped",
        against: |c| {
            let links = &c.manifest.payload.directory_links;
            let through: Vec<_> = c
                .facts
                .kept
                .iter()
                .filter_map(|k| {
                    let path = k.path.as_str();
                    let link = links.iter().find(|l| {
                        let at = format!("/{}", l.path.trim_start_matches('/'));
                        is_below(path, &at)
                    })?;
                    Some(format!("{path}: in the new OS {} is a link to {}", link.path, link.target))
                })
                .collect();
            (!through.is_empty()).then(|| through.join("; "))
        },
    },
];

/// What is mounted below kept paths. Where fstab cannot be carried another check refuses.
fn below_kept(c: &Context) -> BelowKept {
    carried::identity(c.facts, c.manifest)
        .map(|identity| below_kept::mounts(c.facts, &identity))
        .unwrap_or_default()
}

/// Paths that cannot be kept, in one way.
fn unkept(c: &Context, way: UnkeptWay) -> Option<String> {
    let kept = c.facts.kept.iter();
    let unkept = kept.filter_map(|k| Some((&k.path, k.found.as_ref().err()?)));
    let of_way = unkept.filter(|(_, unkept)| unkept.way == way);
    joined(
        &of_way
            .map(|(path, why)| format!("{path}: {why}"))
            .collect::<Vec<_>>(),
    )
}

/// Directories of the new OS that the init writes to by path.
const WRITTEN: [&str; 20] = [
    "/etc",
    "/etc/cloud",
    "/etc/cloud/cloud.cfg.d",
    "/etc/netplan",
    "/etc/network",
    "/etc/NetworkManager",
    "/etc/systemd",
    "/etc/systemd/network",
    "/etc/systemd/system",
    "/etc/default",
    "/etc/default/grub.d",
    "/etc/ssh",
    "/boot",
    "/boot/grub",
    "/boot/grub/i386-pc",
    "/boot/grub/fonts",
    "/var",
    "/var/log",
    "/var/log/reroot",
    "/root",
];
