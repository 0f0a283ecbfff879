//! The old OS's files that the new one gets back.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use machine::tree;
use manifest::resolve::CARRIED;

/// Those of [`CARRIED`] that exist here, as paths from the root.
pub fn existing() -> Result<Vec<String>> {
    let mut found = Vec::new();
    for path in CARRIED {
        match path.strip_suffix('*') {
            None => found.extend(Path::new(path).is_file().then(|| path.to_owned())),
            Some(start) => found.extend(beginning_with(start)?),
        }
    }
    Ok(found)
}

fn beginning_with(start: &str) -> Result<Vec<String>> {
    let (directory, prefix) = start.rsplit_once('/').unwrap_or(("", start));
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e).with_context(|| format!("list {directory}")),
    };
    let mut found: Vec<String> = entries
        .flatten()
        .filter(|e| e.path().is_file())
        .filter_map(|e| e.file_name().into_string().ok())
        .filter(|name| name.starts_with(prefix))
        .map(|name| format!("{directory}/{name}"))
        .collect();
    found.sort();
    Ok(found)
}

/// Packs them, with their owners and modes and those of the directories that they are in.
pub fn pack(paths: &[String]) -> Result<Vec<u8>> {
    let root = rustix::fs::open(
        "/",
        rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )
    .context("open /")?;
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    tree::pack_paths(std::os::fd::AsFd::as_fd(&root), &paths).context("pack the carried files")
}
