//! Staging kernel and initramfs so that a boot loader can take them by their sectors alone: each in
//! one run on the disk, written, flushed, and read back from the disk itself.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, ErrorKind, Seek, Write};
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
use storage::{block, btrfs, direct, edd, freeze};

/// How many places are tried for a file. Each attempt holds on to those before it, so that the
/// filesystem has to look elsewhere.
const ATTEMPTS: usize = 8;

/// Where a boot loader can take files from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The filesystem that they are on.
    pub root: RootIdentity,
    /// Sectors that the firmware reads of each disk that has the whole filesystem; `None` where it does not say.
    pub reach: Vec<Option<u64>>,
}

impl Place {
    /// That of the plan's root filesystem.
    pub fn of(plan: &Plan) -> Place {
        Place {
            root: plan.root.clone(),
            reach: plan
                .root
                .disk_signatures()
                .into_iter()
                .map(edd::reach)
                .collect(),
        }
    }

    /// Why a boot loader cannot take bytes of the filesystem's device from the disk, if it cannot: they do not lie
    /// together there, or the firmware does not read that far.
    fn against(&self, offset: u64, length: u64) -> Option<String> {
        let places = self.root.on_disks(offset, length).into_iter();
        let mut places = places.zip(&self.reach);
        places.find_map(|(first, reach)| {
            let Some(first) = first else {
                return Some(format!(
                    "it lies at {} MiB of the logical volume, where one part of that ends on the disk and another \
                     begins elsewhere",
                    offset >> 20
                ));
            };
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
        btrfs::write_in_place(&file)
            .with_context(|| format!("have {} written in its place", here.display()))?;
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
    for disk in 0..=plan.copies.len() {
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
    for (at, disk) in disks(plan).enumerate() {
        log::info!(
            "stage: kernel at sector {}, initramfs at sector {} of {disk}",
            on_disk(plan, at, &staged.kernel)?,
            on_disk(plan, at, &staged.initramfs)?,
        );
    }
    Ok(())
}

/// The disks that have the whole root filesystem.
fn disks(plan: &Plan) -> impl Iterator<Item = &str> {
    let copies = plan.copies.iter().map(|copy| copy.disk.as_str());
    std::iter::once(plan.disk.as_str()).chain(copies)
}

/// The sector of one of them that a staged file begins at.
fn on_disk(plan: &Plan, disk: usize, file: &StagedFile) -> Result<u64> {
    let sector = plan.root.on_disk(disk, file.offset, file.length);
    sector.with_context(|| format!("{} bytes at {} lie apart", file.length, file.offset))
}

/// The disks are read where a boot loader will read them: past the filesystem, the device-mapper and the mirror.
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
    for (at, disk) in disks(plan).enumerate() {
        let sector = on_disk(plan, at, &staged)?;
        let found = direct::digest(Path::new(disk), sector * block::SECTOR, length)
            .with_context(|| format!("read {} from {disk}", path.display()))?;
        ensure!(
            found == digest,
            "the disk does not hold what was written to {}: {found} at sector {sector} of {disk}, expected {digest}",
            path.display(),
        );
    }
    Ok(staged)
}

#[cfg(test)]
#[path = "on_disk_tests.rs"]
mod tests;
