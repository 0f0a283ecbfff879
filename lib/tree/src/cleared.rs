//! Flags that the wipe takes off files, and gives back where another name of the file is kept.
//!
//! A name of an immutable file can only be removed while the file is not immutable. A power cut in
//! that moment would leave a kept file without its flag, so the caller notes it durably before it is
//! taken off, and gives it back when the run is taken up.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd};

use formats::keep::KeepPath;
use rustix::fs::{AtFlags, FileType, IFlags};
use rustix::io::Errno;

use super::descent::{Descent, Entered};
use super::error::TreeError;
use super::flags;
use super::lookup::{Lookup, Opened};
use super::measure::way_to;
use super::names::{Names, Reader};

/// A file whose flags are about to be cleared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cleared {
    /// Its inode.
    pub inode: u64,
    /// Its flags, as `FS_IOC_GETFLAGS` tells them.
    pub flags: u32,
}

/// Gives files in kept trees the flags back that they were noted with, and says how many were
/// found. A kept path that is not there, or is no directory of this filesystem, is an error.
/// `progress` is told of each directory how many names it has.
pub fn restore_cleared<'a>(
    root: BorrowedFd<'_>,
    kept: impl IntoIterator<Item = &'a KeepPath>,
    cleared: &[Cleared],
    progress: &dyn Fn(u64),
) -> Result<u64, TreeError> {
    let lookup = Lookup::detect(root);
    // A subvolume numbers its own inodes, and has no names of files outside of it.
    let device = rustix::fs::fstat(root)
        .map_err(|e| TreeError::io("look at", b"", e))?
        .st_dev;
    let mut restore = Restore {
        device,
        flags: cleared.iter().map(|c| (c.inode, c.flags)).collect(),
        restored: 0,
        progress,
    };
    for path in kept {
        let shown = path.as_str().as_bytes();
        let (dir, name) = way_to(lookup, root, path)?;
        let opened = lookup.directory(dir.as_fd(), &name);
        match opened.map_err(|e| TreeError::io("open", shown, e))? {
            Opened::Directory(top, _) => {
                restore.tree(&mut Descent::new(lookup, top.as_fd(), shown, None)?)?;
            }
            Opened::NotDirectory => restore
                .entry(dir.as_fd(), &name)
                .map(|_| ())
                .map_err(|e| TreeError::io("restore the flags of", shown, e))?,
            Opened::Missing | Opened::Mount => {
                return Err(TreeError::obstacle(
                    shown,
                    "is not the directory that was kept",
                ))
            }
        }
    }
    Ok(restore.restored)
}

struct Restore<'p> {
    device: u64,
    flags: BTreeMap<u64, u32>,
    restored: u64,
    progress: &'p dyn Fn(u64),
}

impl Restore<'_> {
    fn tree(&mut self, descent: &mut Descent<Option<Names>>) -> Result<(), TreeError> {
        let mut reader = Reader::new();
        loop {
            if descent.state().is_none() {
                let pending = self.directory(&mut reader, descent)?;
                *descent.state() = Some(pending);
            }
            let next = descent.state().as_mut().and_then(Names::pop);
            if let Some(name) = next {
                match descent.enter(&name, None)? {
                    Entered::Yes | Entered::Mount => {}
                    Entered::Missing | Entered::NotDirectory => {
                        return Err(TreeError::obstacle(
                            &descent.path_of(&name),
                            "changed while flags were restored",
                        ))
                    }
                }
            } else if descent.leave()?.is_none() {
                return Ok(());
            }
        }
    }

    /// Goes through what is in the current directory, and gives the directories in it.
    fn directory(
        &mut self,
        reader: &mut Reader,
        descent: &Descent<Option<Names>>,
    ) -> Result<Names, TreeError> {
        let names = reader
            .names(descent.dir())
            .map_err(|e| TreeError::io("read", &descent.path(), e))?;
        let mut pending = Names::default();
        for index in 0..names.len() {
            let Some(name) = names.get(index) else { break };
            let file_type = self
                .entry(descent.dir(), name)
                .map_err(|e| TreeError::io("restore the flags of", &descent.path_of(name), e))?;
            if file_type == FileType::Directory {
                pending.push(name);
            }
        }
        (self.progress)(names.len() as u64);
        Ok(pending)
    }

    fn entry(&mut self, dir: BorrowedFd<'_>, name: &std::ffi::CStr) -> Result<FileType, Errno> {
        let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let file_type = FileType::from_raw_mode(stat.st_mode);
        let flags = self
            .flags
            .get(&stat.st_ino)
            .filter(|_| stat.st_dev == self.device);
        if let (FileType::RegularFile, Some(&bits)) = (file_type, flags) {
            if let Some(file) = flags::open(dir, name)? {
                flags::restore(file, IFlags::from_bits_retain(bits))?;
                self.restored += 1;
            }
        }
        Ok(file_type)
    }
}
