//! How a run that failed behind the commit point stands on the disk, and what a reset and a further
//! attempt would do: read once, in the words of [`next`], and left for whoever holds the machine.
//!
//! Only reads. What cannot be read is told as that, never guessed.

use anyhow::{Context, Result};
use formats::journal::Phase;
use formats::plan::Plan;
use storage::root;

use crate::ram::standing;
use crate::run::before::take_up::{self, LoaderInUse};
use crate::run::data::MountedRoot;
use crate::run::{journal_file, order};

/// How the run stands.
#[derive(Clone, Copy, Debug)]
struct Standing {
    /// The journal's last phase, if it is of this run.
    phase: Option<Phase>,
    /// What the firmware starts.
    starts: LoaderInUse,
}

/// Leaves the words. A disk that cannot be asked is no failure of its own.
pub fn leave() {
    let words = match read() {
        Ok(standing) => next(standing).to_owned(),
        Err(e) => format!("{UNKNOWN} ({e:#})"),
    };
    standing::leave(&words);
}

fn read() -> Result<Standing> {
    let plan: Plan = order::plan()?;
    let found = root::find(&plan.root).context("find the root filesystem")?;
    let found = found.context("the disk with the root filesystem is not there")?;
    let root = MountedRoot::from(found);
    let record = journal_file::latest()?;
    Ok(Standing {
        phase: record.filter(|r| r.run == plan.run).map(|r| r.phase),
        starts: take_up::loader_in_use(&plan, &root)?,
    })
}

const UNKNOWN: &str = "what a reset would start cannot be told, since the disk does not say; \
    `/init run` looks for it once more";

/// What can be done, in every state of the journal and the boot path in use.
fn next(standing: Standing) -> &'static str {
    let Standing { phase, starts } = standing;
    let begun = !matches!(phase, None | Some(Phase::Commit));
    match starts {
        LoaderInUse::Staged => {
            "`/init run` tries again; `reboot -f` does the same from the staged image. \
             Once an attempt has succeeded, `reboot -f` boots the new OS"
        }
        LoaderInUse::Other if phase == Some(Phase::Done) => {
            "the new OS and its boot loader are in place: `reboot -f` boots it"
        }
        LoaderInUse::Other if begun => {
            "DO NOT REBOOT: what the firmware starts is neither the staged image nor a whole OS. \
             `/init run` makes the staged image what boots, and goes on"
        }
        LoaderInUse::Other => {
            "nothing of the old OS was removed, and the boot path in use starts it: `reboot -f` boots it, \
             `/init run` tries again"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use LoaderInUse::{Other, Staged};

    #[test]
    fn every_state_has_words_that_are_true_of_it() {
        let cases = [
            (Some(Phase::Commit), Staged, "from the staged image"),
            (Some(Phase::Wipe), Staged, "from the staged image"),
            (Some(Phase::Done), Staged, "from the staged image"),
            (Some(Phase::Wipe), Other, "DO NOT REBOOT"),
            (Some(Phase::Unpack), Other, "DO NOT REBOOT"),
            (Some(Phase::Loader), Other, "DO NOT REBOOT"),
            (Some(Phase::Done), Other, "boots it"),
            (
                Some(Phase::Commit),
                Other,
                "nothing of the old OS was removed",
            ),
            (None, Other, "nothing of the old OS was removed"),
        ];
        for (phase, starts, part) in cases {
            let words = next(Standing { phase, starts });
            assert!(words.contains(part), "{phase:?} {starts:?}: {words}");
        }
    }
}
