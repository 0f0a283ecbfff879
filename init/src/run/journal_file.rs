//! The journal on the machine's root filesystem, written durably: `O_DSYNC`, old or new.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result};
use formats::journal;
use formats::journal::{Phase, Record, JOURNAL_SIZE};
use formats::plan::Plan;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use storage::btrfs;

use crate::root::target;

/// What the machine calls it, for messages.
const PATH: &str = "/.reroot/journal";

/// Records that a phase begins.
pub fn record(run: &str, phase: Phase) -> Result<()> {
    write(run, phase, 0)?;
    Ok(())
}

/// The same of a phase that the run would be taken up in anyway, from the wipe on: where a full filesystem has no room
/// for it, that is told and passed over, for the wipe is what makes room. Where the root is on a mirror it has to be
/// there: of a record of the commit alone a start by another disk goes back to the old OS.
pub fn record_if_there_is_room(plan: &Plan, phase: Phase) -> Result<()> {
    match record(&plan.run, phase) {
        Err(e) if plan.root.array.is_none() && is_full(&e) => {
            log::warn!("{e:#}; going on without it: what is wiped makes room");
            Ok(())
        }
        result => result,
    }
}

/// Whether it failed for want of room. A filesystem that copies what it changes, Btrfs, may have none for changing a
/// file in its place either: it notes that in its trees.
pub fn is_full(error: &anyhow::Error) -> bool {
    let full = |errno| errno == Errno::NOSPC || errno == Errno::DQUOT;
    error.chain().any(|cause| {
        let of_io = cause.downcast_ref().and_then(Errno::from_io_error);
        of_io.or(cause.downcast_ref().copied()).is_some_and(full)
    })
}

/// Records that a run is taken up in the phase that it had come to, and gives how often it was.
pub fn take_up(run: &str) -> Result<u32> {
    let phase = latest()?.map_or(Phase::Commit, |r| r.phase);
    write(run, phase, 1)
}

/// Records that the commit is taken back: a start of the staged image finds that the old OS is in use.
pub fn take_back(run: &str) -> Result<()> {
    let root = target::directory()?;
    write_on(root.as_fd(), run, Phase::Commit, |r| r.taken_back = true)?;
    Ok(())
}

/// Gives how often the run was taken up, now that it was `more` times more.
fn write(run: &str, phase: Phase, more: u32) -> Result<u32> {
    let root = target::directory()?;
    write_on(root.as_fd(), run, phase, |record| {
        record.taken_up = record.taken_up.saturating_add(more);
    })
}

