//! What GRUB is told between the commit point and the new boot loader: a configuration in the root
//! partition's boot block, which loads kernel and initramfs by their sectors, so that nothing of the
//! filesystem has to be readable.
//!
//! The boot block is the partition's first 1024 bytes, which ext4 never uses. GRUB's core image for
//! this time ([`CORE_CONFIG`]) reads its commands from there.

use formats::staged::{Staged, StagedFile};

/// Bytes of the boot block.
pub const SIZE: usize = 1024;

/// The whole configuration inside the core image: go on with the boot block of the partition that
/// its prefix names.
pub const CORE_CONFIG: &str = "source ($root)0+2\n";

/// The kernel parameter that tells the init that the run it belongs to is past the commit point.
/// Its value is the run's id.
pub const COMMITTED: &str = "reroot.committed";

/// How the configuration begins; the run's id follows.
const HEAD: &str = "# reroot ";

const SECTOR: u64 = 512;

/// The configuration cannot be written.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    /// It is too long.
    #[error(
        "GRUB's configuration for the staged image takes {0} bytes, the boot block has {SIZE}; the kernel parameters are too many"
    )]
    TooLong(usize),
    /// GRUB would read a parameter in its own way.
    #[error("the kernel parameter {0:?} has characters that GRUB reads in its own way")]
    Parameter(String),
}

/// The boot block that loads what is staged. If that fails it is tried again and again: there is
/// nothing else to boot.
pub fn boot_block(staged: &Staged, cmdline: &str) -> Result<[u8; SIZE], ConfigError> {
    let cmdline = plain(cmdline)?;
    let run = plain(&staged.run)?;
    let text = format!(
        "{HEAD}{run}\n\
         linux ($root){} {cmdline} {COMMITTED}={run}\n\
         initrd ($root){}\n\
         boot\n\
         echo reroot: the staged image does not load. Trying again.\n\
         sleep 20\n\
         reboot\n",
        sectors(&staged.kernel),
        sectors(&staged.initramfs),
    );
    let mut block = [b'\n'; SIZE];
    block
        .get_mut(..text.len())
        .ok_or(ConfigError::TooLong(text.len()))?
        .copy_from_slice(text.as_bytes());
    Ok(block)
}

/// Parameters as they are, if GRUB takes them as they are.
pub(super) fn plain(text: &str) -> Result<&str, ConfigError> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.,:=@/+".contains(c);
    match text
        .split_whitespace()
        .find(|word| !word.chars().all(is_plain))
    {
        Some(word) => Err(ConfigError::Parameter(word.to_owned())),
        None => Ok(text),
    }
}

/// GRUB's block list of a file: first sector and number of sectors, counted from the start of the
/// partition. What the last sector holds behind the file's end is zeros, as filesystems leave it.
fn sectors(file: &StagedFile) -> String {
    format!("{}+{}", file.offset / SECTOR, file.length.div_ceil(SECTOR))
}

/// Whether a boot block may be overwritten: nothing is in it, or what another run left, or what no
/// firmware starts any more because the master boot record goes past it.
pub fn may_be_replaced(block: &[u8], grub_in_gap: bool) -> bool {
    grub_in_gap || block.iter().all(|&b| b == 0) || block.starts_with(HEAD.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use formats::Digest;

    fn staged() -> Staged {
        let file = |offset, length| StagedFile {
            offset,
            length,
            digest: Digest::of(b""),
        };
        Staged {
            run: "20260102T030405Z-0a1b".into(),
            kernel: file(4096, 1025),
            initramfs: file(1 << 40, 1024),
            order: std::collections::BTreeMap::new(),
        }
    }

    #[test]
    fn the_block_names_sectors_of_the_partition() {
        let block = boot_block(&staged(), "panic=30 console=ttyS0,115200").unwrap();
        let text = String::from_utf8(block.to_vec()).unwrap();
        assert_eq!(
            text.trim_end(),
            "# reroot 20260102T030405Z-0a1b\n\
             linux ($root)8+3 panic=30 console=ttyS0,115200 reroot.committed=20260102T030405Z-0a1b\n\
             initrd ($root)2147483648+2\nboot\n\
             echo reroot: the staged image does not load. Trying again.\nsleep 20\nreboot"
        );
        assert!(may_be_replaced(&block, false));
    }

    #[test]
    fn what_grub_would_read_otherwise_or_has_no_room_is_refused() {
        for word in ["a;b", "$root", "a'b", "a\"", "{", "a#b", "a\\b"] {
            assert_eq!(
                boot_block(&staged(), word),
                Err(ConfigError::Parameter(word.to_owned()))
            );
        }
        let long = "x".repeat(SIZE);
        assert!(matches!(
            boot_block(&staged(), &long),
            Err(ConfigError::TooLong(_))
        ));
    }

    #[test]
    fn a_loader_in_the_boot_block_is_left_alone_unless_it_is_out_of_use() {
        assert!(may_be_replaced(&[0; SIZE], false));
        assert!(!may_be_replaced(b"\xeb\x3c\x90LILO", false));
        assert!(may_be_replaced(b"\xeb\x3c\x90LILO", true));
    }
}
