//! What an image contains, as its manifest part tells it.

use serde::{Deserialize, Serialize};

use crate::accounts::Accounts;
use crate::facts::OsRelease;
use crate::hooks::Hooks;
use crate::identity::NewIdentity;
use crate::keep::KeepPath;
use crate::network::Stack;
use crate::payload::Payload;
use crate::payload_drivers::PayloadDrivers;
use crate::tools::Tools;

/// The manifest of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The image folder's name, for example `trixie`.
    pub name: String,
    /// The release of reroot that built it.
    pub built_by: String,
    /// `uname -m` of the machines it is for.
    pub architecture: String,
    /// The new OS, from its own os-release.
    pub os: OsRelease,
    /// The kernel of the RAM environment and its modules.
    pub kernel: Kernel,
    /// What the RAM environment's initramfs costs.
    pub initramfs: Initramfs,
    /// How the new OS boots.
    pub boot: Boot,
    /// What configures the new OS's network; `None` where the payload has nothing that is known.
    pub network: Option<Stack>,
    /// The payload's accounts.
    pub accounts: Accounts,
    /// What the payload brings of names, keys and mounts.
    pub identity: NewIdentity,
    /// The paths that are kept unless the operator says otherwise.
    pub keep: Vec<KeepPath>,
    /// What the new OS can drive; `None` in images of releases that did not look.
    #[serde(default)]
    pub payload_drivers: Option<PayloadDrivers>,
    /// Programs of the payload that the machine's disks need.
    #[serde(default)]
    pub tools: Tools,
    /// Programs of the payload that a run calls.
    #[serde(default)]
    pub hooks: Hooks,
    /// The new OS's root filesystem.
    pub payload: Payload,
}

/// The kernel of the RAM environment, which is also the new OS's first kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kernel {
    /// `uname -r`.
    pub release: String,
    /// Bytes that it takes where it is loaded, until it has unpacked itself: `init_size` of the Linux
    /// boot protocol.
    #[serde(default = "usual_init_size")]
    pub init_size: u64,
    /// Modules in the initramfs that are loaded whatever the hardware is, by name.
    pub load: Vec<String>,
    /// Modules in the initramfs, and drivers built into the kernel, by name with `_` for `-`.
    pub drivers: Vec<String>,
}

/// For a kernel that does not say it: those of Debian 12 and 13 take 56 and 60 MiB.
pub const USUAL_INIT_SIZE: u64 = 64 << 20;

fn usual_init_size() -> u64 {
    USUAL_INIT_SIZE
}

/// The initramfs base.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Initramfs {
    /// Bytes once unpacked, which is what it takes in memory; without the ssh server.
    pub unpacked_bytes: u64,
    /// The ssh server, an archive of its own at the end of the part; `None` where the payload has none
    /// that can be taken, or the image is older than the question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh: Option<SshArchive>,
}

/// The ssh server of the RAM environment, behind the base in the same part of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SshArchive {
    /// Bytes that it takes at the end of the part.
    pub packed_bytes: u64,
    /// Bytes once unpacked, which is what it takes in memory.
    pub unpacked_bytes: u64,
}

/// How the new OS boots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boot {
    /// The boot loader that the payload brings.
    pub loader: Loader,
    /// Kernel parameters of the new OS, without root and consoles.
    pub cmdline: String,
    /// Consoles, as in `console=`; the last one is /dev/console.
    pub consoles: Vec<String>,
}

/// Boot loaders that can be installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loader {
    /// GRUB 2 for PC BIOS, embedded in the gap behind the master boot record.
    GrubPc,
}
