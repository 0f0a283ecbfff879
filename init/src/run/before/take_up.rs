//! Whether this start is a run's first, or takes up one that lost its power behind the commit point.
//!
//! The boot path in use decides: it is switched to the staged image's loader in one sector, behind
//! the journal's first record and before the first write that the old OS would not survive.

use anyhow::{bail, Context, Result};
use formats::journal::{Phase, Record};
use formats::plan::Plan;

use crate::ram::commit_point;
use crate::run::data::{MountedRoot, Start};
use crate::run::{journal_file, stage_loader};

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The run, as its start says.
    Begin(Start),
    /// The last switch, on every path that does not start the new OS yet: everything of it is on the disk.
    Switch,
    /// Back to the old OS, of which nothing was touched: the path that decides was never switched, and another one,
    /// which was, has started this; or a start before this one has gone back.
    Back,
    /// Nothing: the new OS's boot loader is in place.
    Nothing,
}

/// Which boot loader the path in use starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoaderInUse {
    /// That of the staged image, which leads to what is staged for this run.
    Staged,
    /// The old OS's or the new one's.
    Other,
}

/// Looks at the journal and the boot path in use.
pub fn look(plan: &Plan, root: &MountedRoot) -> Result<Next> {
    let record = journal_file::latest().context("read the journal")?;
    // Only a run that has passed its commit, or nearly, has a loader that could be in use.
    let is_of_this_run = record.as_ref().is_some_and(|r| r.run == plan.run);
    let in_use = if is_of_this_run {
        loader_in_use(plan, root)?
    } else {
        LoaderInUse::Other
    };
    let ordered = commit_point::ordered_run()?;
    let mirrored = plan.root.array.is_some();
    let next = decide(
        record.as_ref(),
        &plan.run,
        in_use,
        ordered.as_deref(),
        mirrored,
    )?;
    match (next, &record) {
        (Next::Begin(Start::TakenUp), Some(record)) => log::warn!(
            "the run was broken off in phase {}; it is taken up from the wipe on",
            record.phase.name()
        ),
        (Next::Switch, _) => log::warn!(
            "the run was broken off behind its last phase: the new OS is whole, and is now what the \
             firmware starts"
        ),
        _ => {}
    }
    Ok(next)
}

/// Which loader the machine would start.
pub fn loader_in_use(plan: &Plan, root: &MountedRoot) -> Result<LoaderInUse> {
    Ok(if stage_loader::is_in_use(plan, root)? {
        LoaderInUse::Staged
    } else {
        LoaderInUse::Other
    })
}

