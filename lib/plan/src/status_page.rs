//! `status` as people read it: plain text, meaning without colour. Pure.

use formats::figures::size;
use formats::printable::Page;

use crate::status::{Evidence, RunStatus, Status};

/// How many differences of a rehearsal are shown; the report has them all.
const DIFFERENCES: usize = 12;

/// All runs.
pub fn text(status: &Status, evidence: &[Evidence]) -> String {
    let mut t = Page::default();
    if status.runs.is_empty() {
        writeln!(t, "No run has left anything on this machine.");
    }
    for (run, evidence) in status.runs.iter().zip(evidence) {
        one(&mut t, run, evidence);
    }
    if status.kexec_loaded {
        writeln!(
            t,
            "A kernel is loaded for kexec: the next reboot may enter it."
        );
    }
    t.into_text()
}

fn one(t: &mut Page, run: &RunStatus, evidence: &Evidence) {
    writeln!(t, "Run {}", run.run);
    let mut line = |name: &str, text: &str| {
        writeln!(t, "  {name:14} {text}");
    };
    let what = match (run.mode, &run.from, &run.to) {
        (Some(mode), Some(from), Some(to)) => format!("{}: {from} to {to}", mode.command()),
        _ => "its plan cannot be read".to_owned(),
    };
    line("what", &what);
    line("state", run.state.words());
    if let Some(reached) = &run.reached {
        line(
            "reached",
            &format!(
                "{} in the {} ({})",
                reached.step,
                reached.place.words(),
                reached.result.name()
            ),
        );
    }
    if let Some(progress) = &run.progress {
        line(
            "progress",
            &format!("{} {} %", progress.step, progress.percent),
        );
    }
    if let Some(phase) = run.journal {
        line("journal", phase.name());
    }
    if let Some(failure) = &run.first_failure {
        line("failed", &format!("{}: {}", failure.step, failure.error));
    }
    for failure in &run.later_failures {
        line("and then", &format!("{}: {}", failure.step, failure.error));
    }
    if let Some(rehearsal) = &evidence.rehearsal {
        for d in rehearsal.differences.iter().take(DIFFERENCES) {
            let name = if d.expected { "differs" } else { "UNEXPECTED" };
            line(name, &format!("{}: {}, planned {}", d.at, d.now, d.planned));
        }
        if rehearsal.differences.len() > DIFFERENCES {
            let more = rehearsal.differences.len() - DIFFERENCES;
            line("", &format!("and {more} more in rehearsal.json"));
        }
        rehearsal.notes.iter().for_each(|note| line("note", note));
    }
    if let Some(confirm) = evidence.report.as_ref().and_then(|r| r.confirm.as_ref()) {
        let words = if confirm.passed {
            "the first boot is as planned"
        } else {
            "the first boot falls short of the plan"
        };
        line("confirmed", words);
    }
    line("intact", &run.intact);
    line("next", &run.next);
    for left in &run.leftovers {
        line(
            "left over",
            &format!("{} ({})", left.path, size(left.bytes)),
        );
    }
    line("directory", &run.directory);
}
