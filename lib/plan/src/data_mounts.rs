//! Data that is left alone, and that the new OS has to mount at every boot: whether it can. One that it cannot mount, or
//! whose check fails, keeps it from getting further than an emergency shell, without network.

use formats::facts::{Facts, MountedFilesystem};
use formats::identity::PlannedMount;
use formats::manifest::Manifest;
use formats::tools::Readers;

use crate::{btrfs_features, ext4_features, filesystems, xfs_features};

/// What of the features of each that `mounts` say has to be there the new OS's kernel does not know, or what checks
/// it before it is mounted: one line each. What is wiped is asked about by [`filesystems::unknown`].
pub fn unknown(facts: &Facts, manifest: &Manifest, mounts: &[PlannedMount]) -> Vec<String> {
    let readers = manifest.tools.readers(&manifest.kernel.release);
    let readers = filesystems::without_loader(readers);
    let systems = filesystems::systems_of(facts);
    let is_data = |found: &&MountedFilesystem| {
        let mut systems = systems.iter();
        !systems.any(|system| system.target == found.target)
    };
    let mut unknown = Vec::new();
    for mount in mounts.iter().filter(|mount| mount.required) {
        let mut found = facts.filesystems.iter().filter(is_data);
        let Some(found) = found.find(|found| found.target == mount.target) else {
            continue;
        };
        let readers = Readers {
            e2fsprogs: readers.e2fsprogs.filter(|_| mount.checked),
            ..readers
        };
        let mut lacks = Vec::new();
        if let Some(features) = found.ext4 {
            lacks.extend(ext4_features::unknown(features, &readers));
        }
        if let Some(features) = found.xfs {
            lacks.extend(xfs_features::unknown(features, &readers));
        }
        if let Some(features) = found.btrfs {
            lacks.extend(btrfs_features::unknown_of_data(features, &readers));
        }
        unknown.extend(
            lacks
                .iter()
                .map(|lack| format!("{} ({}): {lack}", found.target, found.device)),
        );
    }
    unknown
}
