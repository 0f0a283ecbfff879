//! /proc/self/mountinfo, as described in proc(5).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use formats::filesystems::{self, Contents};

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Its number, as long as it is mounted.
    pub id: u64,
    /// `major:minor` of the filesystem; of Btrfs, which has a number of its own, that of its device where that is
    /// known.
    pub device: (u32, u32),
    /// The directory of the filesystem that is shown; `/` unless it is a bind mount.
    pub root: PathBuf,
    /// Where it is shown.
    pub target: PathBuf,
    /// Filesystem type.
    pub fstype: String,
    /// What was mounted.
    pub source: OsString,
    /// Where what is written to it goes, if it is laid over other directories (`upperdir=`).
    pub upper: Option<PathBuf>,
    /// It may be written to through this mount and on the filesystem as a whole.
    pub writable: bool,
}

impl Mount {
    /// Whether it shows a part of the root filesystem that is mounted as `root`: of Btrfs, of that subvolume.
    pub fn shows_part_of(&self, root: &Mount) -> bool {
        self.device == root.device && (root.fstype != BTRFS || self.root.starts_with(&root.root))
    }

    /// What is in it.
    pub fn contents(&self) -> Contents {
        filesystems::contents(&self.fstype, &self.source.to_string_lossy())
    }
}

/// Parses mountinfo. Lines that do not have the documented shape are passed over: the kernel adds
/// fields, it does not take them away.
pub fn parse(bytes: &[u8]) -> Vec<Mount> {
    bytes
        .split(|&b| b == b'\n')
        .filter_map(parse_line)
        .collect()
}

/// Reads the mounts of this process.
pub fn read() -> std::io::Result<Vec<Mount>> {
    Ok(of_text(&std::fs::read("/proc/self/mountinfo")?))
}

/// Reads the mounts of the calling thread, which may see others than its process.
pub fn read_of_thread() -> std::io::Result<Vec<Mount>> {
    // /proc/thread-self says the same since 3.17.
    let thread = rustix::thread::gettid().as_raw_nonzero();
    let path = format!("/proc/self/task/{thread}/mountinfo");
    Ok(of_text(&std::fs::read(path)?))
}

/// The mounts in a text of another process's mountinfo, as those of this one are read.
pub fn of_text(bytes: &[u8]) -> Vec<Mount> {
    with_devices(parse(bytes))
}

/// What mountinfo calls it.
const BTRFS: &str = "btrfs";

/// Mounts of Btrfs by the number of the device that their source names.
fn with_devices(mut mounts: Vec<Mount>) -> Vec<Mount> {
    for mount in mounts
        .iter_mut()
        .filter(|m| m.fstype == BTRFS && m.device.0 == 0)
    {
        let source = rustix::fs::stat(Path::new(&mount.source));
        let is_block = |stat: &rustix::fs::Stat| {
            rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::BlockDevice
        };
        if let Some(stat) = source.ok().filter(is_block) {
            mount.device = (
                rustix::fs::major(stat.st_rdev),
                rustix::fs::minor(stat.st_rdev),
            );
        }
    }
    mounts
}

/// The mount that shows at `/`: the last one there, since later mounts cover earlier ones.
pub fn at<'a>(mounts: &'a [Mount], target: &Path) -> Option<&'a Mount> {
    mounts.iter().rev().find(|m| m.target == target)
}

/// The mount that a path is on: the deepest, and of several at one place the last.
pub fn containing<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    let above = mounts.iter().filter(|m| path.starts_with(&m.target));
    above.max_by_key(|m| m.target.components().count())
}

fn parse_line(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|&b| b == b' ');
    let id = std::str::from_utf8(fields.next()?).ok()?;
    let device = std::str::from_utf8(fields.nth(1)?).ok()?;
    let (major, minor) = device.split_once(':')?;
    let root = unescape(fields.next()?);
    let target = unescape(fields.next()?);
    let options = fields.next()?;
    let mut fields = fields.skip_while(|f| *f != b"-").skip(1);
    let fstype = String::from_utf8_lossy(fields.next()?).into_owned();
    let source = unescape(fields.next()?);
    let super_options = fields.next()?;
    let upper = super_options
        .split(|&b| b == b',')
        .find_map(|o| o.strip_prefix(b"upperdir="))
        .map(|path| PathBuf::from(unescape(path)));
    let read_only = |options: &[u8]| options.split(|&b| b == b',').any(|o| o == b"ro");
    Some(Mount {
        id: id.parse().ok()?,
        device: (major.parse().ok()?, minor.parse().ok()?),
        root: root.into(),
        target: target.into(),
        fstype,
        source,
        upper,
        writable: !read_only(options) && !read_only(super_options),
    })
}

/// Space, tab, newline and backslash stand as three octal digits behind a backslash.
fn unescape(field: &[u8]) -> OsString {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, after)) = rest.split_first() {
        let octal = after
            .get(..3)
            .filter(|d| first == b'\\' && d.iter().all(|b| (b'0'..=b'7').contains(b)));
        if let Some(digits) = octal {
            out.push(
                digits
                    .iter()
                    .fold(0u8, |n, d| n.wrapping_mul(8).wrapping_add(d - b'0')),
            );
            rest = &after[3..];
        } else {
            out.push(first);
            rest = after;
        }
    }
    OsString::from_vec(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"22 1 253:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,errors=remount-ro\n\
        30 22 0:26 / /run rw,nosuid - tmpfs tmpfs rw\n\
        31 22 253:1 /srv/a\\040b /mnt/with\\011tab ro,relatime shared:1 master:2 - ext4 /dev/vda1 rw\n\
        broken line\n";

    #[test]
    fn reads_escapes_optional_fields_and_bind_mounts() {
        let mounts = parse(TEXT);
        assert_eq!(mounts.len(), 3);
        assert_eq!(mounts[0].device, (253, 1));
        assert!(mounts[0].writable);
        assert_eq!(mounts[2].root, Path::new("/srv/a b"));
        assert_eq!(mounts[2].target, Path::new("/mnt/with\ttab"));
        assert!(!mounts[2].writable);
    }

    #[test]
    fn the_last_mount_at_a_place_is_the_one_seen() {
        let mut mounts = parse(TEXT);
        mounts.push(Mount {
            fstype: "overlay".into(),
            ..mounts[0].clone()
        });
        assert_eq!(at(&mounts, Path::new("/")).unwrap().fstype, "overlay");
    }
}
