//! The checks: whether this machine may be reinstalled with this image. A table; each row reads
//! facts and manifest only, so `check`, `plan` and `go` come to the same verdict.

use manifest::facts::{Facts, Firmware, InitSystem};
use manifest::manifest::Manifest;
use manifest::plan::PayloadAt;
use manifest::resolve::{self, Choices, PartSizes};
use serde::Serialize;

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

/// Every check, in the order in which a person would ask.
const CHECKS: &[Check] = &[
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
        remedy: "wait for it, or end its worker process",
        against: |c| c.facts.other_run.clone().map(|r| format!("run {r} is in progress")),
    },
    Check {
        code: "init",
        question: "Can services be stopped in their own order?",
        force: Allowed,
        remedy: "stop the services by hand, then force: every process is ended then",
        against: |c| match &c.facts.init {
            InitSystem::Systemd => None,
            InitSystem::Other(name) => Some(format!("PID 1 is {name}, not systemd")),
        },
    },
    Check {
        code: "firmware",
        question: "Was the machine started by a BIOS?",
        force: Never,
        remedy: "this release installs GRUB for PC BIOS only",
        against: |c| (c.facts.firmware == Firmware::Uefi).then(|| "it was started by UEFI".to_owned()),
    },
    Check {
        code: "kexec",
        question: "Can the running kernel enter another one?",
        force: Never,
        remedy: "kernel 3.17 or later, kernel.kexec_load_disabled=0 (set at boot), no lockdown",
        against: |c| {
            let k = &c.facts.kexec;
            if !k.file_load {
                Some(format!("kernel {} has no kexec_file_load", c.facts.kernel))
            } else if k.disabled {
                Some("kernel.kexec_load_disabled is set".to_owned())
            } else {
                k.lockdown.as_ref().map(|mode| format!("lockdown mode is {mode}"))
            }
        },
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
        remedy: "this release takes disks with an MBR and a gap of at least 256 sectors before the first partition",
        against: |c| {
            let root = c.facts.root.as_ref()?;
            if root.table != "dos" {
                return Some(format!("{} has a {} partition table", root.disk, root.table));
            }
            (root.gap_sectors < GAP_SECTORS)
                .then(|| format!("the gap has {} sectors, two loaders take {GAP_SECTORS}", root.gap_sectors))
        },
    },
    Check {
        code: "root-driver",
        question: "Does the image have the drivers of the root disk?",
        force: Allowed,
        remedy: "add the driver's class to `drivers` in image.toml and build again",
        against: |c| {
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
                        path == at || path.starts_with(&format!("{at}/"))
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
            resolve::space(c.manifest, fs, &kept, staged(c)).lack()
        },
    },
    Check {
        code: "space-now",
        question: "Is there room for the image's parts while it is being loaded?",
        force: Never,
        remedy: "free that much on the root filesystem",
        against: |c| {
            let root = c.facts.root.as_ref()?;
            let needed = c.sizes.kernel + c.sizes.initramfs + c.sizes.payload + (16 << 20);
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
            let (at, _) = resolve::payload_at(c.manifest, c.sizes, c.facts.memory, c.choices);
            let peak = resolve::memory_peak(c.manifest, c.sizes, at);
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
    Check {
        code: "network-static",
        question: "Does the machine get its addresses by DHCP, as the new OS will?",
        force: Allowed,
        remedy: "force it only if you can reach the machine's console: this release does not carry static addresses",
        against: |c| {
            let a = &c.facts.static_addresses;
            (!a.is_empty()).then(|| a.join(", "))
        },
    },
];

/// GRUB's core image takes about 80 sectors; two of them, and room to grow.
const GAP_SECTORS: u64 = 256;

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

fn staged(c: &Context) -> u64 {
    match resolve::payload_at(c.manifest, c.sizes, c.facts.memory, c.choices).0 {
        PayloadAt::Ram => 0,
        PayloadAt::Disk => c.sizes.payload,
    }
}

/// Whether a check with this code exists and may be forced.
pub fn may_be_forced(code: &str) -> bool {
    CHECKS.iter().any(|c| c.code == code && c.force == Allowed)
}

/// Runs every check.
pub fn run(context: &Context) -> Vec<Finding> {
    CHECKS
        .iter()
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
