//! Giving the machine back what makes it itself: the files that the launcher packed, users and
//! groups, the files that the plan holds, fstab.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use formats::accounts::AccountFiles;
use formats::counted::counted;
use formats::network::{Content, NewFile};
use identity::accounts;
use tree::{Access, Gate, TreeError};

use crate::ram::parts;
use crate::root::target;
use crate::run::behind::{arrays, fstab};
use crate::run::data::Run;

/// Writes everything that is carried, and the overlay. Gives what of these had something of another kind in its
/// place and was left out: the first boot tells it, and nothing of the rest waits for it.
pub fn carry(run: &Run) -> Result<Vec<String>> {
    let plan = &run.plan;
    let tops = target::tops(plan)?;
    // The old OS's files first: what is written from the plan may replace one of them.
    let archive = parts::read("carried.tar")?;
    let carried = tree::unpack_tar(tops.roots(), &archive, &run.keep);
    let mut obstructed = carried.context("write the carried files")?.obstructed;
    for file in &plan.identity.copied {
        log::info!("carried {file}");
    }
    if let Some(overlay) = &plan.overlay {
        let archive = parts::read("overlay.tar")?;
        let placed = tree::unpack_tar(tops.roots(), &archive, &run.keep);
        let placed = placed.context("write the overlay")?;
        log::info!(
            "wrote {} of the overlay {}",
            counted(placed.written, "entry", "entries"),
            overlay.source
        );
        obstructed.extend(placed.obstructed);
    }
    for left in &obstructed {
        log::warn!("carry: left out: {left}");
    }
    let gate = target::gate(plan)?;
    write_accounts(run, &gate)?;
    remove_foreign(&gate, &plan.network.written.removed)?;
    let files = plan
        .identity
        .files
        .iter()
        .chain(&plan.network.written.files);
    for file in files {
        write(&gate, file)?;
        log::info!("wrote {}", file.path);
    }
    arrays::name(run, &gate)?;
    write_fstab(run, &gate)?;
    target::sync()?;
    Ok(obstructed)
}

/// Users and groups: the old OS's and the payload's, as the plan merges them.
fn write_accounts(run: &Run, gate: &Gate) -> Result<()> {
    let old = AccountFiles {
        passwd: parts::read("accounts/passwd")?,
        shadow: parts::read("accounts/shadow")?,
        group: parts::read("accounts/group")?,
        gshadow: parts::read("accounts/gshadow")?,
        subuid: parts::read("accounts/subuid")?,
        subgid: parts::read("accounts/subgid")?,
    };
    let payload =
        machine::accounts::read(Path::new(target::TARGET)).context("read the new OS's accounts")?;
    let plan = &run.plan.accounts;
    let new = accounts::render::render(&old, &payload, plan).context("merge the accounts")?;
    let shadow = plan.groups.iter().find(|g| g.name == "shadow");
    for (path, bytes, secret) in [
        ("/etc/passwd", &new.passwd, Secret::No),
        ("/etc/group", &new.group, Secret::No),
        ("/etc/shadow", &new.shadow, Secret::Yes),
        ("/etc/gshadow", &new.gshadow, Secret::Yes),
        ("/etc/subuid", &new.subuid, Secret::No),
        ("/etc/subgid", &new.subgid, Secret::No),
    ] {
        // Without the file the new OS has none of that kind, and an empty one says the same.
        if bytes.is_empty() && !target::at(path).exists() {
            continue;
        }
        let access = match (secret, shadow) {
            (Secret::No, _) => Access::from(0o644),
            (Secret::Yes, None) => Access::from(0o600),
            (Secret::Yes, Some(group)) => Access {
                mode: 0o640,
                group: group.number,
            },
        };
        gate.write(path, bytes, access)?;
    }
    Ok(())
}

/// Whether a file holds password hashes.
#[derive(Clone, Copy)]
enum Secret {
    No,
    Yes,
}

