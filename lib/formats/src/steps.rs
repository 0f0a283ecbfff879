//! The steps of a run, as a plan has them.

use serde::{Deserialize, Serialize};

/// Something that a run does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// A verb.
    pub name: String,
    /// Who does it.
    pub place: Place,
    /// The steps that must be done before.
    pub needs: Vec<String>,
    /// What it does, in one line.
    pub does: String,
    /// What it makes sure of before it changes anything.
    pub before: String,
    /// What it makes sure of when it is done.
    pub after: String,
    /// What undoes it; only before the commit point, and only where there is something to undo.
    pub undo: Option<String>,
    /// How it is repeated; only behind the commit point.
    pub retry: Option<Retry>,
    /// How long each attempt may take, in seconds; where `progress` says so, how long it may go
    /// without getting on.
    pub deadline_s: u64,
    /// The deadline begins anew whenever the step gets on: what it has to do is not known
    /// beforehand, or nobody knows how fast the disk is.
    #[serde(default)]
    pub progress: bool,
    /// What happens when it fails.
    pub on_failure: OnFailure,
}

/// How often a step is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// Attempts in all.
    pub attempts: u32,
    /// Seconds between two of them.
    pub pause_s: u64,
}

/// Which system a step runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// The old OS, while it still runs.
    OldOs,
    /// The RAM environment.
    Ram,
    /// The new OS, at its first boot.
    NewOs,
}

impl Place {
    /// For people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Place::OldOs => "old OS",
            Place::Ram => "RAM environment",
            Place::NewOs => "new OS",
        }
    }
}

/// What happens when a step fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// Everything is undone, the old OS goes on as it was.
    Revert,
    /// The old OS is booted again; nothing of it was changed.
    Reboot,
    /// It is tried again; if that does not help, the machine holds with a rescue shell.
    Hold,
    /// It is told; the new OS goes on.
    Tell,
}

/// What a run is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// To replace the old OS.
    #[default]
    Reinstall,
    /// To do everything up to the commit point, and come back.
    Rehearse,
}

impl Mode {
    /// The command that starts such a run.
    pub fn command(self) -> &'static str {
        match self {
            Mode::Reinstall => "go",
            Mode::Rehearse => "rehearse",
        }
    }
}
