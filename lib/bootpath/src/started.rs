//! What started the running kernel, as it was told itself. Thin: `plan` decides what it means.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use formats::facts::Started;

/// Reads it. What cannot be read is not known. `boot` is where a partition of the root's disk is mounted that
/// GRUB may read kernels from, too.
/// `subvolume` is what GRUB has before the paths of the root's files, where that is a subvolume of Btrfs.
pub fn read(boot: Option<&Path>, subvolume: &str) -> Started {
    let number = fs::read_to_string("/proc/sys/kernel/bootloader_type").unwrap_or_default();
    let cmdline = fs::read_to_string("/proc/cmdline").unwrap_or_default();
    let image = image(&cmdline);
    Started {
        loader: number.trim().parse().ok(),
        image_on_root: image.as_deref().is_some_and(|image| {
            is_on(Path::new("/"), &without(image, subvolume))
                || boot.is_some_and(|boot| is_on(boot, image))
        }),
        image,
    }
}

/// The last one counts where there are several.
fn image(cmdline: &str) -> Option<String> {
    let mut words = cmdline.split_whitespace().rev();
    let image = words.find_map(|word| word.strip_prefix("BOOT_IMAGE="));
    image.filter(|image| !image.is_empty()).map(str::to_owned)
}

/// The name of a file in a subvolume. Some GRUBs begin with the subvolume itself, and some with what all of them
/// are in.
fn without(image: &str, subvolume: &str) -> String {
    let (device, path) = match image.split_once(')') {
        Some((device, path)) if device.starts_with('(') => (format!("{device})"), path),
        _ => (String::new(), image),
    };
    let inner = path
        .strip_prefix(subvolume)
        .filter(|inner| inner.starts_with('/'));
    format!("{device}{}", inner.unwrap_or(path))
}

/// Whether a file is on the filesystem that is mounted here, under the name that GRUB has for it: a device in
/// parentheses may stand before it.
fn is_on(root: &Path, image: &str) -> bool {
    let path = match image.strip_prefix('(') {
        Some(rest) => rest.split_once(')').map_or("", |(_, path)| path),
        None => image,
    };
    let Some(inner) = path.strip_prefix('/') else {
        return false;
    };
    let device = |path: &Path| fs::metadata(path).map(|found| (found.is_file(), found.dev()));
    match (device(&root.join(inner)), device(root)) {
        (Ok((true, file)), Ok((_, here))) => file == here,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_file_is_the_one_on_the_command_line() {
        for (cmdline, expected) in [
            (
                "BOOT_IMAGE=/boot/vmlinuz-6.1 root=UUID=1 ro",
                Some("/boot/vmlinuz-6.1"),
            ),
            (
                "root=/dev/sda1 BOOT_IMAGE=/a BOOT_IMAGE=(hd0,msdos1)/b",
                Some("(hd0,msdos1)/b"),
            ),
            ("auto BOOT_IMAGE=Linux ro root=801", Some("Linux")),
            ("root=/dev/vda1 console=ttyS0", None),
            ("BOOT_IMAGE= ro", None),
        ] {
            assert_eq!(image(cmdline).as_deref(), expected, "{cmdline}");
        }
    }

    #[test]
    fn a_subvolume_stands_before_its_files() {
        for (image, subvolume, expected) in [
            ("/root/boot/vmlinuz", "/root", "/boot/vmlinuz"),
            (
                "(hd0,gpt2)/root/boot/vmlinuz",
                "/root",
                "(hd0,gpt2)/boot/vmlinuz",
            ),
            ("/boot/vmlinuz", "/@/.snapshots/1/snapshot", "/boot/vmlinuz"),
            ("/rooted/vmlinuz", "/root", "/rooted/vmlinuz"),
            ("/boot/vmlinuz", "", "/boot/vmlinuz"),
        ] {
            assert_eq!(without(image, subvolume), expected, "{image}");
        }
    }

    #[test]
    fn only_a_file_of_this_root_is_on_it() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("boot")).unwrap();
        fs::write(root.path().join("boot/vmlinuz"), "").unwrap();
        for (image, expected) in [
            ("/boot/vmlinuz", true),
            ("(hd0,msdos1)/boot/vmlinuz", true),
            ("/boot/vmlinuz-other", false),
            ("/boot", false),
            ("/vmlinuz", false),
            ("boot/vmlinuz", false),
            ("Linux", false),
            ("(hd0", false),
        ] {
            assert_eq!(is_on(root.path(), image), expected, "{image}");
        }
        // A file, and of another filesystem.
        assert!(!is_on(Path::new("/"), "/proc/cmdline"));
    }
}
