//! GRUB as the new OS's own programs have made it, for each kind of firmware.

use anyhow::Result;
use bootpath::grub::new_core;
use formats::tools::GRUB_EFI;

use crate::root::target;
use crate::run::boot_path::{self, Loader};

/// GRUB's boot sector for a BIOS, among its files.
pub(super) const BOOT_IMAGE: &str = "boot.img";

/// GRUB for one kind of firmware.
pub(super) struct Platform {
    /// What GRUB calls it.
    pub(super) name: &'static str,
    /// Its files in the payload.
    pub(super) source: &'static str,
    /// Where GRUB reads them from.
    pub(super) installed: &'static str,
    /// The core image, in there.
    pub(super) core: &'static str,
    /// What the core image must have before it can read anything from the filesystem, beside the
    /// filesystem's own module.
    pub(super) modules: &'static [&'static str],
    /// What it has besides, where this GRUB knows it.
    pub(super) more: &'static [&'static str],
}

pub(super) const BIOS: Platform = Platform {
    name: "i386-pc",
    source: "/usr/lib/grub/i386-pc",
    installed: "/boot/grub/i386-pc",
    core: "core.img",
    modules: &new_core::MODULES,
    // What it starts and what it loads are renewed together: its sectors are those that grub-install writes.
    more: &[],
};
pub(super) const UEFI: Platform = Platform {
    name: GRUB_EFI,
    source: "/usr/lib/grub/x86_64-efi",
    installed: "/boot/grub/x86_64-efi",
    core: "core.efi",
    // The firmware has the disks.
    modules: &["part_msdos", "part_gpt", "search_fs_uuid"],
    // All that a configuration of Debian's asks for: whoever installs another GRUB later, under a name of its
    // own, puts other modules into the directory, and this one, still started by its old name, could not load
    // them.
    more: &[
        "fat",
        "search",
        "search_fs_file",
        "search_label",
        "normal",
        "configfile",
        "linux",
        "boot",
        "chain",
        "echo",
        "test",
        "true",
        "regexp",
        "minicmd",
        "ls",
        "cat",
        "help",
        "loadenv",
        "sleep",
        "halt",
        "reboot",
        "keystatus",
        "efifwsetup",
        "password_pbkdf2",
        "gzio",
        "xzio",
        "lzopio",
        "serial",
        "all_video",
        "efi_gop",
        "efi_uga",
        "gfxterm",
        "gfxmenu",
        "gfxterm_background",
        "font",
        "png",
        "gettext",
    ],
};
/// The new OS's loader, as its own GRUB has made it.
pub(super) struct NewLoader;

impl Loader for NewLoader {
    fn bios(&self, _: usize) -> Result<(Vec<u8>, Vec<u8>)> {
        Ok((BIOS.read(BOOT_IMAGE)?, BIOS.read(BIOS.core)?))
    }

    fn uefi(&self, _: usize) -> Result<Vec<u8>> {
        UEFI.read(UEFI.core)
    }
}

impl Platform {
    /// One of its files, from where GRUB reads them.
    fn read(&self, name: &str) -> Result<Vec<u8>> {
        boot_path::read(&target::at(&format!("{}/{name}", self.installed)))
    }
}
