//! What is kept, or is not there where something is kept, and has to do with what the new OS gets:
//! files that configure the network, and mount points of fstab(5).

use std::path::{Path, PathBuf};

use formats::identity::OldIdentity;
use identity::network::dialect::REMOVED;

use super::files::Tree;

/// Reads it. `mounted` is where something is mounted: what is there is not asked, for a server that
/// is silent would be waited for.
pub fn read(tree: &Tree, old: &mut OldIdentity, mounted: &[PathBuf]) {
    old.kept_network = REMOVED
        .iter()
        .flat_map(|pattern| matching(tree, pattern))
        .filter(|path| old.keeps(path))
        .collect();
    old.absent_mount_points = identity::fstab::parse(&old.fstab)
        .into_iter()
        .filter_map(|line| line.fields.ok())
        .filter(|fields| fields.fstype != "swap" && old.keeps(&fields.target))
        .map(|fields| fields.target)
        .filter(|target| {
            let behind = |at: &PathBuf| at != Path::new("/") && Path::new(target).starts_with(at);
            !mounted.iter().any(behind) && !tree.exists(target)
        })
        .collect();
}

/// A file, or every file of an ending: `/etc/netplan/*.yaml`.
fn matching(tree: &Tree, pattern: &str) -> Vec<String> {
    let (folder, name) = pattern.rsplit_once('/').unwrap_or(("", pattern));
    match name.strip_prefix('*') {
        Some(ending) => tree
            .folder(folder)
            .into_iter()
            .filter(|path| path.ends_with(ending) && tree.is_file(path))
            .collect(),
        None => tree
            .is_file(pattern)
            .then(|| pattern.to_owned())
            .into_iter()
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn kept_network_files_and_absent_mount_points_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for path in ["etc/netplan", "etc/network/interfaces.d", "srv/there"] {
            fs::create_dir_all(root.join(path)).unwrap();
        }
        for path in [
            "etc/netplan/50.yaml",
            "etc/netplan/README",
            "etc/network/interfaces.d/eth0",
        ] {
            fs::write(root.join(path), "").unwrap();
        }
        let mut old = OldIdentity {
            kept: ["/etc/netplan", "/srv"].map(str::to_owned).into(),
            fstab: "UUID=1 /srv/there ext4\nUUID=2 /srv/backup ext4 noauto\nUUID=3 /data ext4\n\
                    nas:/x /srv/nas/below nfs\nUUID=4 none swap\n"
                .into(),
            ..OldIdentity::default()
        };
        read(&Tree::new(root), &mut old, &["/".into(), "/srv/nas".into()]);
        assert_eq!(old.kept_network, ["/etc/netplan/50.yaml"]);
        assert_eq!(old.absent_mount_points, ["/srv/backup"]);
    }
}
