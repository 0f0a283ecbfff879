//! What the new OS's own initrd has to put together before it can mount `/usr`, and what an image lacks for that.
//!
//! The root is another matter: an initrd is told of it by the kernel's parameters, of `/usr` by the root's fstab alone.

use formats::facts::{Facts, MountedFilesystem, RootIdentity};
use formats::manifest::Manifest;
use formats::tools::{LVM, MDADM};
use identity::mounts::MOUNTED_BY_INITRD;

use crate::filesystems;

/// The programs that put together what a filesystem is on; none for one on a partition.
pub fn programs(identity: &RootIdentity) -> Vec<&'static str> {
    let layers = [
        (identity.logical.is_some(), LVM),
        (identity.array.is_some(), MDADM),
    ];
    let needed = layers.into_iter().filter(|(needed, _)| *needed);
    needed.map(|(_, program)| program).collect()
}

/// `/usr`, where it is on a filesystem of its own that is wiped with the root.
pub fn usr(facts: &Facts) -> Option<&MountedFilesystem> {
    let mut systems = filesystems::systems_of(facts).into_iter();
    systems.find(|system| system.target == MOUNTED_BY_INITRD)
}

/// Why the new OS's initrd would not put it together, one line a program.
pub fn against(facts: &Facts, manifest: &Manifest) -> Vec<String> {
    let Some(usr) = usr(facts) else {
        return Vec::new();
    };
    let programs = usr.identity.iter().flat_map(programs);
    let lacks = programs.filter_map(|program| {
        let lack = match &manifest.payload_drivers {
            Some(own) => own.lacks_for_all_mounts(program)?,
            None => "is not known to this image".to_owned(),
        };
        let (target, device) = (&usr.target, &usr.device);
        Some(format!(
            "{target} ({device}) is mounted by the new OS's own initrd, which {lack}"
        ))
    });
    lacks.collect()
}
