//! The payload that is unpacked: in memory, or in the run's directory on the disk. It may import
//! where things are; it compares nothing.

use std::fs::File;
use std::path::PathBuf;

use anyhow::{ensure, Context, Result};
use formats::plan::Plan;
use formats::{staged, Manifest};
use tree::Source;

use crate::ram::parts;
use crate::root::run_directory;

/// Where the payload is that is unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadIn {
    /// In memory: it came through the jump from the old kernel.
    Memory,
    /// In the run's directory on the disk.
    Disk,
}

impl PayloadIn {
    /// In memory where it is there; a run that is taken up has only the staged one.
    pub fn of_this_start() -> PayloadIn {
        if in_memory().exists() {
            PayloadIn::Memory
        } else {
            PayloadIn::Disk
        }
    }

    /// What it means that what is there is not what was put there, and what to do next. The launcher
    /// compared everything with its digest a moment before: the image as it was copied is whole.
    pub fn damage(self) -> &'static str {
        match self {
            PayloadIn::Memory => {
                "it was whole when it was loaded, so something has written to this machine's memory \
                 since then: a device that the old kernel left running, or memory that fails; run it \
                 again with `--entry boot`, where the firmware resets every device, and test the \
                 memory if that finds the same"
            }
            PayloadIn::Disk => {
                "it was whole when it was staged, so the disk does not give back what was written to \
                 it, or something has changed it since then; look at the disk's health before running \
                 it again"
            }
        }
    }
}

/// Where it is, if it is in memory.
pub fn in_memory() -> PathBuf {
    parts::at("payload")
}

/// Opens the payload that is there.
pub fn open(plan: &Plan, manifest: &Manifest, at: PayloadIn) -> Result<Source> {
    let path = match at {
        PayloadIn::Memory => in_memory(),
        PayloadIn::Disk => run_directory::at(plan, staged::PAYLOAD),
    };
    let file = File::open(&path).with_context(|| format!("open the payload {}", path.display()))?;
    let length = file
        .metadata()
        .context("ask for the payload's length")?
        .len();
    let expected = manifest.payload.length();
    ensure!(
        length == expected,
        "the payload {} has {length} bytes, the manifest says {expected}",
        path.display()
    );
    Ok(Source::new(file, 0))
}
