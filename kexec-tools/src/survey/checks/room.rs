//! Room: bytes and inodes on the root filesystem, and memory.

use plan::{choices, needs, ram_ssh};

use super::check::joined;
use super::check::Check;
use super::check::Force::Never;
use super::check::Moment::Ram;

/// In the order in which a person would ask.
pub(super) const CHECKS: &[Check] = &[
    Check {
        code: "space",
        question: "Will the new OS fit beside what is kept, on each filesystem that it goes to?",
        reads: "statvfs(2), what a Btrfs has given to data, to its trees and to nothing, the kept trees, the image's \
                manifest",
        force: Never,
        again: &[Ram],
        remedy: "what is not kept counts as free already: move kept data to another disk or machine until it fits, or \
                 use a smaller image; on Btrfs, where nothing counts as free already that a snapshot has too, \
                 `btrfs balance start -dusage=50 /` takes back what was given to data and is hardly used, and a snapshot \
                 that nobody needs goes by `btrfs subvolume delete`; a quota is taken off by `btrfs qgroup limit none GROUP /`",
        against: |c| {
            c.facts.root.as_ref()?;
            joined(&needs::lacks(c.facts, c.manifest, c.sizes))
        },
    },
    Check {
        code: "space-now",
        question: "Is there room for the image's parts while it is being loaded?",
        reads: "statvfs(2)",
        force: Never,
        again: &[],
        remedy: "free that much on the root filesystem",
        against: |c| {
            let root = c.facts.root.as_ref()?;
            let needed = needs::staged_bytes(c.sizes);
            (root.bytes_free < needed).then(|| {
                format!(
                    "{} MiB are free, loading takes {} MiB",
                    root.bytes_free >> 20,
                    needed >> 20
                )
            })
        },
    },
    Check {
        code: "memory",
        question: "Is there enough memory to load and to run the RAM environment?",
        reads: "/proc/meminfo, the image's sizes",
        force: Never,
        again: &[Ram],
        remedy: "stop services that take memory, use --payload disk, or add memory",
        against: |c| {
            // It is left out rather than refuse.
            let ssh = ram_ssh::decide(c.manifest, c.sizes, c.facts, c.choices);
            let ssh = needs::SshPart::from(&ssh);
            let (at, _) = needs::payload_at(c.manifest, c.sizes, c.facts, c.choices, ssh);
            let entry = choices::entry_plan(c.facts, c.choices);
            let peak = needs::memory_peak(c.manifest, c.sizes, at, &entry, ssh);
            (!needs::memory_suffices(peak, c.facts.memory)).then(|| {
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
