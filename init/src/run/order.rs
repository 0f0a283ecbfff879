//! What the launcher handed over, read and compared with each other.

use anyhow::{Context, Result};
use formats::plan::Plan;
use formats::{Digest, Document, Manifest};

use crate::ram::parts;

/// What a run is to do.
#[derive(Clone)]
pub struct Order {
    /// What to do.
    pub plan: Plan,
    /// With which image.
    pub manifest: Manifest,
}

impl Order {
    /// Reads plan and manifest; the plan must be for this very manifest.
    pub fn read() -> Result<Order> {
        let plan = plan()?;
        let bytes = parts::read("manifest.json")?;
        let manifest = Manifest::from_json(&bytes).context("read the manifest")?;
        let found = Digest::of(&bytes);
        anyhow::ensure!(
            found == plan.manifest_digest,
            "the plan is for the image with manifest {}, this one has {found}",
            plan.manifest_digest
        );
        Ok(Order { plan, manifest })
    }
}

/// The plan alone.
pub fn plan() -> Result<Plan> {
    Plan::from_json(&parts::read("plan.json")?).context("read the plan")
}
