//! Giving the machine back what makes it itself: the files that the launcher packed, users and
//! groups, the files that the plan holds, fstab.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::chown;
use std::path::Path;

use anyhow::{Context, Result};

use formats::accounts::AccountFiles;
use formats::network::{Content, NewFile};
use identity::accounts;

use crate::ram::parts;
use crate::root::replace::{replace, replace_with_link};
use crate::root::{remove, target};
use crate::run::behind::fstab;
use crate::run::data::Run;

/// Writes everything that is carried.
pub fn carry(run: &Run) -> Result<()> {
    let plan = &run.plan;
    let root = target::directory()?;
    // The old OS's files first: what is written from the plan may replace one of them.
    let archive = parts::read("carried.tar")?;
    tree::unpack_tar(root.as_fd(), &archive, &run.keep).context("write the carried files")?;
    for file in &plan.identity.copied {
        log::info!("carried {file}");
    }
    write_accounts(run)?;
    for pattern in &plan.network.written.removed {
        remove_matching(pattern).with_context(|| format!("remove {pattern} of the payload"))?;
    }
    let files = plan
        .identity
        .files
        .iter()
        .chain(&plan.network.written.files);
    for file in files {
        write(file)?;
        log::info!("wrote {}", file.path);
    }
    write_fstab(run)?;
    target::sync()
}

/// Users and groups: the old OS's and the payload's, as the plan merges them.
fn write_accounts(run: &Run) -> Result<()> {
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
        let path = target::at(path);
        // Without the file the new OS has none of that kind, and an empty one says the same.
        if bytes.is_empty() && !path.exists() {
            continue;
        }
        match (secret, shadow) {
            (Secret::No, _) => replace(&path, bytes, 0o644)?,
            (Secret::Yes, None) => replace(&path, bytes, 0o600)?,
            (Secret::Yes, Some(group)) => {
                replace(&path, bytes, 0o640)?;
                chown(&path, Some(0), Some(group.number))
                    .with_context(|| format!("give {} to the group shadow", path.display()))?;
            }
        }
    }
    Ok(())
}

/// Whether a file holds password hashes.
#[derive(Clone, Copy)]
enum Secret {
    No,
    Yes,
}

/// Writes a file or a link, and the directories above it.
fn write(file: &NewFile) -> Result<()> {
    let path = target::at(&file.path);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(|| format!("make {}", parent.display()))?;
    }
    match &file.content {
        Content::Text(text) => replace(&path, text.as_bytes(), file.mode),
        Content::Link(to) => replace_with_link(&path, to),
    }
}

/// Removes a file, or every file of an ending: `/etc/netplan/*.yaml`. Directories stay.
fn remove_matching(pattern: &str) -> std::io::Result<()> {
    let (folder, name) = pattern.rsplit_once('/').unwrap_or(("", pattern));
    let Some(ending) = name.strip_prefix('*') else {
        return remove::file(&target::at(pattern));
    };
    let entries = match fs::read_dir(target::at(folder)) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e),
    };
    for entry in entries {
        let entry = entry?;
        let fits = entry.file_name().as_bytes().ends_with(ending.as_bytes());
        if fits && !entry.file_type()?.is_dir() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn write_fstab(run: &Run) -> Result<()> {
    let path = target::at("/etc/fstab");
    let old = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(e) => return Err(e).with_context(|| format!("read {}", path.display())),
    };
    let plan = &run.plan;
    // An earlier attempt's lines are taken out first: they are not the payload's.
    let payload = fstab::with_carried(&old, &[]);
    let rooted = fstab::with_root(&payload, &plan.root.fs_uuid);
    let text = fstab::with_carried(&rooted, &plan.identity.fstab);
    replace(&path, text.as_bytes(), 0o644)?;
    for mount in plan
        .identity
        .mounts
        .iter()
        .filter(|m| m.target.starts_with('/'))
    {
        let place = target::at(&mount.target);
        fs::create_dir_all(&place)
            .with_context(|| format!("make the mount point {}", mount.target))?;
    }
    Ok(())
}
