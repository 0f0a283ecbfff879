//! UEFI for a virtual machine: OVMF, and its variables in a file that outlives a power cut.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::old_server::Firmware;

/// The files of a firmware.
struct Files {
    /// Its code, for all machines the same.
    code: &'static str,
    /// Its variables before the first start.
    variables: &'static str,
    /// What it wants of the machine besides. Of two options with one name QEMU takes the second.
    besides: &'static [&'static str],
}

const PLAIN: Files = Files {
    code: "/usr/share/OVMF/OVMF_CODE_4M.fd",
    variables: "/usr/share/OVMF/OVMF_VARS_4M.fd",
    besides: &[],
};

/// With Microsoft's keys, by which shim is signed. Its variables are written in a mode of the processor that an OS has
/// no part in; only this chipset has that.
const SECURE: Files = Files {
    code: "/usr/share/OVMF/OVMF_CODE_4M.ms.fd",
    variables: "/usr/share/OVMF/OVMF_VARS_4M.ms.fd",
    besides: &[
        "-machine",
        "q35,smm=on",
        "-global",
        "driver=cfi.pflash01,property=secure,value=on",
    ],
};

/// QEMU's options for a machine with its files in this directory; none where a BIOS starts it.
pub(crate) fn options(firmware: Firmware, directory: &Path) -> Result<Vec<String>> {
    let Files {
        code,
        variables: blank,
        besides,
    } = match firmware {
        Firmware::Bios => return Ok(Vec::new()),
        Firmware::Uefi => PLAIN,
        Firmware::UefiSecure => SECURE,
    };
    let variables = directory.join("variables.fd");
    if !variables.exists() {
        fs::copy(blank, &variables).with_context(|| {
            format!("copy {blank}: install the package ovmf (scripts/packages.txt)")
        })?;
    }
    let drives = [
        format!("if=pflash,unit=0,format=raw,readonly=on,file={code}"),
        format!("if=pflash,unit=1,format=raw,file={}", variables.display()),
    ];
    let drives = drives
        .into_iter()
        .flat_map(|drive| ["-drive".to_owned(), drive]);
    let besides = besides.iter().map(ToString::to_string);
    Ok(drives.chain(besides).collect())
}
