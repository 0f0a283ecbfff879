//! What was written about who gets in, read by the new OS's own programs: a server that does not take
//! its configuration does not start, and then nobody gets in.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use formats::plan::Plan;
use identity::access::closed;
use identity::access::written::{SETTINGS, SUDOERS};
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
    let mut forms = closed::forms(text, admins);
    // The last has nothing that a server might not know.
    let last = forms.pop().unwrap_or_default();
    let taken = forms.into_iter().find(|form| understands(form).is_ok());
    Settled::Closed(taken.unwrap_or(last), why)
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
    fn a_list_that_says_where_they_come_from_says_so_still() {
        let planned = "AllowUsers alice@192.0.2.* root\nMatch Group sftp\n    ForceCommand x\n";
        let mut understands = |text: &str| -> Result<()> {
            anyhow::ensure!(!text.contains("ForceCommand"), "Bad configuration option");
            Ok(())
        };
        let admins = ["root", "alice"].into_iter();
        let Settled::Closed(text, _) = settings(planned, admins, &mut understands) else {
            panic!("not closed");
        };
        assert_eq!(text, "AllowUsers alice@192.0.2.* root\n");
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
