//! Ports that are open to the outside, and were not in the old OS. None of them makes a machine fall
//! short: the image may be meant to open them. They are told, for nobody else would ask.

use super::live::Live;
use formats::confirm::{Code, Finding};
use formats::listening::{Listener, Protocol};
use formats::plan::Plan;

/// The port of ssh, by which the operator comes in: it is asked for by its own question.
const SSH: u16 = 22;
/// Names of its server's processes.
const SSH_SERVERS: [&str; 2] = ["sshd", "dropbear"];

/// One line where every port was open before, else one for each that was not. Nothing is asked where
/// the old OS's ports are not known.
pub(super) fn compare(plan: &Plan, live: &Live) -> Vec<Finding> {
    let Some(before) = &plan.listening else {
        return Vec::new();
    };
    let question = "no port is open to the outside that was not open before";
    let now = match &live.listening {
        Ok(now) => now,
        Err(e) => return vec![Finding::unknown(Code::Port, question, e.clone())],
    };
    let opened: Vec<Finding> = now
        .iter()
        .filter(|l| !is_ssh(l) && !before.iter().any(|b| l.is_within(b)))
        .map(|l| {
            Finding::note(
                Code::Port,
                format!("{} was open before", l.told()),
                was(l, before),
            )
        })
        .collect();
    if opened.is_empty() {
        return vec![Finding::pass(Code::Port, question)];
    }
    opened
}

fn is_ssh(listener: &Listener) -> bool {
    let server = listener.process.as_deref();
    let port = listener.protocol == Protocol::Tcp && listener.port == SSH;
    port || server.is_some_and(|name| SSH_SERVERS.contains(&name))
}

/// What there was in the old OS instead.
fn was(now: &Listener, before: &[Listener]) -> String {
    let same = |b: &&Listener| b.protocol == now.protocol && b.port == now.port;
    let narrower: Vec<String> = before.iter().filter(same).map(Listener::told).collect();
    if narrower.is_empty() {
        "it is new with this OS; close it if nobody outside needs it".to_owned()
    } else {
        format!("only {}", narrower.join(", "))
    }
}
