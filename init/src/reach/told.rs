//! How the run stands, as `status` tells it in every OS: out of what is in memory, so that nobody waits for a
//! disk.

use std::fs;

use anyhow::Result;
use formats::begun::{self, Begun};
use formats::facts::OsRelease;
use formats::journal::Phase;
use formats::outcomes::{self, Outcomes};
use formats::plan::Plan;
use formats::Document;
use machine::moment::now;
use machine::runs::evidence::kexec_loaded;
use machine::step_record::boot_id;
use plan::status::{judge, Evidence, InRam, Progress, Status};
use plan::status_page;

use crate::ram::{commit_point, current_step, ended, percent, standing, state};
use crate::run::order;

/// What is answered.
pub struct Told {
    status: Status,
    evidence: Evidence,
}

impl Told {
    /// Reads it.
    pub fn read() -> Result<Told> {
        let plan = order::plan()?;
        let ended = ended::read();
        let evidence = evidence(&plan, ended.as_ref());
        let run = judge(&evidence);
        let goes_on = evidence.in_progress.then(|| plan.run.clone());
        Ok(Told {
            status: Status {
                hostname: plan.hostname.clone(),
                os: OsRelease {
                    pretty_name: "reroot's RAM environment".to_owned(),
                    ..OsRelease::default()
                },
                boot_id: boot_id(),
                now: now(),
                newest: Some(plan.run),
                in_progress: goes_on,
                kexec_loaded: kexec_loaded(),
                runs: vec![run],
            },
            evidence,
        })
    }

    /// For programs.
    pub fn json(&self) -> String {
        self.status.to_json()
    }

    /// For people.
    pub fn text(&self) -> String {
        status_page::text(&self.status, std::slice::from_ref(&self.evidence))
    }
}

fn evidence(plan: &Plan, ended: Option<&ended::Ended>) -> Evidence {
    let committed = commit_point::is_passed();
    let held = ended.filter(|e| e.holds()).map(|e| e.words.clone());
    Evidence {
        run: plan.run.clone(),
        directory: plan.run_directory(),
        begun: read::<Begun>(begun::NAME),
        plan: Some(plan.clone()),
        old_os: read::<Outcomes>(outcomes::OLD_OS),
        ram: read::<Outcomes>(outcomes::RAM),
        journal: committed.then_some(Phase::Commit),
        in_progress: held.is_none(),
        boot: boot_id(),
        in_ram: Some(InRam {
            committed,
            next: held.is_some().then(standing::words).flatten(),
            held,
            progress: progress(),
        }),
        ..Evidence::default()
    }
}

fn read<T: Document>(name: &str) -> Option<T> {
    T::from_json(&fs::read(state::at(name)).ok()?).ok()
}

fn progress() -> Option<Progress> {
    let step = current_step::read()?.name;
    let percent = percent::of(&step)?;
    Some(Progress { step, percent })
}

/// Where the run is, in a few words: `wipe 43 %`.
pub fn in_a_word() -> String {
    if let Some(ended) = ended::read() {
        let mark = if ended.holds() { "HOLD: " } else { "" };
        return format!("{mark}{}", ended.words);
    }
    match (current_step::read(), progress()) {
        (_, Some(Progress { step, percent })) => format!("{step} {percent} %"),
        (Some(current), None) => current.name,
        (None, None) => "no step has begun".to_owned(),
    }
}
