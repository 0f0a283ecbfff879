//! The new OS's first boot, compared with the plan: is the machine the one that it was?
//!
//! [`compare`] is pure: what was read on the machine comes in as [`Live`], findings go out. It
//! only reports; what becomes of the run's directory is decided by who calls it.

mod identity;
mod network;
mod summary;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

#[cfg(test)]
pub(crate) use tests::fixture::plan as fixture_plan;

pub use network::link_now;
pub use summary::summary;

use crate::facts::Kept;
use crate::identity::HostKey;
use crate::network::Network;
use crate::plan::{KeptPath, Plan};
use crate::Document;

/// What a run left behind to be compared with, as it was when the RAM environment was done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// Every kept path, measured after the unpack.
    pub kept: Vec<KeptPath>,
    /// The machine id, where it was carried.
    pub machine_id: Option<String>,
}

impl Document for Baseline {
    const KIND: &'static str = "reroot-baseline";
    const VERSION: u32 = 1;
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

impl Document for KeptFound {
    const KIND: &'static str = "reroot-kept";
    const VERSION: u32 = 1;
}

/// The machine as it is, read in the new OS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// The kernel's network. Where addresses came from does not matter in it.
    pub network: Result<Network, String>,
    /// The plan's gateways, asked.
    pub gateways: Vec<Asked>,
    /// The plan's name servers, asked.
    pub servers: Vec<Asked>,
    /// The name servers that the new OS's own /etc/resolv.conf names, asked.
    pub resolver: Vec<Asked>,
    /// The kernel's host name.
    pub hostname: String,
    /// The text of /etc/machine-id.
    pub machine_id: Option<String>,
    /// The public halves of the plan's host keys, as far as they can be read.
    pub host_keys: Vec<HostKey>,
    /// What answers at the ssh server's port.
    pub ssh: SshPort,
    /// Names and numbers of /etc/passwd, in its order.
    pub users: Result<Vec<(String, u32)>, String>,
    /// Names and numbers of /etc/group, in its order.
    pub groups: Result<Vec<(String, u32)>, String>,
    /// Where something is mounted.
    pub mounts: Vec<String>,
    /// The sources of the plan's swap spaces that are in use, as the plan calls them.
    pub swaps: Vec<String>,
    /// The kept paths, as the early unit found them.
    pub kept: Result<KeptFound, String>,
}

/// Somebody on the network who was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Who.
    pub address: IpAddr,
    /// On which link, by its name in the old OS, where that matters.
    pub link: Option<String>,
    /// Whether an answer came, or why nobody could be asked.
    pub answers: Result<bool, String>,
}

/// What answers at 127.0.0.1, port 22.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SshPort {
    /// An ssh server: it greets as RFC 4253, section 4.2, says.
    Greets,
    /// Something that takes the connection and does not greet as an ssh server.
    Silent,
    /// Nothing listens.
    Closed,
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
}

/// Every code, its word for people, and whether what it asks for may take a while to come.
const CODES: [(Code, &str, bool); 17] = [
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
    (Code::User, "user", false),
    (Code::Group, "group", false),
    (Code::Owner, "owner", false),
    (Code::Mount, "mount", true),
    (Code::Swap, "swap", true),
    (Code::Kept, "kept", false),
];

impl Code {
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
    /// It is as the plan says.
    Pass,
}

impl Finding {
    fn pass(code: Code, question: impl Into<String>) -> Finding {
        Finding {
            code,
            question: question.into(),
            verdict: Verdict::Pass,
            found: None,
        }
    }

    fn short(code: Code, question: impl Into<String>, found: impl Into<String>) -> Finding {
        Finding {
            verdict: Verdict::Short,
            found: Some(found.into()),
            ..Finding::pass(code, question)
        }
    }

    fn unknown(code: Code, question: impl Into<String>, found: impl Into<String>) -> Finding {
        Finding {
            verdict: Verdict::Unknown,
            found: Some(found.into()),
            ..Finding::pass(code, question)
        }
    }

    /// It passes, or falls short with what is there instead.
    fn judge(code: Code, question: impl Into<String>, lack: Option<String>) -> Finding {
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

/// Compares the machine with the plan and with what the run left. One finding a question, those of
/// the network first; what the plan does not speak of is not asked.
pub fn compare(plan: &Plan, baseline: &Baseline, live: &Live) -> Vec<Finding> {
    let mut findings = network::compare(&plan.network, live);
    identity::compare(plan, baseline, live, &mut findings);
    findings
}
