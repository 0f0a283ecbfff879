//! Handing a layout to the running kernel, and taking it back.

use std::ffi::CStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use formats::entry::KexecCall;
use syscalls::kexec::{self, Segment, Source};
use syscalls::mapping::Mapping;

use super::address::ByteSize;
use super::bzimage::{BzImageError, Kernel, HEAD};
use super::errors;
use super::layout::{self, Layout, LayoutError, Machine};
use super::running::RunningError;

const LOADED: &str = "/sys/kernel/kexec_loaded";

/// A part of the initrd. The parts follow each other in memory, each from a page on.
#[derive(Debug)]
pub enum Part {
    /// A whole file.
    File(Mapping),
    /// Bytes in memory.
    Bytes(Vec<u8>),
}

impl Part {
    /// A whole file, mapped: its bytes stay where they are, in the page cache.
    pub fn file(file: &File) -> io::Result<Part> {
        map(file).map(Part::File)
    }

    fn size(&self) -> ByteSize {
        ByteSize(match self {
            Part::File(mapping) => mapping.length() as u64,
            Part::Bytes(bytes) => bytes.len() as u64,
        })
    }

    fn source(&self) -> Source<'_> {
        match self {
            Part::File(mapping) => Source::File(mapping, 0, mapping.length()),
            Part::Bytes(bytes) => Source::Bytes(bytes),
        }
    }
}

/// Why nothing was loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The kernel's file cannot be read.
    #[error("read the kernel to be loaded")]
    Read(#[source] io::Error),
    /// It is none that can be loaded.
    #[error("this kernel cannot be loaded")]
    Kernel(#[from] BzImageError),
    /// Where the machine has memory is not known.
    #[error("read where the machine has memory")]
    Machine(#[from] RunningError),
    /// There is no layout.
    #[error("lay out the memory of the next kernel")]
    Layout(#[from] LayoutError),
    /// The running kernel refuses.
    #[error("kexec_load of {segments} segments with {size}")]
    Call {
        /// How many.
        segments: usize,
        /// How much.
        size: ByteSize,
        /// Its answer.
        source: io::Error,
    },
    /// The running kernel refuses to load the files.
    #[error("kexec_file_load")]
    FileCall(#[source] io::Error),
    /// The running kernel does not say that something is loaded.
    #[error("the kernel says that nothing is loaded ({0})")]
    NotLoaded(String),
}

impl LoadError {
    /// What the running kernel answered, if it was asked.
    pub fn answer(&self) -> Option<&io::Error> {
        match self {
            LoadError::Call { source, .. } | LoadError::FileCall(source) => Some(source),
            _ => None,
        }
    }

    /// Whether the other call is worth a try after this error of `call`: one that does not need what
    /// was missing, or that was not asked yet.
    pub fn other_may_do(&self, call: KexecCall) -> bool {
        match self {
            LoadError::Kernel(_) | LoadError::Machine(_) | LoadError::Layout(_) => true,
            LoadError::Call { source, .. } | LoadError::FileCall(source) => {
                errors::other_may_do(call, source)
            }
            LoadError::Read(_) | LoadError::NotLoaded(_) => false,
        }
    }
}

/// Loads a kernel with an initrd and a command line, and reads back that it is loaded.
pub fn load(
    kernel: &File,
    initrd: &[Part],
    cmdline: &[u8],
    machine: &Machine,
) -> Result<Layout, LoadError> {
    let length = kernel.metadata().map_err(LoadError::Read)?.len();
    let mut head = vec![0; HEAD.min(length as usize)];
    kernel
        .read_exact_at(&mut head, 0)
        .map_err(LoadError::Read)?;
    let parsed = Kernel::parse(&head, length)?;
    let sizes: Vec<ByteSize> = initrd.iter().map(Part::size).collect();
    let layout = layout::layout(&parsed, &sizes, cmdline, machine)?;
    let mapped = map(kernel).map_err(LoadError::Read)?;
    let segments: Vec<Segment> = layout
        .segments
        .iter()
        .map(|segment| Segment {
            source: match &segment.source {
                layout::Source::Kernel(range) => Source::File(
                    &mapped,
                    range.start as usize,
                    (range.end - range.start) as usize,
                ),
                layout::Source::Initrd(part) => initrd[*part].source(),
                layout::Source::Made(bytes) => Source::Bytes(bytes),
            },
            at: segment.memory.start().0,
            size: segment.memory.size().0,
        })
        .collect();
    kexec::load(layout.entry.0, &segments).map_err(|source| LoadError::Call {
        segments: segments.len(),
        size: layout.size(),
        source,
    })?;
    ensure_loaded()?;
    Ok(layout)
}

/// Loads a kernel with an initramfs by `kexec_file_load(2)`: the running kernel does the rest, and
/// may demand a signature. Nobody may have the files open for writing. Reads back that it is
/// loaded.
pub fn file_load(kernel: &File, initramfs: &File, cmdline: &CStr) -> Result<(), LoadError> {
    kexec::file_load(kernel.as_fd(), initramfs.as_fd(), cmdline).map_err(LoadError::FileCall)?;
    ensure_loaded()
}

/// What the running kernel says about it.
fn loaded() -> io::Result<String> {
    fs::read_to_string(LOADED).map(|text| text.trim().to_owned())
}

/// Reads back that a kernel is loaded.
fn ensure_loaded() -> Result<(), LoadError> {
    match loaded() {
        Ok(answer) if answer == "1" => Ok(()),
        Ok(answer) => Err(LoadError::NotLoaded(format!("{LOADED}: {answer}"))),
        Err(e) => Err(LoadError::NotLoaded(format!("{LOADED}: {e}"))),
    }
}

/// How long a call that is still loading is waited for.
const LOADING: Duration = Duration::from_secs(100);

/// Takes the loaded kernel back, whichever call has loaded it; does nothing where none is.
///
/// Another thread may be loading at this moment, and comes to its end whatever becomes of its
/// process: nothing is loaded yet, and what will be is to be taken back. The kernel is busy until then.
pub fn unload() -> io::Result<()> {
    let start = Instant::now();
    let answer = loop {
        // Under lockdown only the newer call may unload, and before Linux 3.17 there is none.
        let answer = kexec::unload_by_load().or_else(|_| kexec::unload_by_file_load());
        match &answer {
            Err(e) if e.kind() == io::ErrorKind::ResourceBusy && start.elapsed() < LOADING => {
                std::thread::sleep(Duration::from_millis(100));
            }
            _ => break answer,
        }
    };
    match answer {
        Err(_) if loaded().map_or(true, |answer| answer == "0") => Ok(()),
        Err(e) => Err(e),
        Ok(()) => match loaded() {
            Ok(answer) if answer != "0" => {
                Err(io::Error::other(format!("{LOADED} still says {answer}")))
            }
            _ => Ok(()),
        },
    }
}

fn map(file: &File) -> io::Result<Mapping> {
    let length = file.metadata()?.len();
    let length = usize::try_from(length).map_err(|_| io::ErrorKind::FileTooLarge)?;
    Mapping::of(file.as_fd(), length)
}
