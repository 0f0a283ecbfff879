//! What the comparison leaves for people, and what it takes away when nothing falls short.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use bootpath::grub::one_shot;
use formats::plan::Plan;

use super::units;
use crate::root::place;
use crate::root::place::at;
use crate::root::run_directory;

/// What is in the run's directory for the run and the comparison, and is no record of them.
pub const WORKING: [&str; 3] = ["confirm", "kept.json", "kept-found.json"];

/// What only the RAM environment needed, beside what was staged, be it after a power cut. It may go
/// when the new OS boots.
const NEEDED_BY_RUN: [&str; 3] = [
    run_directory::BEFORE,
    one_shot::SAVED[0],
    one_shot::SAVED[1],
];

/// Lines of the summary that are shown at a login.
const MOTD_LINES: usize = 12;

/// Puts the summary's first lines into the message of the day, in the way that this OS has.
pub fn write_motd(root: &Path, plan: &Plan) -> Result<()> {
    let summary = format!("{}/summary.txt", plan.record_directory());
    let script = "/etc/update-motd.d/99-reroot";
    let text = "/etc/motd.d/reroot";
    let gate = place::gate(root, plan)?;
    let has = |path: &str| {
        let directory = at(root, path);
        directory.parent().is_some_and(Path::is_dir) && !gate.is_kept(path)
    };
    let hint = |path: &str| format!("All of it: {summary}\nNo longer to show this: rm {path}");
    if has(script) {
        let hint = hint(script).replace('\n', "'\necho '");
        let body = format!(
            "#!/bin/sh\nhead -n {MOTD_LINES} '{summary}' 2>/dev/null || exit 0\necho '{hint}'\n"
        );
        gate.write(script, body.as_bytes(), 0o755)?;
    } else if has(text) {
        let all = fs::read_to_string(at(root, &summary)).context("read the summary")?;
        let head: Vec<&str> = all.lines().take(MOTD_LINES).collect();
        let body = format!("{}\n{}\n", head.join("\n"), hint(text));
        gate.write(text, body.as_bytes(), 0o644)?;
    }
    Ok(())
}

/// Removes what the run itself had on the disk. Done at every boot that compares: the new OS has
/// booted, and people miss the space while they mend what falls short.
pub fn remove_staged(root: &Path, plan: &Plan) -> Result<()> {
    run_directory::remove_copies(root, plan)?;
    remove_of_run(root, plan, &NEEDED_BY_RUN)
}

/// Removes the units and the run's directory, or what is no record in it where the records are
/// there. The program that runs goes with it; systemd forgets units without a file by itself.
pub fn remove(root: &Path, plan: &Plan) -> Result<()> {
    units::uninstall(root, plan)?;
    if plan.record_directory() == plan.run_directory() {
        remove_staged(root, plan)?;
        remove_of_run(root, plan, &WORKING)?;
    } else {
        place::gate(root, plan)?.remove_tree("/.reroot")?;
    }
    rustix::fs::sync();
    Ok(())
}

/// Removes files of the run's directory, those that are there.
fn remove_of_run(root: &Path, plan: &Plan, names: &[&str]) -> Result<()> {
    let gate = place::gate(root, plan)?;
    for name in names {
        gate.remove(&run_directory::path(plan, name))?;
    }
    Ok(())
}
