//! `abort`: says what became of the run in progress, and of what earlier runs left.

use std::path::Path;

use anyhow::Result;
use formats::printable;
use plan::status;
use plan::status::Evidence;

use crate::exit::Exit;
use crate::run::abort::{self, BrokenOff, Left};
use crate::run_directory;
use crate::survey::earlier;

/// Breaks off and cleans up.
pub fn abort() -> Result<Exit> {
    let runs = earlier::evidence()?;
    if let Some(run) = runs.iter().find(|e| e.in_progress) {
        if status::begun_to_stop(run) {
            eprintln!(
                "refused: run {} is stopping services already; it enters the RAM environment, or boots \
                 the old OS again",
                printable::line(&run.run)
            );
            eprintln!("intact: everything; follow the machine's console");
            return Ok(Exit::Refused);
        }
        match abort::break_off()? {
            BrokenOff::Undone => println!(
                "run {} is broken off; the old OS goes on as it was",
                printable::line(&run.run)
            ),
            BrokenOff::GoesOn => {
                eprintln!(
                    "run {} does not break off any more; follow the console",
                    printable::line(&run.run)
                );
                eprintln!("intact: everything; the commit point is not passed");
                return Ok(Exit::NeedsAPerson);
            }
        }
    }
    Ok(clean_up(&earlier::evidence()?))
}

/// Removes what is of no use any more.
fn clean_up(runs: &[Evidence]) -> Exit {
    let mut exit = Exit::Done;
    match abort::unload(runs) {
        Some(Left::Gone) => println!("the loaded kernel is unloaded"),
        Some(_) => exit = Exit::NeedsAPerson,
        None => {}
    }
    for run in runs.iter().filter(|e| !e.leftovers.is_empty()) {
        let directory = Path::new(run_directory::BASE).join(&run.run);
        match abort::remove(run, &directory) {
            Left::Gone => println!("what run {} left is removed", printable::line(&run.run)),
            Left::Needed => println!(
                "run {} has come to its commit point: what it staged stays, for a disk may start it; the next `go` looks, \
                 and takes it away",
                printable::line(&run.run)
            ),
            Left::Stays => {
                eprintln!(
                    "what run {} left in {} cannot all be removed",
                    printable::line(&run.run),
                    directory.display()
                );
                exit = Exit::NeedsAPerson;
            }
        }
    }
    println!("nothing is in progress; `status` tells of earlier runs");
    exit
}
