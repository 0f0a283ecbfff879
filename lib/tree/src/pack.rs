//! Packing a tree into a payload: a deterministic tar archive in independent zstd frames.
//!
//! The tree is listed first, and where each frame begins and ends follows from the listing alone.
//! Threads then read and compress whole frames, and the frames are written in order; so the bytes
//! depend neither on the number of threads nor on their luck.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::num::NonZero;
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::sync::{mpsc, Condvar, Mutex, PoisonError};

use formats::payload::{Frame, Payload};
use formats::Digest;
use rustix::fs::{Mode, OFlags};

use super::directory_sizes::directory_sizes;
use super::error::{printable, TreeError};
use super::header::{Entry, Kind, BLOCK, END};
use super::lookup::Lookup;
use super::parents::Parents;
use super::scan::{self, Found, Stamp};

/// The largest window that unpacking has to hold in memory for a thread: 2^23 bytes.
pub(super) const WINDOW_LOG: u32 = 23;
/// The highest compression level whose own window is not larger.
const LARGEST_LEVEL_IN_WINDOW: i32 = 19;
/// How much of a file is read at once.
const CHUNK: usize = 256 * 1024;
/// The block size that `disk_bytes` counts in.
const DISK_BLOCK: u64 = 4096;

/// How to pack.
#[derive(Debug, Clone)]
pub struct PackOptions {
    /// The zstd level, 1 to 22.
    pub level: i32,
    /// How many threads compress.
    pub threads: usize,
    /// A frame ends with the entry that makes it this long, before compression.
    pub frame_bytes: u64,
    /// Paths to leave out with everything below them, relative to the root, without a slash
    /// before or behind.
    pub exclude: Vec<Vec<u8>>,
}

impl Default for PackOptions {
    fn default() -> Self {
        Self {
            level: 9,
            threads: std::thread::available_parallelism().map_or(1, NonZero::get),
            frame_bytes: 4 << 20,
            exclude: Vec::new(),
        }
    }
}

/// A frame that is to be made.
struct Planned {
    items: Range<usize>,
    unpacked: u64,
    closes: bool,
}

