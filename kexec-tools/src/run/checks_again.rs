//! The checks that are asked again when everything is loaded, right before services are stopped.
//! `go` leaves what the operator asked for in the run's directory; the worker takes it up here.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{bail, Context, Result};
use manifest::facts::Facts;
use manifest::plan::Plan;
use manifest::resolve::Choices;
use manifest::Document;
use serde::{Deserialize, Serialize};

use crate::image::Image;
use crate::survey::checks::{self, Finding, Moment};
use crate::survey::{facts, own_checks};
use crate::talk::plan as show;

/// What has to be known to ask again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Codes that the operator forces.
    pub forced: Vec<String>,
    /// Directories of own checks that the operator named.
    pub checks: Vec<PathBuf>,
}

impl Document for Asked {
    const KIND: &'static str = "reroot-asked";
    const VERSION: u32 = 1;
}

/// Its file in the run's directory.
pub const NAME: &str = "asked.json";

/// Asks again. An error says what refuses; nothing was changed by it.
pub fn ask(plan: &Plan, image: &Image, directory: &Path) -> Result<()> {
    let read = |name: &str| {
        let path = directory.join(name);
        fs::read(&path).with_context(|| format!("read {}", path.display()))
    };
    let asked = Asked::from_json(&read(NAME)?).context("read what was asked for")?;
    let mut facts = Facts::from_json(&read("facts.json")?).context("read the facts")?;
    facts::refresh(&mut facts).context("look at the machine again")?;
    let manifest = image.manifest().context("read the image's manifest")?;
    let mut findings = checks::run_again(
        &checks::Context {
            facts: &facts,
            manifest: &manifest,
            sizes: image.sizes(),
            choices: &Choices {
                payload_at: Some(plan.payload_at),
                entry: Some(plan.entry.entry),
                kexec_call: plan.entry.call.as_ref().map(|c| c.call),
                mode: plan.mode,
            },
            forced: &asked.forced,
        },
        Moment::Stop,
    );
    let own = own_checks::find(&asked.checks)?;
    findings.extend(own_checks::run(
        &own,
        &facts,
        own_checks::Moment::Stop,
        &asked.forced,
    ));
    if findings.iter().any(Finding::refuses) {
        bail!(
            "the machine is not as it was when the checks agreed\n{}",
            show::refusals(&findings).trim_end()
        );
    }
    log::info!("check: {} checks agree once more", findings.len());
    Ok(())
}