/// Writes a file or a link, and makes the directories above it.
fn write(gate: &Gate, file: &NewFile) -> Result<(), TreeError> {
    if let Some((above, _)) = file.path.rsplit_once('/').filter(|(a, _)| !a.is_empty()) {
        gate.make_directories(above)?;
    }
    match &file.content {
        Content::Text(text) => gate.write(&file.path, text.as_bytes(), file.mode),
        Content::Link(to) => gate.link(&file.path, to),
    }
}

/// Removes what of the payload would configure the same links. What is kept is the machine's own,
/// and stays.
fn remove_foreign(gate: &Gate, patterns: &[String]) -> Result<()> {
    for pattern in patterns {
        let left = gate
            .remove_matching(pattern)
            .with_context(|| format!("remove {pattern} of the payload"))?;
        for path in left {
            log::warn!("{path} is kept, and stays beside the new network configuration");
        }
    }
    Ok(())
}

fn write_fstab(run: &Run, gate: &Gate) -> Result<()> {
    const FSTAB: &str = "/etc/fstab";
    let path = target::at(FSTAB);
    let old = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(e) => return Err(e).with_context(|| format!("read {}", path.display())),
    };
    let plan = &run.plan;
    // An earlier attempt's lines are taken out first: they are not the payload's.
    let payload = fstab::with_carried(&old, &[]);
    let root = &plan.root;
    let options = &plan.identity.root_options;
    let rooted = fstab::with_root(&payload, &root.fs_uuid, root.filesystem, options);
    let text = fstab::with_carried(&rooted, &plan.identity.fstab);
    gate.write(FSTAB, text.as_bytes(), 0o644)?;
    let mounts = plan.identity.mounts.iter().map(|m| m.target.as_str());
    make_mount_points(gate, mounts.filter(|target| target.starts_with('/')))
}

/// Makes what is mounted at. Where that would be in a kept tree, or behind a link that somebody
/// else owns, there is nothing to be made: the machine was without it before, and the plan says so.
fn make_mount_points<'m>(gate: &Gate, targets: impl Iterator<Item = &'m str>) -> Result<()> {
    for target in targets {
        match gate.make_directories(target) {
            Ok(_) => {}
            Err(e @ (TreeError::Kept { .. } | TreeError::Obstacle { .. })) => {
                log::warn!("the mount point {target} is not made: {e}");
            }
            Err(e) => return Err(e).with_context(|| format!("make the mount point {target}")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use formats::keep::KeepPath;

    use super::*;

    fn gate(root: &Path, kept: &str) -> Gate {
        Gate::open(root, [&KeepPath::parse(kept).unwrap()]).unwrap()
    }

    #[test]
    fn a_kept_file_of_another_network_configuration_stays() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for path in ["etc/netplan", "etc/network"] {
            fs::create_dir_all(root.join(path)).unwrap();
        }
        fs::write(root.join("etc/netplan/50.yaml"), "kept").unwrap();
        fs::write(root.join("etc/network/interfaces"), "the payload's").unwrap();
        let patterns = ["/etc/netplan/*.yaml", "/etc/network/interfaces"].map(str::to_owned);
        remove_foreign(&gate(root, "/etc/netplan"), &patterns).unwrap();
        let kept = fs::read_to_string(root.join("etc/netplan/50.yaml")).unwrap();
        assert_eq!(kept, "kept");
        assert!(!root.join("etc/network/interfaces").exists());
    }

    #[test]
    fn no_mount_point_is_made_in_a_kept_tree_or_through_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let (root, outside) = (dir.path().join("root"), dir.path().join("outside"));
        fs::create_dir_all(root.join("srv/there")).unwrap();
        fs::create_dir_all(&outside).unwrap();
        symlink(&outside, root.join("srv/out")).unwrap();
        symlink(&outside, root.join("out")).unwrap();
        let targets = [
            "/srv/there",
            "/srv/backup/daily",
            "/srv/out/x",
            "/out/x",
            "/data/x",
        ];
        make_mount_points(&gate(&root, "/srv"), targets.into_iter()).unwrap();
        assert!(root.join("data/x").is_dir());
        assert!(!root.join("srv/backup").exists());
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    }
}
