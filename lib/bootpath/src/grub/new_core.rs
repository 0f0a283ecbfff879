//! GRUB's core image of the new OS for a BIOS: what is in it, and what it does first.

use formats::facts::{RootIdentity, RootType};
use formats::tools::LVM;

/// What it must have before it can read anything from the filesystem, beside that one's own module.
pub const MODULES: [&str; 4] = ["biosdisk", "part_msdos", "part_gpt", "search_fs_uuid"];

/// What it must have for a certain root besides.
pub fn modules_of(root: &RootIdentity) -> Vec<&'static str> {
    let mut modules = modules_for(root.filesystem, root.logical.is_some());
    let array = root.array.as_ref();
    modules.extend(array.map(|array| mirror_module(&array.metadata)));
    modules
}

/// What it must have for a root on such a filesystem, on a logical volume or not.
pub fn modules_for(filesystem: RootType, logical: bool) -> Vec<&'static str> {
    let mut modules = vec![filesystem.grub_module()];
    modules.extend(logical.then_some(LVM));
    modules
}

/// What reads an array with metadata of this version.
fn mirror_module(metadata: &str) -> &'static str {
    match metadata {
        "0.90" => "mdraid09",
        _ => "mdraid1x",
    }
}

/// Its commands: where its configuration and its other modules are, by the root's UUID, and by the path of the
/// subvolume that is the root; that is empty where there is none.
pub fn commands(fs_uuid: &str, subvolume: &str) -> String {
    format!("search.fs_uuid {fs_uuid} root\nset prefix=($root){subvolume}/boot/grub\n")
}
