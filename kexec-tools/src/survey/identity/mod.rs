//! What the machine is known by beside its network and its people, read from the old OS's files.
//!
//! Decides nothing and fails on nothing: what cannot be read is not there, and whether that
//! matters is for [`identity::plan`] to say.

mod files;
mod kept;
mod left;
mod ssh;
mod zone;

use std::path::Path;

use formats::identity::OldIdentity;
use formats::keep::is_below;
use formats::keep::KeepPath;
use identity::{cloud, names};

use files::{plain, Tree};

/// Files in a home that let somebody in.
const AUTHORIZED: [&str; 2] = [".ssh/authorized_keys", ".ssh/authorized_keys2"];

/// Reads this machine. `carry` is what the image's author wants carried; `homes` are those of the
/// people who come along.
pub fn read(keep: &[KeepPath], carry: &[String], homes: &[String]) -> OldIdentity {
    let mut old = gather(Path::new("/"), keep, carry, homes);
    match storage::mounts::read() {
        Ok(mounts) => {
            let mounted: Vec<_> = mounts.into_iter().map(|mount| mount.target).collect();
            kept::read(&Tree::new(Path::new("/")), &mut old, &mounted);
        }
        Err(e) => old.notes.push(format!("mounts cannot be listed: {e}")),
    }
    match storage::devices::read() {
        Ok(devices) => old.devices = devices,
        Err(e) => old
            .notes
            .push(format!("block devices cannot be listed: {e}")),
    }
    old
}

/// Reads everything but the devices, from the tree below `root`.
fn gather(root: &Path, keep: &[KeepPath], carry: &[String], homes: &[String]) -> OldIdentity {
    let tree = Tree::new(root);
    let mut old = OldIdentity {
        hostname: hostname(&tree),
        machine_id: machine_id(&tree),
        hosts: tree.text("/etc/hosts").unwrap_or_default(),
        fstab: tree.text("/etc/fstab").unwrap_or_default(),
        timezone: zone::name(&tree),
        locale: locale(&tree),
        cloud_instance: cloud_instance(&tree),
        kept: keep.iter().map(|path| path.as_str().to_owned()).collect(),
        ..OldIdentity::default()
    };
    let keys = ssh::host_keys(&tree);
    old.host_keys = keys.keys;
    old.copied = keys.public;
    old.notes = keys.notes;
    if tree.is_file("/etc/localtime") {
        old.copied.push("/etc/localtime".to_owned());
    }
    authorized_keys(&tree, homes, &mut old);
    if let Some(id) = old
        .cloud_instance
        .clone()
        .filter(|id| cloud::is_instance_id(id))
    {
        let state = cloud::state(&id)
            .into_iter()
            .filter(|path| tree.exists(path));
        old.copied.extend(state);
    }
    carry_list(&tree, carry, &mut old);
    old.left = left::behind(&tree, &|path| {
        old.keeps(path) || old.copied.iter().any(|copied| is_below(path, copied))
    });
    old.left.extend(swap_files(&tree, &old));
    old
}

fn hostname(tree: &Tree) -> String {
    let file = tree.text("/etc/hostname").unwrap_or_default();
    if let Some(name) = names::in_hostname_file(&file) {
        return name.to_owned();
    }
    // What the kernel says, to the letter: a newline in it ends it, as in the file.
    let kernel = tree.text("/proc/sys/kernel/hostname").unwrap_or_default();
    kernel.strip_suffix('\n').unwrap_or(&kernel).to_owned()
}

fn machine_id(tree: &Tree) -> Option<String> {
    ["/etc/machine-id", "/var/lib/dbus/machine-id"]
        .into_iter()
        .filter_map(|path| tree.text(path))
        .map(|text| text.trim().to_owned())
        .find(|id| names::is_machine_id(id))
}

/// The first of the files that is there: Debian's own, systemd's.
fn locale(tree: &Tree) -> Vec<String> {
    let text = ["/etc/default/locale", "/etc/locale.conf"]
        .into_iter()
        .find_map(|path| tree.text(path))
        .unwrap_or_default();
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

/// The id of an instance that a cloud-init here looks after, one that is not switched off.
fn cloud_instance(tree: &Tree) -> Option<String> {
    let there = ["/usr/bin/cloud-init", "/etc/cloud/cloud.cfg"]
        .iter()
        .any(|p| tree.exists(p));
    if !there || tree.exists("/etc/cloud/cloud-init.disabled") {
        return None;
    }
    let text = tree.text("/var/lib/cloud/data/instance-id")?;
    Some(text.trim().to_owned()).filter(|id| !id.is_empty())
}

/// Root's, and those of homes that are not kept.
fn authorized_keys(tree: &Tree, homes: &[String], old: &mut OldIdentity) {
    let mut homes: Vec<&str> = homes.iter().map(String::as_str).collect();
    homes.push("/root");
    homes.sort_unstable();
    homes.dedup();
    for home in homes {
        let home = home.trim_end_matches('/');
        if !plain(home) {
            continue;
        }
        for name in AUTHORIZED {
            let path = format!("{home}/{name}");
            if tree.is_file(&path) && !old.keeps(&path) {
                old.copied.push(path);
            }
        }
    }
}

fn carry_list(tree: &Tree, carry: &[String], old: &mut OldIdentity) {
    for path in carry {
        let path = path.trim_end_matches('/');
        if !plain(path) {
            old.notes.push(format!(
                "{path:?} of the carry list is no absolute path and is left out"
            ));
        } else if old.keeps(path) {
            old.notes.push(format!(
                "{path} of the carry list is kept, and not carried besides"
            ));
        } else if !tree.exists(path) {
            old.notes
                .push(format!("{path} of the carry list is not there"));
        } else if !old.copied.iter().any(|copied| copied == path) {
            old.copied.push(path.to_owned());
        }
    }
}

/// Swap space in files of the root filesystem, which go with it.
fn swap_files(tree: &Tree, old: &OldIdentity) -> Option<(String, Vec<String>)> {
    let files: Vec<String> = identity::fstab::parse(&old.fstab)
        .into_iter()
        .filter_map(|line| line.fields.ok())
        .filter(|f| f.fstype == "swap" && f.source.starts_with('/'))
        .filter(|f| !f.source.starts_with("/dev/") && !old.keeps(&f.source))
        .map(|f| match tree.size(&f.source) {
            Some(bytes) => format!("{} ({} MiB)", f.source, bytes >> 20),
            None => f.source,
        })
        .collect();
    (!files.is_empty()).then(|| ("swap files".to_owned(), files))
}

#[cfg(test)]
mod tests;