/// Writes a record behind the one that counts. `change` is given it with the times that the run was taken up so far.
fn write_on(
    root: BorrowedFd<'_>,
    run: &str,
    phase: Phase,
    change: impl FnOnce(&mut Record),
) -> Result<u32> {
    let what = || format!("write {} to the journal {PATH}", phase.name());
    let file = open_to_write(root).with_context(what)?;
    let mut bytes = vec![0; JOURNAL_SIZE as usize];
    file.read_exact_at(&mut bytes, 0).with_context(what)?;
    let before = journal::latest(&bytes);
    let of_run = before.as_ref().filter(|r| r.run == run);
    let mut record = Record {
        sequence: before.as_ref().map_or(1, |r| r.sequence + 1),
        phase,
        run: run.to_owned(),
        taken_up: of_run.map_or(0, |r| r.taken_up),
        taken_back: false,
    };
    change(&mut record);
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

/// Opens it; a new one is made at its full length first, and on Btrfs so that it is written in its place, so that no
/// record has to find a place of its own.
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
        btrfs::write_in_place(&file)?;
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
    use std::path::Path;

    use fixtures::filesystem::Filesystem;
    use fixtures::program::run;
    use rustix::fs::FallocateFlags;

    use super::*;

    #[test]
    fn only_want_of_room_is_passed_over() {
        let full = |errno: Errno| {
            let io = io::Error::from(errno);
            let of_io = anyhow::Error::new(io).context("write wipe to the journal");
            let plain = anyhow::Error::new(errno).context("write wipe to the journal");
            (is_full(&of_io), is_full(&plain))
        };
        assert_eq!(full(Errno::NOSPC), (true, true));
        assert_eq!(full(Errno::DQUOT), (true, true));
        assert_eq!(full(Errno::IO), (false, false));
        assert_eq!(full(Errno::ROFS), (false, false));
    }

    #[test]
    fn the_journal_is_made_whole_and_read_again() {
        let root = tempfile::tempdir().unwrap();
        let handle = File::open(root.path()).unwrap();
        assert!(open_to_read(handle.as_fd()).unwrap().is_none());
        open_to_write(handle.as_fd()).unwrap();
        let found = open_to_read(handle.as_fd()).unwrap().unwrap();
        assert_eq!(found.metadata().unwrap().len(), JOURNAL_SIZE);
    }

    fn written(root: &File, phase: Phase, more: u32) -> Result<u32> {
        write_on(root.as_fd(), "r", phase, |record| record.taken_up += more)
    }

    /// Writes until nothing more has room, in files as large as this and then smaller ones.
    fn fill(directory: &Path, largest: usize) {
        fs::create_dir(directory).unwrap();
        let mut names = 0..;
        for bytes in [largest, 64 << 10, 4 << 10]
            .into_iter()
            .filter(|b| *b <= largest)
        {
            let full = names.find(|n| {
                let file = directory.join(format!("{bytes} {n}"));
                let written = fs::write(&file, vec![7; bytes]);
                written
                    .and_then(|()| File::open(&file)?.sync_all())
                    .is_err()
            });
            full.unwrap();
        }
    }

    #[test]
    fn a_record_is_written_on_a_btrfs_whose_data_is_full() {
        let filesystem = Filesystem::mount(&["mkfs.btrfs", "-q"], 160);
        let root = File::open(filesystem.root()).unwrap();
        for (directory, flag) in [("plain", "-c"), ("packed", "+c")] {
            let top = filesystem.root().join(directory);
            fs::create_dir_all(top.join(".reroot")).unwrap();
            run("chattr", &[flag, top.join(".reroot").to_str().unwrap()]);
            let top = File::open(top).unwrap();
            written(&top, Phase::Commit, 0).unwrap();
        }
        rustix::fs::syncfs(&root).unwrap();
        fill(&filesystem.root().join("data"), 4 << 20);
        let more = filesystem.root().join("data/more");
        let full = fs::write(more, vec![7; 64 << 10]).unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
        for directory in ["plain", "packed"] {
            let top = File::open(filesystem.root().join(directory)).unwrap();
            for phase in [Phase::Wipe, Phase::Unpack, Phase::Wipe] {
                written(&top, phase, 1).unwrap();
            }
            let mut file = open_to_read(top.as_fd()).unwrap().unwrap();
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).unwrap();
            let record = journal::latest(&bytes).unwrap();
            assert_eq!((record.phase, record.taken_up), (Phase::Wipe, 3));
        }
    }

    /// Where the trees are full a record may have no room: then that is what is said.
    #[test]
    fn a_record_on_a_btrfs_whose_trees_are_full_is_written_or_passed_over() {
        let filesystem = Filesystem::mount(&["mkfs.btrfs", "-q"], 160);
        let root = File::open(filesystem.root()).unwrap();
        written(&root, Phase::Commit, 0).unwrap();
        let data = File::create(filesystem.root().join("all")).unwrap();
        while rustix::fs::fallocate(
            &data,
            FallocateFlags::empty(),
            data.metadata().unwrap().len(),
            1 << 20,
        )
        .is_ok()
        {}
        fill(&filesystem.root().join("small"), 2000);
        for phase in [Phase::Wipe, Phase::Unpack] {
            if let Err(e) = written(&root, phase, 1) {
                assert!(is_full(&e), "{e:#}");
            }
        }
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
