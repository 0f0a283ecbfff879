//! The kept paths at the first boot, measured before local filesystems are mounted over them and
//! before any service writes to them: as the RAM environment measured them.

use std::fs;
use std::os::fd::AsFd;
use std::path::Path;

use anyhow::{Context, Result};

use formats::confirm::KeptFound;
use formats::facts::Kept;
use formats::plan::Plan;
use formats::Document;
use rustix::fs::{Mode, OFlags};

use super::documents::{read_document, read_plan};
use super::say::say;
use crate::ram::state::{self, STATE};
use crate::root::place;

/// The outcome's name, in the run's directory and in memory.
const FOUND: &str = "kept-found.json";
const IN_MEMORY: &str = "kept.json";

/// Measures every kept path, once: at later boots services have been writing to them, so that the
/// first outcome stands. It is put in the run's directory and in memory.
pub fn measure(directory: &Path) -> Result<()> {
    let plan = read_plan(directory)?;
    let path = directory.join(FOUND);
    let found = if path.exists() {
        read_document(&path)?
    } else {
        // Where it is cut off, this tells the next boot that it is too late.
        write(&plan, &KeptFound::default());
        let found = measure_all(&plan)?;
        write(&plan, &found);
        found
    };
    fs::create_dir_all(STATE).with_context(|| format!("make {STATE}"))?;
    state::write(IN_MEMORY, found.to_json().as_bytes(), 0o600)?;
    Ok(())
}

/// A disk that cannot be written to is no reason not to measure: memory has the outcome too.
fn write(plan: &Plan, found: &KeptFound) {
    let path = format!("{}/{FOUND}", plan.run_directory());
    let written = place::gate(Path::new("/"), plan)
        .and_then(|gate| gate.write(&path, found.to_json().as_bytes(), 0o600));
    if let Err(e) = written {
        say(&format!("reroot: {:#}", anyhow::Error::from(e)));
    }
}

fn measure_all(plan: &Plan) -> Result<KeptFound> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open("/", flags, Mode::empty()).context("open directory /")?;
    let kept = plan
        .keep
        .iter()
        .map(|kept| Kept {
            path: kept.path.clone(),
            found: tree::measure(root.as_fd(), &kept.path)
                .map_err(|e| format!("{:#}", anyhow::Error::from(e))),
        })
        .collect();
    Ok(KeptFound { ended: true, kept })
}

/// What the early unit found.
pub fn outcome(directory: &Path) -> Result<KeptFound> {
    read_document(&state::at(IN_MEMORY))
        .or_else(|_| read_document(&directory.join(FOUND)))
        .context("the early unit left nothing")
}
