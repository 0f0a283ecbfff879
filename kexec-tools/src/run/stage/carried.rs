//! The old OS's files and folders that the new one gets back.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

use anyhow::{Context, Result};
use formats::identity::IdentityPlan;
use tree::Treatment;

use crate::survey::identity::{in_home, not_carried};

/// Packs them from this machine, with their owners and modes and those of the directories that
/// they are in.
pub fn pack(plan: &IdentityPlan) -> Result<Vec<u8>> {
    pack_below(Path::new("/"), plan)
}

/// [`pack`], from the tree below a directory.
fn pack_below(root: &Path, plan: &IdentityPlan) -> Result<Vec<u8>> {
    // A person may have changed theirs since the plan was made. That is no reason for anybody
    // else's machine to stay as it is.
    let mut from_homes = Vec::new();
    for file in &plan.in_homes {
        match in_home(root, file) {
            Ok(read) => from_homes.extend(read),
            Err(why) => log::warn!("{}", not_carried(&file.path(), &why)),
        }
    }
    let items: Vec<_> = plan
        .copied
        .iter()
        .filter(|path| !plan.in_homes.iter().any(|file| file.path() == **path))
        .map(|path| (path.as_str(), treatment(plan, path)))
        .collect();
    let root = File::open(root).with_context(|| format!("open {}", root.display()))?;
    tree::pack_items(root.as_fd(), &items, &from_homes).context("pack the carried files")
}

