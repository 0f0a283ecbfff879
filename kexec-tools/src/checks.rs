//! The checks: whether this machine may be reinstalled with this image. A table; each row reads
//! facts and manifest only, so `check`, `plan` and `go` come to the same verdict.

use manifest::entry::{self, Entry};
use manifest::facts::{Facts, Firmware};
use manifest::manifest::Manifest;
use manifest::resolve::{self, Choices, PartSizes};
use serde::Serialize;

use crate::prove;

#[path = "checks_identity.rs"]
mod identity;

/// What the checks look at.
pub struct Context<'a> {
    /// The machine.
    pub facts: &'a Facts,
    /// The image.
    pub manifest: &'a Manifest,
    /// Sizes of its parts.
    pub sizes: PartSizes,
    /// What the operator asked for.
    pub choices: &'a Choices,
    /// Codes that the operator forces.
    pub forced: &'a [String],
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The check's code.
    pub code: &'static str,
    /// What the check asks.
    pub question: &'static str,
    /// Its verdict.
    pub verdict: Verdict,
    /// What was found, where it refuses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<&'static str>,
}

/// The verdict of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nothing against it.
    Pass,
    /// It refuses.
    Refuse,
    /// It refuses, and the operator forces it.
    Forced,
}

impl Finding {
    /// Whether this alone keeps the machine from being reinstalled.
    pub fn refuses(&self) -> bool {
        self.verdict == Verdict::Refuse
    }
}

/// Whether the operator may go on although a check refuses.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Force {
    /// Never: it would fail or lose something.
    Never,
    /// It may be wrong, or the operator may know better.
    Allowed,
}

struct Check {
    code: &'static str,
    question: &'static str,
    force: Force,
    remedy: &'static str,
    /// What speaks against it; nothing where it passes.
    against: fn(&Context) -> Option<String>,
}

use Force::{Allowed, Never};

