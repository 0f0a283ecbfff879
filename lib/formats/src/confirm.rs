//! The first boot of the new OS, compared with the plan: what it is compared with, and what was found.

use serde::{Deserialize, Serialize};

use crate::facts::Kept;
use crate::plan::KeptPath;

/// The unit that compares, in the new OS until nothing falls short.
pub const UNIT: &str = "reroot-confirm.service";
/// In the run's directory as long: the program that it starts.
pub const PROGRAM: &str = "confirm";

/// What a run left behind to be compared with, as it was when the RAM environment was done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// Every kept path, measured after the unpack.
    pub kept: Vec<KeptPath>,
    /// The machine id, where it was carried.
    pub machine_id: Option<String>,
    /// What of the carried files and the overlay was left out, and why.
    #[serde(default)]
    pub obstructed: Vec<String>,
    /// What became of the programs that were called in the new OS's root, by path.
    #[serde(default)]
    pub hooks: Vec<HookOutcome>,
}

/// What became of a program that a run called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookOutcome {
    /// The program.
    pub path: String,
    /// Why it failed, if it did.
    pub failed: Option<String>,
}

/// The kept paths as the first boot found them, before anything could write to them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptFound {
    /// The measuring came to its end. It is false in what is written before it begins, so that one
    /// that was cut off is not begun anew at a later boot, when services have been writing.
    pub ended: bool,
    /// Each path, measured.
    pub kept: Vec<Kept>,
}

/// The answer to one question about the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The kind of question, one of [`Code`]'s words.
    pub code: Code,
    /// What should be, in words.
    pub question: String,
    /// Whether it is.
    pub verdict: Verdict,
    /// What is there instead, or what else to know.
    pub found: Option<String>,
}

/// Kinds of questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// The kernel's network can be read, and a link is there.
    Link,
    /// A static address.
    Address,
    /// An address that DHCP or a router gives.
    Lease,
    /// A route.
    Route,
    /// A policy rule.
    Rule,
    /// A gateway.
    Gateway,
    /// Name servers.
    Dns,
    /// The host name.
    Hostname,
    /// The machine id.
    MachineId,
    /// A host key.
    HostKey,
    /// The ssh server.
    Ssh,
    /// A file that decides who gets in.
    Access,
    /// Somebody who gets in.
    Login,
    /// A user's number.
    User,
    /// A group's number.
    Group,
    /// Whose kept files are.
    Owner,
    /// A mount.
    Mount,
    /// Swap space.
    Swap,
    /// A kept path.
    Kept,
    /// A port that is open to the outside.
    Port,
    /// A program of the operator's own.
    Own,
    /// What was put into the new OS from the old one, or by an overlay.
    Placed,
    /// A program that a run called.
    Hook,
}

/// Every code, its word for people, and whether what it asks for may take a while to come.
const CODES: [(Code, &str, bool); 23] = [
    (Code::Link, "link", true),
    (Code::Address, "address", true),
    (Code::Lease, "lease", true),
    (Code::Route, "route", true),
    (Code::Rule, "rule", true),
    (Code::Gateway, "gateway", true),
    (Code::Dns, "dns", true),
    (Code::Hostname, "hostname", false),
    (Code::MachineId, "machine-id", false),
    (Code::HostKey, "host-key", true),
    (Code::Ssh, "ssh", true),
    (Code::Access, "access", false),
    (Code::Login, "login", false),
    (Code::User, "user", false),
    (Code::Group, "group", false),
    (Code::Owner, "owner", false),
    (Code::Mount, "mount", true),
    (Code::Swap, "swap", true),
    (Code::Kept, "kept", false),
    (Code::Port, "port", false),
    (Code::Own, "own", true),
    (Code::Placed, "placed", false),
    (Code::Hook, "hook", false),
];

impl Code {
    /// Every code.
    pub fn all() -> impl Iterator<Item = Code> {
        CODES.iter().map(|row| row.0)
    }

    fn row(self) -> (&'static str, bool) {
        CODES
            .iter()
            .find(|row| row.0 == self)
            .map_or(("", false), |row| (row.1, row.2))
    }

    /// Its word for people.
    pub fn word(self) -> &'static str {
        self.row().0
    }

    /// What is not there yet may still come while the machine boots.
    pub fn may_come(self) -> bool {
        self.row().1
    }
}

/// How a question was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is not as the plan says.
    Short,
    /// It cannot be told; this alone does not make a machine fall short.
    Unknown,
    /// It is as the plan says as far as that speaks of it, and there is something to know.
    Note,
    /// It is as the plan says.
    Pass,
}

impl Finding {
    /// It is as the plan says.
    pub fn pass(code: Code, question: impl Into<String>) -> Finding {
        Finding {
            code,
            question: question.into(),
            verdict: Verdict::Pass,
            found: None,
        }
    }

    /// It is not as the plan says: `found` is there instead.
    pub fn short(code: Code, question: impl Into<String>, found: impl Into<String>) -> Finding {
        Finding {
            verdict: Verdict::Short,
            found: Some(found.into()),
            ..Finding::pass(code, question)
        }
    }

    /// It cannot be told, for the reason in `found`.
    pub fn unknown(code: Code, question: impl Into<String>, found: impl Into<String>) -> Finding {
        Finding {
            verdict: Verdict::Unknown,
            found: Some(found.into()),
            ..Finding::pass(code, question)
        }
    }

    /// Nothing falls short, and `found` is to be known.
    pub fn note(code: Code, question: impl Into<String>, found: impl Into<String>) -> Finding {
        Finding {
            verdict: Verdict::Note,
            found: Some(found.into()),
            ..Finding::pass(code, question)
        }
    }

    /// It is as the plan says where nothing is lacking, else it is not.
    pub fn judge(code: Code, question: impl Into<String>, lack: Option<String>) -> Finding {
        match lack {
            None => Finding::pass(code, question),
            Some(found) => Finding::short(code, question, found),
        }
    }
}

/// The part of the report that the new OS's first boot adds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Confirm {
    /// Nothing fell short.
    pub passed: bool,
    /// Seconds that it waited for what takes time to come.
    pub waited: f64,
    /// Every question with its answer.
    pub findings: Vec<Finding>,
}

impl Confirm {
    /// Judges findings as a whole.
    pub fn new(findings: Vec<Finding>, waited: f64) -> Confirm {
        Confirm {
            passed: findings.iter().all(|f| f.verdict != Verdict::Short),
            waited,
            findings,
        }
    }
}
