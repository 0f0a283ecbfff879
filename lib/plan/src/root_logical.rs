//! Whether an image can have its root on a logical volume.

use formats::facts::RootIdentity;
use formats::manifest::Manifest;
use formats::tools::LVM;

/// Why it cannot, in words; `None` where it can, or the root is on none. Its driver is asked for with those of
/// the disk.
pub fn against(root: &RootIdentity, manifest: &Manifest) -> Option<String> {
    root.logical.as_ref()?;
    let filesystem = root.filesystem.name();
    let own = manifest.payload_drivers.as_ref();
    let lacks = [
        (!manifest.tools.has(LVM)).then(|| format!("the new OS has no program {LVM}")),
        (!own.is_some_and(|own| own.has_program_in_initrd(LVM)))
            .then(|| format!("its own initrd has no program {LVM}")),
        manifest
            .tools
            .core_sectors_of(root)
            .is_none()
            .then(|| format!("its GRUB has no module {LVM}, or none for {filesystem}")),
    ];
    let lacks: Vec<String> = lacks.into_iter().flatten().collect();
    (!lacks.is_empty()).then(|| lacks.join("; "))
}
