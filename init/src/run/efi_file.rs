//! A boot loader's file on the EFI system partition, which UEFI starts. It is not mounted: the partition
//! is changed by planned writes, each group flushed, and what counts is read back from the disk itself.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use anyhow::{bail, ensure, Context, Result};
use bootpath::uefi::beside;
use formats::boot_path::EfiFile;
use storage::block::SECTOR;
use storage::direct::Direct;
use storage::fat::{FatError, Volume, Write};
use storage::gpt::{self, BootPartition};

use crate::run::boot_path::{Beside, BootPath, Loader, OnDisk};
use crate::run::data::Start;

/// The file, on a disk that is open.
pub struct EfiFileOnDisk {
    disk: File,
    /// The same, to write to.
    direct: Direct,
    place: OnDisk,
    file: EfiFile,
}

impl EfiFileOnDisk {
    /// Opens the disk; the partition must be the one that was planned for.
    pub fn open(place: OnDisk, file: &EfiFile) -> Result<EfiFileOnDisk> {
        let what = || format!("open disk {}", place.node.display());
        let disk = File::open(&place.node).with_context(what)?;
        let direct = Direct::open_to_write(&place.node).with_context(what)?;
        let mut head = vec![0; gpt::HEAD];
        disk.read_exact_at(&mut head, 0).with_context(what)?;
        let planned = &file.partition;
        let found = gpt::partitions(&head).into_iter().any(|partition| {
            partition.boot == Some(BootPartition::Efi)
                && partition.guid.to_string() == planned.guid
                && (partition.start, partition.sectors) == (planned.start, planned.sectors)
        });
        ensure!(
            found,
            "{} has no EFI system partition {} at sector {}",
            place.node.display(),
            planned.guid,
            planned.start
        );
        Ok(EfiFileOnDisk {
            disk,
            direct,
            place,
            file: file.clone(),
        })
    }

    /// Looks into the filesystem as the disk has it now.
    fn look<T>(&self, look: impl FnOnce(&Volume, &str) -> Result<T, FatError>) -> Result<T> {
        syscalls::block::forget_cached(self.disk.as_fd())
            .context("drop the disk's cached sectors")?;
        let reader = |at: u64, length: usize| {
            let mut bytes = vec![0; length];
            let at = self.place(at, length)?;
            self.disk.read_exact_at(&mut bytes, at)?;
            Ok(bytes)
        };
        let found = Volume::open(&reader).and_then(|volume| look(&volume, &self.file.path));
        found.with_context(|| format!("look at {}", self.name()))
    }

    /// Where bytes of the partition are on the disk.
    fn place(&self, at: u64, length: usize) -> io::Result<u64> {
        let partition = &self.file.partition;
        if at + length as u64 > partition.sectors * SECTOR {
            return Err(io::Error::other("it is behind the partition's end"));
        }
        Ok(partition.start * SECTOR + at)
    }

    /// Writes a group, and flushes the disk behind it.
    fn write(&self, group: &[Write]) -> Result<()> {
        for write in group {
            self.place(write.at, write.bytes.len())
                .and_then(|at| self.direct.write(at, &write.bytes))
                .with_context(|| {
                    format!(
                        "write {} bytes at {} of the EFI system partition",
                        write.bytes.len(),
                        write.at
                    )
                })?;
        }
        self.direct.flush().context("flush the disk")
    }

    fn remove_beside(&self) -> Result<()> {
        let edit = self.look(beside::remove)?;
        edit.iter()
            .flatten()
            .try_for_each(|group| self.write(group))
    }
}

impl BootPath for EfiFileOnDisk {
    fn name(&self) -> String {
        format!("UEFI's {}", self.file)
    }

    fn starts(&self, loader: &dyn Loader) -> Result<bool> {
        let loader = loader.uefi(self.place.disk)?;
        self.look(|volume, path| beside::starts(volume, path, &loader))
    }

    fn ensure_room(&self, _: Start) -> Result<()> {
        self.look(|volume, path| beside::room(volume, &[path]))
    }

    fn put_beside(&self, loader: &dyn Loader) -> Result<Beside> {
        let loader = loader.uefi(self.place.disk)?;
        self.remove_beside()?;
        let edit = self.look(|volume, path| beside::put(volume, path, &loader))?;
        for group in &edit {
            self.write(group)?;
        }
        ensure!(
            self.look(|volume, path| beside::is_beside(volume, path, &loader))?,
            "the EFI system partition does not hold what was written to it"
        );
        Ok(Beside::File(loader))
    }

    fn switch(&self, beside: &Beside) -> Result<()> {
        let loader = bytes(beside)?;
        // A second attempt, where one path of several could not be switched.
        if self.look(|volume, path| beside::starts(volume, path, loader))? {
            return Ok(());
        }
        ensure!(
            self.look(|volume, path| beside::is_beside(volume, path, loader))?,
            "the file beside is not what was written there; nothing is switched"
        );
        let write = self.look(beside::switch)?;
        self.write(std::slice::from_ref(&write))?;
        ensure!(
            self.look(|volume, path| beside::starts(volume, path, loader))?,
            "the EFI system partition does not hold what was written to it"
        );
        Ok(())
    }

    fn take_back(&self, beside: &Beside) -> Result<()> {
        let loader = bytes(beside)?;
        if self.look(|volume, path| beside::starts(volume, path, loader))? {
            let write = self.look(beside::switch)?;
            self.write(std::slice::from_ref(&write))?;
        }
        self.remove_beside()
    }

    /// The file that was in use is beside it, under the other name.
    fn switch_back(&self, loader: &dyn Loader, _: &dyn Fn(&str) -> Result<Vec<u8>>) -> Result<()> {
        self.take_back(&Beside::File(loader.uefi(self.place.disk)?))
    }

    fn record_name(&self) -> Option<String> {
        None
    }

    fn inspect(&self, beside: &Beside, loader: &dyn Loader) -> Result<()> {
        let loader = loader.uefi(self.place.disk)?;
        ensure!(
            bytes(beside)? == loader
                && self.look(|volume, path| beside::is_beside(volume, path, &loader))?,
            "the file beside is not the loader that was made"
        );
        Ok(())
    }

    fn tidy(&self) -> Result<()> {
        self.remove_beside()
    }
}

fn bytes(beside: &Beside) -> Result<&[u8]> {
    match beside {
        Beside::File(bytes) => Ok(bytes),
        Beside::Sectors { .. } => bail!("what is beside is no file"),
    }
}
