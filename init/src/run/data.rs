//! What the steps of a run receive and hand on. Data: it knows none of them.

use std::path::PathBuf;

use formats::facts::{RootType, Subvolume};
use formats::keep::KeepSet;
use formats::measure::Measure;
use formats::plan::Plan;
use formats::Manifest;
use storage::block::BlockDevice;
use storage::root::FoundRoot;
use tree::Source;

use crate::run::payload::PayloadIn;
use crate::run::recorder::Recorder;

/// Everything that the steps share.
pub struct Run {
    /// What to do.
    pub plan: Plan,
    /// With which image.
    pub manifest: Manifest,
    /// The root filesystem, mounted at /target, and its disk.
    pub root: MountedRoot,
    /// The filesystems beside it that are wiped with it, each behind the one that it is mounted in.
    pub systems: Vec<System>,
    /// Whether it begins here or is taken up.
    pub start: Start,
    /// The payload.
    pub payload: Source,
    /// Where that is.
    pub payload_in: PayloadIn,
    /// The plan's keep list, and what else the wipe spares.
    pub keep: KeepSet,
    /// Every kept path as it was before the wipe.
    pub before: Vec<Measure>,
    /// Times and retries.
    pub recorder: Recorder,
}

/// The machine's root filesystem, mounted at /target: read-only until the commit.
#[derive(Clone, Debug)]
pub struct MountedRoot {
    /// The device node of the partition, or of the mirror.
    pub device: PathBuf,
    /// The device nodes of the disks that have all of it, in the order of the plan's: one, or those of a
    /// mirror; `None` for one that is not there.
    pub disks: Vec<Option<PathBuf>>,
}

impl From<FoundRoot> for MountedRoot {
    fn from(found: FoundRoot) -> MountedRoot {
        let disks = found.disks.iter();
        MountedRoot {
            device: found.device.node(),
            disks: disks
                .map(|disk| disk.as_ref().map(BlockDevice::node))
                .collect(),
        }
    }
}

/// A filesystem beside the root that is wiped with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct System {
    /// Where the machine has it mounted.
    pub target: String,
    /// Its type.
    pub filesystem: RootType,
    /// The partition's device node.
    pub device: PathBuf,
    /// The subvolume of the root's own Btrfs that it is; `None` for a filesystem of its own.
    pub subvolume: Option<Subvolume>,
}

/// How this start goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// From the beginning: the old OS is as it was.
    Fresh,
    /// With the wipe: the commit point is passed.
    TakenUp,
}
