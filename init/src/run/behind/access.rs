//! What was written about who gets in, read by the new OS's own programs: a server that does not take
//! its configuration does not start, and then nobody gets in.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use formats::plan::Plan;
use identity::access::written::{is_door, SETTINGS, SUDOERS};
use tree::Gate;

use crate::root::target;
use crate::run::behind::chroot;

/// The server's directory for its children; where it is not there it reads nothing.
const RUN: &str = "/run/sshd";
const SERVER: &str = "/usr/sbin/sshd";
const VISUDO: &str = "/usr/sbin/visudo";

/// What is not understood goes, or is put in a form that lets nobody in who could not become root by it: what
/// took something away from people must not be lost with it. The first boot's comparison says that it is not
/// what was planned. The kernel's filesystems are mounted in the new OS.
pub fn prove(plan: &Plan, gate: &Gate) -> Result<()> {
    let written = |path: &str| {
        let file = plan.identity.files.iter().find(|file| file.path == path);
        file.and_then(|file| Some((file.text()?, file.mode)))
    };
    let there = |program: &str| target::at(program).exists();
    let asked = |program: &str, arguments: &[&str]| {
        chroot::run(
            Path::new(target::TARGET),
            &plan.keep,
            program,
            arguments,
            b"",
        )
    };
    if let Some((text, mode)) = written(SETTINGS).filter(|_| there(SERVER)) {
        fs::create_dir_all(target::at(RUN)).with_context(|| format!("make {RUN}"))?;
        let put = |text: &str| gate.write(SETTINGS, text.as_bytes(), mode);
        let mut understands = |text: &str| -> Result<()> {
            put(text)?;
            asked(SERVER, &["-t"]).map(drop)
        };
        let names = plan.identity.ways.1.iter().map(|way| way.user.as_str());
        match settings(text, names, &mut understands) {
            Settled::AsPlanned => log::info!("{SETTINGS} is understood"),
            Settled::Unread(why) => {
                log::warn!("{why}; it stays as it was written, for that is not its fault");
                put(text)?;
            }
            Settled::Closed(text, why) => {
                log::warn!("{why}; only those who become root are let in, by {SETTINGS}");
                put(&text)?;
            }
        }
    }
    if written(SUDOERS).is_some() && there(VISUDO) {
        match asked(VISUDO, &["-c", "-q", "-f", SUDOERS]) {
            Ok(_) => log::info!("{SUDOERS} is understood"),
            Err(e) => {
                log::warn!("{e:#}; {SUDOERS} is taken back, and the image's own rules hold");
                gate.remove(SUDOERS)
                    .with_context(|| format!("take {SUDOERS} back"))?;
            }
        }
    }
    Ok(())
}

/// What becomes of the server's settings.
#[derive(Debug, PartialEq, Eq)]
enum Settled {
    AsPlanned,
    /// The server does not answer whatever they are; why.
    Unread(String),
    /// These instead; why.
    Closed(String, String),
}

fn settings<'a>(
    text: &str,
    admins: impl Iterator<Item = &'a str>,
    understands: &mut dyn FnMut(&str) -> Result<()>,
) -> Settled {
    let Err(why) = understands(text) else {
        return Settled::AsPlanned;
    };
    let why = format!("{why:#}");
    // A server that has no host keys, or gets no random numbers, says nothing about them.
    if understands("").is_err() {
        return Settled::Unread(why);
    }
    let admins: BTreeSet<&str> = admins.collect();
    // A list without a name is none that the server takes.
    let admins = if admins.is_empty() {
        BTreeSet::from(["root"])
    } else {
        admins
    };
    let admins: Vec<&str> = admins.into_iter().collect();
    let allowed = format!("AllowUsers {}\n", admins.join(" "));
    let is_door = |line: &&str| line.split_whitespace().next().is_some_and(is_door);
    let everybody = text.lines().take_while(|line| !line.starts_with("Match "));
    let doors: Vec<&str> = everybody.filter(is_door).collect();
    let closed = format!("{allowed}{}\n", doors.join("\n"));
    let text = if understands(&closed).is_ok() {
        closed
    } else {
        allowed
    };
    Settled::Closed(text, why)
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    const PLANNED: &str =
        "PermitRootLogin yes\nPort 2222\nAllowGroups staff\nMatch Group sftp\n    ForceCommand x\n";

    /// By a server that does not take texts with these words.
    fn settled(bad: &[&str]) -> Settled {
        let mut understands = |text: &str| -> Result<()> {
            match bad.iter().find(|word| text.contains(**word)) {
                Some(word) => bail!("Bad configuration option: {word}"),
                None => Ok(()),
            }
        };
        settings(
            PLANNED,
            ["root", "root", "alice"].into_iter(),
            &mut understands,
        )
    }

    #[test]
    fn settings_that_are_not_understood_let_nobody_in_but_those_who_become_root() {
        assert_eq!(settled(&[]), Settled::AsPlanned);
        let Settled::Closed(text, why) = settled(&["ForceCommand"]) else {
            panic!("not closed");
        };
        assert_eq!(
            text,
            "AllowUsers alice root\nPermitRootLogin yes\nPort 2222\n"
        );
        assert!(why.contains("ForceCommand"), "{why}");
        let Settled::Closed(text, _) = settled(&["ForceCommand", "Port"]) else {
            panic!("not closed");
        };
        assert_eq!(text, "AllowUsers alice root\n");
    }

    #[test]
    fn a_list_of_nobody_would_be_none() {
        let mut understands = |text: &str| -> Result<()> {
            anyhow::ensure!(text != PLANNED, "no");
            Ok(())
        };
        let Settled::Closed(text, _) = settings(PLANNED, std::iter::empty(), &mut understands)
        else {
            panic!("not closed");
        };
        assert!(text.starts_with("AllowUsers root\n"), "{text}");
    }

    #[test]
    fn a_server_that_does_not_answer_says_nothing_against_them() {
        assert!(matches!(settled(&[""]), Settled::Unread(_)));
    }
}
