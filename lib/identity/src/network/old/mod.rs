//! Reading the old OS's network configuration for evidence: which addresses are static, which came
//! by DHCP, who the name servers are. The kernel's state is the truth; these files explain it.
//!
//! Every parser takes arbitrary text and never fails: what it does not understand is passed over
//! or noted. Nothing here reads a machine; files come as [`OldFile`]s.

mod addresses;
mod decide;
pub mod glob;
mod ifcfg;
mod ini;
pub mod interfaces;
mod leases;
mod name_servers;
mod netplan;
mod network_manager;
mod networkd;
mod packet;
mod resolv;
mod yaml;

#[cfg(test)]
mod decide_tests;
#[cfg(test)]
mod name_server_tests;

pub use decide::decide;
pub use leases::Lease;
pub use resolv::ResolvConf;

use std::net::IpAddr;

use formats::network::{Link, LinkKind, Mac, Prefix};

/// A file of the old OS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldFile {
    /// Its path from the root.
    pub path: String,
    /// What it says; bytes that are not UTF-8 are replaced.
    pub text: String,
    /// Where it leads, as written in it, where the path itself is a symbolic link.
    pub link_target: Option<String>,
}

impl OldFile {
    /// A file from its bytes. The DHCP packets that dhcpcd keeps become text of the form that
    /// systemd's lease files have.
    pub fn from_bytes(path: &str, bytes: &[u8], link_target: Option<String>) -> OldFile {
        let text =
            packet::describe(bytes).unwrap_or_else(|| String::from_utf8_lossy(bytes).into_owned());
        OldFile {
            path: path.to_owned(),
            text,
            link_target,
        }
    }

    /// The last component of the path.
    fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}

/// A program that speaks DHCP and runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningClient {
    /// Its name: `dhclient`, `systemd-networkd`…
    pub name: String,
    /// The link that it looks after, where its command line names one; `None` is any.
    pub interface: Option<String>,
}

/// The family of tools that a hint was written for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tool {
    #[default]
    Ifupdown,
    Netplan,
    Networkd,
    NetworkManager,
    Ifcfg,
}

/// What a configuration file says about a link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hint {
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
    /// Other links that it names: slaves, ports, the parent.
    pub mentions: Vec<String>,
}

impl Hint {
    fn new(tool: Tool, file: &str) -> Hint {
        Hint {
            file: file.to_owned(),
            tool,
            ..Hint::default()
        }
    }

    /// The link is the one that is meant.
    fn matches(&self, link: &Link) -> bool {
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
    fn in_use(&self, link: &Link) -> bool {
        self.addresses.is_empty()
            || self
                .addresses
                .iter()
                .any(|a| link.addresses.iter().any(|l| l.ip == a.ip))
    }
}

/// Everything that the old OS's files and programs say about where its network came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    hints: Vec<Hint>,
    leases: Vec<Lease>,
    clients: Vec<RunningClient>,
    resolvers: Vec<resolv::ResolverFile>,
    /// Names of links by the kernel's number, from /sys/class/net/*/ifindex.
    numbers: Vec<(u32, String)>,
    /// What was found and does not come along or could not be made use of, one line each:
    /// commands in interfaces(5), files that do not parse, a resolver on the machine itself.
    pub notes: Vec<String>,
}

impl Evidence {
    /// Evidence from files, in any order, and from the programs that run.
    pub fn from_files(files: &[OldFile], clients: &[RunningClient]) -> Evidence {
        let mut evidence = Evidence {
            clients: clients.to_vec(),
            ..Evidence::default()
        };
        for file in files {
            let number = file
                .path
                .strip_prefix("/sys/class/net/")
                .and_then(|rest| rest.strip_suffix("/ifindex"))
                .and_then(|name| Some((file.text.trim().parse().ok()?, name.to_owned())));
            evidence.numbers.extend(number);
        }
        let notes = &mut evidence.notes;
        evidence.hints.extend(interfaces::hints(files, notes));
        evidence.hints.extend(netplan::hints(files, notes));
        evidence.hints.extend(networkd::hints(files));
        evidence.hints.extend(network_manager::hints(files));
        evidence.hints.extend(ifcfg::hints(files));
        evidence.leases = leases::current(files, &evidence.numbers);
        evidence.resolvers = resolv::files(files);
        for file in &evidence.resolvers {
            let lines = file.says.unreadable.iter();
            let unread = lines.map(|l| format!("{}: `{l}` names no address", file.path));
            evidence.notes.extend(unread);
        }
        let local = name_servers::local_resolver(&evidence);
        evidence.notes.extend(local);
        evidence
    }

    /// What the files say about a link. Of systemd.network files only the first that matches
    /// counts, as systemd.network(5) says.
    fn hints_for(&self, link: &Link) -> Vec<&Hint> {
        let mut networkd = false;
        self.hints
            .iter()
            .filter(|hint| {
                let first = hint.tool != Tool::Networkd || !networkd;
                let matches = first && hint.matches(link);
                networkd |= matches && hint.tool == Tool::Networkd;
                matches
            })
            .collect()
    }

    /// A configuration file names the link, be it as another link's part.
    fn names(&self, link: &Link) -> bool {
        self.hints
            .iter()
            .any(|h| h.matches(link) || h.mentions.contains(&link.name))
    }

    fn leases_for<'a>(&'a self, link: &'a str) -> impl Iterator<Item = &'a Lease> + 'a {
        self.leases
            .iter()
            .filter(move |l| l.interface.as_deref() == Some(link))
    }

    /// A running DHCP client that looks after the link, of those that `suits` accepts by name. One
    /// that names the link comes before one that may look after any.
    fn client_for(&self, link: &str, suits: impl Fn(&str) -> bool) -> Option<&RunningClient> {
        let suiting = || self.clients.iter().filter(|c| suits(&c.name));
        suiting()
            .find(|c| c.interface.as_deref() == Some(link))
            .or_else(|| suiting().find(|c| c.interface.is_none()))
    }
}
