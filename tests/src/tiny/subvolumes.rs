//! Fills a Btrfs with the subvolumes of a row of the table.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::layouts::{Subvolume, Subvolumes};
use crate::command::run;
use crate::{lock, paths};

/// Copies a tree onto the Btrfs in a file, each part of it into the subvolume that is mounted there.
pub fn fill(subvolumes: &[Subvolume], tree: &Path, file: &Path) -> Result<()> {
    // Of two with the same UUID the kernel would take one for the other.
    let _lock = lock::exclusive(&paths::base().join("btrfs.lock"))?;
    let at = tempfile::tempdir().context("make a mount point")?;
    let script = script(subvolumes);
    run(Command::new("unshare")
        .args(["--mount", "sh", "-ec", &script, "sh"])
        .args([tree, file, at.path()]))?;
    run(Command::new("btrfs").args(["device", "scan", "--forget"])).map(drop)
}

/// What is run with the tree, the file and a mount point. A snapshot is of the root, so it is made last; whoever is
/// mounted where the root has something takes that out of it.
fn script(subvolumes: &[Subvolume]) -> String {
    let mut script = "mount -o loop \"$2\" \"$3\"\ncd \"$3\"\n".to_owned();
    let (mut root, mut moved) = (String::new(), String::new());
    let mut last = String::new();
    for Subvolume { path, is } in subvolumes {
        let above = path.rsplit_once('/').map_or(".", |(above, _)| above);
        let made = format!("mkdir -p {above}\nbtrfs -q subvolume create {path}\n");
        match is {
            Subvolumes::Snapshot => {
                let _ = writeln!(
                    last,
                    "mkdir -p {above}\nbtrfs -q subvolume snapshot -r $root {path}"
                );
            }
            Subvolumes::Nested => {
                let _ = writeln!(
                    last,
                    "{made}btrfs -q subvolume create {path}/one\necho old >{path}/one/of-the-old-os"
                );
            }
            Subvolumes::Around => script += &made,
            Subvolumes::Mounted(at, options) => {
                script += &made;
                if options.contains("nodatacow") {
                    let _ = writeln!(script, "chattr +C {path}");
                }
                let _ = writeln!(
                    moved,
                    "mkdir -p $root{at} {path}\ncp -a $root{at}/. {path}\nfind $root{at} -mindepth 1 -delete"
                );
            }
            Subvolumes::Root | Subvolumes::Default => {
                script += &made;
                let _ = writeln!(root, "root={path}\ncp -a --sparse=never \"$1\"/. $root");
                if *is == Subvolumes::Default {
                    let _ = writeln!(root, "btrfs subvolume set-default $root");
                }
            }
        }
    }
    script + &root + &moved + &last + "cd /\numount \"$3\"\n"
}
