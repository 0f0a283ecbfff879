//! The lock that one run at a time holds, from the moment that decides whether it may begin until its
//! worker is gone: `/.reroot/lock`, by flock(2). The kernel lets go of it with the last process that
//! has it open, however that ends.
//!
//! The launcher takes it and hands it to the worker as standard input: the same open file, so that
//! there is no moment in which nobody holds it. Who looks takes it shared, for an instant: two who look
//! do not take each other for a run, and who wants it tries for longer than that.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{fstat, stat, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{test_kill_process, Pid};

use super::directory::{Places, RunsError};
use crate::patience::Patience;

/// The lock's name in the place of all runs.
const NAME: &str = "lock";
/// How long the lock is tried for: an instant's look must not be taken for a run.
const TRIED: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(20);
/// What is written has one length, so that no reader sees a part of what was there before.
const LENGTH: usize = 128;

/// The lock, held.
#[derive(Debug)]
pub struct RunLock {
    file: File,
    path: PathBuf,
}

/// Who holds the lock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holder {
    /// The process, by its own word; 0 where it has not said so yet.
    pub pid: i32,
    /// The run; empty where that has not been said yet.
    pub run: String,
}

/// Takes the lock for a run; `None` where another run has it.
///
/// # Errors
/// The file cannot be opened, locked or written.
pub fn take(places: &Places, run: &str) -> Result<Option<RunLock>, RunsError> {
    let path = places.base.join(NAME);
    // Not for writing: it stays open when the root has to become read-only.
    let flags = OFlags::CREATE | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::open(&path, flags, Mode::from_raw_mode(0o600))
        .map_err(|e| RunsError::at(format!("open {}", path.display()))(e.into()))?;
    let mut patience = Patience::new(TRIED);
    loop {
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => break,
            Err(Errno::WOULDBLOCK) if !patience.is_over() => std::thread::sleep(PAUSE),
            Err(Errno::WOULDBLOCK) => return Ok(None),
            Err(e) => return Err(RunsError::at(format!("lock {}", path.display()))(e.into())),
        }
    }
    let lock = RunLock {
        file: file.into(),
        path,
    };
    lock.held_by(std::process::id(), run)?;
    Ok(Some(lock))
}

/// The lock that whoever started this process has handed over as standard input; `None` where it has
/// not. Standard input is empty from then on, so that no program started from here has the lock.
///
/// # Errors
/// It was handed over and cannot be taken.
pub fn handed_over(places: &Places) -> Result<Option<RunLock>, RunsError> {
    let path = places.base.join(NAME);
    let stdin = std::io::stdin();
    if !same_file(&stdin, &path) {
        return Ok(None);
    }
    let take = || -> Result<File, Errno> {
        // Succeeds for whoever has the file open that the lock is on, and for nobody else.
        rustix::fs::flock(&stdin, FlockOperation::NonBlockingLockExclusive)?;
        let file = rustix::io::fcntl_dupfd_cloexec(&stdin, 3)?;
        let nothing =
            rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        rustix::stdio::dup2_stdin(&nothing)?;
        Ok(file.into())
    };
    let file = take().map_err(|e| RunsError::at("take over the lock of the run")(e.into()))?;
    Ok(Some(RunLock { file, path }))
}

fn same_file(file: impl AsFd, path: &Path) -> bool {
    let (Ok(open), Ok(named)) = (fstat(file), stat(path)) else {
        return false;
    };
    (open.st_dev, open.st_ino) == (named.st_dev, named.st_ino)
}

impl RunLock {
    /// Says who holds it: whoever wants to break the run off asks here whom to tell.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn held_by(&self, pid: u32, run: &str) -> Result<(), RunsError> {
        let mut text = format!("{pid} {run}").into_bytes();
        text.resize(LENGTH, b'\n');
        let mut options = OpenOptions::new();
        options
            .write(true)
            .custom_flags(OFlags::NOFOLLOW.bits() as i32);
        options
            .open(&self.path)
            .and_then(|file| file.write_all_at(&text, 0))
            .map_err(RunsError::at(format!("write {}", self.path.display())))
    }

    /// The same lock once more, for another process.
    ///
    /// # Errors
    /// There is no further descriptor.
    pub fn share(&self) -> io::Result<OwnedFd> {
        Ok(self.file.try_clone()?.into())
    }
}

