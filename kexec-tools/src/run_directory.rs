//! `/.reroot/RUN` on the root filesystem: plan, facts, logs, and what the run needs to have there.

use std::fs;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{bail, Context, Result};
use formats::staged;
use formats::utc::utc;
use rustix::fs::{FlockOperation, Mode, OFlags};

/// Holds every run's directory, the lock and the journal.
pub const BASE: &str = "/.reroot";

/// In a run's directory: the plan.
pub const PLAN: &str = "plan.json";
/// In a run's directory: the facts that the plan was made from.
pub const FACTS: &str = "facts.json";
/// In a run's directory: the wishes that checks are asked again with.
pub const CHECK_WISHES: &str = "asked.json";
/// In a run's directory: the session that started the run has nothing more to wait for.
pub const HANDED_OVER: &str = "handed-over";

/// A new run id: the time in UTC, so that runs sort, and four digits that make it unique.
pub fn new_id() -> Result<String> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .context("the clock is before 1970")?;
    let unique = (now.subsec_nanos() ^ std::process::id().rotate_left(8)) & 0xffff;
    Ok(format!("{}-{unique:04x}", utc(now.as_secs())))
}

/// The copies that are in a run's directory, attempts that were broken off with them.
pub fn copies(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_name().to_str().is_some_and(staged::is_copy))
        .map(|entry| entry.path())
        .collect()
}

/// Makes the run's directory, readable by root alone.
pub fn make(run: &str) -> Result<PathBuf> {
    let directory = Path::new(BASE).join(run);
    let mut builder = fs::DirBuilder::new();
    builder.mode(0o700);
    match builder.create(BASE) {
        Err(e) if e.kind() != ErrorKind::AlreadyExists => {
            return Err(e).with_context(|| format!("make {BASE}"))
        }
        _ => {}
    }
    let base = fs::symlink_metadata(BASE).with_context(|| format!("look at {BASE}"))?;
    if !base.is_dir() {
        bail!("{BASE} is not a directory; move it away");
    }
    builder
        .create(&directory)
        .with_context(|| format!("make {}", directory.display()))?;
    Ok(directory)
}

/// Takes the lock that one run at a time holds. The kernel lets go of it with the process.
pub fn lock() -> Result<OwnedFd> {
    let path = Path::new(BASE).join("lock");
    let flags = OFlags::CREATE | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::open(&path, flags, Mode::from_raw_mode(0o600))
        .with_context(|| format!("open {}", path.display()))?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {
            // Whoever wants to break the run off asks here whom to tell. In place, since the lock is
            // on this very file.
            fs::write(&path, std::process::id().to_string())
                .with_context(|| format!("write {}", path.display()))?;
            Ok(file)
        }
        Err(rustix::io::Errno::WOULDBLOCK) => bail!("another run is in progress on this machine"),
        Err(e) => Err(e).with_context(|| format!("lock {}", path.display())),
    }
}

/// The process that holds the lock, as it says itself.
pub fn owner() -> Option<i32> {
    let text = fs::read_to_string(Path::new(BASE).join("lock")).ok()?;
    text.trim().parse().ok().filter(|&pid| pid > 1)
}

/// The newest run whose worker is still alive, if there is one.
pub fn in_progress() -> Option<String> {
    let path = Path::new(BASE).join("lock");
    let file = rustix::fs::open(
        &path,
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .ok()?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut runs: Vec<String> = fs::read_dir(BASE)
                .ok()?
                .filter_map(|e| e.ok()?.file_name().into_string().ok())
                .filter(|n| n.as_bytes().first().is_some_and(u8::is_ascii_digit))
                .collect();
            runs.sort();
            Some(runs.pop().unwrap_or_else(|| "unnamed".to_owned()))
        }
        _ => None,
    }
}
