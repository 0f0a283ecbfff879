//! What `check` says to a machine: the codes by which it is refused.

use anyhow::{Context, Result};

use crate::reinstall::{IMAGE_ON_MACHINE, KEEP};
use crate::vm::Machine;

/// The codes of the checks that refuse it, where `check` is asked with these arguments beside [`KEEP`]; the image is
/// on the machine.
pub fn refusals(machine: &Machine, arguments: &str) -> Result<Vec<String>> {
    let line = format!("{IMAGE_ON_MACHINE} check --json {KEEP} {arguments}");
    let answer = machine.ssh(&line)?;
    let findings: serde_json::Value = serde_json::from_str(&answer.stdout)
        .with_context(|| format!("no findings: {} {}", answer.stdout, answer.stderr))?;
    let findings = findings.as_array().context("the findings are no array")?;
    let refused = findings.iter().filter(|f| f["verdict"] == "refuse");
    let refused = refused.inspect(|f| println!("  {}: {}", f["code"], f["found"]));
    Ok(refused
        .map(|f| f["code"].as_str().unwrap_or_default().to_owned())
        .collect())
}
