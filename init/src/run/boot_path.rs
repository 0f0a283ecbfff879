//! A way in which a firmware starts a disk: it says whether it starts a certain loader, takes a complete one
//! beside the one in use, and is switched by one atomic write.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use bootpath::grub::embed::Embedding;
use bootpath::room::Room;

use crate::run::data::Start;

/// A loader in the form that each kind of path needs.
pub trait Loader {
    /// GRUB's boot sector and core image for a BIOS, for this one of the plan's disks, from 0.
    fn bios(&self, disk: usize) -> Result<(Vec<u8>, Vec<u8>)>;
    /// GRUB's program for UEFI, for such a disk.
    fn uefi(&self, disk: usize) -> Result<Vec<u8>>;
}

/// A disk that has the whole root filesystem.
#[derive(Clone, Debug)]
pub struct OnDisk {
    /// Which of the plan's, from 0.
    pub disk: usize,
    /// Its device node.
    pub node: PathBuf,
}

/// What was put beside the loader in use, and is of no effect yet.
pub enum Beside {
    /// Sectors of a room for boot loaders.
    Sectors {
        /// As they will be.
        embedding: Box<Embedding>,
        /// The room as it was.
        before: Box<Room>,
        /// The disk's own room as it was, wherever this loader is.
        own: Box<Room>,
    },
    /// A file, by its bytes.
    File(Vec<u8>),
}

/// A way in which a firmware starts the disk.
pub trait BootPath {
    /// What it is called.
    fn name(&self) -> String;
    /// Whether it starts exactly this loader.
    fn starts(&self, loader: &dyn Loader) -> Result<bool>;
    /// Whether there is room for what a run puts there.
    fn ensure_room(&self, start: Start) -> Result<()>;
    /// Puts a loader beside the one in use, which is not touched; written, flushed and read back.
    fn put_beside(&self, loader: &dyn Loader) -> Result<Beside>;
    /// Switches to it: one sector.
    fn switch(&self, beside: &Beside) -> Result<()>;
    /// Takes it away again; where it was switched to, switches back before.
    fn take_back(&self, beside: &Beside) -> Result<()>;
    /// Where it starts this loader: has it start the one again that it did before, which was not touched.
    fn switch_back(
        &self,
        loader: &dyn Loader,
        before: &dyn Fn(&str) -> Result<Vec<u8>>,
    ) -> Result<()>;
    /// What the sectors that it was switched from are called among the run's records.
    fn record_name(&self) -> Option<String>;
    /// Proves that it would start this loader once it is switched.
    fn inspect(&self, beside: &Beside, loader: &dyn Loader) -> Result<()>;
    /// Behind a switch: takes away what is of no use any more.
    fn tidy(&self) -> Result<()>;
}

/// Reads a file of a loader.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("read {}", path.display()))
}
