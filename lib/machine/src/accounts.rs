//! Reading an OS's account files, below a root.
//!
//! Below a root other than `/` no link is followed: the tree is another machine's, and where its
//! links lead on this one says nothing about it.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use formats::accounts::AccountFiles;
use rustix::fs::{FileType, Mode, OFlags, CWD};
use rustix::io::Errno;

/// The largest file that is read. A line takes some 60 bytes.
const LARGEST: u64 = 16 << 20;

/// An account file that is there and cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("read {path}")]
pub struct AccountsReadError {
    /// The file.
    pub path: PathBuf,
    /// Why not.
    #[source]
    pub source: io::Error,
}

/// Reads the account files below `root`. Files that are not there are empty.
pub fn read(root: &Path) -> Result<AccountFiles, AccountsReadError> {
    let file = |name| Ok(read_file(root, &["etc", name])?.unwrap_or_default());
    Ok(AccountFiles {
        passwd: file("passwd")?,
        shadow: file("shadow")?,
        group: file("group")?,
        gshadow: file("gshadow")?,
        subuid: file("subuid")?,
        subgid: file("subgid")?,
    })
}

/// Reads login.defs(5) below `root`, from where the administrator or else the vendor has it;
/// empty where there is none.
pub fn login_defs(root: &Path) -> Result<Vec<u8>, AccountsReadError> {
    for path in [&["etc", "login.defs"][..], &["usr", "etc", "login.defs"]] {
        if let Some(found) = read_file(root, path)? {
            return Ok(found);
        }
    }
    Ok(Vec::new())
}

/// A file's content; nothing where there is none.
fn read_file(root: &Path, path: &[&str]) -> Result<Option<Vec<u8>>, AccountsReadError> {
    let follow = root == Path::new("/");
    let full = path
        .iter()
        .fold(root.to_owned(), |full, name| full.join(name));
    match open(root, path, follow)
        .map_err(Into::into)
        .and_then(content)
    {
        Ok(found) => Ok(Some(found)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(AccountsReadError { path: full, source }),
    }
}

fn open(root: &Path, path: &[&str], follow: bool) -> Result<OwnedFd, Errno> {
    // A pipe must not be waited for.
    let mut flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let mut dir = rustix::fs::openat(CWD, root, flags | OFlags::DIRECTORY, Mode::empty())?;
    if !follow {
        flags |= OFlags::NOFOLLOW;
    }
    let Some((name, above)) = path.split_last() else {
        return Ok(dir);
    };
    for name in above {
        dir = rustix::fs::openat(&dir, *name, flags | OFlags::DIRECTORY, Mode::empty())?;
    }
    rustix::fs::openat(&dir, *name, flags, Mode::empty())
}

fn content(file: OwnedFd) -> io::Result<Vec<u8>> {
    let stat = rustix::fs::fstat(file.as_fd())?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut bytes = Vec::new();
    File::from(file).take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::other("it is larger than 16 MiB"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn files_are_read_and_absent_ones_are_empty() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(read(root.path()).unwrap(), AccountFiles::default());
        assert_eq!(login_defs(root.path()).unwrap(), b"");
        fs::create_dir_all(root.path().join("etc")).unwrap();
        fs::create_dir_all(root.path().join("usr/etc")).unwrap();
        for name in ["passwd", "shadow", "group", "gshadow", "subuid", "subgid"] {
            fs::write(root.path().join("etc").join(name), name).unwrap();
        }
        fs::write(root.path().join("usr/etc/login.defs"), "vendor").unwrap();
        let files = read(root.path()).unwrap();
        let found = [
            files.passwd,
            files.shadow,
            files.group,
            files.gshadow,
            files.subuid,
            files.subgid,
        ];
        let expected = ["passwd", "shadow", "group", "gshadow", "subuid", "subgid"];
        assert_eq!(found, expected.map(|name| name.as_bytes().to_vec()));
        assert_eq!(login_defs(root.path()).unwrap(), b"vendor");
        fs::write(root.path().join("etc/login.defs"), "own").unwrap();
        assert_eq!(login_defs(root.path()).unwrap(), b"own");
    }

    #[test]
    fn links_and_other_things_are_refused() {
        type Make = fn(&Path);
        let cases: &[(&str, Make)] = &[
            ("a link", |etc| {
                symlink("/etc/passwd", etc.join("passwd")).unwrap();
            }),
            ("a link to nowhere", |etc| {
                symlink("gone", etc.join("passwd")).unwrap();
            }),
            ("a directory", |etc| {
                fs::create_dir(etc.join("passwd")).unwrap();
            }),
            ("a pipe", |etc| {
                let mode = Mode::from_raw_mode(0o600);
                rustix::fs::mknodat(CWD, etc.join("passwd"), FileType::Fifo, mode, 0).unwrap();
            }),
            ("a link above", |etc| {
                fs::remove_dir(etc).unwrap();
                symlink("/etc", etc).unwrap();
            }),
            ("a huge file", |etc| {
                let file = File::create(etc.join("passwd")).unwrap();
                file.set_len(LARGEST + 1).unwrap();
            }),
        ];
        for (case, make) in cases {
            let root = tempfile::tempdir().unwrap();
            let etc = root.path().join("etc");
            fs::create_dir(&etc).unwrap();
            make(&etc);
            let error = read(root.path()).expect_err(case);
            assert_eq!(error.path, etc.join("passwd"), "{case}");
        }
    }
}
