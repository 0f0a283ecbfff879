//! `/.reroot/RUN` on the root filesystem: plan, facts, logs, and what the run needs to have there.

use std::fs;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{bail, Context, Result};
use rustix::fs::{FlockOperation, Mode, OFlags};

/// Holds every run's directory, the lock and the journal.
pub const BASE: &str = "/.reroot";

/// A new run id: the time in UTC, so that runs sort, and four digits that make it unique.
pub fn new_id() -> Result<String> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .context("the clock is before 1970")?;
    let unique = (now.subsec_nanos() ^ std::process::id().rotate_left(8)) & 0xffff;
    Ok(format!("{}-{unique:04x}", utc(now.as_secs())))
}

/// Seconds since 1970 as `YYYYMMDDTHHMMSSZ`, by the proleptic Gregorian calendar.
fn utc(seconds: u64) -> String {
    let (days, rest) = (seconds / 86400, seconds % 86400);
    // Howard Hinnant's civil_from_days: years begin in March, eras have 400 years.
    let z = days + 719_468;
    let era = z / 146_097;
    let doe = z % 146_097;
    let yoe = (doe - doe / 1460 + doe / 36524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z",
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
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
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => bail!("another run is in progress on this machine"),
        Err(e) => Err(e).with_context(|| format!("lock {}", path.display())),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_people_write_them() {
        for (seconds, text) in [
            (0, "19700101T000000Z"),
            (951_782_400, "20000229T000000Z"),
            (1_767_225_599, "20251231T235959Z"),
            (1_795_408_440, "20261123T043400Z"),
        ] {
            assert_eq!(utc(seconds), text);
        }
    }
}
