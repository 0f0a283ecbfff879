//! Unpacking a payload on to a wiped root, around what is kept, and on to the filesystems that are mounted
//! below the root and belong to its tree.
//!
//! Four phases: directories, plain and for root alone; everything else, in threads, a frame each;
//! hard links; and then what directories are to look like. A frame's digest is checked before a
//! byte of it is used, and again over the very bytes that were used: what is read twice may differ. Nothing at or below a kept path is created, changed or replaced, and of
//! the directories that lead there only the attributes are set. The payload's owners
//! are turned into the new OS's numbers on the way; what is kept has its numbers already. Unpacking again after an attempt
//! that was cut short replaces what that left.

use std::io::{self, BufReader, Read};
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use formats::accounts::NumberMap;
use formats::keep::{Fate, KeepSet};
use formats::payload::{Frame, Payload};
use formats::Digest;
use zstd::zstd_safe::{DCtx, DParameter};

use super::acl;
use super::error::{printable, TreeError};
use super::header::{Entry, Kind};
use super::lookup::Lookup;
use super::pack::WINDOW_LOG;
use super::place::{NewFiles, Placer};
use super::read::each_entry;
use super::roots::Roots;
use super::source::Source;
use super::validate::validate_keep_by;

/// How many skipped entries are named in a report; all are counted.
const SKIPPED_NAMED: usize = 1000;
/// How many bytes are unpacked before the caller is told.
const PROGRESS_STEP: u64 = 1 << 20;
/// How much of a frame is read at once: what zstd takes as one block, and a bit.
const READ: usize = 160 * 1024;

/// How to unpack.
#[derive(Debug, Clone)]
pub struct UnpackOptions {
    /// How many threads write files.
    pub threads: usize,
    /// What the payload's owners become, in access control lists too.
    pub owners: NumberMap,
    /// How names are looked up; without it, in the best way that the kernel has.
    pub lookup: Option<Lookup>,
}

impl Default for UnpackOptions {
    fn default() -> Self {
        Self {
            threads: std::thread::available_parallelism().map_or(1, NonZero::get),
            owners: NumberMap::default(),
            lookup: None,
        }
    }
}

/// Why an entry of the payload was not unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkippedBecause {
    /// It is at or below a kept path.
    Kept,
    /// The directory there leads to a kept path, and the payload has no directory there.
    LeadsToKept,
    /// It is a hard link to an entry that is at or below a kept path.
    TargetKept,
    /// Another filesystem of the tree is mounted there, and the payload has no directory for it.
    MountPoint,
}

/// An entry of the payload that was not unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Its path, printable.
    pub path: String,
    /// Why it was not unpacked.
    pub because: SkippedBecause,
}

/// What an unpack did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnpackReport {
    /// How many entries the payload had.
    pub entries: u64,
    /// The first entries that were not unpacked, by path.
    pub skipped: Vec<Skipped>,
    /// How many entries were not unpacked.
    pub skipped_count: u64,
}

/// Unpacks a payload below `root`. `progress` is told how many bytes of the archive were unpacked
/// since it was last told.
///
/// The caller syncs the filesystem; until that has succeeded nothing here is durable.
pub fn unpack<'r>(
    roots: impl Into<Roots<'r>>,
    source: &Source,
    payload: &Payload,
    keep: &KeepSet,
    options: &UnpackOptions,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<UnpackReport, TreeError> {
    let roots = roots.into();
    let detect = || Lookup::detect(roots.root());
    let lookup = options.lookup.unwrap_or_else(detect);
    payload.validate()?;
    validate_keep_by(lookup, roots.clone(), keep)?;
    let new_files = NewFiles::detect();
    let work = Work {
        source,
        payload,
        owners: &options.owners,
        progress,
        shared: Mutex::new(Shared::default()),
    };
    let worker = || Worker {
        placer: Placer::new(lookup, roots.clone(), keep, new_files),
        context: None,
        buffer: Vec::new(),
        work: &work,
        directories: Vec::new(),
    };

    let mut first = worker();
    let next = first.leading_directories()?;
    work.in_threads(next, options.threads, &worker)?;
    let mut report = first.finish()?;
    report.entries = payload.entries;
    Ok(report)
}

