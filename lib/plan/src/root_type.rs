//! Whether an image can have its root on the filesystem that the machine has.

use formats::facts::RootType;
use formats::manifest::Manifest;

/// Why it cannot, in words; `None` where it can.
pub fn against(fstype: &str, manifest: &Manifest) -> Option<String> {
    let Some(filesystem) = RootType::of(fstype) else {
        return Some(format!("it is {fstype}"));
    };
    if filesystem == RootType::Ext4 {
        // Every image can.
        return None;
    }
    let mounted = against_mounted(fstype, manifest);
    let loader = manifest.tools.core_sectors(filesystem).is_none().then(|| {
        let module = filesystem.grub_module();
        format!("the image's GRUB has no module {module}")
    });
    match (mounted, loader) {
        (Some(mounted), Some(loader)) => Some(format!("{mounted}; {loader}")),
        (Some(mounted), None) => Some(mounted),
        (None, loader) => loader.map(|loader| format!("it is {fstype}, and {loader}")),
    }
}

/// Why it cannot have a filesystem of this type mounted that no boot loader reads; `None` where it can.
pub fn against_mounted(fstype: &str, manifest: &Manifest) -> Option<String> {
    let filesystem = RootType::of(fstype).filter(|filesystem| *filesystem != RootType::Ext4)?;
    let name = filesystem.name();
    let module = manifest.kernel.drivers.iter().any(|d| d == name);
    let own = manifest.payload_drivers.as_ref();
    let lacks = [
        (!module)
            .then(|| format!("the image's kernel has no module {name} in the RAM environment")),
        (!own.is_some_and(|own| own.has_in_initrd(name)))
            .then(|| format!("the new OS's own initrd has no module {name}")),
    ];
    let lacks: Vec<String> = lacks.into_iter().flatten().collect();
    (!lacks.is_empty()).then(|| format!("it is {fstype}, and {}", lacks.join("; ")))
}
