//! What PID 1 is, and whether it may be traced: facts, read without touching it.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, Result};
use formats::facts::{InitSystem, Ptrace};

/// Which init it is.
pub fn init_system() -> Result<InitSystem> {
    // The test of sd_booted(3): the directory exists exactly where systemd is the init.
    if Path::new("/run/systemd/system").is_dir() {
        return Ok(InitSystem::Systemd);
    }
    let name = fs::read_to_string("/proc/1/comm").context("read /proc/1/comm")?;
    // Without its text it is one that is not known.
    let program = fs::read("/proc/1/exe").unwrap_or_default();
    Ok(by_text(&program, name.trim()))
}

/// What only this init's program has in its text. upstart is looked for first: it has the names of
/// sysvinit's files too.
const MARKS: [(&[u8], InitSystem); 3] = [
    (b"com.ubuntu.Upstart", InitSystem::Upstart),
    (b"/run/initctl", InitSystem::Sysvinit),
    (b"/dev/initctl", InitSystem::Sysvinit),
];

fn by_text(program: &[u8], name: &str) -> InitSystem {
    MARKS
        .iter()
        .find(|(mark, _)| program.windows(mark.len()).any(|w| w == *mark))
        .map_or_else(
            || InitSystem::Other(name.to_owned()),
            |(_, init)| init.clone(),
        )
}

/// Whether it may be traced, as far as that can be known without doing it.
pub fn ptrace() -> Ptrace {
    let scope = fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope");
    Ptrace {
        yama_scope: scope.ok().and_then(|text| text.trim().parse().ok()),
        tracer: tracer(&fs::read_to_string("/proc/1/status").unwrap_or_default()),
        other_root: other_root(),
        narrow: fs::read("/proc/1/exe").is_ok_and(|program| is_narrow(&program)),
        // The kernel asks the same questions for this as for PTRACE_ATTACH: capabilities, Yama,
        // security modules. Nothing is read.
        denied: File::open("/proc/1/mem").err().map(|e| e.to_string()),
    }
}

/// The process that traces the one with this status.
fn tracer(status: &str) -> Option<String> {
    let line = status.lines().find_map(|l| l.strip_prefix("TracerPid:"))?;
    let pid = line.trim();
    (pid != "0").then(|| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        format!("{} ({pid})", name.trim())
    })
}

/// `EI_CLASS` of a 32-bit program.
const ELFCLASS32: u8 = 1;

fn is_narrow(program: &[u8]) -> bool {
    program.starts_with(b"\x7fELF") && program.get(4) == Some(&ELFCLASS32)
}

/// The RAM environment is mounted where this program is; PID 1 must see it at the same path.
fn other_root() -> Option<String> {
    let id = |path: &str| fs::metadata(path).map(|m| (m.dev(), m.ino()));
    if let (Ok(theirs), Ok(ours)) = (id("/proc/1/root"), id("/")) {
        if theirs != ours {
            return Some("PID 1 has another root directory than this program".to_owned());
        }
    }
    let mounts = |who: &str| fs::read_link(format!("/proc/{who}/ns/mnt"));
    match (mounts("1"), mounts("self")) {
        (Ok(theirs), Ok(ours)) if theirs != ours => {
            Some("PID 1 has other mounts than this program (another mount namespace)".to_owned())
        }
        // Kernels before 3.8 do not tell; a takeover that is tried there finds out.
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inits_are_known_by_their_text() {
        for (text, expected) in [
            (
                &b"..com.ubuntu.Upstart../dev/initctl"[..],
                InitSystem::Upstart,
            ),
            (b"\0/run/initctl\0", InitSystem::Sysvinit),
            (b"\0/dev/initctl\0", InitSystem::Sysvinit),
            (b"\0/etc/inittab\0", InitSystem::Other("init".into())),
            (b"", InitSystem::Other("init".into())),
        ] {
            assert_eq!(by_text(text, "init"), expected);
        }
    }

    #[test]
    fn a_tracer_is_read_from_the_status() {
        assert_eq!(tracer("Name:\tinit\nTracerPid:\t0\n"), None);
        assert_eq!(tracer(""), None);
        let me = std::process::id();
        let found = tracer(&format!("TracerPid:\t{me}\n")).unwrap();
        assert!(found.ends_with(&format!("({me})")), "{found}");
    }

    #[test]
    fn a_32_bit_program_is_known() {
        assert!(is_narrow(b"\x7fELF\x01"));
        assert!(!is_narrow(b"\x7fELF\x02"));
        assert!(!is_narrow(b"#!/bin/sh"));
    }
}
