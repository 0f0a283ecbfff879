//! Programs of the payload that a run calls: in its root behind the unpack, and at its first boot.

use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result};
use formats::hooks::{is_name, Hooks, AFTER_UNPACK, FIRST_BOOT};

use crate::root_tree::RootTree;

/// Looks at a finished tree.
pub fn look(tree: &RootTree) -> Result<Hooks> {
    Ok(Hooks {
        // The payload does not know the old OS.
        before_stop: Vec::new(),
        after_unpack: programs(tree, AFTER_UNPACK)?,
        first_boot: programs(tree, FIRST_BOOT)?,
    })
}

fn programs(tree: &RootTree, directory: &str) -> Result<Vec<String>> {
    let inside = directory.trim_start_matches('/');
    let names = tree
        .names(inside)
        .with_context(|| format!("list {directory} in the new root"))?;
    let executable = |name: &String| {
        let file = tree.file(&format!("{inside}/{name}"));
        file.and_then(|file| file.metadata())
            .is_ok_and(|found| found.permissions().mode() & 0o111 != 0)
    };
    let programs = names.into_iter().filter(|name| is_name(name));
    let path = |name| format!("{directory}/{name}");
    Ok(programs.filter(executable).map(path).collect())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use super::*;

    #[test]
    fn executable_files_are_named_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("etc/reroot/first-boot.d");
        fs::create_dir_all(&folder).unwrap();
        for (name, mode) in [
            ("20-b", 0o755),
            ("10-a", 0o700),
            ("README", 0o644),
            ("x.bak", 0o755),
        ] {
            fs::write(folder.join(name), "#!/bin/sh\n").unwrap();
            fs::set_permissions(folder.join(name), Permissions::from_mode(mode)).unwrap();
        }
        let found = look(&RootTree::open(dir.path()).unwrap()).unwrap();
        assert_eq!(
            found.first_boot,
            ["10-a", "20-b"].map(|name| format!("{FIRST_BOOT}/{name}"))
        );
        assert!(found.after_unpack.is_empty() && found.before_stop.is_empty());
    }
}