/// Packs the tree below `root` and writes the payload to `out`. `progress` is told how many bytes
/// of the archive were packed since it was last told.
///
/// A socket is left out. A mount in the tree, and a file that changes while it is read, are
/// errors. Reading extended attributes needs /proc.
pub fn pack(
    root: BorrowedFd<'_>,
    out: &mut dyn Write,
    options: &PackOptions,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Payload, TreeError> {
    let lookup = Lookup::detect(root);
    let listing = scan::list(lookup, root, &options.exclude)?;
    let directory_links = listing.directory_links();
    let sections = [
        listing.directories.len(),
        listing.files.len(),
        listing.hard_links.len(),
    ];
    let inodes = (sections[0] + sections[1]) as u64;
    let mut items = listing.directories;
    items.extend(listing.files);
    items.extend(listing.hard_links);
    let entries = items.iter().map(|found| &found.entry);
    let disk_bytes = entries.clone().map(disk_bytes_of).sum();
    let directories = directory_sizes(entries, disk_bytes_of);
    let planned = plan(&items, &sections, options.frame_bytes)?;
    let frames = compress_all(root, lookup, &items, &planned, options, out, progress)?;
    Ok(Payload {
        entries: items.len() as u64,
        inodes,
        unpacked_bytes: planned.iter().map(|frame| frame.unpacked).sum(),
        disk_bytes,
        directory_links,
        directories,
        frames,
    })
}

/// What an entry takes on a disk; a hard link has nothing of its own.
fn disk_bytes_of(entry: &Entry) -> u64 {
    match entry.kind {
        Kind::Directory => DISK_BLOCK,
        _ => entry.body_size().next_multiple_of(DISK_BLOCK),
    }
}

/// Cuts the entries into frames; none has entries of two sections.
fn plan(items: &[Found], sections: &[usize], frame_bytes: u64) -> Result<Vec<Planned>, TreeError> {
    let mut planned = Vec::new();
    let mut end = 0;
    for length in sections {
        let section = end..end + length;
        end = section.end;
        let mut start = section.start;
        let mut unpacked = 0;
        for index in section {
            let entry = &items[index].entry;
            let header = entry
                .header()
                .map_err(|e| TreeError::io("describe", &entry.path, e))?;
            unpacked += header.len() as u64 + entry.body_size().next_multiple_of(BLOCK);
            if unpacked >= frame_bytes || index + 1 == end {
                planned.push(Planned {
                    items: start..index + 1,
                    unpacked,
                    closes: index + 1 == items.len(),
                });
                start = index + 1;
                unpacked = 0;
            }
        }
    }
    if let Some(last) = planned.last_mut() {
        last.unpacked += END;
    }
    Ok(planned)
}

/// Which frame is next, and how far writing is; threads do not run further ahead than that.
struct Queue {
    next: usize,
    written: usize,
    stopped: bool,
}

fn compress_all(
    root: BorrowedFd<'_>,
    lookup: Lookup,
    items: &[Found],
    planned: &[Planned],
    options: &PackOptions,
    out: &mut dyn Write,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Vec<Frame>, TreeError> {
    let threads = options.threads.clamp(1, planned.len().max(1));
    let queue = Mutex::new(Queue {
        next: 0,
        written: 0,
        stopped: false,
    });
    let moved = Condvar::new();
    let lock = || queue.lock().unwrap_or_else(PoisonError::into_inner);
    let take = || {
        let mut queue = lock();
        loop {
            if queue.stopped || queue.next == planned.len() {
                return None;
            }
            if queue.next < queue.written + 2 * threads {
                queue.next += 1;
                return Some(queue.next - 1);
            }
            queue = moved.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    };
    std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        for _ in 0..threads {
            let (sender, take) = (sender.clone(), &take);
            scope.spawn(move || {
                let mut packer = Packer {
                    parents: Parents::new(lookup, root),
                    level: options.level,
                    buffer: vec![0; CHUNK],
                    progress,
                };
                while let Some(index) = take() {
                    let frame = packer.frame(&planned[index], items);
                    if sender.send((index, frame)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let result = write_all(&receiver, planned, out, |written| {
            lock().written = written;
            moved.notify_all();
        });
        lock().stopped = true;
        moved.notify_all();
        result
    })
}

/// Writes frames in their order, whatever the order in which they become ready.
fn write_all(
    ready: &mpsc::Receiver<(usize, Result<Vec<u8>, TreeError>)>,
    planned: &[Planned],
    out: &mut dyn Write,
    written: impl Fn(usize),
) -> Result<Vec<Frame>, TreeError> {
    let mut waiting = BTreeMap::new();
    let mut frames: Vec<Frame> = Vec::with_capacity(planned.len());
    let mut offset = 0;
    for (index, bytes) in ready {
        waiting.insert(index, bytes?);
        while let Some(bytes) = waiting.remove(&frames.len()) {
            let plan = &planned[frames.len()];
            out.write_all(&bytes)
                .map_err(|e| TreeError::io("write the payload of", b"/", e))?;
            frames.push(Frame {
                offset,
                length: bytes.len() as u64,
                unpacked: plan.unpacked,
                entries: plan.items.len() as u64,
                digest: Digest::of(&bytes),
            });
            offset += bytes.len() as u64;
            written(frames.len());
        }
    }
    Ok(frames)
}

/// What one thread packs with.
struct Packer<'a> {
    parents: Parents<'a>,
    level: i32,
    buffer: Vec<u8>,
    progress: &'a (dyn Fn(u64) + Sync),
}

impl Packer<'_> {
    fn frame(&mut self, plan: &Planned, items: &[Found]) -> Result<Vec<u8>, TreeError> {
        let compress = |e: io::Error| TreeError::io("compress", b"/", e);
        let encoder = || {
            let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), self.level)?;
            encoder.include_checksum(true)?;
            encoder.include_contentsize(true)?;
            encoder.set_pledged_src_size(Some(plan.unpacked))?;
            if self.level > LARGEST_LEVEL_IN_WINDOW {
                encoder.window_log(WINDOW_LOG)?;
            }
            Ok(encoder)
        };
        let mut encoder = encoder().map_err(compress)?;
        for found in &items[plan.items.clone()] {
            let entry = &found.entry;
            let header = entry
                .header()
                .map_err(|e| TreeError::io("describe", &entry.path, e))?;
            encoder.write_all(&header).map_err(compress)?;
            if let Kind::File { size } = entry.kind {
                self.file(found, size, &mut encoder)?;
            }
            (self.progress)(header.len() as u64 + entry.body_size().next_multiple_of(BLOCK));
        }
        if plan.closes {
            encoder.write_all(&[0; END as usize]).map_err(compress)?;
            (self.progress)(END);
        }
        encoder.finish().map_err(compress)
    }

    fn file(&mut self, found: &Found, size: u64, out: &mut impl Write) -> Result<(), TreeError> {
        let path = &found.entry.path;
        let mut file = open(&mut self.parents, found)?;
        let mut left = size;
        while left > 0 {
            let wanted = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
            let chunk = &mut self.buffer[..wanted];
            file.read_exact(chunk).map_err(|e| match e.kind() {
                io::ErrorKind::UnexpectedEof => TreeError::Changed {
                    path: printable(path),
                },
                _ => TreeError::io("read", path, e),
            })?;
            out.write_all(chunk)
                .map_err(|e| TreeError::io("compress", path, e))?;
            left -= wanted as u64;
        }
        let padding = size.next_multiple_of(BLOCK) - size;
        out.write_all(&[0; BLOCK as usize][..padding as usize])
            .map_err(|e| TreeError::io("compress", path, e))?;
        unchanged(&file, found)
    }
}

/// Opens a listed file for reading, if it is still the one that was listed.
pub(super) fn open(parents: &mut Parents<'_>, found: &Found) -> Result<std::fs::File, TreeError> {
    let path = &found.entry.path;
    let (dir, name) = parents.of(path)?;
    // O_NONBLOCK: should it have become a FIFO, opening must not wait for a writer.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::openat(dir, &name, flags, Mode::empty())
        .map_err(|e| TreeError::io("open", path, e))?;
    let file = std::fs::File::from(file);
    unchanged(&file, found)?;
    Ok(file)
}

/// Proves that an open file is still what it was when it was listed.
pub(super) fn unchanged(file: &std::fs::File, found: &Found) -> Result<(), TreeError> {
    let path = &found.entry.path;
    let stat = rustix::fs::fstat(file).map_err(|e| TreeError::io("look at", path, e))?;
    if Stamp::of(&stat) == found.stamp {
        return Ok(());
    }
    Err(TreeError::Changed {
        path: printable(path),
    })
}