/// What the threads share.
struct Work<'a> {
    source: &'a Source,
    payload: &'a Payload,
    owners: &'a NumberMap,
    progress: &'a (dyn Fn(u64) + Sync),
    shared: Mutex<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Names and targets.
    hard_links: Vec<(Vec<u8>, Vec<u8>)>,
    skipped: Vec<Skipped>,
    skipped_count: u64,
}

impl Work<'_> {
    fn shared(&self) -> std::sync::MutexGuard<'_, Shared> {
        // A thread that panicked left whole values behind.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn skip(&self, path: &[u8], because: SkippedBecause) {
        let mut shared = self.shared();
        shared.skipped_count += 1;
        if shared.skipped.len() < SKIPPED_NAMED {
            let path = printable(path);
            shared.skipped.push(Skipped { path, because });
        }
    }

    /// Unpacks the frames from `first` on. The first error stops all threads.
    fn in_threads<'w>(
        &self,
        first: usize,
        threads: usize,
        worker: &(dyn Fn() -> Worker<'w> + Sync),
    ) -> Result<(), TreeError> {
        let frames = self.payload.frames.len();
        let next = AtomicUsize::new(first);
        let failed = AtomicBool::new(false);
        let error = Mutex::new(None);
        let run = || {
            let mut worker = worker();
            while !failed.load(Ordering::Relaxed) {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= frames {
                    return;
                }
                if let Err(e) = worker.frame(index, Directories::Refused) {
                    failed.store(true, Ordering::Relaxed);
                    let mut error = error.lock().unwrap_or_else(PoisonError::into_inner);
                    error.get_or_insert(e);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..threads.clamp(1, frames.saturating_sub(first).max(1)) {
                scope.spawn(run);
            }
            run();
        });
        match error.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

/// Whether a frame may hold directories: only those before everything else may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Directories {
    Expected,
    Refused,
}

/// One thread's means.
struct Worker<'a> {
    placer: Placer<'a>,
    /// Kept from frame to frame for its memory.
    context: Option<DCtx<'static>>,
    buffer: Vec<u8>,
    work: &'a Work<'a>,
    /// Directories that were made or taken over, to be finished at the end.
    directories: Vec<Entry>,
}

