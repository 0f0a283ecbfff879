//! The last look before the commit point: every byte of the payload, memory, space, and every
//! kept path, measured. Only reads.

use std::fs::File;
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;

use anyhow::{bail, ensure, Context, Result};
use machine::grub::embed;
use machine::tree::{self, Measuring, Source, Stillness, TreeError};
use machine::{block, meminfo, mounts};
use manifest::keep::{KeepPath, KeepSet, SPARED};
use manifest::measure::{Measure, Occupied};
use manifest::payload::{Frame, Payload};
use manifest::plan::Plan;
use manifest::resolve;
use manifest::staged;
use manifest::Manifest;

use crate::boot_sectors::Disk;
use crate::checks_again::{self, Asked};
use crate::commit;
use crate::early::PARTS;
use crate::find::MountedRoot;
use crate::progress::Progress;
use crate::recorder::{self, Recorder};
use crate::resume::{self, Start};
use crate::run::{Order, Run};
use crate::stage_loader;
use crate::target::{self, TARGET};

/// Proof that the image is whole and fits, and that every kept path is there.
pub struct VerifiedImage(pub(crate) Run);

impl VerifiedImage {
    /// The plan that it was verified for.
    pub fn plan(&self) -> &Plan {
        &self.0.plan
    }

    /// Everything that the steps share.
    pub fn into_run(self) -> Run {
        self.0
    }

    /// Hands over the times of the phases so far.
    pub fn with_recorder(mut self, recorder: Recorder) -> VerifiedImage {
        self.0.recorder = recorder;
        self
    }
}

/// Verifies everything that can be verified without writing.
pub fn verify(order: Order, root: MountedRoot, start: Start) -> Result<VerifiedImage> {
    let Order { plan, manifest } = order;
    manifest
        .payload
        .validate()
        .context("check the payload's table of frames")?;
    let payload = open_payload(&plan, &manifest)?;
    verify_frames(&payload, &manifest.payload)?;
    if start == Start::Fresh {
        verify_staged(&plan, &manifest, &root)?;
    }
    let keep = keep_set(&plan)?;
    let directory = target::directory()?;
    ensure_plain_mount(&root)?;
    tree::validate_keep(directory.as_fd(), &keep).context("check the kept paths")?;
    let before = baseline(&plan, start)?;
    checks_again::ask(&Asked {
        plan: &plan,
        manifest: &manifest,
        root: &root,
        start,
        keep: &keep,
        kept: &before,
    })?;
    Ok(VerifiedImage(Run {
        plan,
        manifest,
        root,
        start,
        payload,
        keep,
        before,
        recorder: Recorder::default(),
    }))
}

/// Every kept path as it was before anything was changed. A run that is taken up again behind the
/// commit point is compared with the first look, not with what an earlier attempt left.
fn baseline(plan: &Plan, start: Start) -> Result<Vec<Measure>> {
    if start == Start::Fresh {
        return measure_kept(plan);
    }
    let path = resume::of_run(plan, commit::BEFORE);
    let what = || format!("read {}", path.display());
    serde_json::from_slice(&std::fs::read(&path).with_context(what)?).with_context(what)
}

/// Measures every kept path of the plan. Nobody else is there: whatever moves is an error.
pub fn measure_kept(plan: &Plan) -> Result<Vec<Measure>> {
    let directory = target::directory()?;
    let mut measuring = Measuring::new(directory.as_fd(), Stillness::Still).telling(&gets_on);
    plan.keep
        .iter()
        .map(|kept| {
            let measure = measuring
                .measure(&kept.path)
                .with_context(|| format!("measure {}", kept.path))?;
            log::info!(
                "kept {}: {} entries, {} bytes",
                kept.path,
                measure.entries,
                measure.bytes
            );
            Ok(measure)
        })
        .collect()
}

/// A measure of millions of files does not hang as long as it gets on.
fn gets_on(_: u64) -> ControlFlow<()> {
    recorder::progressed();
    ControlFlow::Continue(())
}

/// The keep list, and what else is not the old OS's: this run's directory, and the directory that
/// the filesystem's own check puts lost files into.
fn keep_set(plan: &Plan) -> Result<KeepSet> {
    let mut keep = KeepSet::new(plan.keep.iter().map(|k| &k.path));
    for path in SPARED {
        if Path::new(TARGET).join(&path[1..]).is_dir() {
            keep = keep
                .with_internal(path)
                .with_context(|| format!("keep {path}"))?;
        }
    }
    Ok(keep)
}

