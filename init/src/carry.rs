//! Giving the machine back what makes it itself: the files that the launcher packed, and the
//! root's place in fstab.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use machine::tree;

use crate::early::PARTS;
use crate::fstab;
use crate::run::Run;
use crate::target;

/// Writes everything that is carried.
pub fn carry(run: &Run) -> Result<()> {
    let path = Path::new(PARTS).join("carried.tar");
    let archive = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
    let root = target::directory()?;
    tree::unpack_tar(root.as_fd(), &archive, &run.keep).context("write the carried files")?;
    for file in &run.plan.identity.copied {
        log::info!("carried {file}");
    }
    write_fstab(run)?;
    target::sync()
}

fn write_fstab(run: &Run) -> Result<()> {
    let path = target::at("/etc/fstab");
    let old = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(e) => return Err(e).with_context(|| format!("read {}", path.display())),
    };
    replace(
        &path,
        fstab::with_root(&old, &run.plan.root.fs_uuid).as_bytes(),
        0o644,
    )
}

/// Writes a file whole: a temporary name, then a rename. What stood there is replaced, be it a
/// link; nothing is ever written through one.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let what = || format!("write {}", path.display());
    let temporary = path.with_extension("reroot-new");
    match fs::remove_file(&temporary) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e).with_context(what),
        _ => {}
    }
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&temporary)
        .with_context(what)?;
    std::io::Write::write_all(&mut file, bytes).with_context(what)?;
    file.set_permissions(fs::Permissions::from_mode(mode))
        .with_context(what)?;
    file.sync_all().with_context(what)?;
    fs::rename(&temporary, path).with_context(what)
}
