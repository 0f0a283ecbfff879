//! The journal on the machine's root filesystem, written durably: `O_DSYNC`, old or new.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use crate::root::target::TARGET;
use anyhow::{Context, Result};
use formats::journal;
use formats::journal::{Phase, Record, JOURNAL_SIZE};

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
    let path = Path::new(TARGET).join(".reroot/journal");
    let what = || format!("write {} to the journal {}", phase.name(), path.display());
    let file = open(&path).with_context(what)?;
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
    let path = Path::new(TARGET).join(".reroot/journal");
    match std::fs::read(&path) {
        Ok(bytes) => Ok(journal::latest(&bytes)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e).with_context(|| format!("read the journal {}", path.display())),
    }
}

/// Opens the journal; a new one is made at its full length first, so that writing a record never
/// has to allocate.
fn open(path: &Path) -> std::io::Result<File> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    if !directory.exists() {
        std::fs::create_dir(directory)?;
    }
    let flags = (rustix::fs::OFlags::DSYNC | rustix::fs::OFlags::NOFOLLOW).bits() as i32;
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(flags)
        .open(path)?;
    if file.metadata()?.len() != JOURNAL_SIZE {
        file.set_len(0)?;
        file.write_all_at(&vec![0; JOURNAL_SIZE as usize], 0)?;
        file.sync_all()?;
        File::open(directory)?.sync_all()?;
    }
    Ok(file)
}
