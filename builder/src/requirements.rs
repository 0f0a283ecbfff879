//! Whether a tree is an OS that can be brought on to a machine and boot there; and what it is.
//!
//! Looked at once the hooks have run, before anything is written. Each thing that is missing is
//! named with the package that brings it.

use std::io::Read;

use anyhow::{Context, Result};
use formats::facts::OsRelease;
use formats::manifest::Loader;

use crate::checker;
use crate::elf;
use crate::failure::refusal;
use crate::root_tree::RootTree;

/// What was found in a tree.
#[derive(Debug, PartialEq, Eq)]
pub struct NewOs {
    /// Its os-release.
    pub release: OsRelease,
    /// `uname -r` of its newest kernel, which GRUB boots by default.
    pub kernel: String,
    /// Where that kernel's modules are, in the tree.
    pub modules: String,
}

/// What every OS needs: path, and the package that brings it.
const NEEDED: &[(&str, &str)] = &[
    ("etc/os-release", "base-files"),
    ("sbin/init", "systemd-sysv, or another init"),
    ("etc/default", "base-files"),
    (checker::PROGRAM, "e2fsprogs"),
];

/// What GRUB for PC BIOS needs.
const NEEDED_BY_GRUB_PC: &[(&str, &str)] = &[
    ("usr/bin/grub-mkimage", "grub-common, by grub-pc"),
    ("usr/lib/grub/i386-pc/moddep.lst", "grub-pc-bin, by grub-pc"),
    ("usr/lib/grub/i386-pc/boot.img", "grub-pc-bin, by grub-pc"),
    ("usr/sbin/grub-mkconfig", "grub-common, by grub-pc"),
    ("usr/sbin/update-grub", "grub2-common, by grub-pc"),
];

/// Ends of names in `/boot` that are no kernel's release.
const LEFTOVERS: [&str; 3] = [".old", ".dpkg-tmp", ".dpkg-new"];

const KERNEL: &str = "linux-image-amd64, on Ubuntu linux-image-generic";

/// Looks at a tree.
pub fn check(tree: &RootTree, loader: Loader) -> Result<NewOs> {
    let Loader::GrubPc = loader;
    for (path, package) in NEEDED.iter().chain(NEEDED_BY_GRUB_PC) {
        require(tree, path, package)?;
    }
    let kernel = newest_kernel(&tree.names("boot").context("list /boot in the new root")?)
        .ok_or_else(|| missing("boot/vmlinuz-RELEASE", KERNEL))?;
    require(
        tree,
        &format!("boot/initrd.img-{kernel}"),
        "initramfs-tools",
    )?;
    let modules = ["lib/modules", "usr/lib/modules"]
        .map(|folder| format!("{folder}/{kernel}"))
        .into_iter()
        .find(|folder| tree.has(&format!("{folder}/modules.dep")))
        .ok_or_else(|| missing(&format!("lib/modules/{kernel}/modules.dep"), KERNEL))?;
    architecture(tree)?;
    let release = tree
        .text("etc/os-release")
        .context("read etc/os-release in the new root")?;
    Ok(NewOs {
        release: machine::os_release::parse(&release),
        kernel,
        modules,
    })
}

fn require(tree: &RootTree, path: &str, package: &str) -> Result<()> {
    if tree.has(path) {
        Ok(())
    } else {
        Err(missing(path, package))
    }
}

fn missing(path: &str, package: &str) -> anyhow::Error {
    refusal(
        format!("the new root has no /{path}"),
        format!("have the folder install the package that brings it: {package}"),
    )
}

fn architecture(tree: &RootTree) -> Result<()> {
    let mut head = Vec::new();
    tree.file("sbin/init")
        .and_then(|file| file.take(elf::HEAD as u64).read_to_end(&mut head))
        .context("read /sbin/init in the new root")?;
    elf::require_x86_64(&head).map_err(|why| {
        refusal(
            format!("the new root is not for x86-64: /sbin/init: {why}"),
            "use a source for the architecture amd64",
        )
    })
}

/// The release of the newest kernel among the names in `/boot`, as GRUB's own sorting has it.
fn newest_kernel(names: &[String]) -> Option<String> {
    names
        .iter()
        .filter_map(|name| name.strip_prefix("vmlinuz-"))
        .filter(|release| !LEFTOVERS.iter().any(|end| release.ends_with(end)))
        .max_by_key(|release| version_key(release))
        .map(str::to_owned)
}

/// Numbers compare as numbers, everything else as text.
fn version_key(version: &str) -> Vec<(u64, String)> {
    let mut key = Vec::new();
    let mut rest = version;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, after) = rest.split_at(digits);
        let letters = after
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(after.len());
        let (text, after) = after.split_at(letters);
        key.push((number.parse().unwrap_or(0), text.to_owned()));
        rest = after;
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_kernel_is_the_one_with_the_highest_number() {
        for (names, newest) in [
            (
                &["vmlinuz-4.4.0-21-generic", "vmlinuz-4.4.0-210-generic"][..],
                Some("4.4.0-210-generic"),
            ),
            (
                &["vmlinuz-6.12.9+deb13-amd64", "vmlinuz-6.12.10+deb13-amd64"],
                Some("6.12.10+deb13-amd64"),
            ),
            (
                &[
                    "vmlinuz-5.10.0-9-amd64.old",
                    "config-6.1",
                    "vmlinuz-5.10.0-8-amd64",
                ],
                Some("5.10.0-8-amd64"),
            ),
            (&["vmlinuz", "config-6.1"], None),
        ] {
            let names: Vec<_> = names.iter().map(|&n| n.to_owned()).collect();
            assert_eq!(newest_kernel(&names).as_deref(), newest, "{names:?}");
        }
    }

    #[test]
    fn what_is_missing_is_named_with_its_package() {
        let folder = tempfile::tempdir().unwrap();
        let tree = RootTree::open(folder.path()).unwrap();
        let error = check(&tree, Loader::GrubPc).unwrap_err();
        assert_eq!(error.to_string(), "the new root has no /etc/os-release");
    }
}