/// What a path is packed as.
fn treatment(plan: &IdentityPlan, path: &str) -> Treatment {
    let private = |path: &str| plan.private.iter().any(|p| p == path);
    if private(path) {
        // The ssh server refuses a key that others than root can read.
        Treatment::Roots(0o600)
    } else if path.strip_suffix(".pub").is_some_and(private) || path == "/etc/localtime" {
        Treatment::Roots(0o644)
    } else {
        Treatment::AsItIs
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{chown, symlink, MetadataExt, PermissionsExt};

    use formats::identity::{Home, InHome};
    use formats::keep::KeepSet;

    use super::*;

    const KEYS: &str = "authorized_keys";

    /// Makes something of a `.ssh`.
    type Make = fn(&Path);

    #[test]
    fn each_kind_is_packed_in_its_own_way() {
        let plan = IdentityPlan {
            private: vec!["/etc/ssh/ssh_host_rsa_key".into()],
            ..IdentityPlan::default()
        };
        for (path, expected) in [
            ("/etc/ssh/ssh_host_rsa_key", Treatment::Roots(0o600)),
            ("/etc/ssh/ssh_host_rsa_key.pub", Treatment::Roots(0o644)),
            ("/etc/ssh/other_key", Treatment::AsItIs),
            ("/etc/localtime", Treatment::Roots(0o644)),
            ("/etc/shop", Treatment::AsItIs),
        ] {
            assert_eq!(treatment(&plan, path), expected, "{path}");
        }
    }

    /// What customers put in the place of their keys, and what of it is carried. Needs root.
    #[test]
    fn keys_are_read_as_their_owner_and_nothing_of_roots_comes_along() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        // The owner has to get there.
        fs::set_permissions(root.path(), Permissions::from_mode(0o755)).unwrap();
        fs::create_dir_all(at("etc")).unwrap();
        fs::write(at("etc/shadow"), "root:secret").unwrap();
        fs::set_permissions(at("etc/shadow"), Permissions::from_mode(0o600)).unwrap();
        fs::create_dir_all(at("root/keys")).unwrap();
        fs::set_permissions(at("root"), Permissions::from_mode(0o700)).unwrap();
        fs::write(at("root/keys/authorized_keys"), "root's").unwrap();
        fs::create_dir_all(at("data/linked/.ssh")).unwrap();
        fs::write(at("data/readable"), "everybody's").unwrap();
        let make: &[(&str, Make)] = &[
            ("good", |ssh| fs::write(ssh.join(KEYS), "good's").unwrap()),
            ("shadow", |ssh| {
                symlink("/etc/shadow", ssh.join(KEYS)).unwrap();
            }),
            ("relative", |ssh| {
                symlink("../../../etc/shadow", ssh.join(KEYS)).unwrap();
            }),
            ("folder", |ssh| {
                fs::remove_dir(ssh).unwrap();
                symlink("/root/keys", ssh).unwrap();
            }),
            // Nothing secret, and all the same nothing of this home.
            ("readable", |ssh| {
                symlink("/data/readable", ssh.join(KEYS)).unwrap();
            }),
            ("hard", |ssh| {
                fs::hard_link(ssh.join("../../../etc/shadow"), ssh.join(KEYS)).unwrap();
            }),
            ("pipe", |ssh| {
                let mode = rustix::fs::Mode::from_raw_mode(0o600);
                let at = rustix::fs::CWD;
                rustix::fs::mknodat(at, ssh.join(KEYS), rustix::fs::FileType::Fifo, mode, 0)
                    .unwrap();
            }),
            ("huge", |ssh| {
                fs::File::create(ssh.join(KEYS))
                    .unwrap()
                    .set_len(1 << 40)
                    .unwrap();
            }),
            ("directory", |ssh| fs::create_dir(ssh.join(KEYS)).unwrap()),
            ("anothers", |ssh| {
                fs::write(ssh.join(KEYS), "another's").unwrap();
                chown(ssh.join(KEYS), Some(2000), None).unwrap();
            }),
        ];
        let uid = 1000;
        let home = |path: &str, uid| InHome {
            home: Home {
                path: path.to_owned(),
                uid,
                gid: uid,
            },
            name: format!(".ssh/{KEYS}"),
        };
        let mut plan = IdentityPlan::default();
        for (name, make) in make {
            let ssh = at(&format!("home/{name}/.ssh"));
            fs::create_dir_all(&ssh).unwrap();
            chown(&ssh, Some(uid), Some(uid)).unwrap();
            make(&ssh);
            let file = ssh.join(KEYS);
            if fs::symlink_metadata(&file).is_ok_and(|m| m.uid() == 0) && *name != "hard" {
                std::os::unix::fs::lchown(&file, Some(uid), Some(uid)).unwrap();
            }
            plan.in_homes.push(home(&format!("/home/{name}"), uid));
        }
        // A home that is a link, as root made it, is one; root's own may be anything.
        symlink("/data/linked", at("home/linked")).unwrap();
        fs::write(at("data/linked/.ssh").join(KEYS), "linked's").unwrap();
        plan.in_homes.push(home("/home/linked", uid));
        symlink("keys", at("root/.ssh")).unwrap();
        plan.in_homes.push(home("/root", 0));
        plan.copied = plan.in_homes.iter().map(InHome::path).collect();

        let started = std::time::Instant::now();
        let archive = pack_below(root.path(), &plan).unwrap();
        assert!(started.elapsed().as_secs() < 60, "it waited for somebody");
        let new = tempfile::tempdir().unwrap();
        let directory = fs::File::open(new.path()).unwrap();
        tree::unpack_tar(directory.as_fd(), &archive, &KeepSet::default()).unwrap();
        let keys =
            |home: &str| fs::read_to_string(new.path().join(home).join(".ssh").join(KEYS)).ok();
        assert_eq!(keys("home/good").as_deref(), Some("good's"));
        assert_eq!(keys("home/linked").as_deref(), Some("linked's"));
        assert_eq!(keys("root").as_deref(), Some("root's"));
        let good = fs::metadata(new.path().join("home/good/.ssh")).unwrap();
        assert_eq!((good.uid(), good.gid()), (uid, uid));
        for (name, _) in &make[1..] {
            assert_eq!(keys(&format!("home/{name}")), None, "{name}");
        }
        // Those rights were a thread's, and are gone with it.
        assert!(fs::read(at("etc/shadow")).is_ok());
        for (name, _) in make {
            let why = in_home(root.path(), &home(&format!("/home/{name}"), uid)).err();
            assert_eq!(why.is_some(), *name != "good", "{name}: {why:?}");
        }
    }
}
