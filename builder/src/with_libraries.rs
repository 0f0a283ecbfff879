//! Programs of the new OS for the RAM environment: each with the libraries that it is linked with, and
//! their loader, at the place where that loader looks.
//!
//! ld.so(8): what a program names as needed is looked for in directories that the loader was built
//! with. Which of them hold a library, the tree says.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};

use crate::elf::{self, Linked};
use crate::failure::refusal;
use crate::root_tree::RootTree;

/// Where libraries are, in the order in which loaders of Debian and its kin look.
pub const FOLDERS: [&str; 6] = [
    "lib/x86_64-linux-gnu",
    "usr/lib/x86_64-linux-gnu",
    "lib64",
    "usr/lib64",
    "lib",
    "usr/lib",
];

/// Paths and bytes of everything that these programs and libraries take.
pub fn files(tree: &RootTree, programs: &[String]) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut pending = programs.to_vec();
    while let Some(path) = pending.pop() {
        if !seen.insert(path.clone()) {
            continue;
        }
        let bytes = tree
            .read(&path)
            .with_context(|| format!("read /{path} in the new root"))?;
        let Linked {
            interpreter,
            needed,
        } = elf::linked(&bytes)
            .map_err(anyhow::Error::msg)
            .with_context(|| format!("see what /{path} in the new root is linked with"))?;
        pending.extend(interpreter.map(|path| path.trim_start_matches('/').to_owned()));
        for name in needed {
            // The loader names itself as a library of its own.
            if !seen.iter().any(|seen| seen.ends_with(&format!("/{name}"))) {
                pending.push(find(tree, &name, &path)?);
            }
        }
        files.insert(path, bytes);
    }
    Ok(files)
}

fn find(tree: &RootTree, name: &str, by: &str) -> Result<String> {
    library(tree, name).ok_or_else(|| {
        refusal(
            format!("the new root has no {name}, which /{by} is linked with"),
            "have the folder install the package that brings it; the program's own depends on it",
        )
    })
}

/// Where a library is.
pub fn library(tree: &RootTree, name: &str) -> Option<String> {
    let mut paths = FOLDERS.iter().map(|folder| format!("{folder}/{name}"));
    paths.find(|path| tree.has(path))
}

/// What a program says and ends with, in a root that has these files and a `/dev/null`, and nothing else.
#[cfg(test)]
pub fn run_alone(files: &BTreeMap<String, Vec<u8>>, command: &[&str]) -> std::process::Output {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    let root = tempfile::tempdir().unwrap();
    for (path, bytes) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    }
    fs::create_dir(root.path().join("dev")).unwrap();
    fs::write(root.path().join("dev/null"), "").unwrap();
    let mut chroot = std::process::Command::new("chroot");
    chroot.arg(root.path()).args(command).output().unwrap()
}
