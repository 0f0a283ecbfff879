//! What commands of the old OS's network configuration set beside addresses and routes: offloads, rings and what else
//! a card can be told, neighbours that do not change, the kernel's settings of its network.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::mac::Mac;

/// One such setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tuning {
    /// The link that it is of, by its name in the old OS; none where it is the whole machine's.
    pub link: Option<String>,
    /// What is set.
    pub set: Tuned,
    /// The file, and the command in it, in words for people.
    pub by: String,
}

/// What is set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tuned {
    /// A feature of the card by ethtool's short word for it (`-K`): `tso`, `gro`…
    Feature {
        /// The word.
        name: String,
        /// It is on.
        on: bool,
    },
    /// How many packets a ring has room for (`-G`).
    Ring {
        /// `rx` or `tx`.
        name: String,
        /// How many.
        size: u32,
    },
    /// What else ethtool sets, by one command: `-A`, `-C`, `-L`, `-s`.
    Ethtool {
        /// The option, in its short form.
        option: String,
        /// Its words and their values, in order: `rx` and `off`.
        pairs: Vec<(String, String)>,
    },
    /// Somebody on the link whose MAC address is not asked for.
    Neighbour {
        /// Their address.
        address: IpAddr,
        /// Their MAC address.
        mac: Mac,
    },
    /// A file of `/proc/sys`, its path from there: `net/ipv4/conf/eth0/rp_filter`.
    Sysctl {
        /// The path.
        path: String,
        /// What is written into it.
        value: String,
    },
}

impl fmt::Display for Tuned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Tuned::Feature { name, on } => write!(f, "{name} {}", if *on { "on" } else { "off" }),
            Tuned::Ring { name, size } => write!(f, "{name} {size}"),
            Tuned::Ethtool { option, pairs } => {
                f.write_str(option)?;
                let mut pairs = pairs.iter();
                pairs.try_for_each(|(name, value)| write!(f, " {name} {value}"))
            }
            Tuned::Neighbour { address, mac } => write!(f, "{address} at {mac}"),
            Tuned::Sysctl { path, value } => write!(f, "{path} = {value}"),
        }
    }
}
