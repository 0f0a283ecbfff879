//! The network of a machine as values: what the old OS's kernel had, what the RAM environment
//! brings up, what the new OS's configuration says, and what its first boot is compared with.
//!
//! Nothing here reads a machine. [`Network`] is made from the kernel's own state; where an address
//! or a route came from ([`Origin`]) is decided by evidence.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::dhcp::DhcpClient;
use crate::tuning::Tuning;

pub use crate::mac::{Mac, Unreadable};

/// Everything about the network that a machine is known by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Links other than the loopback, in the kernel's order.
    pub links: Vec<Link>,
    /// Routes of every table but `local`, without those that the kernel makes from addresses.
    pub routes: Vec<Route>,
    /// Policy rules other than the kernel's own three.
    pub rules: Vec<Rule>,
    /// Name servers.
    pub dns: Dns,
    /// What the kernel has and these values cannot say, in words: a multipath route, an action of
    /// a rule that is not known. Nobody must take a network with such for complete.
    pub unsaid: Vec<String>,
    /// What commands of the old OS's configuration set besides, as far as their kind is known.
    #[serde(default)]
    pub tuning: Vec<Tuning>,
}

/// A link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Its name in the old OS.
    pub name: String,
    /// Its MAC address now; slaves of a bond show the bond's.
    pub mac: Option<Mac>,
    /// The address that the hardware has, where the kernel tells; `mac` otherwise.
    pub permanent_mac: Option<Mac>,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// It is set up (`IFF_UP`), whether or not a cable is in.
    pub up: bool,
    /// A cable is in (`IFF_LOWER_UP`).
    pub carrier: bool,
    /// What it is.
    pub kind: LinkKind,
    /// The bond or the bridge that it belongs to, by name.
    pub master: Option<String>,
    /// Its driver, by module name with `_` for `-`; physical links only.
    pub driver: Option<String>,
    /// Where the hardware is, as the last component of its sysfs device: `0000:00:03.0`.
    pub bus: Option<String>,
    /// Its addresses, in the kernel's order, link-local ones included.
    pub addresses: Vec<Address>,
    /// Evidence that IPv4 is configured by DHCP on this link, in words; `None` where it is not.
    pub dhcp4: Option<String>,
    /// The same for `DHCPv6`.
    pub dhcp6: Option<String>,
    /// The same for router advertisements: the kernel or a program takes prefixes or routes from
    /// them here.
    pub router: Option<String>,
    /// The metric of the default route that DHCP brought, where the old OS asked for one.
    pub dhcp_metric: Option<u32>,
    /// The last 64 bits of the addresses that it makes of routers' prefixes, where these are not made
    /// from the MAC address.
    pub token: Option<Ipv6Addr>,
    /// By what DHCP servers know the machine on this link.
    pub dhcp_client: DhcpClient,
    /// The old OS's configuration files name this link.
    pub configured: bool,
}

/// What a link is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkKind {
    /// Hardware, or what a hypervisor shows as such.
    Physical,
    /// Several links as one.
    Bond(Bond),
    /// A VLAN by IEEE 802.1Q.
    Vlan {
        /// The link that carries it, by name.
        parent: String,
        /// Its number, 0 to 4094.
        id: u16,
    },
    /// A bridge.
    Bridge {
        /// The spanning tree protocol is on.
        stp: bool,
        /// Seconds of listening and of learning, each.
        forward_delay: u32,
    },
    /// Something else, by the kernel's word for it: `wireguard`, `veth`, `dummy`…
    Other(String),
}

/// How a bond works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bond {
    /// The mode, by the kernel's name: `active-backup`, `802.3ad`…
    pub mode: String,
    /// Milliseconds between looks at the slaves' carriers; 0 is never.
    pub miimon: u32,
    /// Milliseconds before a slave that came up is used.
    pub updelay: u32,
    /// Milliseconds before a slave that went down is not.
    pub downdelay: u32,
    /// `slow` or `fast`; 802.3ad only.
    pub lacp_rate: Option<String>,
    /// How packets are spread, by the kernel's name: `layer2`, `layer3+4`…
    pub xmit_hash_policy: Option<String>,
    /// The slave that is used while it is up, by name.
    pub primary: Option<String>,
    /// Milliseconds between ARP probes; 0 is never.
    pub arp_interval: u32,
    /// Whom the probes ask.
    pub arp_targets: Vec<IpAddr>,
}

/// Modes of bonds, by the kernel's number. Every dialect knows them all.
pub const BOND_MODES: [&str; 7] = [
    "balance-rr",
    "active-backup",
    "balance-xor",
    "broadcast",
    "802.3ad",
    "balance-tlb",
    "balance-alb",
];

