//! The whole survey: image and machine read, every check asked, the plan resolved.

use anyhow::{bail, Context, Result};
use formats::facts::Facts;
use formats::keep::KeepPath;
use formats::plan::Plan;
use formats::trailer::PartKind;
use plan::choices::Choices;
use plan::consent::Consent;
use plan::resolve;
use plan::resolve::Inputs;

use crate::image::{Image, Verifying};
use crate::run_directory;
use crate::survey::checks::{self, check};
use crate::survey::finding::Finding;
use crate::survey::wishes::{CheckWishes, Wishes};
use crate::survey::{brought, facts, own_checks, report_to};

/// Everything that was looked at, with what the checks and the plan make of it.
pub struct Survey {
    /// The machine.
    pub facts: Facts,
    /// What has to be known to ask the checks again.
    pub check_wishes: CheckWishes,
    /// The checks' findings, in the order of their table; the operator's own come last.
    pub findings: Vec<Finding>,
    /// The plan, if there can be one.
    pub plan: Result<Plan, resolve::NoPlan>,
    /// What is consented to by going on with it.
    pub consent: Option<Consent>,
}

impl Survey {
    /// Whether the machine may be reinstalled.
    pub fn refused(&self) -> bool {
        self.findings.iter().any(Finding::refuses) || self.plan.is_err()
    }
}

/// Reads image and machine, asks every check, and resolves the plan. `verifying` is told how far the
/// image's digests are compared, which is what takes long.
pub fn take(wishes: &Wishes, verifying: &dyn Fn(Verifying)) -> Result<Survey> {
    if !rustix::process::geteuid().is_root() {
        bail!("this needs root: it reads disks and other people's processes; run it with sudo");
    }
    let check_wishes = CheckWishes {
        forced: wishes.forced.clone(),
        checks: wishes
            .check_directories
            .iter()
            .map(|d| {
                d.canonicalize()
                    .with_context(|| format!("--checks {}", d.display()))
            })
            .collect::<Result<_>>()?,
    };
    let own = own_checks::find(&check_wishes.checks)?;
    let unknown = wishes
        .forced
        .iter()
        .find(|code| !checks::may_be_forced(code) && !own.iter().any(|o| o.code == **code));
    if let Some(code) = unknown {
        bail!("--force {code}: there is no check with this code that may be forced");
    }
    let choices = Choices {
        report_to: wishes.report_to.as_ref().map(report_to::find).transpose()?,
        ..wishes.choices.clone()
    };
    let image = Image::open_running()?;
    image.verify(verifying)?;
    let manifest = image.manifest().context("read the image's manifest")?;
    let mut keep: Vec<KeepPath> = manifest.keep.clone();
    keep.extend(wishes.keep.iter().cloned());
    keep.retain(|path| !wishes.no_keep.contains(path));
    keep.sort();
    keep.dedup();
    let mut wished = wishes.carry.clone();
    for file in &wishes.carry_from {
        wished.extend(brought::carry_list(file)?);
    }
    wished.sort();
    wished.dedup();
    let overlay = wishes
        .overlay
        .as_deref()
        .map(brought::overlay)
        .transpose()?;
    let mut new = manifest.identity.clone();
    new.carry.extend(wished.iter().cloned());
    let mut facts = facts::gather(
        &keep,
        &wishes.mounts,
        &new,
        overlay.map(|(overlay, _)| overlay),
    )?;
    facts.identity.wished = wished;
    let overlay = facts.overlay.iter().flat_map(|overlay| &overlay.files);
    facts.identity.overlaid = overlay.cloned().collect();
    let sizes = image.sizes().with_handed(&facts);
    let mut findings = checks::ask_all(&check::Context {
        facts: &facts,
        manifest: &manifest,
        sizes,
        choices: &choices,
        forced: &wishes.forced,
    });
    findings.extend(own_checks::ask_all(
        &own,
        &facts,
        own_checks::Moment::Check,
        &wishes.forced,
    ));
    let plan = resolve::resolve(
        &facts,
        &Inputs {
            manifest: &manifest,
            manifest_digest: image.part(PartKind::Manifest).digest,
            sizes,
            choices: &choices,
            run: match &wishes.run {
                Some(run) => run.to_string(),
                None => run_directory::new_id()?,
            },
        },
    );
    let consent = plan.as_ref().ok();
    let consent = consent.map(|plan| Consent::of(plan, image.digest(), &wishes.forced));
    Ok(Survey {
        facts,
        check_wishes,
        findings,
        plan,
        consent,
    })
}
