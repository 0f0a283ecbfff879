//! The journal on the machine's root filesystem, written durably: `O_DSYNC`, old or new.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result};
use formats::journal;
use formats::journal::{Phase, Record, JOURNAL_SIZE};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::root::target;

/// What the machine calls it, for messages.
const PATH: &str = "/.reroot/journal";

/// Records that a phase begins.
pub fn record(run: &str, phase: Phase) -> Result<()> {
    write(run, phase, 0)?;
    Ok(())
}

/// Records that a run is taken up in the phase that it had come to, and gives how often it was.
pub fn take_up(run: &str) -> Result<u32> {
    let phase = latest()?.map_or(Phase::Commit, |r| r.phase);
    write(run, phase, 1)
}

/// Gives how often the run was taken up, now that it was `more` times more.
fn write(run: &str, phase: Phase, more: u32) -> Result<u32> {
    let what = || format!("write {} to the journal {PATH}", phase.name());
    let root = target::directory()?;
    let file = open_to_write(root.as_fd()).with_context(what)?;
    let mut bytes = vec![0; JOURNAL_SIZE as usize];
    file.read_exact_at(&mut bytes, 0).with_context(what)?;
    let before = journal::latest(&bytes);
    let of_run = before.as_ref().filter(|r| r.run == run);
    let record = Record {
        sequence: before.as_ref().map_or(1, |r| r.sequence + 1),
        phase,
        run: run.to_owned(),
        taken_up: of_run.map_or(0, |r| r.taken_up).saturating_add(more),
    };
    file.write_all_at(&record.encode(), record.offset())
        .with_context(what)?;
    Ok(record.taken_up)
}

/// The record that counts; `None` where there is no journal, or no whole record in it.
pub fn latest() -> Result<Option<Record>> {
    let what = || format!("read the journal {PATH}");
    let root = target::directory()?;
    let Some(mut file) = open_to_read(root.as_fd()).with_context(what)? else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).with_context(what)?;
    Ok(journal::latest(&bytes))
}

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Its directory on the root that is open, and no other: a link there is none of ours.
fn directory(root: BorrowedFd<'_>) -> io::Result<File> {
    Ok(rustix::fs::openat(root, c".reroot", DIRECTORY, Mode::empty())?.into())
}

fn open_to_read(root: BorrowedFd<'_>) -> io::Result<Option<File>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = directory(root).and_then(|directory| {
        let file = rustix::fs::openat(&directory, c"journal", flags, Mode::empty())?;
        Ok(File::from(file))
    });
    match opened {
        Ok(file) => Ok(Some(file)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// Opens it; a new one is made at its full length first, so that writing a record never has to
/// allocate.
fn open_to_write(root: BorrowedFd<'_>) -> io::Result<File> {
    match rustix::fs::mkdirat(root, c".reroot", Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(e) => return Err(e.into()),
    }
    let directory = directory(root)?;
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::DSYNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(0o600);
    let file = File::from(rustix::fs::openat(&directory, c"journal", flags, mode)?);
    if file.metadata()?.len() != JOURNAL_SIZE {
        file.set_len(0)?;
        file.write_all_at(&vec![0; JOURNAL_SIZE as usize], 0)?;
        file.sync_all()?;
        directory.sync_all()?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_journal_is_made_whole_and_read_again() {
        let root = tempfile::tempdir().unwrap();
        let handle = File::open(root.path()).unwrap();
        assert!(open_to_read(handle.as_fd()).unwrap().is_none());
        open_to_write(handle.as_fd()).unwrap();
        let found = open_to_read(handle.as_fd()).unwrap().unwrap();
        assert_eq!(found.metadata().unwrap().len(), JOURNAL_SIZE);
    }

    #[test]
    fn a_link_on_the_way_to_the_journal_is_never_followed() {
        for (link, target) in [
            (".reroot", "elsewhere"),
            (".reroot/journal", "../elsewhere/journal"),
        ] {
            let root = tempfile::tempdir().unwrap();
            fs::create_dir(root.path().join("elsewhere")).unwrap();
            if link.contains('/') {
                fs::create_dir(root.path().join(".reroot")).unwrap();
                fs::write(root.path().join("elsewhere/journal"), "theirs").unwrap();
            }
            symlink(target, root.path().join(link)).unwrap();
            let handle = File::open(root.path()).unwrap();
            assert!(open_to_write(handle.as_fd()).is_err(), "{link}");
            assert!(open_to_read(handle.as_fd()).is_err(), "{link}");
            let theirs = fs::read(root.path().join("elsewhere/journal")).unwrap_or_default();
            assert!(theirs.is_empty() || theirs == b"theirs", "{link}");
        }
    }
}