/// Whether the machine itself can be reinstalled, in the order in which a person would ask.
const MACHINE_CHECKS: &[Check] = &[
    Check {
        code: "architecture",
        question: "Is the image for this architecture?",
        force: Never,
        remedy: "build an image for this machine's architecture",
        against: |c| {
            (c.facts.architecture != c.manifest.architecture)
                .then(|| format!("machine {}, image {}", c.facts.architecture, c.manifest.architecture))
        },
    },
    Check {
        code: "container",
        question: "Is this a machine with a kernel of its own?",
        force: Never,
        remedy: "reinstall the host, or make a new container",
        against: |c| c.facts.container.clone().map(|k| format!("this is a {k} container")),
    },
    Check {
        code: "other-run",
        question: "Is no other run in progress?",
        force: Never,
        remedy: "wait for it, or break it off with `pkill -TERM -f 'reroot worker'` while services still run",
        against: |c| c.facts.other_run.clone().map(|r| format!("run {r} is in progress")),
    },
    Check {
        code: "firmware",
        question: "Was the machine started by a BIOS?",
        force: Never,
        remedy: "this release installs GRUB for PC BIOS only",
        against: |c| (c.facts.firmware == Firmware::Uefi).then(|| "it was started by UEFI".to_owned()),
    },
    Check {
        code: "entry",
        question: "Is there a way into the RAM environment?",
        force: Never,
        remedy: "open one: kexec takes kernel.kexec_load_disabled=0 (set at boot) and no lockdown; \
                 takeover takes kernel.yama.ptrace_scope below 3 (set at boot) and no tracer of PID 1",
        against: |c| match c.choices.entry {
            // The entry's own check says whether it can be taken.
            Some(_) => None,
            None => entry::no_way(c.facts),
        },
    },
    Check {
        code: "kexec",
        question: "Can the running kernel enter another one, if that was asked for?",
        force: Never,
        remedy: "leave out --entry; else kernel 3.17 or later, kernel.kexec_load_disabled=0 (set at \
                 boot), no lockdown",
        against: |c| against_asked(c, Entry::Kexec),
    },
    Check {
        code: "takeover",
        question: "Can PID 1 be taken over, if that was asked for?",
        force: Never,
        remedy: "end its tracer; run this in PID 1's own root directory and mounts; boot with \
                 kernel.yama.ptrace_scope below 3; or leave out --entry",
        against: |c| against_asked(c, Entry::Takeover),
    },
    Check {
        code: "root",
        question: "Is the root a plain partition that can be found again?",
        force: Never,
        remedy: "this release takes an ext4 root on a primary partition of a plain disk",
        against: |c| {
            c.facts.root.is_none().then(|| c.facts.root_unknown.clone().unwrap_or_default())
        },
    },
    Check {
        code: "root-type",
        question: "Is the root filesystem ext4?",
        force: Never,
        remedy: "convert the root to ext4, or wait for a release that knows this filesystem",
        against: |c| {
            let fstype = &c.facts.root.as_ref()?.fstype;
            (fstype != "ext4").then(|| format!("it is {fstype}"))
        },
    },
    Check {
        code: "root-double",
        question: "Is the root filesystem the only one with its UUID?",
        force: Never,
        remedy: "detach the copy, or give it a new UUID with `tune2fs -U random`",
        against: |c| {
            let root = c.facts.root.as_ref()?;
            (!root.doubles.is_empty())
                .then(|| format!("{} has it too: {}", root.doubles.join(" and "), root.identity.fs_uuid))
        },
    },
    Check {
        code: "root-errors",
        question: "Is the root filesystem free of recorded errors?",
        force: Never,
        remedy: "run e2fsck on it from a rescue system",
        against: |c| c.facts.root.as_ref()?.errors.clone(),
    },
    Check {
        code: "partition-table",
        question: "Does the disk have a master boot record with room for a second GRUB?",
        force: Never,
        remedy: "this release takes disks with an MBR and 160 unused sectors in a row before the first partition",
        against: |c| {
            let root = c.facts.root.as_ref()?;
            if root.table != "dos" {
                return Some(format!("{} has a {} partition table", root.disk, root.table));
            }
            (!root.gap_has_room).then(|| {
                format!(
                    "the {} sectors before the first partition have no room for a second loader",
                    root.gap_sectors
                )
            })
        },
    },
    Check {
        code: "boot-disk",
        question: "Does the firmware start the root's own disk?",
        force: Allowed,
        remedy: "force it if you know that the firmware starts this disk, for the loader goes there",
        against: |c| {
            let root = c.facts.root.as_ref()?;
            if !root.grub_on_disk {
                return Some(format!("{} does not have GRUB in its gap", root.disk));
            }
            (!root.grub_elsewhere.is_empty())
                .then(|| format!("GRUB is on {} too", root.grub_elsewhere.join(" and ")))
        },
    },
    Check {
        code: "watchdog",
        question: "Is no watchdog going to reset the machine?",
        force: Allowed,
        remedy: "stop it: RuntimeWatchdogSec=0 in /etc/systemd/system.conf, `systemctl daemon-reexec`, \
                 and the watchdog service",
        against: |c| {
            let w = &c.facts.watchdogs;
            (!w.is_empty()).then(|| format!("running: {}", w.join(", ")))
        },
    },
    Check {
        code: "root-driver",
        question: "Does the image have the drivers of the root disk?",
        force: Allowed,
        remedy: "add the driver's class to `drivers` in image.toml and build again",
        against: |c| {
            if entry::choose(c.facts, c.choices.entry).entry == Entry::Takeover {
                // The kernel that drives the disk now goes on.
                return None;
            }
            let has = |d: &&String| !c.manifest.kernel.drivers.contains(*d);
            let missing: Vec<_> = c.facts.root_drivers.iter().filter(has).cloned().collect();
            (!missing.is_empty()).then(|| format!("not in the image: {}", missing.join(", ")))
        },
    },
    Check {
        code: "separate-mounts",
        question: "Is the old OS on one filesystem?",
        force: Never,
        remedy: "this release takes machines with /boot, /usr and /var on the root filesystem",
        against: |c| {
            let apart: Vec<_> = c
                .facts
                .mounts
                .iter()
                .filter(|m| OS_DIRECTORIES.contains(&m.target.as_str()))
                .map(|m| format!("{} is on {}", m.target, m.source))
                .collect();
            (!apart.is_empty()).then(|| apart.join(", "))
        },
    },
    Check {
        code: "network-mounts",
        question: "Is nothing mounted from a server?",
        force: Never,
        remedy: "unmount it: once the network is down it would hang",
        against: |c| {
            let from: Vec<_> = c
                .facts
                .mounts
                .iter()
                .filter(|m| prove::is_network(&m.fstype))
                .map(|m| format!("{} ({})", m.target, m.fstype))
                .collect();
            (!from.is_empty()).then(|| from.join(", "))
        },
    },
    Check {
        code: "loop-mounts",
        question: "Is no mounted filesystem an image in a file that will be wiped?",
        force: Never,
        remedy: "keep the file with --keep, or unmount it if it may go",
        against: |c| {
            let lost: Vec<_> = c
                .facts
                .mounts
                .iter()
                // Read-only by nature: snaps and the like come with their OS.
                .filter(|m| m.fstype != "squashfs")
                .filter_map(|m| Some((&m.target, m.backing_file.as_ref()?)))
                .filter(|(_, file)| !c.facts.kept.iter().any(|k| is_below(file, k.path.as_str())))
                .map(|(target, file)| format!("{target} is in {file}"))
                .collect();
            (!lost.is_empty()).then(|| lost.join(", "))
        },
    },
    Check {
        code: "image-place",
        question: "Is the image where it stays readable until it is loaded?",
        force: Never,
        remedy: "copy it to the root filesystem and run it there",
        against: |c| {
            let on = c.facts.image_on.as_ref()?;
            Some(format!("it is on {on}, which is unmounted first"))
        },
    },
    Check {
        code: "keep-mounts",
        question: "Is nothing mounted below a kept path?",
        force: Never,
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
        force: Never,
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
        force: Never,
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
        code: "keep-link",
        question: "Does the new OS have real directories where kept paths are?",
        force: Never,
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
    Check {
        code: "space",
        question: "Will the new OS fit beside what is kept?",
        force: Never,
        remedy: "free space on the root filesystem, or keep less",
        against: |c| {
            let root = c.facts.root.as_ref()?;
            let kept: Vec<_> = c.facts.kept.iter().filter_map(|k| k.found.clone().ok()).collect();
            let fs = resolve::Filesystem { bytes: root.bytes, inodes: root.inodes };
            resolve::space(c.manifest, fs, &kept, resolve::staged_bytes(c.sizes)).lack()
        },
    },
    Check {
        code: "space-now",
        question: "Is there room for the image's parts while it is being loaded?",
        force: Never,
        remedy: "free that much on the root filesystem",
        against: |c| {
            let root = c.facts.root.as_ref()?;
            let needed = resolve::staged_bytes(c.sizes);
            (root.bytes_free < needed).then(|| {
                format!("{} MiB are free, loading takes {} MiB", root.bytes_free >> 20, needed >> 20)
            })
        },
    },
    Check {
        code: "memory",
        question: "Is there enough memory to load and to run the RAM environment?",
        force: Never,
        remedy: "stop services that take memory, use --payload disk, or add memory",
        against: |c| {
            let (at, _) = resolve::payload_at(c.manifest, c.sizes, c.facts, c.choices);
            let entry = entry::choose(c.facts, c.choices.entry);
            let peak = resolve::memory_peak(c.manifest, c.sizes, at, &entry);
            (!resolve::memory_suffices(peak, c.facts.memory)).then(|| {
                format!(
                    "loading takes {} MiB of {} MiB available, the RAM environment {} MiB of {} MiB",
                    peak.load >> 20,
                    c.facts.memory.available >> 20,
                    peak.ram >> 20,
                    c.facts.memory.total >> 20
                )
            })
        },
    },
];

/// What speaks against an entry, where it was asked for.
fn against_asked(c: &Context, entry: Entry) -> Option<String> {
    (c.choices.entry == Some(entry))
        .then(|| entry::against(entry, c.facts))
        .flatten()
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

/// Whether a path is `parent` or below it.
fn is_below(path: &str, parent: &str) -> bool {
    path.strip_prefix(parent)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Directories without which the old OS cannot be wiped or the new one not be started.
const OS_DIRECTORIES: [&str; 12] = [
    "/boot",
    "/usr",
    "/var",
    "/etc",
    "/bin",
    "/sbin",
    "/lib",
    "/lib64",
    "/opt",
    "/root",
    "/var/lib",
    "/usr/local",
];

/// Every check.
fn all() -> impl Iterator<Item = &'static Check> {
    MACHINE_CHECKS.iter().chain(identity::CHECKS)
}

/// Whether a check with this code exists and may be forced.
pub fn may_be_forced(code: &str) -> bool {
    all().any(|c| c.code == code && c.force == Allowed)
}

/// Runs every check.
pub fn run(context: &Context) -> Vec<Finding> {
    all()
        .map(|check| {
            let found = (check.against)(context);
            let forced = check.force == Allowed && context.forced.iter().any(|f| f == check.code);
            Finding {
                code: check.code,
                question: check.question,
                verdict: match (&found, forced) {
                    (None, _) => Verdict::Pass,
                    (Some(_), true) => Verdict::Forced,
                    (Some(_), false) => Verdict::Refuse,
                },
                remedy: found.is_some().then_some(check.remedy),
                found,
            }
        })
        .collect()
}

#[cfg(test)]
#[path = "checks_tests.rs"]
mod tests;
