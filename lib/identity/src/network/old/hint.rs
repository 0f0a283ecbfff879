//! What one configuration file says about one link, whatever its dialect.

use std::net::IpAddr;

use formats::network::{Link, LinkKind, Mac, Prefix};
use formats::tuning::Tuning;

use super::glob;
use super::said::What;

/// The family of tools that a hint was written for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tool {
    #[default]
    Ifupdown,
    Netplan,
    Networkd,
    NetworkManager,
    Ifcfg,
}

/// What a configuration file says about a link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hint {
    /// The file.
    pub file: String,
    /// Whose file it is.
    pub tool: Tool,
    /// The link's name, or a pattern of names.
    pub name: Option<String>,
    /// The link's MAC address.
    pub mac: Option<Mac>,
    /// IPv4 by DHCP.
    pub dhcp4: Option<bool>,
    /// IPv6 by DHCP.
    pub dhcp6: Option<bool>,
    /// Router advertisements.
    pub router: Option<bool>,
    /// Addresses that it gives to the link.
    pub addresses: Vec<Prefix>,
    /// Gateways of routes that it sets.
    pub gateways: Vec<IpAddr>,
    /// Name servers.
    pub dns: Vec<IpAddr>,
    /// Search domains.
    pub search: Vec<String>,
    /// The metric that routes by DHCP get.
    pub metric: Option<u32>,
    /// What the client of DHCP calls itself here.
    pub said: Vec<What>,
    /// What its commands set, by the link that each names.
    pub tuning: Vec<Tuning>,
    /// Other links that it names: slaves, ports, the parent.
    pub mentions: Vec<String>,
}

impl Hint {
    pub(super) fn new(tool: Tool, file: &str) -> Hint {
        Hint {
            file: file.to_owned(),
            tool,
            ..Hint::default()
        }
    }

    /// The link is the one that is meant.
    pub(super) fn matches(&self, link: &Link) -> bool {
        let physical = link.kind == LinkKind::Physical;
        let by_name = match &self.name {
            // A file for any link is meant for hardware, not for what containers make.
            None => self.mac.is_some() || physical,
            Some(name) if *name == link.name => true,
            Some(pattern) => {
                physical
                    && pattern
                        .split_whitespace()
                        .any(|p| glob::matches(p, &link.name))
            }
        };
        let by_mac = self
            .mac
            .is_none_or(|mac| Some(mac) == link.permanent_mac || Some(mac) == link.mac);
        by_name && by_mac
    }

    /// What it says is in force, as far as the link's addresses tell: profiles that are not in
    /// use lie beside those that are.
    pub(super) fn in_use(&self, link: &Link) -> bool {
        self.addresses.is_empty()
            || self
                .addresses
                .iter()
                .any(|a| link.addresses.iter().any(|l| l.ip == a.ip))
    }
}
