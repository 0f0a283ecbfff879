//! The old OS's files and folders that the new one gets back.

use std::os::fd::{AsFd, BorrowedFd};

use anyhow::{Context, Result};
use formats::identity::IdentityPlan;
use tree::Treatment;

/// Packs them from this machine, with their owners and modes and those of the directories that
/// they are in.
pub fn pack(plan: &IdentityPlan) -> Result<Vec<u8>> {
    let root = rustix::fs::open(
        "/",
        rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )
    .context("open /")?;
    pack_below(root.as_fd(), plan)
}

/// [`pack`], from the tree below a directory.
fn pack_below(root: BorrowedFd<'_>, plan: &IdentityPlan) -> Result<Vec<u8>> {
    let items: Vec<_> = plan
        .copied
        .iter()
        .map(|path| (path.as_str(), treatment(plan, path)))
        .collect();
    tree::pack_items(root, &items).context("pack the carried files")
}

/// What a path is packed as.
fn treatment(plan: &IdentityPlan, path: &str) -> Treatment {
    let private = |path: &str| plan.private.iter().any(|p| p == path);
    if private(path) {
        // The ssh server refuses a key that others than root can read.
        Treatment::Roots(0o600)
    } else if path.strip_suffix(".pub").is_some_and(private) || path == "/etc/localtime" {
        Treatment::Roots(0o644)
    } else if path.contains("/.ssh/authorized_keys") {
        // Homes, and folders in them, are often links to another filesystem.
        Treatment::Through
    } else {
        Treatment::AsItIs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_packed_in_its_own_way() {
        let plan = IdentityPlan {
            private: vec!["/etc/ssh/ssh_host_rsa_key".into()],
            ..IdentityPlan::default()
        };
        for (path, expected) in [
            ("/etc/ssh/ssh_host_rsa_key", Treatment::Roots(0o600)),
            ("/etc/ssh/ssh_host_rsa_key.pub", Treatment::Roots(0o644)),
            ("/etc/ssh/other_key", Treatment::AsItIs),
            ("/etc/localtime", Treatment::Roots(0o644)),
            ("/root/.ssh/authorized_keys2", Treatment::Through),
            ("/etc/shop", Treatment::AsItIs),
        ] {
            assert_eq!(treatment(&plan, path), expected, "{path}");
        }
    }
}