/// Who holds the lock; `None` where nobody does.
pub fn holder(places: &Places) -> Option<Holder> {
    let path = places.base.join(NAME);
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::open(&path, flags, Mode::empty()).ok()?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) {
        Err(Errno::WOULDBLOCK) => {
            let mut bytes = [0; LENGTH];
            let read = File::from(file).read_at(&mut bytes, 0).unwrap_or(0);
            Some(parse(&bytes[..read]).filter(is_alive).unwrap_or_default())
        }
        _ => None,
    }
}

/// The words of one who holds it, or of one who did: a new holder has not said so in its first instant.
fn parse(bytes: &[u8]) -> Option<Holder> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (pid, run) = text.lines().next()?.split_once(' ')?;
    Some(Holder {
        pid: pid.parse().ok()?,
        run: run.to_owned(),
    })
}

fn is_alive(holder: &Holder) -> bool {
    let pid = Pid::from_raw(holder.pid).filter(|_| holder.pid > 1);
    pid.is_some_and(|pid| test_kill_process(pid) != Err(Errno::SRCH))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn places() -> (tempfile::TempDir, Places) {
        let directory = tempfile::tempdir().unwrap();
        let places = Places {
            base: directory.path().into(),
            records: directory.path().join("records"),
            units: directory.path().join("units"),
        };
        (directory, places)
    }

    #[test]
    fn one_holds_it_and_is_named_until_it_lets_go() {
        let (_directory, places) = places();
        assert_eq!(holder(&places), None);
        let lock = take(&places, "20260102T030405Z-aaaa").unwrap().unwrap();
        let held = holder(&places).unwrap();
        assert_eq!(held.run, "20260102T030405Z-aaaa");
        assert_eq!(held.pid, std::process::id() as i32);
        assert!(take(&places, "20260102T030405Z-bbbb").unwrap().is_none());
        assert_eq!(holder(&places), Some(held));
        let other = lock.share().unwrap();
        drop(lock);
        assert!(holder(&places).is_some(), "the other has it still");
        drop(other);
        until_free(&places);
    }

    /// A child of another test has every descriptor of this process for the moment until it executes.
    fn until_free(places: &Places) {
        let start = Instant::now();
        while holder(places).is_some() {
            assert!(start.elapsed() < Duration::from_mins(1), "it is not let go");
            std::thread::sleep(PAUSE);
        }
    }

    #[test]
    fn it_does_not_keep_the_root_from_becoming_read_only() {
        let (_directory, places) = places();
        let lock = take(&places, "a").unwrap().unwrap();
        for file in [lock.share().unwrap(), lock.file.into()] {
            let flags = rustix::fs::fcntl_getfl(&file).unwrap();
            assert_eq!(flags & OFlags::RWMODE, OFlags::RDONLY);
        }
    }

    #[test]
    fn what_one_who_is_gone_has_written_is_not_said_of_the_next() {
        let (_directory, places) = places();
        let gone = std::process::Command::new("true").spawn().unwrap();
        let pid = gone.id();
        gone.wait_with_output().unwrap();
        let lock = take(&places, "a").unwrap().unwrap();
        lock.held_by(pid, "20260102T030405Z-gone").unwrap();
        assert_eq!(holder(&places), Some(Holder::default()));
        lock.held_by(std::process::id(), "a-shorter").unwrap();
        assert_eq!(holder(&places).unwrap().run, "a-shorter");
    }

    #[test]
    fn who_looks_is_no_run_to_others_who_look_or_want_it() {
        let (_directory, places) = places();
        drop(take(&places, "a").unwrap());
        until_free(&places);
        let end = Instant::now() + Duration::from_millis(400);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while Instant::now() < end {
                        assert_eq!(holder(&places), None, "somebody who looked was seen");
                    }
                });
            }
        });
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while Instant::now() < end + Duration::from_millis(400) {
                        holder(&places);
                    }
                });
            }
            for _ in 0..10 {
                assert!(take(&places, "b").unwrap().is_some());
            }
        });
    }
}
