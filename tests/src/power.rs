//! Power cuts, each at a write: a machine's writes to its disk are recorded, and its disk is made
//! again as it was after any of them, to be booted.
//!
//! QEMU's blklogwrites keeps the log, in the format of Linux's `dm-log-writes.h`: a superblock
//! (magic, version, entries, sector size), then for each write an entry (sector, sectors, flags,
//! length), padded to a sector, and its data. The log is in the order in which the machine gave its
//! writes to the disk, so that a prefix of it is what a disk holds that keeps this order. One that
//! does not, but honours flushes, may lack any of the writes behind the last flush.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{ensure, Context, Result};

use crate::additions::Additions;
use crate::command::run;
use crate::disk::Disk;
use crate::old_server::{Firmware, OldServer};
use crate::vm::{self, Machine, Start};

const SECTOR: u64 = 512;
const MAGIC: u64 = 0x006a_7366_7773_6872;
const ENTRY: usize = 32;
const FLUSH: u64 = 1;
/// Written through: on the disk when it ends, without a flush.
const FUA: u64 = 2;
const DISCARD: u64 = 4;
/// Of the data of a write as much is looked at when one is looked for.
const LOOKED_AT: usize = 64 << 10;

/// A server, booted from its firmware, with everything that it writes recorded.
pub fn recorded(server: OldServer, name: &str, memory_mib: u32) -> Result<(Machine, Recording)> {
    let recording = Recording::begun(server, &format!("{name}-recording"))?;
    let server = &recording.server;
    let directory = vm::directory(name)?;
    let disk = Disk::over(&server.disk, &directory.path().join("disk.qcow2"))?;
    let additions = Additions {
        recording: Some(recording.log.clone()),
        ..Additions::default()
    };
    let mut machine = Machine::start(server, directory, disk, memory_mib, Start::Boot, additions)?;
    machine.wait_for_old_ssh()?;
    Ok((machine, recording))
}

/// A write, or a flush where it has no sectors.
#[derive(Debug, Clone, Copy)]
pub struct Write {
    /// The first sector.
    pub sector: u64,
    /// How many.
    pub sectors: u64,
    flags: u64,
    data: u64,
}

impl Write {
    /// Everything before it is on the disk when it ends.
    pub fn is_flush(&self) -> bool {
        self.flags & FLUSH != 0
    }

    fn has_data(&self) -> bool {
        self.sectors > 0 && self.flags & DISCARD == 0
    }

    /// Whether it writes this sector.
    pub fn covers(&self, sector: u64) -> bool {
        self.has_data() && (self.sector..self.sector + self.sectors).contains(&sector)
    }
}

/// The writes of a machine, and a disk that is made from them.
#[derive(Debug)]
pub struct Recording {
    server: OldServer,
    log: PathBuf,
    /// Raw, with the first writes applied, as many as are told here.
    disk: PathBuf,
    applied: Option<usize>,
    _place: tempfile::TempDir,
}

impl Recording {
    /// One of the disk of this server, with nothing in it yet.
    pub fn begun(server: OldServer, name: &str) -> Result<Recording> {
        let place = vm::directory(name)?;
        let log = place.path().join("writes.log");
        // QEMU wants the file to be there.
        File::create(&log).context("create the log of writes")?;
        Ok(Recording {
            server,
            log,
            disk: place.path().join("disk.raw"),
            applied: None,
            _place: place,
        })
    }

    /// The file that a machine's writes go to.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Every write so far, in order. The machine should be off, or idle.
    pub fn writes(&self) -> Result<Vec<Write>> {
        let log = File::open(&self.log).context("open the log of writes")?;
        let length = log.metadata()?.len();
        let mut head = [0; 24];
        log.read_exact_at(&mut head, 0)
            .context("read the log's superblock")?;
        // Of a machine that runs the superblock lags behind, and its count; what is not written yet is zeros.
        ensure!(
            head == [0; 24] || number(&head, 0) == MAGIC && number(&head, 8) == 1,
            "no log of writes: {head:02x?}"
        );
        let mut writes = Vec::new();
        let mut at = SECTOR;
        while at + SECTOR <= length {
            let mut entry = [0; ENTRY];
            log.read_exact_at(&mut entry, at).context("read an entry")?;
            let write = Write {
                sector: number(&entry, 0),
                sectors: number(&entry, 8),
                flags: number(&entry, 16),
                data: at + SECTOR,
            };
            if write.sectors == 0 && write.flags == 0 {
                break;
            }
            at = write.data;
            if write.has_data() {
                at += write.sectors * SECTOR;
            }
            if at <= length {
                writes.push(write);
            }
        }
        Ok(writes)
    }

    /// The first bytes that a write writes.
    pub fn data(&self, write: &Write) -> Result<Vec<u8>> {
        if !write.has_data() {
            return Ok(Vec::new());
        }
        let mut bytes = vec![0; ((write.sectors * SECTOR) as usize).min(LOOKED_AT)];
        File::open(&self.log)
            .and_then(|log| log.read_exact_at(&mut bytes, write.data))
            .context("read a write's data")?;
        Ok(bytes)
    }