/// An address of a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The address.
    pub ip: IpAddr,
    /// Bits of the prefix.
    pub prefix: u8,
    /// The other end, of point-to-point addresses.
    pub peer: Option<IpAddr>,
    /// The broadcast address, where there is one.
    pub broadcast: Option<IpAddr>,
    /// The kernel's scope: 0 global, 200 site, 253 link, 254 host.
    pub scope: u8,
    /// The label, where it is not the link's name: `eth0:1`.
    pub label: Option<String>,
    /// Seconds that it is still valid; `None` is for ever.
    pub valid: Option<u32>,
    /// It is temporary (RFC 8981) and comes by itself.
    pub temporary: bool,
    /// Made from the hardware's address, or otherwise by the kernel from a prefix.
    pub generated: bool,
    /// No prefix route goes with it (`noprefixroute`).
    pub no_prefix_route: bool,
    /// Where it comes from.
    pub origin: Origin,
    /// The evidence for that, in words.
    pub evidence: String,
}

/// Where an address, a route or a name server comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// Somebody configured it: it stays for ever, and is written into the new OS.
    Static,
    /// A DHCP server gave it; the new OS asks again.
    Dhcp,
    /// A router advertised it; the new OS listens again.
    Router,
    /// The kernel made it by itself, as it does link-local addresses.
    Kernel,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Origin::Static => "static",
            Origin::Dhcp => "DHCP",
            Origin::Router => "router advertisement",
            Origin::Kernel => "made by the kernel",
        })
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Dialect::Ifupdown => "ifupdown",
            Dialect::Netplan => "netplan",
            Dialect::Networkd => "systemd-networkd",
            Dialect::NetworkManager => "NetworkManager",
        })
    }
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Where it leads.
    pub destination: Prefix,
    /// What it does with a packet.
    pub kind: RouteKind,
    /// The next router.
    pub gateway: Option<IpAddr>,
    /// The link, by name; none for those that drop packets.
    pub link: Option<String>,
    /// The source address that it prefers.
    pub source: Option<IpAddr>,
    /// The metric; 0 where there is none (IPv6 has 1024 then).
    pub metric: u32,
    /// The table; 254 is `main`.
    pub table: u32,
    /// The gateway is taken to be on the link although no prefix says so.
    pub onlink: bool,
    /// The kernel's scope: 0 global, 253 link.
    pub scope: u8,
    /// The MTU in bytes, where it has one.
    pub mtu: Option<u32>,
    /// The kernel's number of who made it (`RTPROT_*`): 2 kernel, 3 boot, 4 static, 9 ra, 16 dhcp.
    pub protocol: u8,
    /// Where it comes from.
    pub origin: Origin,
}

/// What a route does with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RouteKind {
    /// Sends it on.
    Unicast,
    /// Drops it in silence.
    Blackhole,
    /// Drops it and says that the host cannot be reached.
    Unreachable,
    /// Drops it and says that it is forbidden.
    Prohibit,
}

/// A policy rule that looks a packet up in a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// It is a rule of IPv6.
    pub ipv6: bool,
    /// Its priority; smaller comes first.
    pub priority: u32,
    /// Only packets from here.
    pub from: Option<Prefix>,
    /// Only packets to here.
    pub to: Option<Prefix>,
    /// Only packets that came in by this link.
    pub iif: Option<String>,
    /// Only packets of sockets bound to this link.
    pub oif: Option<String>,
    /// Only packets with this mark, under this mask.
    pub fwmark: Option<(u32, u32)>,
    /// The table.
    pub table: u32,
}

/// Name servers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dns {
    /// Servers, in order.
    pub servers: Vec<DnsServer>,
    /// Search domains, in order, as they were configured; those that DHCP brought are not here.
    pub search: Vec<String>,
    /// Words of `options` in resolv.conf.
    pub options: Vec<String>,
    /// The files that this was read from.
    pub read_from: Vec<String>,
}

/// A name server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsServer {
    /// Its address.
    pub address: IpAddr,
    /// The link that it is asked over, where the old OS says so.
    pub link: Option<String>,
    /// Where it comes from.
    pub origin: Origin,
}

/// A gateway, and whether it answered (ARP, neighbour discovery) when the plan was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gateway {
    /// Its address.
    pub address: IpAddr,
    /// The link that it is on, by its name in the old OS.
    pub link: String,
    /// It answered. One that did not is not waited for later.
    pub answers: bool,
}

/// An address with the number of bits that count, written as `192.0.2.0/24`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    /// The address; bits behind the prefix are kept as given.
    pub ip: IpAddr,
    /// How many bits count.
    pub bits: u8,
}

