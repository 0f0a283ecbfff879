//! What a directory tree on a machine holds, as digests that can be compared before and after.
//!
//! Computed on the machine, by programs that every Debian has: one digest over names, inode
//! numbers, kinds, modes, owners, sizes, times and link targets, one over the contents of all
//! files. Inode change times are part of it: kept data is not to be touched at all. The digest is
//! `b2sum`'s: an emulated processor takes three to six times as long for SHA-256.

use std::process::Command;

use anyhow::{ensure, Context, Result};

use crate::command::stdout_of;
use crate::disk::Mounted;
use crate::vm::Machine;

/// The evidence of one tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The tree.
    pub path: String,
    /// Everything in it that has a name, itself included.
    pub entries: u64,
    /// A digest over the metadata of every entry, inode numbers included.
    pub metadata: String,
    /// A digest over the digests of every regular file.
    pub contents: String,
}

/// A command whose output changes with anything on the root filesystem but what a boot writes of its
/// own accord.
pub const EVERYTHING: &str = r"LC_ALL=C find / -xdev \
    \( -path /var/log -o -path /var/lib/dhcp -o -path /var/lib/systemd -o -path /var/tmp \
       -o -path /tmp -o -path /root -o -path /etc/mtab -o -path /etc/resolv.conf -o -path /dev \
       -o -path /run -o -path /.reroot -o -path /var/cache -o -path /boot/grub/grubenv \) -prune -o \
    -type f -printf '%p %i %y %m %n %U %G %s %T@ %l\n' | sort | b2sum";

/// Runs with the root of the tree as its directory, so that the paths are the same wherever that is.
const SCRIPT: &str = r#"
set -e
export LC_ALL=C
for path in $PATHS; do
    entries=$(find ".$path" -printf . | wc -c)
    metadata=$(find ".$path" -printf '%p %i %y %m %U %G %s %T@ %C@ %l\0' | sort -z | b2sum)
    contents=$(find ".$path" -type f -print0 | sort -z | xargs -0 b2sum -z | b2sum)
    echo "$path $entries ${metadata%% *} ${contents%% *}"
done
"#;

/// Gathers the evidence of each of `paths`, which hold no blanks.
pub fn gather(machine: &Machine, paths: &[&str]) -> Result<Vec<Evidence>> {
    let text = machine.script(&script("/", paths))?;
    text.lines().map(parse).collect()
}

/// The same of a machine that is switched off, by the programs of this one.
pub fn gather_from(disk: &Mounted, paths: &[&str]) -> Result<Vec<Evidence>> {
    let root = disk.path("/");
    let script = script(&root.display().to_string(), paths);
    let text = stdout_of(Command::new("sh").args(["-c", &script]))?;
    text.lines().map(parse).collect()
}

fn script(root: &str, paths: &[&str]) -> String {
    format!("cd '{root}'\nPATHS='{}'\n{SCRIPT}", paths.join(" "))
}

fn parse(line: &str) -> Result<Evidence> {
    let mut words = line.split_whitespace();
    let mut next = || {
        words
            .next()
            .with_context(|| format!("evidence cut short: {line}"))
    };
    let evidence = Evidence {
        path: next()?.to_owned(),
        entries: next()?
            .parse()
            .with_context(|| format!("a number of entries: {line}"))?,
        metadata: next()?.to_owned(),
        contents: next()?.to_owned(),
    };
    // The tree itself is one; a find that fails counts none.
    ensure!(evidence.entries > 0, "nothing was found: {line}");
    Ok(evidence)
}

/// What the digests are of, a line each, for those who are shown them.
pub const EXPLAINED: &str =
    "metadata: BLAKE2b of names, inode numbers, owners, modes, sizes, all times, links
contents: BLAKE2b of the BLAKE2b of every file";
