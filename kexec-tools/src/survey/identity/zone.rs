//! The time zone's name. The C library goes by /etc/localtime, whatever /etc/timezone says; that is
//! a link into the database, or on older systems a copy of a file of it.

use identity::names::is_zone;

use super::files::{lines, Tree};

const DATABASE: &str = "/usr/share/zoneinfo";

/// Folders of the database with every zone a second time, and what is no zone.
const SECOND: [&str; 3] = ["posix", "right", "SystemV"];

/// How deep the database is.
const DEPTH: usize = 3;

/// The name, if it can be told.
pub fn name(tree: &Tree) -> Option<String> {
    let file = tree.text("/etc/timezone").unwrap_or_default();
    let said = lines(&file)
        .next()
        .map(str::to_owned)
        .filter(|n| is_zone(n));
    linked(tree).or_else(|| {
        let Some(bytes) = tree.bytes("/etc/localtime") else {
            return said.clone();
        };
        let is = |name: &str| tree.bytes(&format!("{DATABASE}/{name}")).as_ref() == Some(&bytes);
        said.clone()
            .filter(|name| is(name))
            .or_else(|| search(tree, DATABASE, &bytes, DEPTH))
    })
}

/// By the link; its end may itself be a link within the database, to the same zone's newer name.
fn linked(tree: &Tree) -> Option<String> {
    let target = std::fs::read_link(tree.at("/etc")?.join("localtime")).ok()?;
    let target = target.to_str()?;
    let (_, name) = target.split_once("/zoneinfo/")?;
    let name = name.strip_prefix("posix/").unwrap_or(name);
    is_zone(name).then(|| name.to_owned())
}

/// By content. Names with a city come first in the order of names, those of an offset later.
fn search(tree: &Tree, folder: &str, bytes: &[u8], depth: usize) -> Option<String> {
    let mut folders = Vec::new();
    let mut plain = None;
    for path in tree.folder(folder) {
        let name = path
            .strip_prefix(DATABASE)?
            .trim_start_matches('/')
            .to_owned();
        if SECOND.contains(&name.as_str()) || !is_zone(&name) {
            continue;
        }
        match tree.size(&path) {
            _ if tree.at(&path).is_some_and(|at| at.is_dir()) => folders.push(path),
            Some(size)
                if size == bytes.len() as u64
                    && plain.is_none()
                    && tree.bytes(&path).as_deref() == Some(bytes)
                    && name != "localtime" =>
            {
                plain = Some(name);
            }
            _ => {}
        }
    }
    if depth > 1 {
        let below = folders
            .iter()
            .find_map(|f| search(tree, f, bytes, depth - 1));
        if below.is_some() {
            return below;
        }
    }
    plain
}
