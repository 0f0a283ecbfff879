//! Every crate that is linked in may be used and passed on under a permissive licence.

use std::process::Command;

use anyhow::{Context, Result};
use reroot_tests::command::stdout_of;
use serde_json::Value;

/// Permissive licences, by SPDX identifier.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

#[test]
fn every_dependency_has_an_allowed_licence() -> Result<()> {
    let text = stdout_of(
        Command::new(env!("CARGO"))
            .args(["metadata", "--format-version", "1", "--locked", "--offline"])
            .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
            .current_dir(env!("CARGO_MANIFEST_DIR")),
    )?;
    let metadata: Value = serde_json::from_str(&text).context("cargo's metadata")?;
    let packages = metadata["packages"]
        .as_array()
        .context("packages in cargo's metadata")?;
    assert!(
        packages.len() > 10,
        "cargo's metadata names {} packages",
        packages.len()
    );
    let refused: Vec<String> = packages
        .iter()
        .filter_map(|package| {
            let licence = package["license"].as_str().unwrap_or("none");
            (!is_allowed(licence)).then(|| format!("{}: {licence}", package["name"]))
        })
        .collect();
    assert!(
        refused.is_empty(),
        "licences that are not allowed: {refused:#?}"
    );
    Ok(())
}

/// Whether an SPDX expression leaves a choice of allowed licences. `OR` binds less than `AND`; the
/// older way of writing `OR`, a slash, is still found in crates.
fn is_allowed(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    alternatives(expression.trim())
}

fn alternatives(expression: &str) -> bool {
    split(expression, " OR ").into_iter().any(|alternative| {
        split(alternative, " AND ").into_iter().all(|licence| {
            let licence = licence.trim();
            match licence
                .strip_prefix('(')
                .and_then(|rest| rest.strip_suffix(')'))
            {
                Some(inner) => alternatives(inner),
                None => ALLOWED.contains(&licence),
            }
        })
    })
}

/// Splits at `separator` outside parentheses.
fn split<'a>(expression: &'a str, separator: &str) -> Vec<&'a str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, byte) in expression.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ if depth == 0
                && at >= start
                && expression.as_bytes()[at..].starts_with(separator.as_bytes()) =>
            {
                parts.push(&expression[start..at]);
                start = at + separator.len();
            }
            _ => {}
        }
    }
    parts.push(&expression[start..]);
    parts
}

#[test]
fn expressions_are_read_as_spdx_means_them() {
    for (expression, allowed) in [
        ("MIT", true),
        ("GPL-3.0-only", false),
        ("MIT OR GPL-3.0-only", true),
        ("MIT/Apache-2.0", true),
        ("MIT AND GPL-3.0-only", false),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
        ("(MIT OR Apache-2.0) AND GPL-2.0-only", false),
        ("MIT OR (GPL-2.0-only AND Zlib)", true),
        ("none", false),
    ] {
        assert_eq!(is_allowed(expression), allowed, "{expression}");
    }
}
