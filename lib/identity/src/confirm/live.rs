//! The machine as the new OS's first boot finds it: what a plan is compared with.

use std::net::IpAddr;

use formats::confirm::KeptFound;
use formats::identity::HostKey;
use formats::listening::Listener;
use formats::network::Network;

/// The machine as it is, read in the new OS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// The kernel's network. Where addresses came from does not matter in it.
    pub network: Result<Network, String>,
    /// The plan's gateways, probed.
    pub gateways: Vec<Probed>,
    /// The plan's name servers, probed.
    pub servers: Vec<Probed>,
    /// The name servers that the new OS's own /etc/resolv.conf names, probed.
    pub resolver: Vec<Probed>,
    /// The kernel's host name.
    pub hostname: String,
    /// The text of /etc/machine-id.
    pub machine_id: Option<String>,
    /// The public halves of the plan's host keys, as far as they can be read.
    pub host_keys: Vec<HostKey>,
    /// What answers where the ssh server is to be, by port.
    pub ssh: Vec<(u16, SshPort)>,
    /// The files that decide who gets in, as they are; those that are not there are left out.
    pub access: Vec<(String, String)>,
    /// Names and numbers of /etc/passwd, in its order.
    pub users: Result<Vec<(String, u32)>, String>,
    /// Names and numbers of /etc/group, in its order.
    pub groups: Result<Vec<(String, u32)>, String>,
    /// Where something is mounted.
    pub mounts: Vec<String>,
    /// The sources of the plan's swap spaces that are in use, as the plan calls them.
    pub swaps: Vec<String>,
    /// What listens to the outside.
    pub listening: Result<Vec<Listener>, String>,
    /// The kept paths, as the early unit found them.
    pub kept: Result<KeptFound, String>,
}

/// Somebody on the network who was probed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probed {
    /// Who.
    pub address: IpAddr,
    /// On which link, by its name in the old OS, where that matters.
    pub link: Option<String>,
    /// Whether an answer came, or why nobody could be asked.
    pub answers: Result<bool, String>,
}

/// What answers at a port of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SshPort {
    /// An ssh server: it greets as RFC 4253, section 4.2, says.
    Greets,
    /// Something that takes the connection and does not greet as an ssh server.
    Silent,
    /// Nothing listens.
    Closed,
}
