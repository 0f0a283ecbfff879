//! The new OS's own checkers of root filesystems, for the RAM environment.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::root_tree::RootTree;
use crate::with_libraries;

/// The program for ext4: where it is in the new OS, and in the RAM environment.
pub const PROGRAM: &str = "sbin/e2fsck";
/// The one for XFS, as far as the new OS has it: only a person calls it.
pub const FOR_XFS: &str = "sbin/xfs_repair";
/// The one for Btrfs, in the same way.
pub const FOR_BTRFS: &str = "bin/btrfs";

/// Paths and bytes of everything that it takes.
pub fn files(tree: &RootTree) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut programs = vec![PROGRAM.to_owned()];
    let others = [FOR_XFS, FOR_BTRFS].into_iter();
    programs.extend(others.filter(|path| tree.has(path)).map(str::to_owned));
    with_libraries::files(tree, &programs)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// This machine's own, in a root that has nothing else: it must run there.
    #[test]
    fn what_is_taken_is_enough_to_run() {
        let tree = RootTree::open(Path::new("/")).unwrap();
        let files = files(&tree).unwrap();
        assert!(files.len() > 3, "{:?}", files.keys());
        let output = with_libraries::run_alone(&files, &["/sbin/e2fsck", "-V"]);
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
