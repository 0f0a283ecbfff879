//! The new OS's own ssh server, for the RAM environment: who gets into the machine while it is being
//! reinstalled gets in by it.
//!
//! It is a help and no condition: a payload that has none, or one that cannot be taken whole, has an image
//! without.

use std::collections::BTreeMap;

use crate::root_tree::RootTree;
use crate::with_libraries::{self, library};

/// The program: where it is in the new OS, and in the RAM environment.
pub const PROGRAM: &str = "usr/sbin/sshd";

/// What it starts for each connection, since OpenSSH 9.8, by the places that distributions have for it.
const HELPERS: [&str; 4] = [
    "usr/lib/openssh/sshd-session",
    "usr/lib/openssh/sshd-auth",
    "usr/libexec/openssh/sshd-session",
    "usr/libexec/openssh/sshd-auth",
];

/// Libraries that are loaded by name: accounts by files, in C libraries before 2.34.
const BY_NAME: [&str; 1] = ["libnss_files.so.2"];

/// Paths and bytes of everything that it takes; nothing where there is no server, and why there is none
/// where one is there.
pub fn files(tree: &RootTree) -> Result<BTreeMap<String, Vec<u8>>, String> {
    if !tree.has(PROGRAM) {
        return Ok(BTreeMap::new());
    }
    let helpers = HELPERS.iter().filter(|path| tree.has(path));
    let mut programs: Vec<String> = helpers.map(ToString::to_string).collect();
    programs.push(PROGRAM.to_owned());
    programs.extend(BY_NAME.iter().filter_map(|name| library(tree, name)));
    with_libraries::files(tree, &programs).map_err(|e| format!("{e:#}"))
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
        assert!(files.len() > 3, "openssh-server: {:?}", files.keys());
        let output = with_libraries::run_alone(&files, &["/usr/sbin/sshd", "-V"]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("OpenSSH"), "{output:?}");
    }

    #[test]
    fn an_os_without_a_server_has_none() {
        let folder = tempfile::tempdir().unwrap();
        let tree = RootTree::open(folder.path()).unwrap();
        assert!(files(&tree).unwrap().is_empty());
    }
}
