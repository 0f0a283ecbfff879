//! Everything that is known about where the old OS's network came from, and what of it is about a
//! link.

use formats::network::Link;

use super::hint::{Hint, Tool};
use super::leases::Lease;
use super::resolv;
use super::said::Said;

/// A program that speaks DHCP and runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningClient {
    /// Its name: `dhclient`, `systemd-networkd`…
    pub name: String,
    /// The link that it looks after, where its command line names one; `None` is any.
    pub interface: Option<String>,
    /// The words of its command line behind its name.
    pub arguments: Vec<String>,
}

/// Everything that the old OS's files and programs say about where its network came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    pub(super) hints: Vec<Hint>,
    pub(super) leases: Vec<Lease>,
    pub(super) clients: Vec<RunningClient>,
    pub(super) resolvers: Vec<resolv::ResolverFile>,
    /// What settings and leases say about the names that clients of DHCP go by.
    pub(super) said: Vec<Said>,
    /// The machine id's bytes.
    pub(super) machine_id: Option<[u8; 16]>,
    /// Names of links by the kernel's number, from /sys/class/net/*/ifindex.
    pub(super) numbers: Vec<(u32, String)>,
    /// What was found and does not come along or could not be made use of, one line each:
    /// commands in interfaces(5), files that do not parse, a resolver on the machine itself.
    pub notes: Vec<String>,
}

impl Evidence {
    /// What the files say about a link. Of systemd.network files only the first that matches
    /// counts, as systemd.network(5) says.
    pub(super) fn hints_for(&self, link: &Link) -> Vec<&Hint> {
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
    pub(super) fn names(&self, link: &Link) -> bool {
        self.hints
            .iter()
            .any(|h| h.matches(link) || h.mentions.contains(&link.name))
    }

    pub(super) fn leases_for<'a: 'n, 'n>(
        &'a self,
        link: &'n str,
    ) -> impl Iterator<Item = &'a Lease> + 'n {
        self.leases
            .iter()
            .filter(move |l| l.interface.as_deref() == Some(link))
    }

    /// A running DHCP client that looks after the link, of those that `suits` accepts by name. One
    /// that names the link comes before one that may look after any.
    pub(super) fn client_for(
        &self,
        link: &str,
        suits: impl Fn(&str) -> bool,
    ) -> Option<&RunningClient> {
        let suiting = || self.clients.iter().filter(|c| suits(&c.name));
        suiting()
            .find(|c| c.interface.as_deref() == Some(link))
            .or_else(|| suiting().find(|c| c.interface.is_none()))
    }
}
