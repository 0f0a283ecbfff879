//! Sockets that take what comes from outside.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// A socket that listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Listener {
    /// Of which protocol.
    pub protocol: Protocol,
    /// On which port.
    pub port: u16,
    /// At which address; `0.0.0.0` and `::` are every address.
    pub address: IpAddr,
    /// Name of a process that has it open; `None` for the kernel's own, and where /proc does not say.
    pub process: Option<String>,
}

/// Protocols that have ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Over IPv4 and IPv6.
    Tcp,
    /// Over IPv4 and IPv6.
    Udp,
}

impl Listener {
    /// Who, where: `tcp 80 on every address (nginx)`.
    pub fn told(&self) -> String {
        let protocol = match self.protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        };
        let place = if self.address.is_unspecified() {
            "every address".to_owned()
        } else {
            self.address.to_string()
        };
        let who = self.process.as_ref();
        let who = who.map_or(String::new(), |name| format!(" ({name})"));
        format!("{protocol} {} on {place}{who}", self.port)
    }

    /// Whether another one takes everything that this one takes. Every address of IPv6 is every
    /// address of IPv4 too, for most programs; one family is taken for the other.
    pub fn is_within(&self, other: &Listener) -> bool {
        self.protocol == other.protocol
            && self.port == other.port
            && (other.address.is_unspecified() || other.address == self.address)
    }
}
