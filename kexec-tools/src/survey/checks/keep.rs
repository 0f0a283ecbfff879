//! The keep list: that what is named is there, and that the new OS leaves it where it is.

use formats::keep::is_below;
use plan::resolve;

use super::check::Force::{Allowed, Never, NotNeeded};
use super::check::Moment::{Ram, Stop};
use super::check::{joined, Check};

/// In the order in which a person would ask.
pub(super) const CHECKS: &[Check] = &[
    Check {
        code: "keep-mounts",
        question: "Is nothing mounted below a kept path?",
        reads: "/proc/self/mountinfo",
        force: Never,
        again: &[Stop, Ram],
        remedy: "unmount it; what is below is then what is kept, and other filesystems are left alone anyway",
        against: |c| {
            let below: Vec<_> = c
                .facts
                .mounts
                .iter()
                .filter(|m| c.facts.kept.iter().any(|k| is_below(&m.target, k.path.as_str())))
                .map(|m| format!("{} ({})", m.target, m.source))
                .collect();
            (!below.is_empty()).then(|| below.join(", "))
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
        question: "Is every kept path there, on the root filesystem, and no link?",
        reads: "every kept path, name by name",
        force: Never,
        again: &[Ram],
        remedy: "correct the path, or leave it out with --no-keep PATH",
        against: |c| {
            let bad: Vec<_> = c
                .facts
                .kept
                .iter()
                .filter_map(|k| Some(format!("{}: {}", k.path, k.found.as_ref().err()?)))
                .collect();
            (!bad.is_empty()).then(|| bad.join("; "))
        },
    },
    Check {
        code: "keep-binds",
        question: "Is no kept path shown at a second place that would not come back?",
        reads: "/proc/self/mountinfo, /etc/fstab",
        force: Allowed,
        again: &[Stop],
        remedy: "unmount it, put it in /etc/fstab (it comes along), or force it if nobody needs it there",
        against: |c| {
            let carried = resolve::identity(c.facts, c.manifest).map(|i| i.mounts).unwrap_or_default();
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
                    "{} files have names outside of the kept paths, {} for one",
                    outside.files, outside.example
                )
            })
        },
    },
    Check {
        code: "keep-link",
        question: "Does the new OS have real directories where kept paths are?",
        reads: "the image's manifest",
        force: Never,
        again: &[],
        remedy: "keep the path that the new OS's link leads to, or leave it out",
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
