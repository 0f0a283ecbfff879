//! The new OS's own checkers of root filesystems, for the RAM environment: the programs, the
//! libraries that they are linked with, and their loader, each at the place where that loader looks.
//!
//! ld.so(8): what a program names as needed is looked for in directories that the loader was built
//! with. Which of them hold a library, the tree says.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};

use crate::elf::{self, Linked};
use crate::failure::refusal;
use crate::root_tree::RootTree;

/// The program for ext4: where it is in the new OS, and in the RAM environment.
pub const PROGRAM: &str = "sbin/e2fsck";
/// The one for XFS, as far as the new OS has it: only a person calls it.
pub const FOR_XFS: &str = "sbin/xfs_repair";

/// Where libraries are, in the order in which loaders of Debian and its kin look.
const FOLDERS: [&str; 6] = [
    "lib/x86_64-linux-gnu",
    "usr/lib/x86_64-linux-gnu",
    "lib64",
    "usr/lib64",
    "lib",
    "usr/lib",
];

/// Paths and bytes of everything that it takes.
pub fn files(tree: &RootTree) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut pending = vec![PROGRAM.to_owned()];
    pending.extend(Some(FOR_XFS.to_owned()).filter(|path| tree.has(path)));
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
    FOLDERS
        .iter()
        .map(|folder| format!("{folder}/{name}"))
        .find(|path| tree.has(path))
        .ok_or_else(|| {
            refusal(
                format!("the new root has no {name}, which /{by} is linked with"),
                "have the folder install the package that brings it; e2fsprogs or xfsprogs depends on it",
            )
        })
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::*;

    /// This machine's own, in a root that has nothing else: it must run there.
    #[test]
    fn what_is_taken_is_enough_to_run() {
        let tree = RootTree::open(Path::new("/")).unwrap();
        let files = files(&tree).unwrap();
        assert!(files.len() > 3, "{:?}", files.keys());
        let root = tempfile::tempdir().unwrap();
        for (path, bytes) in &files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, bytes).unwrap();
            let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(&path, executable).unwrap();
        }
        let output = Command::new("chroot")
            .arg(root.path())
            .args(["/sbin/e2fsck", "-V"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && said.contains("e2fsck"),
            "{output:?}"
        );
    }

    #[test]
    fn a_library_that_is_missing_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("sbin")).unwrap();
        std::fs::copy("/sbin/e2fsck", folder.path().join(PROGRAM)).unwrap();
        let loader = folder.path().join("lib64");
        std::fs::create_dir(&loader).unwrap();
        let tree = RootTree::open(folder.path()).unwrap();
        let error = files(&tree).unwrap_err().to_string();
        assert!(error.contains("the new root has no lib"), "{error}");
    }
}
