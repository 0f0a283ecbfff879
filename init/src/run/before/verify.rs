//! The last look before the commit point: every byte of the payload, memory, space, and every
//! kept path, measured. Only reads.

use std::fs::File;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;

use anyhow::{bail, ensure, Context, Result};
use formats::measure::Measure;
use formats::payload::{Frame, Payload};
use formats::plan::Plan;
use formats::staged;
use formats::Manifest;
use tree::Source;

use crate::ram::parts;
use crate::root::run_directory;
use crate::root::target;
use crate::run::before::checks::{self, Subject};
use crate::run::data::{MountedRoot, Run, Start};
use crate::run::order::Order;
use crate::run::progress::Progress;
use crate::run::recorder::Recorder;
use crate::run::{kept, stage_loader};

/// Proof that the image is whole and fits, and that every kept path is there.
pub struct VerifiedImage(pub(in crate::run) Run);

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
    let keep = kept::keep_set(&plan)?;
    let directory = target::directory()?;
    checks::ensure_plain_mount(&root)?;
    tree::validate_keep(directory.as_fd(), &keep).context("check the kept paths")?;
    let before = baseline(&plan, start)?;
    checks::check_all(&Subject {
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

/// Every kept path as it was before anything was changed. A run that is taken up behind the
/// commit point is compared with the first look, not with what an earlier attempt left.
fn baseline(plan: &Plan, start: Start) -> Result<Vec<Measure>> {
    if start == Start::Fresh {
        return kept::measure(plan);
    }
    let path = run_directory::at(plan, run_directory::BEFORE);
    let what = || format!("read {}", path.display());
    serde_json::from_slice(&std::fs::read(&path).with_context(what)?).with_context(what)
}

/// The payload in memory where it is there, else the staged one: a run that is taken up has
/// only that.
fn open_payload(plan: &Plan, manifest: &Manifest) -> Result<Source> {
    let in_memory = parts::at("payload");
    let path = if in_memory.exists() {
        in_memory
    } else {
        run_directory::at(plan, staged::PAYLOAD)
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
    if parts::at("payload").exists() {
        let path = run_directory::at(plan, staged::PAYLOAD);
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
