//! Whether this start is a run's first, or takes up one that lost its power behind the commit point.
//!
//! The master boot record decides: it is switched to the staged image's loader in one sector, behind
//! the journal's first record and before the first write that the old OS would not survive.

use anyhow::{bail, Context, Result};
use machine::grub::embed;
use manifest::journal::{Phase, Record};
use manifest::plan::Plan;

use crate::ram::commit_point;
use crate::run::before::find::MountedRoot;
use crate::run::boot_sectors::{self, Disk};
use crate::run::journal_file;
use crate::run::worker::Run;

/// How this start continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// From the beginning: the old OS is as it was.
    Fresh,
    /// With the wipe: the commit point is passed.
    Resumed,
    /// Not at all: the new OS's boot loader is in place.
    Finished,
}

/// Which boot loader the master boot record starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoaderInUse {
    /// That of the staged image.
    Staged,
    /// The old OS's or the new one's.
    Other,
}

/// Looks at the journal and the master boot record.
pub fn look(plan: &Plan, root: &MountedRoot) -> Result<Start> {
    let record = journal_file::latest().context("read the journal")?;
    let in_use = loader_in_use(plan, root)?;
    let ordered = commit_point::ordered_run()?;
    let start = decide(record.as_ref(), &plan.run, in_use, ordered.as_deref())?;
    if let (Start::Resumed, Some(record)) = (start, &record) {
        log::warn!(
            "the run was broken off in phase {}; it is taken up from the wipe on",
            record.phase.name()
        );
    }
    Ok(start)
}

fn loader_in_use(plan: &Plan, root: &MountedRoot) -> Result<LoaderInUse> {
    let gap = Disk::open(root)?.gap()?;
    let core = boot_sectors::stage_core(&plan.root)?;
    Ok(if embed::is_in_use(&gap, &core) {
        LoaderInUse::Staged
    } else {
        LoaderInUse::Other
    })
}

/// Whether a power cut would take the run up again.
pub fn is_stage_loader_in_use(run: &Run) -> Result<bool> {
    Ok(loader_in_use(&run.plan, &run.root)? == LoaderInUse::Staged)
}

fn decide(
    record: Option<&Record>,
    run: &str,
    in_use: LoaderInUse,
    ordered: Option<&str>,
) -> Result<Start> {
    let phase = record.filter(|r| r.run == run).map(|r| r.phase);
    let start = match (phase, in_use) {
        // A power cut between the journal and the record: nothing of the old OS was touched.
        (None, _) | (Some(Phase::Commit), LoaderInUse::Other) => Start::Fresh,
        // The loader is switched to the new OS's behind everything else.
        (Some(Phase::Done), LoaderInUse::Other) => Start::Finished,
        (Some(_), _) => Start::Resumed,
    };
    match ordered {
        // The disk says otherwise than the loader that it was read by. Whether the old OS is there
        // still cannot be told, so a person has to look.
        Some(ordered) if start == Start::Fresh || ordered != run => bail!(
            "the boot loader started this run as {ordered}, behind its commit point; the journal has {:?}, the plan is of {run}",
            record.map(|r| (r.run.as_str(), r.phase))
        ),
        _ => Ok(start),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use LoaderInUse::{Other, Staged};

    fn record(run: &str, phase: Phase) -> Record {
        Record {
            sequence: 7,
            phase,
            run: run.to_owned(),
            taken_up: 0,
        }
    }

    #[test]
    fn the_record_and_the_journal_decide_together() {
        for (phase, in_use, expected) in [
            (Phase::Commit, Other, Start::Fresh),
            (Phase::Commit, Staged, Start::Resumed),
            (Phase::Wipe, Staged, Start::Resumed),
            (Phase::Wipe, Other, Start::Resumed),
            (Phase::Unpack, Staged, Start::Resumed),
            (Phase::Loader, Staged, Start::Resumed),
            (Phase::Done, Staged, Start::Resumed),
            (Phase::Done, Other, Start::Finished),
        ] {
            let found = decide(Some(&record("r", phase)), "r", in_use, None).unwrap();
            assert_eq!(found, expected, "{phase:?} {in_use:?}");
            let of_another = decide(Some(&record("q", phase)), "r", in_use, None).unwrap();
            assert_eq!(of_another, Start::Fresh, "another run's {phase:?}");
        }
        assert_eq!(decide(None, "r", Other, None).unwrap(), Start::Fresh);
    }

    #[test]
    fn a_loader_that_says_otherwise_than_the_journal_is_not_believed() {
        assert!(decide(None, "r", Staged, Some("r")).is_err());
        let commit = record("r", Phase::Commit);
        assert!(decide(Some(&commit), "r", Other, Some("r")).is_err());
        assert!(decide(Some(&commit), "r", Staged, Some("q")).is_err());
        assert_eq!(
            decide(Some(&commit), "r", Staged, Some("r")).unwrap(),
            Start::Resumed
        );
    }
}
