//! What GRUB is told between the commit point and the new boot loader: commands in its own core image,
//! which load kernel and initramfs by their sectors on the disk, so that neither the filesystem nor the
//! partition table has to be readable.

use formats::staged::{Staged, StagedFile};

use crate::grub::core_image::{self, COMMANDS};

/// The directory that the core image calls its own. Without a disk or a partition in it, `$root` is the
/// whole disk that the firmware started.
pub const PREFIX: &str = "/reroot";

/// The kernel parameter that tells the init that the run it belongs to is past the commit point.
/// Its value is the run's id.
pub const COMMITTED: &str = "reroot.committed";

const SECTOR: u64 = 512;

/// The configuration cannot be written.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    /// It is too long.
    #[error(
        "GRUB's commands for the staged image take {0} bytes, its core image has room for {COMMANDS}; the kernel parameters are too many"
    )]
    TooLong(usize),
    /// GRUB would read a parameter in its own way.
    #[error("the kernel parameter {0:?} has characters that GRUB reads in its own way")]
    Parameter(String),
}

/// The commands that load what is staged on the partition that begins at sector `start`. If that fails
/// it is tried again and again: there is nothing else to boot.
pub fn commands(staged: &Staged, start: u64, cmdline: &str) -> Result<String, ConfigError> {
    let cmdline = plain(cmdline)?;
    let run = plain(&staged.run)?;
    let text = format!(
        "linux ($root){} {cmdline} {COMMITTED}={run}\n\
         initrd ($root){}\n\
         boot\n\
         echo reroot: the staged image does not load. Trying again.\n\
         sleep 20\n\
         reboot\n",
        sectors(&staged.kernel, start),
        sectors(&staged.initramfs, start),
    );
    if text.len() > COMMANDS {
        return Err(ConfigError::TooLong(text.len()));
    }
    Ok(text)
}

/// Whether the core image in these sectors of a disk loads what is staged for a run.
pub fn is_loaded_by(core: &[u8]) -> bool {
    let mark = format!("{COMMITTED}=");
    let inside = core_image::inside(core).unwrap_or_default();
    inside
        .windows(mark.len())
        .any(|part| part == mark.as_bytes())
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
/// disk. What the last sector holds behind the file's end is zeros, as filesystems leave it.
fn sectors(file: &StagedFile, start: u64) -> String {
    let first = start + file.offset / SECTOR;
    format!("{first}+{}", file.length.div_ceil(SECTOR))
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
            loader: None,
            run: "20260102T030405Z-0a1b".into(),
            kernel: file(4096, 1025),
            initramfs: file(1 << 40, 1024),
            order: std::collections::BTreeMap::new(),
        }
    }

    #[test]
    fn the_commands_name_sectors_of_the_disk() {
        let text = commands(&staged(), 2048, "panic=30 console=ttyS0,115200").unwrap();
        assert_eq!(
            text,
            "linux ($root)2056+3 panic=30 console=ttyS0,115200 reroot.committed=20260102T030405Z-0a1b\n\
             initrd ($root)2147485696+2\nboot\n\
             echo reroot: the staged image does not load. Trying again.\nsleep 20\nreboot\n"
        );
    }

    #[test]
    fn what_grub_would_read_otherwise_or_has_no_room_is_refused() {
        for word in ["a;b", "$root", "a'b", "a\"", "{", "a#b", "a\\b"] {
            assert_eq!(
                commands(&staged(), 2048, word),
                Err(ConfigError::Parameter(word.to_owned()))
            );
        }
        let long = "x".repeat(COMMANDS);
        assert!(matches!(
            commands(&staged(), 2048, &long),
            Err(ConfigError::TooLong(_))
        ));
    }
}
