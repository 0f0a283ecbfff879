//! The network as the kernel has it. Dumps are taken first and understood second, so that the
//! second part is pure.

use formats::network::{Dns, Link, Network, Origin};
use rustix::io::Errno;

use super::kernel::Kernel;
use super::links::{self, Indexed, AF_INET, AF_INET6, IFINFOMSG};
use super::routes::{self, RTMSG};
use super::sysfs::{self, Sysfs};
use super::wire::{dumped, Request};
use super::NetworkError;

const RTM_GETLINK: u16 = 18;
const RTM_GETADDR: u16 = 22;
const RTM_GETROUTE: u16 = 26;
const RTM_GETRULE: u16 = 34;
const AF_UNSPEC: u8 = 0;
/// The end of a dump in which nothing was.
const NOTHING: [u8; 16] = {
    let [a, b, c, d] = 16u32.to_ne_bytes();
    let [e, f] = 3u16.to_ne_bytes();
    [a, b, c, d, e, f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
};

/// What rtnetlink says, as it says it: each a dump up to its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dumps {
    /// `RTM_GETLINK`.
    pub links: Vec<u8>,
    /// `RTM_GETADDR`, both families.
    pub addresses: Vec<u8>,
    /// `RTM_GETROUTE` of IPv4.
    pub routes4: Vec<u8>,
    /// `RTM_GETROUTE` of IPv6.
    pub routes6: Vec<u8>,
    /// `RTM_GETRULE` of IPv4.
    pub rules4: Vec<u8>,
    /// `RTM_GETRULE` of IPv6.
    pub rules6: Vec<u8>,
}

impl Dumps {
    /// Takes all of them.
    pub fn take(kernel: &mut Kernel) -> Result<Dumps, NetworkError> {
        let mut ask = |what, kind, family: u8, fixed: usize| {
            let mut body = vec![0; fixed];
            body[0] = family;
            match kernel.dump(what, Request::new(kind, 0, &body)) {
                // A kernel without IPv6, or without policy routing, has none.
                Err(e)
                    if family != AF_UNSPEC
                        && matches!(e.errno(), Some(Errno::OPNOTSUPP | Errno::AFNOSUPPORT)) =>
                {
                    Ok(NOTHING.to_vec())
                }
                other => other,
            }
        };
        Ok(Dumps {
            links: ask("links", RTM_GETLINK, AF_UNSPEC, IFINFOMSG)?,
            addresses: ask("addresses", RTM_GETADDR, AF_UNSPEC, 8)?,
            routes4: ask("routes", RTM_GETROUTE, AF_INET, RTMSG)?,
            routes6: ask("routes", RTM_GETROUTE, AF_INET6, RTMSG)?,
            rules4: ask("rules", RTM_GETRULE, AF_INET, RTMSG)?,
            rules6: ask("rules", RTM_GETRULE, AF_INET6, RTMSG)?,
        })
    }
}

/// Reads the network of this machine from the kernel. Name servers and configuration files are
/// not looked at, so where something comes from is told by the kernel's evidence alone.
pub fn read() -> Result<Network, NetworkError> {
    understand(&Dumps::take(&mut Kernel::open()?)?, &sysfs::read())
}

/// The links that are there now, with their numbers.
pub fn links_now(kernel: &mut Kernel, sysfs: &Sysfs) -> Result<Vec<Indexed>, NetworkError> {
    let bytes = kernel.dump("links", Request::new(RTM_GETLINK, 0, &[0; IFINFOMSG]))?;
    let messages = dumped("links", &bytes)?;
    links::links(&messages, &links::names(&messages)?, sysfs, &mut Vec::new())
}

/// Makes a network of dumps and of the facts of sysfs. Attributes may be missing; a dump that is
/// cut or torn is refused.
pub fn understand(dumps: &Dumps, sysfs: &Sysfs) -> Result<Network, NetworkError> {
    let mut unsaid = Vec::new();
    let messages = dumped("links", &dumps.links)?;
    let names = links::names(&messages)?;
    let mut links = links::links(&messages, &names, sysfs, &mut unsaid)?;
    links::addresses(&dumped("addresses", &dumps.addresses)?, &mut links)?;
    let mut links: Vec<Link> = links.into_iter().map(|l| l.link).collect();
    let (mut found, mut rules) = (Vec::new(), Vec::new());
    for (family, bytes) in [(AF_INET, &dumps.routes4), (AF_INET6, &dumps.routes6)] {
        let messages = dumped("routes", bytes)?;
        found.extend(routes::routes(
            family,
            &messages,
            &names,
            &links,
            &mut unsaid,
        )?);
    }
    for (family, bytes) in [(AF_INET, &dumps.rules4), (AF_INET6, &dumps.rules6)] {
        rules.extend(routes::rules(
            family,
            &dumped("rules", bytes)?,
            &mut unsaid,
        )?);
    }
    let mut network = Network {
        links: Vec::new(),
        routes: found,
        rules,
        dns: Dns::default(),
        unsaid,
        tuning: Vec::new(),
    };
    for link in &mut links {
        note_evidence(link, &mut network, sysfs);
    }
    network.links = links;
    Ok(network)
}

/// Fills in how a link is configured, from its addresses and routes.
fn note_evidence(link: &mut Link, network: &mut Network, sysfs: &Sysfs) {
    let of_address = |ipv6: bool, origin: Origin| {
        let mut addresses = link.addresses.iter();
        addresses
            .find(|a| a.ip.is_ipv6() == ipv6 && a.origin == origin)
            .map(|a| format!("{}/{}: {}", a.ip, a.prefix, a.evidence))
    };
    let of_route = |ipv6: bool, origin: Origin| {
        let here = network.routes.iter().find(|r| {
            r.link.as_deref() == Some(&link.name)
                && r.destination.ip.is_ipv6() == ipv6
                && r.origin == origin
        });
        here.map(|r| format!("route {}: protocol {}", r.destination, r.protocol))
    };
    let evidence = |ipv6, origin| of_address(ipv6, origin).or_else(|| of_route(ipv6, origin));
    let dhcp_metric = network.routes.iter().find(|r| {
        r.link.as_deref() == Some(&link.name)
            && r.destination.is_default()
            && r.destination.ip.is_ipv4()
            && r.origin == Origin::Dhcp
    });
    let found = (
        evidence(false, Origin::Dhcp),
        evidence(true, Origin::Dhcp),
        evidence(true, Origin::Router),
        dhcp_metric.map(|r| r.metric).filter(|m| *m != 0),
    );
    (link.dhcp4, link.dhcp6, link.router, link.dhcp_metric) = found;
    let ipv6_mtu = sysfs.get(&link.name).and_then(|h| h.ipv6_mtu);
    if let Some(mtu) = ipv6_mtu.filter(|mtu| *mtu < link.mtu) {
        // A router may have advertised it, and will again.
        if link.up && link.router.is_none() {
            let name = &link.name;
            network
                .unsaid
                .push(format!("link {name}: an MTU of {mtu} for IPv6"));
        }
    }
}
