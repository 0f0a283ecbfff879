//! The network of a running machine: read from the kernel, brought up again elsewhere, and its
//! gateways probed.
//!
//! Everything goes through rtnetlink(7) and sysfs; no program of the machine is called and no
//! configuration file is read. Where Linux 3.2 has no answer by netlink, sysfs has one. Which network the
//! new OS gets is not decided here. It may import [`formats`], and no crate that does something else.

mod bring_up;
#[cfg(test)]
mod floor;
mod kernel;
mod lasting;
mod links;
mod options;
mod probe;
mod read;
mod requests;
mod routes;
mod sysfs;
mod wire;

#[cfg(test)]
mod namespaces;
#[cfg(test)]
mod recorded_tests;

use std::io;

pub use bring_up::{bring_up, BroughtUp};
pub use probe::{gateways, probe, probe_all};
pub use read::{read, understand, Dumps};
pub use sysfs::{Hardware, Sysfs};

/// What goes wrong with the network.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// No socket to the kernel.
    #[error("open a netlink socket: {0}")]
    Socket(#[source] io::Error),
    /// The kernel did not do it.
    #[error("{what}: {source}")]
    Refused {
        /// What was to be done, and on what.
        what: String,
        /// Why not.
        source: io::Error,
    },
    /// A route was refused whose source address is not in use, or not yet.
    #[error("{what}: {source}; the address that it prefers may not be in use yet")]
    SourceUnused {
        /// What was to be done, and on what.
        what: String,
        /// Why not.
        source: io::Error,
    },
    /// What the kernel sent is no list of the kind.
    #[error("the kernel's list of {what} cannot be read: {why}")]
    Unreadable {
        /// The list.
        what: &'static str,
        /// Why.
        why: String,
    },
    /// No hardware here is the link's.
    #[error("no network interface here is `{name}` of the old OS, with the address {address}")]
    Missing {
        /// Its old name.
        name: String,
        /// Its MAC address, or what else it was looked for by.
        address: String,
    },
    /// Several are, by MAC address, place and driver.
    #[error("several network interfaces here may be `{name}` of the old OS: {found}")]
    Ambiguous {
        /// Its old name.
        name: String,
        /// Their names.
        found: String,
    },
    /// A link's description cannot be made here.
    #[error("bring up `{name}`: {why}")]
    Unmakeable {
        /// Its old name.
        name: String,
        /// Why.
        why: String,
    },
    /// There is no such link.
    #[error("there is no network interface `{0}`")]
    NoLink(String),
}

impl NetworkError {
    fn refused(what: &str, source: io::Error) -> NetworkError {
        NetworkError::Refused {
            what: what.to_owned(),
            source,
        }
    }

    /// The errno of a refusal.
    fn errno(&self) -> Option<rustix::io::Errno> {
        match self {
            NetworkError::Refused { source, .. } | NetworkError::SourceUnused { source, .. } => {
                rustix::io::Errno::from_io_error(source)
            }
            _ => None,
        }
    }
}
