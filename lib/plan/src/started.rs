//! Whether GRUB on the root's own disk started the running kernel: only then the GRUB that a run
//! writes there is what the firmware comes to. That a disk holds a loader proves nothing where the
//! host, the network, or a kernel before this one does the starting.

use formats::facts::Started;

/// GRUB 2's number and version. Linux boot protocol, `type_of_loader`.
const GRUB_2: u32 = 0x72;

/// What a kernel notes itself that was started as a program of UEFI's: by GRUB from 2.12 on, which tells it
/// the file by `BOOT_IMAGE=` as ever, or by others, which tell none.
const EFI_STUB: u32 = 0x21;

/// What other loaders are, by their number.
const LOADERS: [(u32, &str); 13] = [
    (0x0, "LILO, or a loader that calls itself so"),
    (0x1, "Loadlin"),
    (
        0x3,
        "a loader of the syslinux family, such as PXELINUX or extlinux",
    ),
    (0x4, "Etherboot or iPXE, from the network"),
    (0x5, "ELILO"),
    (0x7, "another GRUB than GRUB 2"),
    (0x8, "U-Boot"),
    (0x9, "the Xen host"),
    (0xa, "Gujin"),
    (0xb, "QEMU, which loads a kernel that its host names"),
    (0xd, "kexec, from a kernel that ran before"),
    (
        0xf,
        "a loader without a number, such as a virtual machine's host",
    ),
    (0x11, "a firmware that loads a kernel that its host names"),
];

/// What speaks against relying on this disk's GRUB, in words.
pub fn against(started: &Started) -> Option<String> {
    let image = started.image.as_deref();
    match (started.loader, image) {
        (Some(GRUB_2 | EFI_STUB) | None, Some(image)) => (!started.image_on_root).then(|| {
            format!(
                "the kernel that was started, {image}, is no file of this root filesystem, nor of a partition of its \
                 disk at /boot: a loader on another filesystem started it, or it was removed since"
            )
        }),
        (Some(GRUB_2), None) => {
            Some("GRUB 2 started the running kernel, and it does not say from which file".to_owned())
        }
        (Some(EFI_STUB), None) => Some(
            "the running kernel was started as a program of UEFI's, and not by GRUB".to_owned(),
        ),
        (Some(number), _) => {
            let known = LOADERS.iter().find(|(kind, _)| *kind == number >> 4);
            let name = known.map_or("a loader that is not known", |(_, name)| *name);
            Some(format!(
                "the running kernel was started by {name} (loader type {number:#x})"
            ))
        }
        (None, None) => Some("the running kernel does not say what started it".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(loader: Option<u32>, image: Option<&str>, image_on_root: bool) -> Started {
        Started {
            loader,
            image: image.map(str::to_owned),
            image_on_root,
        }
    }

    #[test]
    fn only_a_grub_that_read_this_root_is_relied_on() {
        let kernel = Some("/boot/vmlinuz-6.1");
        for (found, said) in [
            (started(Some(0x72), kernel, true), None),
            (started(Some(0x21), kernel, true), None),
            (started(Some(0x21), None, false), Some("not by GRUB")),
            // Not every kernel has the number.
            (started(None, kernel, true), None),
            (
                started(Some(0x72), kernel, false),
                Some("no file of this root"),
            ),
            (
                started(Some(0x72), None, false),
                Some("does not say from which file"),
            ),
            (started(Some(0xb0), None, false), Some("QEMU")),
            (started(Some(0xd0), None, false), Some("kexec")),
            // kexec-tools with --reuse-cmdline on some releases.
            (started(Some(0xd0), kernel, true), Some("kexec")),
            (started(Some(0x32), kernel, true), Some("PXELINUX")),
            (started(Some(0x71), None, false), Some("another GRUB")),
            (started(Some(0x02), Some("Linux"), false), Some("LILO")),
            (started(Some(0x90), None, false), Some("Xen")),
            (
                started(Some(0xff), None, false),
                Some("virtual machine's host"),
            ),
            (started(Some(0x110), None, false), Some("firmware")),
            (started(Some(0xc0), None, false), Some("not known")),
            (started(None, None, false), Some("does not say what")),
        ] {
            let against = against(&found);
            assert_eq!(against.is_some(), said.is_some(), "{found:?}: {against:?}");
            let text = against.unwrap_or_default();
            assert!(text.contains(said.unwrap_or_default()), "{found:?}: {text}");
        }
    }
}