fn decide(
    record: Option<&Record>,
    run: &str,
    in_use: LoaderInUse,
    ordered: Option<&str>,
    mirrored: bool,
) -> Result<Next> {
    let record_of_run = record.filter(|r| r.run == run);
    if ordered == Some(run) && record_of_run.is_some_and(|r| r.taken_back) {
        return Ok(Next::Back);
    }
    let phase = record_of_run.map(|r| r.phase);
    let next = match (phase, in_use) {
        // The old OS may have run since, by the mirror's first disk.
        (Some(Phase::Commit), LoaderInUse::Other) if mirrored && ordered == Some(run) => Next::Back,
        // A power cut between the journal and the record: nothing of the old OS was touched.
        (None, _) | (Some(Phase::Commit), LoaderInUse::Other) => Next::Begin(Start::Fresh),
        // The loader is switched to the new OS's behind everything else.
        (Some(Phase::Done), LoaderInUse::Other) if ordered.is_none() => Next::Nothing,
        // Where another path had been switched the new OS may have run since, with data in it that nobody
        // would miss in the wipe; and a path that starts the staged image still, although the one in use does
        // not, is switched as well.
        (Some(Phase::Done), _) => Next::Switch,
        (Some(_), _) => Next::Begin(Start::TakenUp),
    };
    match ordered {
        // The disk says otherwise than the loader that it was read by. Whether the old OS is there
        // still cannot be told, so a person has to look.
        Some(ordered) if next == Next::Begin(Start::Fresh) || ordered != run => bail!(
            "the boot loader started this run as {ordered}, behind its commit point; the journal has {:?}, the plan is of {run}",
            record.map(|r| (r.run.as_str(), r.phase))
        ),
        _ => Ok(next),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use LoaderInUse::{Other, Staged};

    /// Days may lie between: the old OS was started by the path that decides, or by the mirror's disk that has it.
    #[test]
    fn a_path_that_was_switched_before_the_commit_point_leads_back_to_the_old_os() {
        let commit = record("r", Phase::Commit);
        assert_eq!(
            decide(Some(&commit), "r", Other, Some("r"), true).unwrap(),
            Next::Back
        );
        // Behind the commit point a disk that is gone, and would decide, keeps nobody from going on.
        let wipe = record("r", Phase::Wipe);
        assert_eq!(
            decide(Some(&wipe), "r", Other, Some("r"), true).unwrap(),
            TAKEN_UP
        );
    }

    const FRESH: Next = Next::Begin(Start::Fresh);
    const TAKEN_UP: Next = Next::Begin(Start::TakenUp);

    fn record(run: &str, phase: Phase) -> Record {
        Record {
            sequence: 7,
            phase,
            run: run.to_owned(),
            taken_up: 0,
            taken_back: false,
        }
    }

    /// The disk that decides was away when another one led back to the old OS, which was in use since.
    #[test]
    fn a_commit_that_was_taken_back_is_never_taken_up() {
        let mut commit = record("r", Phase::Commit);
        commit.taken_back = true;
        for in_use in [Staged, Other] {
            let next = decide(Some(&commit), "r", in_use, Some("r"), true);
            assert_eq!(next.unwrap(), Next::Back);
        }
        // The next run's own records count for that alone.
        assert_eq!(
            decide(Some(&commit), "s", Other, None, true).unwrap(),
            FRESH
        );
    }

    #[test]
    fn the_record_and_the_journal_decide_together() {
        for (phase, in_use, expected) in [
            (Phase::Commit, Other, FRESH),
            (Phase::Commit, Staged, TAKEN_UP),
            (Phase::Wipe, Staged, TAKEN_UP),
            (Phase::Wipe, Other, TAKEN_UP),
            (Phase::Unpack, Staged, TAKEN_UP),
            (Phase::Loader, Staged, TAKEN_UP),
            (Phase::Done, Staged, Next::Switch),
            (Phase::Done, Other, Next::Nothing),
        ] {
            let found = decide(Some(&record("r", phase)), "r", in_use, None, false).unwrap();
            assert_eq!(found, expected, "{phase:?} {in_use:?}");
            let of_another = decide(Some(&record("q", phase)), "r", in_use, None, false).unwrap();
            assert_eq!(of_another, FRESH, "another run's {phase:?}");
        }
        assert_eq!(decide(None, "r", Other, None, false).unwrap(), FRESH);
    }

    #[test]
    fn a_loader_that_says_otherwise_than_the_journal_is_not_believed() {
        assert!(decide(None, "r", Staged, Some("r"), false).is_err());
        let commit = record("r", Phase::Commit);
        assert!(decide(Some(&commit), "r", Other, Some("r"), false).is_err());
        assert!(decide(Some(&commit), "r", Staged, Some("q"), false).is_err());
        assert_eq!(
            decide(Some(&commit), "r", Staged, Some("r"), false).unwrap(),
            TAKEN_UP
        );
        let done = record("r", Phase::Done);
        let of_another = decide(
            Some(&record("q", Phase::Wipe)),
            "r",
            Other,
            Some("r"),
            false,
        );
        assert!(of_another.is_err());
        let by_another_path = decide(Some(&done), "r", Other, Some("r"), false).unwrap();
        assert_eq!(by_another_path, Next::Switch);
    }
}
