//! Unpacking the new OS.

use anyhow::{Context, Result};
use formats::journal::Phase;
use tree::{SkippedBecause, UnpackOptions, UnpackReport};

use crate::root::target;
use crate::run::behind::wipe::{self, WipedRoot};
use crate::run::data::Run;
use crate::run::payload::{self, PayloadIn};
use crate::run::progress::Progress;
use crate::run::{journal_file, systems};

/// Each thread takes a window and buffers, some 10 MiB, of which a machine with many processors
/// and little memory does not have enough for all.
const THREADS_MAX: usize = 4;

/// Proof that the whole payload is on the disk.
pub struct UnpackedRoot(pub(in crate::run) Run, pub(in crate::run) Counts);

/// What was removed and written.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Entries of the old OS that were removed.
    pub removed: u64,
    /// Entries of the payload that were written.
    pub unpacked: u64,
    /// Entries that were not, because a kept path is in their place.
    pub skipped: u64,
    /// The first of them.
    pub skipped_first: Vec<String>,
}

impl WipedRoot {
    /// Unpacks; after a failure the root is wiped again, so that each attempt starts from nothing.
    pub fn unpack(self) -> Result<UnpackedRoot> {
        let WipedRoot(mut run, removed) = self;
        let mut recorder = std::mem::take(&mut run.recorder);
        let mut again = false;
        let report = recorder.retrying("unpack", || {
            if std::mem::replace(&mut again, true) {
                leave_memory(&mut run)?;
                journal_file::record_if_there_is_room(&run.plan, Phase::Wipe)?;
                wipe::once(&run)?;
            }
            journal_file::record_if_there_is_room(&run.plan, Phase::Unpack)?;
            let report = once(&run)?;
            target::sync()?;
            Ok(report)
        })?;
        run.recorder = recorder;
        let counts = Counts {
            removed,
            unpacked: report.entries - report.skipped_count,
            skipped: report.skipped_count,
            skipped_first: report
                .skipped
                .iter()
                .map(|s| format!("{} ({})", s.path, reason(s.because)))
                .collect(),
        };
        for skipped in &counts.skipped_first {
            log::info!("unpack: left out {skipped}");
        }
        Ok(UnpackedRoot(run, counts))
    }
}

/// What failed once from memory is taken from the disk. There every frame was compared with its
/// digest before the commit point, and nothing but this kernel could write to it since.
fn leave_memory(run: &mut Run) -> Result<()> {
    if run.payload_in == PayloadIn::Memory {
        log::warn!("unpack: the payload is taken from the disk now, not from memory");
        run.payload = payload::open(&run.plan, &run.manifest, PayloadIn::Disk)?;
        run.payload_in = PayloadIn::Disk;
    }
    Ok(())
}

/// Why an entry was left out, for the log.
fn reason(because: SkippedBecause) -> &'static str {
    match because {
        SkippedBecause::Kept => "it is kept",
        SkippedBecause::LeadsToKept => {
            "the way to a kept path is a directory, the payload has none there"
        }
        SkippedBecause::TargetKept => "it is a link to something that is kept",
        SkippedBecause::MountPoint => {
            "a filesystem is mounted there or below it, and the payload has no directory for that"
        }
    }
}

fn once(run: &Run) -> Result<UnpackReport> {
    let payload = &run.manifest.payload;
    let progress = Progress::new("unpack", payload.unpacked_bytes);
    systems::ensure_mounted(&run.root, &run.systems)?;
    let tops = target::tops(&run.plan)?;
    let all = UnpackOptions::default().threads;
    let options = UnpackOptions {
        threads: all.min(THREADS_MAX),
        owners: run.plan.accounts.number_map(),
        lookup: None,
    };
    tree::unpack(
        tops.roots(),
        &run.payload,
        payload,
        &run.keep,
        &options,
        &|n| progress.add(n),
    )
    .context("unpack the payload")
}
