//! The commit point: one sector is switched, by which the firmware starts the staged image's loader.
//! Until then the old OS boots; from then on the staged image does, until the new OS's loader takes
//! its place. The first write that the old OS would not survive comes after this step.

use anyhow::{Context, Result};
use formats::journal::Phase;
use formats::plan::Plan;
use rustix::mount::{mount_remount, MountFlags};

use crate::ram::commit_point;
use crate::root::run_directory::{self, BEFORE};
use crate::root::target::{self, TARGET};
use crate::run::before::verify::VerifiedImage;
use crate::run::boot_paths::AllBeside;
use crate::run::data::{MountedRoot, Run, Start};
use crate::run::journal_file;
use crate::run::recorder::AGAIN;
use crate::run::stage_loader;

/// Proof that the commit point is passed and recorded.
pub struct CommittedRun(pub(in crate::run) Run);

impl VerifiedImage {
    /// Makes the root writable and commits; a run that is taken up has done so.
    pub fn commit(self) -> Result<CommittedRun> {
        let VerifiedImage(mut run) = self;
        let mut recorder = std::mem::take(&mut run.recorder);
        match run.start {
            Start::Fresh => recorder.once("commit", || commit(&run))?,
            Start::TakenUp => recorder.repeating("commit", AGAIN, || take_up(&run))?,
        }
        run.recorder = recorder;
        log::info!("COMMIT POINT PASSED: from here on only forwards");
        Ok(CommittedRun(run))
    }
}

fn commit(run: &Run) -> Result<()> {
    let loader = stage_loader::put_beside(run)?;
    let result = make_writable()
        .and_then(|()| leave_what_taking_up_needs(run, &loader))
        .and_then(|()| journal_file::record(&run.plan.run, Phase::Commit))
        .and_then(|()| loader.switch_others());
    if let Err(e) = result {
        give_up(run, &loader);
        return Err(e);
    }
    commit_point::mark()?;
    let Err(e) = loader.switch_in_use() else {
        return Ok(());
    };
    // One failed write is no reason to hold a machine whose old OS is whole: the disk says which it starts.
    match stage_loader::is_in_use(&run.plan, &run.root) {
        Ok(false) => {
            commit_point::unmark()?;
            give_up(run, &loader);
        }
        Ok(true) => return Ok(()),
        Err(unread) => log::warn!("{unread:#}"),
    }
    Err(e)
}

/// Back to the old OS, whose loader is in use. The journal says so if it can; where it cannot, a person is told to reboot
/// once and look.
fn give_up(run: &Run, loader: &AllBeside) {
    if let Err(e) = journal_file::take_back(&run.plan.run) {
        log::warn!("{e:#}");
    }
    if let Err(e) = make_read_only() {
        log::warn!("{e:#}");
    }
    if !loader.take_back() {
        keep_staged("a loader could not be taken back, and may be started");
    }
}

/// Whatever still starts the staged image finds it.
fn keep_staged(why: &str) {
    log::warn!("{why}: what is staged stays");
    if let Err(e) = commit_point::note_staged_is_needed() {
        log::warn!("{e:#}");
    }
}

/// Leads back to the old OS, which was not touched. A disk of its mirror that is not there may start the staged image when
/// it comes back, with the old OS in use meanwhile: the journal has to say so before anything else.
pub fn go_back(plan: &Plan, root: &MountedRoot) -> Result<()> {
    make_writable()?;
    journal_file::take_back(&plan.run)?;
    make_read_only()?;
    stage_loader::switch_back(plan, root)?;
    let members = plan.root.array.iter().flat_map(|array| &array.members);
    let absent = members.zip(&root.disks).filter(|(_, disk)| disk.is_none());
    let absent: Vec<String> = absent.map(|(member, _)| member.words()).collect();
    if !absent.is_empty() {
        let absent = absent.join(" and ");
        keep_staged(&format!(
            "{absent} is not there, and leads back here if it comes back and starts the staged image"
        ));
    }
    Ok(())
}

/// The staged image's loader is in use already, on every path, unless somebody has replaced it.
fn take_up(run: &Run) -> Result<()> {
    stage_loader::switch_remaining(run)?;
    make_writable()
}

/// Marks a start that takes the run up, and counts it: what is known already first, for a disk that
/// takes no writes hangs here. One that is full does not keep it from going on, uncounted, so that nothing resets it
/// behind that. The root stays writable.
pub fn count_start(run: &str) -> Result<()> {
    commit_point::mark()?;
    let before = journal_file::latest()?.map_or(0, |record| record.taken_up);
    commit_point::note_taken_up(before)?;
    make_writable()?;
    let times = match journal_file::take_up(run) {
        Err(e) if journal_file::is_full(&e) => {
            log::warn!("{e:#}; going on, and this start is not counted: what is wiped makes room");
            return Ok(());
        }
        result => result?,
    };
    commit_point::note_taken_up(times)?;
    commit_point::note_counted()?;
    log::info!("this is start {} of the run", times.saturating_add(1));
    Ok(())
}

fn make_read_only() -> Result<()> {
    mount_remount(TARGET, MountFlags::RDONLY, "").context("make the root filesystem read-only")
}

fn make_writable() -> Result<()> {
    mount_remount(TARGET, MountFlags::NOATIME, "").context("make the root filesystem writable")
}

/// A run that is taken up finds the kept paths' measures here: what it measured itself could
/// be what an earlier start left. The boot sectors are for going back, and for people.
fn leave_what_taking_up_needs(run: &Run, loader: &AllBeside) -> Result<()> {
    let before = serde_json::to_vec(&run.before).context("note the measures")?;
    let gate = target::gate(&run.plan)?;
    let records = [(BEFORE.to_owned(), before)].into_iter();
    for (name, bytes) in records.chain(loader.sectors_before()) {
        gate.write(&run_directory::path(&run.plan, &name), &bytes, 0o600)?;
    }
    target::sync()
}
