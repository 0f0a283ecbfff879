//! Whether an ssh server is wanted in the RAM environment, and whether the network is up for it: the worker
//! says so, and PID 1 has it started.

use std::fs;

use crate::ram::state;

/// The file that says it.
const FILE: &str = "ssh-wanted";

/// Whether the machine's network was brought up by a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// It was.
    Up,
    /// Whoever wants it has to try.
    Down,
}

impl Network {
    /// A word for files and command lines.
    pub fn word(self) -> &'static str {
        match self {
            Network::Up => "up",
            Network::Down => "down",
        }
    }

    /// What a word says. One that is not known says nothing of a network.
    pub fn of_word(word: &str) -> Network {
        if word == Network::Up.word() {
            Network::Up
        } else {
            Network::Down
        }
    }
}

/// A server is wanted from now on. The run goes on without one.
pub fn want(network: Network) {
    if let Err(e) = state::write(FILE, network.word().as_bytes(), 0o600) {
        log::warn!("ask for an ssh server: {e}; going on without");
    }
}

/// Whether one is.
pub fn wanted() -> Option<Network> {
    let text = fs::read_to_string(state::at(FILE)).ok()?;
    Some(Network::of_word(text.trim()))
}
