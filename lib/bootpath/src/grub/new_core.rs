//! GRUB's core image of the new OS for a BIOS: what is in it, and what it does first.

/// What it must have before it can read anything from the filesystem, beside that one's own module.
pub const MODULES: [&str; 4] = ["biosdisk", "part_msdos", "part_gpt", "search_fs_uuid"];

/// Its commands: where its configuration and its other modules are, by the root's UUID.
pub fn commands(fs_uuid: &str) -> String {
    format!("search.fs_uuid {fs_uuid} root\nset prefix=($root)/boot/grub\n")
}
