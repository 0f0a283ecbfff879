//! sysvinit: the scripts that the run level for maintenance stops, `K` in rc1.d, in their order, as
//! /etc/init.d/rc runs them.
//!
//! The level itself is not changed: on its way init would end every process, this one among them.
//! Scripts of that level that start something (`S`) are not run; the first of them ends everybody.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::program;

/// Where distributions have it.
const DIRECTORIES: [&str; 2] = ["/etc/rc1.d", "/etc/rc.d/rc1.d"];

/// What `rc` tells its scripts, beside the path that init has.
const ENVIRONMENT: [(&str, &str); 4] = [
    ("RUNLEVEL", "1"),
    ("PREVLEVEL", "2"),
    ("runlevel", "1"),
    ("previous", "2"),
];

/// Runs the scripts. One that fails is told and passed over, as `rc` does: what it should have
/// stopped is ended with the other processes.
pub fn stop(patience: Duration) -> Result<()> {
    let Some(directory) = DIRECTORIES.iter().map(Path::new).find(|d| d.is_dir()) else {
        log::warn!(
            "stop: there is none of {}; processes are ended by signals",
            DIRECTORIES.join(", ")
        );
        return Ok(());
    };
    let what = || format!("read {}", directory.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).with_context(what)? {
        names.push(entry.with_context(what)?.file_name());
    }
    let names: Vec<String> = names
        .into_iter()
        .filter_map(|n| n.into_string().ok())
        .collect();
    let deadline = Instant::now() + patience;
    for script in in_order(&names) {
        let path: PathBuf = directory.join(script);
        let left = deadline.saturating_duration_since(Instant::now());
        let mut command = Command::new(&path);
        command
            .arg("stop")
            .current_dir("/")
            .env("PATH", "/sbin:/usr/sbin:/bin:/usr/bin")
            .envs(ENVIRONMENT);
        if let Err(e) = program::succeed(&mut command, left) {
            log::warn!("stop: {e:#}");
        }
    }
    Ok(())
}

/// Names like `K20nginx`, by number and then by name. The shell sorts them in the same way.
fn in_order(names: &[String]) -> Vec<&str> {
    let mut scripts: Vec<&str> = names
        .iter()
        .map(String::as_str)
        .filter(|name| {
            let bytes = name.as_bytes();
            bytes.len() > 3
                && bytes[0] == b'K'
                && bytes[1..3].iter().all(u8::is_ascii_digit)
                // What package managers leave beside a script.
                && !name.contains(".dpkg-")
                && !name.ends_with('~')
        })
        .collect();
    scripts.sort_unstable();
    scripts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_that_stop_are_run_by_number_and_name() {
        let names = [
            "S01killprocs",
            "K02ssh",
            "README",
            "K01nginx",
            "K01apache2",
            "K20x.dpkg-old",
            "K1x",
            "S20single",
            "K80rsyslog~",
            "K80rsyslog",
        ]
        .map(str::to_owned);
        assert_eq!(
            in_order(&names),
            ["K01apache2", "K01nginx", "K02ssh", "K80rsyslog"]
        );
        assert!(in_order(&[]).is_empty());
    }
}
