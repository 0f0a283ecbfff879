//! The last look before the commit point: every byte of the payload, memory, space, and every
//! kept path, measured. Only reads.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;

use anyhow::{bail, ensure, Context, Result};
use formats::measure::Measure;
use formats::payload::{Frame, Payload};
use formats::plan::Plan;
use formats::staged;
use formats::{Digest, Manifest};
use tree::Source;

use crate::root::run_directory;
use crate::root::target;
use crate::run::before::checks::{self, Subject};
use crate::run::data::{MountedRoot, Run, Start, System};
use crate::run::order::Order;
use crate::run::payload::{self, PayloadIn};
use crate::run::progress::Progress;
use crate::run::recorder::Recorder;
use crate::run::{kept, stage_loader, systems};

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
pub fn verify(
    order: Order,
    root: MountedRoot,
    systems: Vec<System>,
    start: Start,
) -> Result<VerifiedImage> {
    let Order { plan, manifest } = order;
    manifest
        .payload
        .validate()
        .context("check the payload's table of frames")?;
    let payload_in = PayloadIn::of_this_start();
    let payload = payload::open(&plan, &manifest, payload_in)?;
    verify_frames(&payload, &manifest.payload, payload_in)?;
    if start == Start::Fresh {
        verify_staged(&plan, &manifest, &root)?;
    }
    let keep = kept::keep_set(&plan)?;
    systems::ensure_mounted(&root, &systems)?;
    tree::validate_keep(target::tops(&plan)?.roots(), &keep).context("check the kept paths")?;
    let before = baseline(&plan, start)?;
    checks::check_all(&Subject {
        plan: &plan,
        manifest: &manifest,
        root: &root,
        systems: &systems,
        start,
        keep: &keep,
        kept: &before,
    })?;
    Ok(VerifiedImage(Run {
        plan,
        manifest,
        root,
        systems,
        start,
        payload,
        payload_in,
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

/// What a run that loses its power is taken up from: kernel, initramfs and payload on the disk.
fn verify_staged(plan: &Plan, manifest: &Manifest, root: &MountedRoot) -> Result<()> {
    let staged = stage_loader::verify(plan, root)?;
    verify_order(Path::new("/"), &staged.order)?;
    if payload::in_memory().exists() {
        let path = run_directory::at(plan, staged::PAYLOAD);
        let file = File::open(&path).with_context(|| format!("open {}", path.display()))?;
        verify_frames(&Source::new(file, 0), &manifest.payload, PayloadIn::Disk)
            .with_context(|| format!("check {}", path.display()))?;
    }
    Ok(())
}

/// What the run was told came through memory alone, and accounts and carried files are used behind
/// the commit point: each is compared with the digest that the launcher left on the disk.
fn verify_order(environment: &Path, order: &BTreeMap<String, Digest>) -> Result<()> {
    for (name, expected) in order {
        let path = environment.join(name);
        let bytes = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        let found = Digest::of(&bytes);
        ensure!(
            found == *expected,
            "{} is damaged: it has digest {found}, expected {expected}; {}",
            path.display(),
            PayloadIn::Memory.damage()
        );
    }
    Ok(())
}

/// Compares the digest of every frame, on all processors.
fn verify_frames(payload: &Source, table: &Payload, at: PayloadIn) -> Result<()> {
    let progress = Progress::new("verify", table.length());
    let next = AtomicUsize::new(0);
    let failure = Mutex::new(None);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut buffer = Vec::new();
                while let Some(frame) = table.frames.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(e) = verify_frame(payload, frame, at, &mut buffer) {
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

fn verify_frame(
    payload: &Source,
    frame: &Frame,
    at: PayloadIn,
    buffer: &mut Vec<u8>,
) -> Result<()> {
    let found = payload
        .digest(frame, buffer)
        .with_context(|| format!("read the payload's frame at {}", frame.offset))?;
    if found != frame.digest {
        bail!(
            "the payload is damaged: its frame at {} has digest {found}, expected {}; {}",
            frame.offset,
            frame.digest,
            at.damage()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_in_memory_is_found_and_the_advice_is_true() {
        let environment = tempfile::tempdir().unwrap();
        std::fs::create_dir(environment.path().join("reroot")).unwrap();
        let shadow = environment.path().join("reroot/shadow");
        std::fs::write(&shadow, "ann:$6$x:1::::::\n").unwrap();
        let digest = Digest::of(&std::fs::read(&shadow).unwrap());
        let order = BTreeMap::from([("reroot/shadow".to_owned(), digest)]);
        verify_order(environment.path(), &order).unwrap();
        // As a ring's index leaves it.
        let mut bytes = std::fs::read(&shadow).unwrap();
        bytes[5] ^= 0x40;
        std::fs::write(&shadow, &bytes).unwrap();
        let error = verify_order(environment.path(), &order)
            .unwrap_err()
            .to_string();
        assert!(error.contains("reroot/shadow is damaged"), "{error}");
        assert!(error.contains("--entry boot"), "{error}");

        let frame = Frame {
            offset: 0,
            length: bytes.len() as u64,
            unpacked: 0,
            entries: 0,
            digest: Digest::of(b"something else"),
        };
        for (at, advice) in [
            (PayloadIn::Memory, "written to this machine's memory"),
            (PayloadIn::Disk, "the disk's health"),
        ] {
            let source = Source::new(File::open(&shadow).unwrap(), 0);
            let error = verify_frame(&source, &frame, at, &mut Vec::new()).unwrap_err();
            let text = error.to_string();
            assert!(text.contains(advice), "{text}");
            assert!(!text.contains("copy the image again"), "{text}");
        }
    }
}
