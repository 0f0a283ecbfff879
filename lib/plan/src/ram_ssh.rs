//! Whether there is an ssh server in the RAM environment, and whom it lets in.
//!
//! It is a help and never a condition: where something is missing for it, the run goes without, and the
//! plan says why.

use formats::access::{Doors, RamSsh};
use formats::facts::Facts;
use formats::listening::Protocol;
use formats::manifest::Manifest;
use identity::access::ram;

use crate::choices::{entry_plan, Choices, SshWish};
use crate::needs::{self, PartSizes, SshPart};
use formats::plan::PayloadAt;

/// Decides it.
pub fn decide(manifest: &Manifest, sizes: PartSizes, facts: &Facts, choices: &Choices) -> RamSsh {
    let without = |reason: String| RamSsh {
        server: None,
        reason,
    };
    if choices.ram_ssh == SshWish::No {
        return without("asked for on the command line".to_owned());
    }
    let served = |doors: &Doors| doors.server;
    if manifest.initramfs.ssh.is_none() {
        let no_server = manifest.identity.doors.as_ref().is_some_and(|d| !served(d));
        return without(if no_server {
            "the image has no OpenSSH".to_owned()
        } else {
            "the image has no OpenSSH that could be taken into the RAM environment (build it anew)"
                .to_owned()
        });
    }
    let accounts = match &facts.accounts {
        Ok(accounts) => accounts,
        Err(why) => return without(format!("the accounts cannot be read: {why}")),
    };
    let takes = |kind: &str| manifest.identity.host_key_types.iter().any(|k| k == kind);
    let server = match ram::server(&facts.identity, accounts, &takes, &listening(facts)) {
        Ok(server) => server,
        Err(why) => return without(why),
    };
    match lack(manifest, sizes, facts, choices) {
        Some(lack) => without(lack),
        None => RamSsh {
            server: Some(server),
            reason: "memory suffices for it".to_owned(),
        },
    }
}

impl From<&RamSsh> for SshPart {
    fn from(ssh: &RamSsh) -> SshPart {
        match ssh.server {
            Some(_) => SshPart::In,
            None => SshPart::Out,
        }
    }
}

/// Where a server is known to listen, whatever its configuration says: by its name, and by the operator's
/// having come in there.
fn listening(facts: &Facts) -> Vec<u16> {
    let listeners = facts.listening.iter().flatten();
    let servers = listeners.filter(|l| {
        l.protocol == Protocol::Tcp && l.process.as_deref().is_some_and(|name| name == "sshd")
    });
    let session = facts.identity.session.iter().map(|session| session.port);
    servers
        .map(|listener| listener.port)
        .chain(session)
        .collect()
}

/// What is missing for it, with the payload where it takes the least memory.
fn lack(manifest: &Manifest, sizes: PartSizes, facts: &Facts, choices: &Choices) -> Option<String> {
    let entry = entry_plan(facts, choices);
    let at = choices.payload_at.unwrap_or(PayloadAt::Disk);
    let peak = needs::memory_peak(manifest, sizes, at, &entry, SshPart::In);
    let memory = facts.memory;
    (!needs::memory_suffices(peak, memory)).then(|| {
        format!(
            "too little memory for it: with it loading would take {} MiB of {} MiB available, the RAM \
             environment {} MiB of {} MiB",
            peak.load >> 20,
            memory.available >> 20,
            peak.ram >> 20,
            memory.total >> 20
        )
    })
}
