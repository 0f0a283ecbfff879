//! UEFI for a virtual machine: OVMF, and its variables in a file that outlives a power cut.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// The firmware's code, for all machines the same.
const CODE: &str = "/usr/share/OVMF/OVMF_CODE_4M.fd";
/// Its variables before the first start.
const VARIABLES: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";

/// QEMU's options for a machine with its files in this directory.
pub(crate) fn options(directory: &Path) -> Result<Vec<String>> {
    let variables = directory.join("variables.fd");
    if !variables.exists() {
        fs::copy(VARIABLES, &variables).with_context(|| {
            format!("copy {VARIABLES}: install the package ovmf (scripts/packages.txt)")
        })?;
    }
    Ok([
        "-drive".to_owned(),
        format!("if=pflash,unit=0,format=raw,readonly=on,file={CODE}"),
        "-drive".to_owned(),
        format!("if=pflash,unit=1,format=raw,file={}", variables.display()),
    ]
    .into())
}
