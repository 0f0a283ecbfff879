//! Files whose flags the wipe has cleared for a moment: noted in the run's directory before, so that
//! a power cut in that moment does not leave a kept file without its `+i`.
//!
//! A line for each file: inode and flags. What is noted is given back before the next wipe; to give
//! it back once more changes nothing.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::BorrowedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use rustix::fs::OFlags;
use tree::Cleared;

use crate::ram::current_step;
use crate::root::run_directory;
use crate::run::data::Run;

/// Its name in the run's directory.
const NAME: &str = "flags-cleared";

/// The notes of one wipe.
pub struct FlagsCleared {
    path: PathBuf,
    file: Mutex<Option<File>>,
}

impl FlagsCleared {
    /// Gives back what an earlier wipe of the filesystem at `target` could not any more, and begins anew. `top` is
    /// that one's, `number` its place in the run: each numbers its inodes by itself.
    pub fn begin(
        run: &Run,
        number: usize,
        target: &str,
        top: BorrowedFd<'_>,
    ) -> Result<FlagsCleared> {
        let name = match number {
            0 => NAME.to_owned(),
            number => format!("{NAME}-{number}"),
        };
        let notes = FlagsCleared {
            path: run_directory::at(&run.plan, &name),
            file: Mutex::new(None),
        };
        let before = notes.read()?;
        if !before.is_empty() {
            let kept = run.plan.kept_on(target);
            let kept = kept.iter().map(|(_, path)| path);
            let restored =
                tree::restore_cleared(top, kept, &before, &|_| current_step::progressed())
                    .context("give kept files their flags back")?;
            log::info!("wipe: {restored} kept files have their flags back");
        }
        notes.end(top)?;
        Ok(notes)
    }

    fn read(&self) -> Result<Vec<Cleared>> {
        match fs::read_to_string(&self.path) {
            Ok(text) => Ok(parse(&text)),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            Err(e) => Err(e).with_context(|| format!("read {}", self.path.display())),
        }
    }

    /// Notes a file, durably.
    pub fn note(&self, cleared: Cleared) -> io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let file = match &mut *file {
            Some(file) => file,
            none => none.insert(open(&self.path)?),
        };
        file.write_all(format!("{} {}\n", cleared.inode, cleared.flags).as_bytes())
    }

    /// Everything was given back on the filesystem at `top`. It need not be the one with the notes: what was given back
    /// has to be on its disk before they go.
    pub fn end(&self, top: BorrowedFd<'_>) -> Result<()> {
        if self.path.exists() {
            rustix::fs::syncfs(top)
                .context("sync the filesystem with flags that were given back")?;
        }
        match fs::remove_file(&self.path) {
            Err(e) if e.kind() != ErrorKind::NotFound => {
                Err(e).with_context(|| format!("remove {}", self.path.display()))
            }
            _ => Ok(()),
        }
    }
}

/// Opens the notes so that each write is on the disk when it returns, and their name too.
fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(OFlags::DSYNC.bits() as i32)
        .open(path)?;
    if let Some(directory) = path.parent() {
        File::open(directory)?.sync_all()?;
    }
    Ok(file)
}

/// A line that a power cut has cut off is of a file whose flags were not cleared yet.
fn parse(text: &str) -> Vec<Cleared> {
    text.split_inclusive('\n')
        .filter_map(|line| line.strip_suffix('\n')?.split_once(' '))
        .filter_map(|(inode, flags)| {
            Some(Cleared {
                inode: inode.parse().ok()?,
                flags: flags.parse().ok()?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn what_is_noted_is_read_again_and_a_torn_line_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let notes = FlagsCleared {
            path: directory.path().join(NAME),
            file: Mutex::new(None),
        };
        assert!(notes.read().unwrap().is_empty());
        let cleared =
            [(12, 0x10), (u64::MAX, 0x8_0020)].map(|(inode, flags)| Cleared { inode, flags });
        for one in cleared {
            notes.note(one).unwrap();
        }
        assert_eq!(notes.read().unwrap(), cleared);
        let mut file = open(&notes.path).unwrap();
        file.write_all(b"13 1").unwrap();
        assert_eq!(notes.read().unwrap(), cleared);
        let top = File::open(directory.path()).unwrap();
        notes.end(top.as_fd()).unwrap();
        notes.end(top.as_fd()).unwrap();
        assert!(notes.read().unwrap().is_empty());
    }
}
