//! How the RAM environment is entered, as a plan has it.

use serde::{Deserialize, Serialize};

/// A way into the RAM environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Entry {
    /// The running kernel is replaced by the image's, by kexec.
    Kexec,
    /// PID 1 is replaced by the init; the running kernel goes on.
    Takeover,
    /// The boot loader starts the image's kernel, after a reboot.
    Boot,
}

impl Entry {
    /// The entry's name on the command line and in the plan.
    pub fn name(self) -> &'static str {
        match self {
            Entry::Kexec => "kexec",
            Entry::Takeover => "takeover",
            Entry::Boot => "boot",
        }
    }
}

/// The entry of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryPlan {
    /// The way in.
    pub entry: Entry,
    /// How the kernel is loaded; for [`Entry::Kexec`] only.
    pub call: Option<CallPlan>,
    /// Why this one.
    pub reason: String,
}

/// The system call that loads a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KexecCall {
    /// `kexec_load(2)`: the launcher lays out memory itself; no digests, no signatures.
    KexecLoad,
    /// `kexec_file_load(2)`: the kernel does it, and may demand a signature.
    KexecFileLoad,
}

impl KexecCall {
    /// The call's name.
    pub fn name(self) -> &'static str {
        match self {
            KexecCall::KexecLoad => "kexec_load",
            KexecCall::KexecFileLoad => "kexec_file_load",
        }
    }
}

/// How a kernel is loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallPlan {
    /// The call.
    pub call: KexecCall,
    /// The call that is tried where the first one is not supported after all.
    pub fallback: Option<KexecCall>,
    /// Why this one.
    pub reason: String,
}

impl CallPlan {
    /// The call that the operator wishes, and no other.
    pub fn wished(call: KexecCall) -> CallPlan {
        CallPlan {
            call,
            fallback: None,
            reason: "asked for on the command line".to_owned(),
        }
    }
}
