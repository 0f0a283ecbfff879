//! Staging kernel and initramfs so that a boot loader can take them by their sectors alone: each in
//! one run on the disk, written, flushed, and read back from the disk itself.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Seek, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use anyhow::{bail, ensure, Context, Result};
use bootpath::grub::staged;
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
    /// Bytes of the filesystem's device that the firmware reads; `None` where it does not say.
    pub reach: Option<u64>,
}

impl Place {
    /// That of the plan's root filesystem. ext4 puts a large file where it put the last one, whatever
    /// directory it is in, so that there is no asking for a low place: each attempt only looks on.
    pub fn of(plan: &Plan) -> Place {
        let disks = plan.root.disk_signatures().into_iter();
        let reach = disks
            .zip(plan.root.begins())
            .filter_map(|(signature, begins)| {
                let sectors = edd::reach(signature)?;
                Some(sectors.saturating_sub(begins) * block::SECTOR)
            });
        Place { reach: reach.min() }
    }

    /// Why the firmware does not read that far, if it does not.
    fn out_of_reach(&self, offset: u64, length: u64) -> Option<String> {
        let reach = self.reach?;
        (offset + length > reach).then(|| {
            format!(
                "it lies at {} MiB of the filesystem, and the machine's firmware says that it reads the \
                 first {} MiB of it (/sys/firmware/edd)",
                offset >> 20,
                reach >> 20
            )
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
            Ok(offset) => match place.out_of_reach(offset, length) {
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
    for begins in plan.root.begins() {
        staged::commands(&staged, begins, &plan.cmdline)?;
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
        staged.kernel.offset / block::SECTOR,
        staged.initramfs.offset / block::SECTOR,
        plan.root_device
    );
    Ok(())
}

fn compare(plan: &Plan, path: &Path) -> Result<StagedFile> {
    let what = || format!("read {}", path.display());
    let mut file = File::open(path).with_context(what)?;
    let digest = Digest::of_reader(&mut file, &|_| ()).with_context(what)?;
    let length = file.stream_position().with_context(what)?;
    let offset = extents::place(&file).with_context(|| format!("place {}", path.display()))?;
    // A firmware that stops short of it would leave a machine that does not come back from the commit
    // point on.
    if let Some(why) = Place::of(plan).out_of_reach(offset, length) {
        bail!("{} cannot be started from the disk: {why}", path.display());
    }
    for (device, offset) in places(plan, offset) {
        let found = direct::digest(device, offset, length)
            .with_context(|| format!("read {} from {}", path.display(), device.display()))?;
        ensure!(
            found == digest,
            "the disk does not hold what was written to {}: {found} at {offset} of {}, expected {digest}",
            path.display(),
            device.display()
        );
    }
    Ok(StagedFile {
        offset,
        length,
        digest,
    })
}

/// Where a byte of the root filesystem is: on its device, and on each disk of a mirror, which a boot loader
/// reads past the array.
fn places(plan: &Plan, offset: u64) -> Vec<(&Path, u64)> {
    let mut places = vec![(Path::new(&plan.root_device), offset)];
    if plan.root.array.is_some() {
        let disks = plan.copies.iter().map(|copy| &copy.disk);
        let disks = std::iter::once(&plan.disk).chain(disks);
        places.extend(
            disks
                .zip(plan.root.begins())
                .map(|(disk, begins)| (Path::new(disk), begins * block::SECTOR + offset)),
        );
    }
    places
}

#[cfg(test)]
#[path = "on_disk_tests.rs"]
mod tests;
