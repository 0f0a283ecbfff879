//! Replacing a file or a link durably: the one way to do it in this program. A power cut at any time
//! leaves the old one or the new one, and once this has returned, the new one.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{symlink, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::root::remove;

/// Writes a file whole: a temporary name, its bytes on the disk, then a rename, and that on the disk.
/// What stood there is replaced, be it a link; nothing is ever written through one.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let what = || format!("write {}", path.display());
    let temporary = temporary(path).with_context(what)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        // Nobody else shall read it before it has its mode.
        .mode(0o600)
        .open(&temporary)
        .with_context(what)?;
    file.write_all(bytes).with_context(what)?;
    file.set_permissions(Permissions::from_mode(mode))
        .with_context(what)?;
    file.sync_all().with_context(what)?;
    name(&temporary, path).with_context(what)
}

/// Puts a link in the place of what stood there, in the same way.
pub fn replace_with_link(path: &Path, to: impl AsRef<Path>) -> Result<()> {
    let what = || format!("link {}", path.display());
    let temporary = temporary(path).with_context(what)?;
    symlink(to, &temporary).with_context(what)?;
    name(&temporary, path).with_context(what)
}

/// A name beside the file that nothing has: what an attempt left that was cut off goes.
fn temporary(path: &Path) -> std::io::Result<PathBuf> {
    let temporary = path.with_extension("reroot-new");
    remove::file(&temporary)?;
    Ok(temporary)
}

/// The rename is on the disk when the directory is: without that the old file would come back.
fn name(temporary: &Path, path: &Path) -> std::io::Result<()> {
    fs::rename(temporary, path)?;
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_its_bytes_and_its_mode_and_nothing_stays_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("report.json");
        // What a power cut left.
        fs::write(dir.path().join("report.reroot-new"), "half").unwrap();
        for (bytes, mode) in [("one", 0o600), ("another", 0o755)] {
            replace(&path, bytes.as_bytes(), mode).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), bytes);
            let found = path.metadata().unwrap().permissions().mode();
            assert_eq!(found & 0o7777, mode);
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_is_replaced_and_never_written_through() {
        let dir = tempfile::tempdir().unwrap();
        let (path, outside) = (dir.path().join("resolv.conf"), dir.path().join("outside"));
        fs::write(&outside, "before").unwrap();
        replace_with_link(&path, &outside).unwrap();
        assert_eq!(fs::read_link(&path).unwrap(), outside);
        replace(&path, b"after", 0o644).unwrap();
        assert_eq!(fs::read_to_string(&outside).unwrap(), "before");
        assert!(path.symlink_metadata().unwrap().is_file());
        replace_with_link(&path, "elsewhere").unwrap();
        assert_eq!(fs::read_link(&path).unwrap(), Path::new("elsewhere"));
    }
}
