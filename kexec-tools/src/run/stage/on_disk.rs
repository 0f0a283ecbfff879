//! Staging kernel and initramfs so that a boot loader can take them by their sectors alone: each in
//! one run on the disk, written, flushed, and read back from the disk itself.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Seek, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use anyhow::{bail, ensure, Context, Result};
use bootpath::grub::staged;
use formats::facts::RootIdentity;
use formats::plan::Plan;
use formats::staged::{Staged, StagedFile, ATTEMPT};
use formats::{Digest, Document};
use rustix::fs::{fallocate, FallocateFlags};
use storage::extents;
use storage::extents::NotOneRun;
use storage::{block, direct, edd, freeze};

/// How many places are tried for a file. Each attempt holds on to those before it, so that the
/// filesystem has to look elsewhere.
const ATTEMPTS: usize = 8;

/// Where a boot loader can take files from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The filesystem that they are on.
    pub root: RootIdentity,
    /// Sectors of each disk with it that the firmware reads; `None` where it does not say.
    pub reach: Vec<Option<u64>>,
}

impl Place {
    /// That of the plan's root filesystem. ext4 puts a large file where it put the last one, whatever
    /// directory it is in, so that there is no asking for a low place: each attempt only looks on.
    pub fn of(plan: &Plan) -> Place {
        let signatures = plan.root.disk_signatures();
        Place {
            root: plan.root.clone(),
            reach: signatures.into_iter().map(edd::reach).collect(),
        }
    }

    /// Why a boot loader cannot take bytes of the filesystem's device from the disk, if it cannot: they do not lie
    /// together there, or the firmware does not read that far.
    fn against(&self, offset: u64, length: u64) -> Option<String> {
        let disks = 0..self.reach.len();
        let first: Option<Vec<u64>> = disks
            .map(|disk| self.root.on_disk(disk, offset, length))
            .collect();
        let Some(first) = first else {
            return Some(format!(
                "it lies at {} MiB of the logical volume, where one part of that ends on the disk and another \
                 begins elsewhere",
                offset >> 20
            ));
        };
        first.into_iter().zip(&self.reach).find_map(|(first, reach)| {
            let reach = (*reach)?;
            (first + length.div_ceil(block::SECTOR) > reach).then(|| {
                format!(
                    "it lies at {} MiB of the disk, and the machine's firmware says that it reads the first {} MiB \
                     of it (/sys/firmware/edd)",
                    first >> 11,
                    reach >> 11
                )
            })
        })
    }
}

/// Writes a file of `length` bytes whose bytes lie together on the disk, where the firmware reads
/// them, synced.
pub fn write_in_one_run(
    path: &Path,
    length: u64,
    place: &Place,
    write: &dyn Fn(&mut dyn Write) -> Result<()>,
) -> Result<()> {
    let mut tried = Vec::new();
    let found = try_places(path, length, place, write, &mut tried);
    for attempt in &tried {
        if let Err(e) = fs::remove_file(attempt) {
            log::warn!("remove {}: {e}", attempt.display());
        }
    }
    found.with_context(|| format!("write {} in one run on the disk", path.display()))
}

fn try_places(
    path: &Path,
    length: u64,
    place: &Place,
    write: &dyn Fn(&mut dyn Write) -> Result<()>,
    tried: &mut Vec<PathBuf>,
) -> Result<()> {
    let mut apart = String::new();
    for attempt in 0..ATTEMPTS {
        let here = path.with_extension(format!("{ATTEMPT}{attempt}"));
        tried.push(here.clone());
        let file = File::create(&here).with_context(|| format!("create {}", here.display()))?;
        // Asked for at once, the filesystem looks for one run. Those that cannot be asked (ext3's
        // block maps) may find one all the same.
        if let Err(e) = fallocate(file.as_fd(), FallocateFlags::empty(), 0, length) {
            log::info!("stage: reserve {length} bytes: {e}; writing without");
        }
        let mut out = BufWriter::with_capacity(1 << 20, file);
        write(&mut out)?;
        let file = out
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error)
            .context("write the last bytes")?;
        file.sync_all().context("write it to the disk")?;
        let found = file.metadata().context("ask for its length")?.len();
        ensure!(found == length, "it has {found} bytes, expected {length}");
        match extents::place(&file) {
            Ok(offset) => match place.against(offset, length) {
                None => {
                    tried.pop();
                    return fs::rename(&here, path).context("name it");
                }
                Some(why) => apart = why,
            },
            Err(NotOneRun::Apart(why)) => apart = why,
            Err(e) => return Err(e.into()),
        }
    }
    bail!(
        "the root filesystem has no {length} free bytes in a row, or no place that a boot loader can \
         take them from ({apart}); free some space on it and run `go` again"
    )
}