    /// Every place of the disk, in bytes, that a 4096-byte block was written to.
    pub fn places_of(&self, writes: &[Write], block: &[u8]) -> Result<Vec<u64>> {
        let log = File::open(&self.log).context("open the log of writes")?;
        let mut places = Vec::new();
        for write in writes.iter().filter(|write| write.has_data()) {
            let mut bytes = vec![0; (write.sectors * SECTOR) as usize];
            log.read_exact_at(&mut bytes, write.data)
                .context("read a write's data")?;
            let found = bytes
                .chunks(block.len())
                .zip((write.sector * SECTOR..).step_by(block.len()))
                .filter(|(chunk, _)| chunk == &block);
            places.extend(found.map(|(_, place)| place));
        }
        Ok(places)
    }

    /// A disk as it was after the first `count` writes, where every write since the last flush may be
    /// left out: those for which `lost` says so. Counts must not go down from call to call.
    pub fn disk_after(
        &mut self,
        name: &str,
        writes: &[Write],
        count: usize,
        lost: impl Fn(usize) -> bool,
    ) -> Result<Cut> {
        let flushed = writes[..count]
            .iter()
            .rposition(Write::is_flush)
            .map_or(0, |at| at + 1);
        let base = self.apply(writes, flushed)?;
        let directory = vm::directory(name)?;
        // What is behind the flush goes to a copy, for a later call may want it otherwise.
        let raw = directory.path().join("base.raw");
        run(Command::new("cp")
            .args(["--sparse=always", "--reflink=auto"])
            .arg(base)
            .arg(&raw))?;
        let log = File::open(&self.log).context("open the log of writes")?;
        let disk = File::options()
            .write(true)
            .open(&raw)
            .context("open the disk")?;
        let kept = (flushed..count).filter(|&at| writes[at].flags & FUA != 0 || !lost(at));
        for at in kept {
            copy(&log, &disk, &writes[at])?;
        }
        Ok(Cut {
            server: self.server.clone(),
            raw,
            directory,
        })
    }

    fn apply(&mut self, writes: &[Write], count: usize) -> Result<&Path> {
        if self.applied.is_none() {
            run(Command::new("qemu-img")
                .args(["convert", "-O", "raw"])
                .arg(&self.server.disk)
                .arg(&self.disk))?;
        }
        let done = self.applied.unwrap_or(0);
        ensure!(
            done <= count,
            "{done} writes are applied, {count} are asked for"
        );
        let log = File::open(&self.log).context("open the log of writes")?;
        let disk = File::options()
            .write(true)
            .open(&self.disk)
            .context("open the disk")?;
        for write in &writes[done..count] {
            copy(&log, &disk, write)?;
        }
        self.applied = Some(count);
        Ok(&self.disk)
    }
}

fn copy(log: &File, disk: &File, write: &Write) -> Result<()> {
    if !write.has_data() {
        return Ok(());
    }
    let mut bytes = vec![0; (write.sectors * SECTOR) as usize];
    log.read_exact_at(&mut bytes, write.data)
        .context("read a write's data")?;
    disk.write_all_at(&bytes, write.sector * SECTOR)
        .context("write it again")
}

/// A disk whose machine lost its power.
#[derive(Debug)]
pub struct Cut {
    server: OldServer,
    raw: PathBuf,
    directory: tempfile::TempDir,
}

impl Cut {
    /// Damages it.
    pub fn overwrite(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        File::options()
            .write(true)
            .open(&self.raw)
            .and_then(|disk| disk.write_all_at(bytes, offset))
            .context("overwrite a part of the disk")
    }

    /// The same disk in a machine with another firmware.
    #[must_use]
    pub fn started_by(mut self, firmware: Firmware) -> Cut {
        self.server.firmware = firmware;
        self
    }

    /// Switches the machine on.
    pub fn boot(self, memory_mib: u32) -> Result<Machine> {
        self.boot_with(memory_mib, Additions::default())
    }

    /// The same, with what a machine has besides.
    pub(crate) fn boot_with(self, memory_mib: u32, additions: Additions) -> Result<Machine> {
        let server = self.server.clone();
        let (disk, directory) = self.into_disk()?;
        Machine::start(&server, directory, disk, memory_mib, Start::Boot, additions)
    }

    /// The disk alone, and the directory that it is in.
    pub(crate) fn into_disk(self) -> Result<(Disk, tempfile::TempDir)> {
        let qcow2 = self.directory.path().join("base.qcow2");
        run(Command::new("qemu-img")
            .args(["convert", "-O", "qcow2"])
            .arg(&self.raw)
            .arg(&qcow2))?;
        fs::remove_file(&self.raw).context("remove the raw disk")?;
        let disk = Disk::over(&qcow2, &self.directory.path().join("disk.qcow2"))?;
        Ok((disk, self.directory))
    }
}

fn number(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap_or_default())
}
