//! Staging kernel and initramfs so that a boot loader can take them by their sectors alone: each in
//! one run on the disk, written, flushed, and read back from the disk itself.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, ErrorKind, Seek, Write};
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
    /// That of the plan's root filesystem.
    pub fn of(plan: &Plan) -> Place {
        let sectors = edd::reach(plan.root.disk_signature);
        Place {
            reach: sectors.map(|sectors| sectors.saturating_sub(plan.root.start) * block::SECTOR),
        }
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
    let (mut apart, mut beyond) = (String::new(), false);
    for attempt in 0..ATTEMPTS {
        let here = path.with_extension(format!("{ATTEMPT}{attempt}"));
        tried.push(here.clone());
        let file = if beyond {
            create_elsewhere(&here)
        } else {
            File::create(&here)
        };
        let file = file.with_context(|| format!("create {}", here.display()))?;
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
                Some(why) => (apart, beyond) = (why, true),
            },
            Err(NotOneRun::Apart(why)) => (apart, beyond) = (why, false),
            Err(e) => return Err(e.into()),
        }
    }
    let next = if beyond {
        "reboot the old OS and run `go` right behind that, for a filesystem looks for room from its \
         beginning once it is mounted anew"
    } else {
        "free some space on it and run `go` again"
    };
    bail!(
        "the root filesystem has no {length} free bytes in a row, or no place that a boot loader can \
         take them from ({apart}); {next}"
    )
}

/// Makes a file where a filesystem begins a new directory. XFS takes each of its parts in its turn for those, and
/// keeps what is in a file beside the file's inode. ext4 puts a large file behind the last one, whatever
/// directory it is in, so that there is no asking for a low place.
fn create_elsewhere(here: &Path) -> std::io::Result<File> {
    let directory = here.with_extension("elsewhere");
    match fs::remove_dir_all(&directory) {
        Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
        // What a run that lost its power has left is gone by now.
        _ => fs::create_dir(&directory)?,
    }
    let inside = directory.join("file");
    let file = File::create(&inside).and_then(|file| {
        fs::rename(&inside, here)?;
        Ok(file)
    });
    fs::remove_dir_all(&directory)?;
    file
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
    staged::commands(&staged, plan.root.start, &plan.cmdline)?;
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
    let device = Path::new(&plan.root_device);
    let found = direct::digest(device, offset, length)
        .with_context(|| format!("read {} from {}", path.display(), device.display()))?;
    // A firmware that stops short of it would leave a machine that does not come back from the commit
    // point on.
    if let Some(why) = Place::of(plan).out_of_reach(offset, length) {
        bail!("{} cannot be started from the disk: {why}", path.display());
    }
    ensure!(
        found == digest,
        "the disk does not hold what was written to {}: {found} at {offset} of {}, expected {digest}",
        path.display(),
        device.display()
    );
    Ok(StagedFile {
        offset,
        length,
        digest,
    })
}

#[cfg(test)]
#[path = "on_disk_tests.rs"]
mod tests;