/// What was written in one run each.
pub struct Files<'a> {
    /// The kernel.
    pub kernel: &'a Path,
    /// The initramfs.
    pub initramfs: &'a Path,
    /// Room for a boot loader.
    pub loader: Option<&'a Path>,
}

/// Looks where they are, compares the disk with what was written, and leaves that
/// beside them. Then everything is put into its place, for a boot loader that replays no journal.
///
/// `order` is what the initramfs tells the run, by path.
pub fn record(plan: &Plan, files: &Files, order: BTreeMap<String, Digest>) -> Result<()> {
    let staged = Staged {
        run: plan.run.clone(),
        kernel: compare(plan, files.kernel)?,
        initramfs: compare(plan, files.initramfs)?,
        loader: files.loader.map(|path| compare(plan, path)).transpose()?,
        order,
    };
    // Whether it can be used behind the commit point is better known now than there.
    for disk in 0..disks(plan).count() {
        staged::commands(&staged, &plan.root, disk, &plan.cmdline)?;
    }
    let directory = files.kernel.parent().unwrap_or(Path::new("/"));
    let path = directory.join(Staged::FILE);
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&path)?;
        file.write_all(staged.to_json().as_bytes())?;
        file.sync_all()?;
        for directory in directory.ancestors() {
            File::open(directory)?.sync_all()?;
        }
        Ok(())
    };
    write().with_context(|| format!("write {}", path.display()))?;
    freeze::settle(Path::new("/")).context("freeze and thaw the root filesystem")?;
    log::info!(
        "stage: kernel at sector {}, initramfs at sector {} of {}",
        on_disk(plan, 0, &staged.kernel)?,
        on_disk(plan, 0, &staged.initramfs)?,
        plan.disk
    );
    Ok(())
}

/// The sector of one of the plan's disks that a staged file begins at.
fn on_disk(plan: &Plan, disk: usize, file: &StagedFile) -> Result<u64> {
    let sector = plan.root.on_disk(disk, file.offset, file.length);
    sector.with_context(|| format!("{} bytes at {} lie apart", file.length, file.offset))
}

/// The disk is read where a boot loader will read it, past the filesystem, and past the device-mapper.
fn compare(plan: &Plan, path: &Path) -> Result<StagedFile> {
    let what = || format!("read {}", path.display());
    let mut file = File::open(path).with_context(what)?;
    let digest = Digest::of_reader(&mut file, &|_| ()).with_context(what)?;
    let length = file.stream_position().with_context(what)?;
    let offset = extents::place(&file).with_context(|| format!("place {}", path.display()))?;
    // A firmware that stops short of it would leave a machine that does not come back from the commit
    // point on.
    if let Some(why) = Place::of(plan).against(offset, length) {
        bail!("{} cannot be started from the disk: {why}", path.display());
    }
    let staged = StagedFile {
        offset,
        length,
        digest,
    };
    for (disk, node) in disks(plan).enumerate() {
        let sector = on_disk(plan, disk, &staged)?;
        let found = direct::digest(Path::new(node), sector * block::SECTOR, length)
            .with_context(|| format!("read {} from {node}", path.display()))?;
        ensure!(
            found == digest,
            "the disk does not hold what was written to {}: {found} at sector {sector} of {node}, expected {digest}",
            path.display(),
        );
    }
    Ok(staged)
}

/// Every disk that has the whole root filesystem.
fn disks(plan: &Plan) -> impl Iterator<Item = &str> {
    let copies = plan.copies.iter().map(|copy| copy.disk.as_str());
    std::iter::once(plan.disk.as_str()).chain(copies)
}

#[cfg(test)]
#[path = "on_disk_tests.rs"]
mod tests;
