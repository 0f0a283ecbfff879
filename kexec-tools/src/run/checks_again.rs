//! The checks that are asked again when everything is loaded, right before services are stopped.
//! `go` leaves the operator's wishes in the run's directory; the worker reads them here.

use std::fs;
use std::path::Path;

use anyhow::{bail, Context, Result};
use formats::facts::Facts;
use formats::plan::Plan;
use formats::Document;
use plan::choices::{Choices, SshWish};

use crate::image::Image;
use crate::run_directory;
use crate::survey::checks::check::{self, Moment};
use crate::survey::finding::{self, Finding};
use crate::survey::wishes::CheckWishes;
use crate::survey::{checks, facts, own_checks};

/// Asks again. An error says what refuses; nothing was changed by it.
pub fn ask(plan: &Plan, image: &Image, directory: &Path) -> Result<()> {
    let read = |name: &str| {
        let path = directory.join(name);
        fs::read(&path).with_context(|| format!("read {}", path.display()))
    };
    let wishes = CheckWishes::from_json(&read(run_directory::CHECK_WISHES)?)
        .context("read what was asked for")?;
    let mut facts = Facts::from_json(&read(run_directory::FACTS)?).context("read the facts")?;
    facts::refresh(&mut facts).context("look at the machine again")?;
    let manifest = image.manifest().context("read the image's manifest")?;
    let mut findings = checks::ask_again(
        &check::Context {
            facts: &facts,
            manifest: &manifest,
            sizes: image.sizes().with_handed(&facts),
            choices: &Choices {
                payload_at: Some(plan.payload_at),
                entry: Some(plan.entry.entry),
                kexec_call: plan.entry.call.as_ref().map(|c| c.call),
                ram_ssh: match plan.ram_ssh.server {
                    Some(_) => SshWish::Auto,
                    None => SshWish::No,
                },
                report_to: None,
                mode: plan.mode,
            },
            forced: &wishes.forced,
        },
        Moment::Stop,
    );
    let own = own_checks::find(&wishes.checks)?;
    findings.extend(own_checks::ask_all(
        &own,
        &facts,
        own_checks::Moment::Stop,
        &wishes.forced,
    ));
    if findings.iter().any(Finding::refuses) {
        bail!(
            "the machine is not as it was when the checks agreed: {}",
            // An error is one line.
            finding::refusals(&findings)
                .lines()
                .map(str::trim)
                .collect::<Vec<_>>()
                .join("; ")
        );
    }
    log::info!("check: {} checks agree once more", findings.len());
    Ok(())
}
