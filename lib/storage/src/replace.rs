//! Replacing a file durably. A power cut at any time leaves the old one or the new one, and once this
//! has returned, the new one. Nothing is ever written through a link.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{fchown, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Added to a file's name for the one that will take its place. Appended, so that `a.yaml` and
/// `a.conf` never share one.
const NEW: &str = ".reroot-new";

/// Who may do what with the new file.
#[derive(Clone, Copy, Debug)]
pub enum Access {
    /// This mode, and the owner who writes.
    Mode(u32),
    /// What the file that stands there has; where there is none, root alone reads it.
    AsBefore,
}

/// Writes a file whole: a temporary name, its bytes and its mode on the disk, then a rename, and that
/// on the disk. What stood there is replaced, be it a link.
pub fn replace(path: &Path, bytes: &[u8], access: Access) -> io::Result<()> {
    prepare(path, bytes, access)?.put()
}

/// A file that is written and has not taken its place yet. One that never does goes.
#[must_use]
pub struct Prepared {
    temporary: PathBuf,
    path: PathBuf,
    placed: bool,
}

impl Drop for Prepared {
    fn drop(&mut self) {
        if !self.placed {
            // It is of no use, and would be there twice the next time.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

impl Prepared {
    /// Has it take its place.
    pub fn put(mut self) -> io::Result<()> {
        fs::rename(&self.temporary, &self.path)?;
        self.placed = true;
        // The rename is on the disk when the directory is: without that the old file would come back.
        File::open(above(&self.path))?.sync_all()
    }
}

/// The first half of [`replace`]: who reads the disk without its journal gets whole files only if everything of
/// the new one is in its place before the name leads there.
pub fn prepare(path: &Path, bytes: &[u8], access: Access) -> io::Result<Prepared> {
    let temporary = temporary(path)?;
    let mut file = OpenOptions::new()
        .write(true)
        // O_EXCL: what stands there, a link included, is an error and not written to.
        .create_new(true)
        // Nobody else shall read it before it has its mode.
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(bytes)?;
    match access {
        Access::Mode(mode) => file.set_permissions(Permissions::from_mode(mode))?,
        Access::AsBefore => {
            if let Ok(old) = path.symlink_metadata() {
                // The owner first: chown(2) takes set-user-ID bits away.
                fchown(&file, Some(old.uid()), Some(old.gid()))?;
                file.set_permissions(old.permissions())?;
            }
        }
    }
    file.sync_all()?;
    Ok(Prepared {
        temporary,
        path: path.to_owned(),
        placed: false,
    })
}

/// A path beside the file that nothing has: what an attempt left that was cut off goes.
fn temporary(path: &Path) -> io::Result<PathBuf> {
    let mut name: OsString = path.file_name().unwrap_or_default().to_owned();
    name.push(NEW);
    let temporary = above(path).join(name);
    match fs::remove_file(&temporary) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
        _ => Ok(temporary),
    }
}

fn above(path: &Path) -> &Path {
    match path.parent() {
        Some(above) if above != Path::new("") => above,
        Some(_) => Path::new("."),
        None => Path::new("/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_is_prepared_takes_its_place_when_it_is_told_to_or_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("grub.cfg");
        fs::write(&path, "old").unwrap();
        let prepared = prepare(&path, b"new", Access::AsBefore).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        drop(prepared);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        let prepared = prepare(&path, b"new", Access::AsBefore).unwrap();
        prepared.put().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn a_file_has_its_bytes_and_its_mode_and_nothing_stays_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("report.json");
        // What a power cut left, and a file of another's that only looks like it.
        fs::write(dir.path().join("report.json.reroot-new"), "half").unwrap();
        fs::write(dir.path().join("report.reroot-new"), "another's").unwrap();
        for (bytes, mode) in [("one", 0o600), ("another", 0o755)] {
            replace(&path, bytes.as_bytes(), Access::Mode(mode)).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), bytes);
            let found = path.metadata().unwrap().permissions().mode();
            assert_eq!(found & 0o7777, mode);
        }
        replace(&path, b"third", Access::AsBefore).unwrap();
        assert_eq!(
            path.metadata().unwrap().permissions().mode() & 0o7777,
            0o755
        );
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_link_is_replaced_and_never_written_through() {
        let dir = tempfile::tempdir().unwrap();
        let (path, outside) = (dir.path().join("resolv.conf"), dir.path().join("outside"));
        fs::write(&outside, "before").unwrap();
        symlink(&outside, &path).unwrap();
        symlink(&outside, dir.path().join("resolv.conf.reroot-new")).unwrap();
        replace(&path, b"after", Access::Mode(0o644)).unwrap();
        assert_eq!(fs::read_to_string(&outside).unwrap(), "before");
        assert!(path.symlink_metadata().unwrap().is_file());
    }
}
