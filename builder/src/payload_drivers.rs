//! What the new OS can drive by itself: modules and firmware of the payload, and what of them is in
//! the initrd that it boots with. The launcher compares it with the machine.
//!
//! An initrd that was made for the machine that built it (`MODULES=dep` of initramfs-tools,
//! `hostonly` of dracut) starts there and nowhere else; it is refused here.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, Read};

use anyhow::{Context, Result};
use formats::payload_drivers::{does_without, DriverFirmware, PayloadDrivers};
use formats::tools::PROGRAMS;
use machine::initrd::{self, Contents};
use machine::modinfo;
use machine::modules::{self, Dependencies};

use crate::drivers::{self, FILESYSTEMS};
use crate::failure::refusal;
use crate::requirements::NewOs;
use crate::root_tree::RootTree;
use crate::source::decompressor;

/// Folders below `kernel/` with drivers of disks and of network cards.
const FOLDERS: [&str; 8] = [
    "drivers/ata/",
    "drivers/block/",
    "drivers/message/",
    "drivers/mmc/",
    "drivers/net/",
    "drivers/nvme/",
    "drivers/scsi/",
    "drivers/usb/host/",
];
/// What is in them and is nothing that a server's network is brought up on: hundreds of modules.
const LEFT_OUT: [&str; 3] = [
    "drivers/net/wireless/",
    "drivers/net/wwan/",
    "drivers/net/usb/",
];

/// Where the kernel looks for firmware, in its order; the release is put in for `*`.
const FIRMWARE: [&str; 4] = [
    "lib/firmware/updates/*",
    "lib/firmware/updates",
    "lib/firmware/*",
    "lib/firmware",
];
/// Endings of files that the kernel decompresses, if it is configured for it.
const ENDINGS: [&str; 3] = ["", ".zst", ".xz"];

/// Looks at a finished tree.
pub fn look(tree: &RootTree, os: &NewOs, classes: &[String]) -> Result<PayloadDrivers> {
    let read = |name: &str| {
        let path = format!("{}/{name}", os.modules);
        tree.read(&path)
    };
    let dep = read("modules.dep").with_context(|| format!("read /{}/modules.dep", os.modules))?;
    let dependencies = modules::parse_dep(&String::from_utf8_lossy(&dep))?;
    // A kernel without modules.builtin was made before there was one, or has none.
    let builtin =
        String::from_utf8_lossy(&read("modules.builtin").unwrap_or_default()).into_owned();
    let builtin = modules::parse_builtin(&builtin);
    let initrd = look_into_initrd(tree, os)?;
    ensure_for_every_machine(&initrd, os, &dependencies, classes)?;
    let mut firmware = names_of_modules(tree, os, &dependencies)?;
    // Since Linux 5.2.
    let inside = read("modules.builtin.modinfo").unwrap_or_default();
    for (driver, file) in modinfo::firmware_of_builtin(&inside) {
        firmware.entry(driver).or_default().insert(file);
    }
    let own = |names: BTreeSet<String>| -> Vec<String> { names.union(&builtin).cloned().collect() };
    Ok(PayloadDrivers {
        modules: own(dependencies
            .iter()
            .map(|(name, _)| name.to_owned())
            .collect()),
        initrd: own(initrd.complete(&os.kernel, &dependencies)),
        initrd_programs: PROGRAMS
            .iter()
            .map(|(_, program)| (*program).to_owned())
            .filter(|program| initrd.programs.contains(program))
            .collect(),
        initrd_for_all_mounts: initrd
            .for_all_mounts
            .iter()
            .map(|&program| program.to_owned())
            .collect(),
        firmware: firmware
            .into_iter()
            .map(|(driver, files)| sort_out(tree, os, driver, files))
            .collect(),
    })
}