impl Prefix {
    /// The prefix that holds every address of the family: the default route's.
    pub fn is_default(self) -> bool {
        self.bits == 0
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ip, self.bits)
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Prefix {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Prefix, Unreadable> {
        let bad = || Unreadable {
            text: text.to_owned(),
            what: "address with a prefix length",
        };
        let (ip, bits) = text.split_once('/').unwrap_or((text, ""));
        let ip: IpAddr = ip.parse().map_err(|_| bad())?;
        let most = if ip.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            "" if !text.contains('/') => most,
            bits => bits.parse().ok().filter(|b| *b <= most).ok_or_else(bad)?,
        };
        Ok(Prefix { ip, bits })
    }
}

/// Serialises a type by its text.
macro_rules! by_text {
    ($type:ty) => {
        impl Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(
                deserializer: D,
            ) -> Result<$type, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

by_text!(Mac);
by_text!(Prefix);

/// What the new OS configures its network with, as the builder found it in the payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stack {
    /// The dialect of its configuration files.
    pub dialect: Dialect,
    /// The version of its udev and systemd: 229 on Ubuntu 16.04, 257 on Debian 13. 0 where there
    /// is none.
    pub systemd: u32,
    /// Its kernel leaves interfaces the names `eth0` and so on (`net.ifnames=0`).
    pub kernel_names: bool,
    /// Who serves /etc/resolv.conf.
    pub resolver: Resolver,
    /// Programs of the payload that configuration may rely on, by name, of those in
    /// [`STACK_PROGRAMS`].
    pub programs: Vec<String>,
}

/// Programs that the writing of a configuration depends on.
pub const STACK_PROGRAMS: [&str; 9] = [
    "ifenslave",
    "brctl",
    "vconfig",
    "resolvconf",
    "dhclient",
    "dhcpcd",
    "udhcpc",
    "ip",
    "ethtool",
];

/// The dialects of network configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dialect {
    /// interfaces(5): Debian, Ubuntu up to 16.04.
    Ifupdown,
    /// netplan(5), rendered for systemd-networkd.
    Netplan,
    /// systemd.network(5).
    Networkd,
    /// Keyfiles of NetworkManager, nm-settings-keyfile(5).
    NetworkManager,
}

/// Who serves /etc/resolv.conf in the new OS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resolver {
    /// Nobody: it is a file.
    File,
    /// systemd-resolved.
    Resolved,
    /// resolvconf, or openresolv.
    Resolvconf,
}

/// A file to be written into the new OS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewFile {
    /// Its path from the root. Whatever stands there is replaced, never written through.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// What it is.
    pub content: Content,
}

impl NewFile {
    /// Its text, if it is a file with one.
    pub fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Text(text) => Some(text),
            Content::Link(_) => None,
        }
    }
}

/// What a new file is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Content {
    /// A file with this text.
    Text(String),
    /// A symbolic link to there.
    Link(String),
}

/// A network in the new OS's dialect.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// Files to write.
    pub files: Vec<NewFile>,
    /// Files of the payload that go, because they would configure the same links: paths, where a
    /// last component of `*.network` and the like names every file of that ending.
    pub removed: Vec<String>,
    /// Links that have another name in the new OS. Those without an entry keep theirs; those whose
    /// new name is only known when it boots have `None`.
    pub renamed: Vec<Renamed>,
    /// What is not as it was although nothing is lost, in words.
    pub notes: Vec<String>,
}

/// A link that has another name in the new OS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renamed {
    /// Its name in the old OS.
    pub old: String,
    /// Its name in the new OS, if that is known.
    pub new: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_they_are_read() {
        for text in ["52:54:00:12:34:56", "00:00:00:00:00:00"] {
            assert_eq!(text.parse::<Mac>().unwrap().to_string(), text);
        }
        for bad in [
            "",
            "52:54",
            "52:54:00:12:34:56:78",
            "52:54:00:12:34:+6",
            "x",
        ] {
            assert!(bad.parse::<Mac>().is_err(), "{bad}");
        }
        for text in ["192.0.2.7/24", "2001:db8::1/64", "0.0.0.0/0", "::/0"] {
            assert_eq!(text.parse::<Prefix>().unwrap().to_string(), text);
        }
        assert_eq!("192.0.2.7".parse::<Prefix>().unwrap().bits, 32);
        for bad in ["192.0.2.7/33", "192.0.2.7/", "::1/129", "x/1"] {
            assert!(bad.parse::<Prefix>().is_err(), "{bad}");
        }
    }
}