impl Worker<'_> {
    /// Unpacks frames from the first on as long as they hold nothing but directories, and gives
    /// the index of the first frame that is still to be unpacked.
    fn leading_directories(&mut self) -> Result<usize, TreeError> {
        for index in 0..self.work.payload.frames.len() {
            if self.frame(index, Directories::Expected)? == Directories::Refused {
                return Ok(index + 1);
            }
        }
        Ok(self.work.payload.frames.len())
    }

    /// Unpacks one frame. Whether directories may follow depends on whether it had anything else.
    fn frame(
        &mut self,
        index: usize,
        mut directories: Directories,
    ) -> Result<Directories, TreeError> {
        let work = self.work;
        let frame = &work.payload.frames[index];
        let unreadable = |source: io::Error| TreeError::FrameRead { index, source };
        let found = work
            .source
            .digest(frame, &mut self.buffer)
            .map_err(unreadable)?;
        compare(index, frame, found)?;
        // After an error it is not put back, and what the error left in it is not used.
        let mut context = match self.context.take() {
            Some(context) => context,
            None => context().map_err(unreadable)?,
        };
        let place = format!("frame {index} of the payload");
        let (entries, unpacked, found) = {
            let stored = BufReader::with_capacity(READ, work.source.consumed(frame));
            let mut reader = Counted {
                inner: zstd::stream::read::Decoder::with_context(stored, &mut context),
                count: 0,
                told: 0,
                progress: work.progress,
            };
            let entries = each_entry(&mut reader, &place, |entry, body| {
                if entry.kind != Kind::Directory {
                    directories = Directories::Refused;
                } else if directories == Directories::Refused {
                    return Err(TreeError::entry(
                        &entry.path,
                        "the directory comes too late",
                    ));
                }
                self.entry(entry, body)
            })?;
            reader.tell();
            let consumed = reader.inner.finish().into_inner();
            (
                entries,
                reader.count,
                consumed.digest().map_err(unreadable)?,
            )
        };
        compare(index, frame, found)?;
        self.context = Some(context);
        for (what, expected, found) in [
            ("entries", frame.entries, entries),
            ("bytes", frame.unpacked, unpacked),
        ] {
            if expected != found {
                return Err(TreeError::Archive {
                    place,
                    what: format!("it holds {found} {what}, not {expected}"),
                });
            }
        }
        Ok(directories)
    }

    fn entry(&mut self, mut entry: Entry, body: &mut dyn Read) -> Result<(), TreeError> {
        let work = self.work;
        // Before anything looks at the owner: one that becomes root's, or ceases to be, must not
        // be taken for what it was in the payload.
        entry.uid = work.owners.user(entry.uid);
        entry.gid = work.owners.group(entry.gid);
        for (name, value) in &mut entry.attributes {
            acl::translate(name, value, work.owners);
        }
        match self.placer.fate(&entry.path) {
            Fate::Kept => {
                work.skip(&entry.path, SkippedBecause::Kept);
                return Ok(());
            }
            Fate::Ancestor(_) if entry.kind != Kind::Directory => {
                work.skip(&entry.path, SkippedBecause::LeadsToKept);
                return Ok(());
            }
            Fate::Ancestor(_) | Fate::Gone => {}
        }
        if entry.kind != Kind::Directory && self.placer.leads_to_another(&entry.path) {
            work.skip(&entry.path, SkippedBecause::MountPoint);
            return Ok(());
        }
        match &entry.kind {
            Kind::Directory => {
                self.placer.directory(&entry)?;
                self.directories.push(entry);
                Ok(())
            }
            Kind::HardLink { target } => {
                if self.placer.leads_to_another(target) {
                    work.skip(&entry.path, SkippedBecause::MountPoint);
                } else if matches!(self.placer.fate(target), Fate::Gone) {
                    let link = (entry.path, target.clone());
                    work.shared().hard_links.push(link);
                } else {
                    work.skip(&entry.path, SkippedBecause::TargetKept);
                }
                Ok(())
            }
            _ => self.placer.non_directory(&entry, body),
        }
    }

    /// Makes the hard links, finishes the directories, and reports.
    fn finish(mut self) -> Result<UnpackReport, TreeError> {
        let shared = std::mem::take(&mut *self.work.shared());
        for (path, target) in &shared.hard_links {
            self.placer.hard_link(path, target)?;
        }
        for entry in &self.directories {
            self.placer.finish_directory(entry)?;
        }
        let mut skipped = shared.skipped;
        skipped.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(UnpackReport {
            entries: 0,
            skipped,
            skipped_count: shared.skipped_count,
        })
    }
}

/// Refuses a frame whose bytes are not the ones that were packed.
fn compare(index: usize, frame: &Frame, found: Digest) -> Result<(), TreeError> {
    if found == frame.digest {
        return Ok(());
    }
    Err(TreeError::FrameDigest {
        index,
        expected: frame.digest.to_string(),
        found: found.to_string(),
    })
}

/// A decompression context that refuses a window larger than packing ever makes.
fn context() -> io::Result<DCtx<'static>> {
    let mut context = DCtx::create();
    context
        .set_parameter(DParameter::WindowLogMax(WINDOW_LOG))
        .map_err(|code| io::Error::other(zstd::zstd_safe::get_error_name(code)))?;
    Ok(context)
}

/// Counts what is read through it, and tells the progress.
struct Counted<'a, R> {
    inner: R,
    count: u64,
    told: u64,
    progress: &'a (dyn Fn(u64) + Sync),
}

impl<R> Counted<'_, R> {
    fn tell(&mut self) {
        if self.count > self.told {
            (self.progress)(self.count - self.told);
            self.told = self.count;
        }
    }
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.count += n as u64;
        if self.count - self.told >= PROGRESS_STEP {
            self.tell();
        }
        Ok(n)
    }
}