fn look_into_initrd(tree: &RootTree, os: &NewOs) -> Result<Contents> {
    let path = format!("boot/initrd.img-{}", os.kernel);
    let file = tree
        .file(&path)
        .with_context(|| format!("open /{path} in the new root"))?;
    let found = initrd::read(BufReader::with_capacity(1 << 17, file)).map_err(|error| {
        refusal(
            format!(
                "/{path} in the new root cannot be looked into: {}",
                chain(&error)
            ),
            "have the folder make it again, compressed by gzip, zstd, xz or lz4",
        )
    })?;
    if found.has_init {
        return Ok(found);
    }
    Err(refusal(
        format!("/{path} in the new root has no /init, which the kernel starts"),
        "have the folder make it again (update-initramfs -u)",
    ))
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// A class of disks that the folder asks for and that the payload's kernel has modules for must have
/// one of them in the initrd, and so must the root's filesystem.
fn ensure_for_every_machine(
    initrd: &Contents,
    os: &NewOs,
    dependencies: &Dependencies,
    classes: &[String],
) -> Result<()> {
    let whole = initrd.complete(&os.kernel, dependencies);
    let mut lacking: Vec<&str> = FILESYSTEMS
        .into_iter()
        .filter(|name| dependencies.get(name).is_some() && !whole.contains(*name))
        .collect();
    for class in classes.iter().filter_map(|name| drivers::class(name)) {
        let members = class.own_members(dependencies);
        if class.disks && !members.is_empty() && !members.iter().any(|name| whole.contains(*name)) {
            lacking.push(class.name);
        }
    }
    if lacking.is_empty() {
        return Ok(());
    }
    Err(refusal(
        format!(
            "the new OS's initrd (/boot/initrd.img-{}) has no drivers for {}: the new OS would not \
             find its root on such a machine",
            os.kernel,
            lacking.join(", ")
        ),
        "make it for every machine: MODULES=most in /etc/initramfs-tools, hostonly=no for dracut; or \
         take classes that no machine has out of `drivers` in image.toml",
    ))
}

/// The firmware that each driver of disks and network cards names.
fn names_of_modules(
    tree: &RootTree,
    os: &NewOs,
    dependencies: &Dependencies,
) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let mut own: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut looked_at = Vec::new();
    for (name, module) in dependencies.iter() {
        let inner = module.path.strip_prefix("kernel/").unwrap_or(&module.path);
        let below = |folders: &[&str]| folders.iter().any(|folder| inner.starts_with(folder));
        if !below(&FOLDERS) || below(&LEFT_OUT) {
            continue;
        }
        let path = format!("{}/{}", os.modules, module.path);
        let bytes = read_module(tree, &path)?;
        // What is no module for this architecture names nothing.
        let names = modinfo::firmware(&bytes).unwrap_or_default();
        looked_at.push(name);
        if !names.is_empty() {
            own.insert(name.to_owned(), names.into_iter().collect());
        }
    }
    // A card's driver may stand on one that has the firmware: qede on qed.
    let mut found = own.clone();
    for name in looked_at {
        let below = dependencies
            .closure([name])
            .with_context(|| format!("follow what the module {name} needs"))?;
        let below = below.iter().filter(|need| !does_without(need));
        let files: BTreeSet<_> = below.filter_map(|need| own.get(need)).flatten().collect();
        if !files.is_empty() {
            let all = found.entry(name.to_owned()).or_default();
            all.extend(files.into_iter().cloned());
        }
    }
    Ok(found)
}

/// A module's file, decompressed.
pub fn read_module(tree: &RootTree, path: &str) -> Result<Vec<u8>> {
    let packed = tree
        .read(path)
        .with_context(|| format!("read the module /{path} in the new root"))?;
    let mut bytes = Vec::new();
    decompressor(&packed[..])
        .and_then(|mut from| Ok(from.read_to_end(&mut bytes)?))
        .with_context(|| format!("decompress the module /{path} in the new root"))?;
    Ok(bytes)
}

fn sort_out(
    tree: &RootTree,
    os: &NewOs,
    driver: String,
    files: BTreeSet<String>,
) -> DriverFirmware {
    // A pattern stands for files that the driver finds a name for when it sees the hardware.
    let (there, missing) = files
        .into_iter()
        .filter(|file| !file.contains('*'))
        .partition(|file| firmware_path(tree, &os.kernel, file).is_some());
    DriverFirmware {
        driver,
        there,
        missing,
    }
}

/// Where the payload has a firmware file, compressed or not.
pub fn firmware_path(tree: &RootTree, release: &str, file: &str) -> Option<String> {
    FIRMWARE.iter().find_map(|folder| {
        let folder = folder.replace('*', release);
        ENDINGS
            .iter()
            .map(|ending| format!("{folder}/{file}{ending}"))
            .find(|path| tree.has(path))
    })
}