/// The payload in memory where it is there, else the staged one: a run that is taken up again has
/// only that.
fn open_payload(plan: &Plan, manifest: &Manifest) -> Result<Source> {
    let in_memory = Path::new(PARTS).join("payload");
    let path = if in_memory.exists() {
        in_memory
    } else {
        target::at(&plan.run_directory()).join(staged::PAYLOAD)
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

/// What a run that loses its power is taken up from: kernel, initramfs and payload on the disk.
fn verify_staged(plan: &Plan, manifest: &Manifest, root: &MountedRoot) -> Result<()> {
    stage_loader::verify(plan, root)?;
    if Path::new(PARTS).join("payload").exists() {
        let path = resume::of_run(plan, staged::PAYLOAD);
        let file = File::open(&path).with_context(|| format!("open {}", path.display()))?;
        verify_frames(&Source::new(file, 0), &manifest.payload)
            .with_context(|| format!("check {}", path.display()))?;
    }
    Ok(())
}

/// Compares the digest of every frame, on all processors.
fn verify_frames(payload: &Source, table: &Payload) -> Result<()> {
    let progress = Progress::new("verify", table.length());
    let next = AtomicUsize::new(0);
    let failure = Mutex::new(None);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut buffer = Vec::new();
                while let Some(frame) = table.frames.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(e) = verify_frame(payload, frame, &mut buffer) {
                        *failure
                            .lock()
                            .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(e);
                        next.store(table.frames.len(), Ordering::Relaxed);
                    }
                    progress.add(frame.length);
                }
            });
        }
    });
    match failure
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
    {
        None => Ok(()),
        Some(e) => Err(e),
    }
}

fn verify_frame(payload: &Source, frame: &Frame, buffer: &mut Vec<u8>) -> Result<()> {
    let found = payload
        .digest(frame, buffer)
        .with_context(|| format!("read the payload's frame at {}", frame.offset))?;
    if found != frame.digest {
        bail!(
            "the payload is damaged: its frame at {} has digest {found}, expected {}; copy the image again",
            frame.offset,
            frame.digest
        );
    }
    Ok(())
}

/// Wiping and unpacking must not run out of memory half-way.
pub fn ensure_memory() -> Result<()> {
    let text = std::fs::read_to_string("/proc/meminfo").context("read /proc/meminfo")?;
    let memory = meminfo::parse(&text).context("/proc/meminfo tells no total")?;
    let needed = resolve::WORK_BYTES;
    log::info!(
        "memory: {} MiB of {} MiB available",
        memory.available >> 20,
        memory.total >> 20
    );
    ensure!(
        memory.available >= needed,
        "wiping and unpacking take {} MiB of memory, {} MiB are available",
        needed >> 20,
        memory.available >> 20
    );
    Ok(())
}

/// The staged image's loader must fit beside the one in use, and the new OS's beside that. The old
/// OS's kernel said so; this is the disk as it is now.
pub fn ensure_room_for_loader(root: &MountedRoot, start: Start) -> Result<()> {
    let gap = Disk::open(root)?.gap()?;
    let has_room = match start {
        Start::Fresh => embed::has_room(&gap),
        Start::Resumed | Start::Finished => embed::has_room_for_one(&gap),
    };
    ensure!(
        has_room,
        "the sectors before the first partition have no room for a further boot loader"
    );
    Ok(())
}

/// Nothing but the root filesystem may be mounted at or below the target.
pub fn ensure_plain_mount(root: &MountedRoot) -> Result<()> {
    let mounts = mounts::read().context("read /proc/self/mountinfo")?;
    let here: Vec<_> = mounts
        .iter()
        .filter(|m| m.target.starts_with(TARGET))
        .collect();
    let device = mounts::at(&mounts, Path::new(TARGET))
        .context("the root is not mounted")?
        .device;
    let node = block::by_number(device.0, device.1)
        .context("look up the mounted device")?
        .node();
    ensure!(
        here.len() == 1 && node == root.device,
        "{} mounts at or below {TARGET}, of {}; expected one, of {}",
        here.len(),
        node.display(),
        root.device.display()
    );
    Ok(())
}

/// Bytes and inodes that there will be once the old OS is gone.
pub fn ensure_space(plan: &Plan, manifest: &Manifest, kept: &[Measure]) -> Result<()> {
    let fs = rustix::fs::statvfs(TARGET).context("statvfs of the root filesystem")?;
    let space = resolve::space(
        manifest,
        resolve::Filesystem {
            bytes: fs.f_blocks * fs.f_frsize,
            inodes: fs.f_files,
        },
        Occupied::by_kept(plan.keep.iter().map(|k| &k.path).zip(kept)) + spared()?,
    );
    if let Some(lack) = space.lack() {
        bail!("{lack}");
    }
    Ok(())
}

/// What the wipe spares beside the kept paths: this run's directory, those of earlier runs, and what
/// the filesystem's own check has found.
fn spared() -> Result<Occupied> {
    let directory = target::directory()?;
    let mut measuring = Measuring::new(directory.as_fd(), Stillness::Still).telling(&gets_on);
    let mut all = Occupied::default();
    for path in SPARED {
        let path = KeepPath::internal(path).with_context(|| format!("name {path}"))?;
        match measuring.measure(&path) {
            Ok(measure) => all = all + Occupied::by_kept([(&path, &measure)]),
            Err(TreeError::KeepMissing { .. }) => {}
            Err(e) => return Err(e).with_context(|| format!("measure {path}")),
        }
    }
    Ok(all)
}
