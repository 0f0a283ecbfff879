//! Brings a network up as the old OS had it, in the RAM environment: no udev, no programs, and
//! interfaces that the kernel may have named otherwise.
//!
//! It proves that the facts are complete, so it takes them as they are: addresses of DHCP too, as
//! the lease still runs, and nothing from router advertisements but what they brought before.
//! Doing it twice does no harm. No module is loaded here.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use formats::network::{Link, LinkKind, Network, Origin, Route};
use rustix::io::Errno;

use super::kernel::Kernel;
use super::links::Indexed;
use super::options::{self, Setting, CLASS_NET};
use super::read::links_now;
use super::requests;
use super::sysfs::{self, Sysfs};
use super::wire::Request;
use super::NetworkError;

/// Switches negotiate, and bonds with them.
const CARRIER_PATIENCE: Duration = Duration::from_secs(15);
/// For source addresses of IPv6, which count only once the link runs.
const ROUTE_PATIENCE: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(100);
/// The number of `lo` in every network namespace.
const LOOPBACK: u32 = 1;
/// What is written under /proc/sys/net/ipv6/conf/X. Other machines' word is not listened to while
/// proving, and addresses that the machine had a minute ago are not looked for elsewhere.
const IPV6_SETTINGS: [(&str, &str); 3] =
    [("accept_ra", "0"), ("autoconf", "0"), ("accept_dad", "0")];

/// A link that was brought up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BroughtUp {
    /// Its name in the old OS.
    pub old: String,
    /// Its name here.
    pub now: String,
    /// Its number here.
    pub index: u32,
}

/// Brings the network up: physical links by their MAC addresses, what is made of them, addresses,
/// rules and routes.
///
/// # Errors
/// A link's hardware is not here or is not certain; or the kernel refused a step, which is named.
/// What was done until then stays.
pub fn bring_up(network: &Network) -> Result<Vec<BroughtUp>, NetworkError> {
    bring_up_with(network, &sysfs::read)
}

/// The same, with the facts of sysfs from elsewhere.
pub(super) fn bring_up_with(
    network: &Network,
    facts: &dyn Fn() -> Sysfs,
) -> Result<Vec<BroughtUp>, NetworkError> {
    let mut here = Here {
        kernel: Kernel::open()?,
        facts,
        brought: Vec::new(),
    };
    here.kernel
        .request("set `lo` up", requests::set_up(LOOPBACK, true))?;
    here.find_hardware(network)?;
    here.make_virtual(network)?;
    here.join_masters(network)?;
    here.set_up(network)?;
    here.add_addresses(network)?;
    here.wait_for_carriers(network)?;
    here.add_rules(network)?;
    here.add_routes(network)?;
    Ok(here.brought)
}

struct Here<'a> {
    kernel: Kernel,
    facts: &'a dyn Fn() -> Sysfs,
    brought: Vec<BroughtUp>,
}

impl Here<'_> {
    fn links(&mut self) -> Result<Vec<Indexed>, NetworkError> {
        links_now(&mut self.kernel, &(self.facts)())
    }

    fn brought(&self, old: &str) -> Option<&BroughtUp> {
        self.brought.iter().find(|b| b.old == old)
    }

    fn index(&self, old: &str) -> Option<u32> {
        self.brought(old).map(|b| b.index)
    }

    /// Does what may have been done before.
    fn request_once(&mut self, what: &str, request: Request) -> Result<(), NetworkError> {
        match self.kernel.request(what, request) {
            // A second run, or the kernel made it by itself.
            Err(e) if e.errno() == Some(Errno::EXIST) => {
                log::debug!("{what}: it is there");
                Ok(())
            }
            other => other,
        }
    }

    fn find_hardware(&mut self, network: &Network) -> Result<(), NetworkError> {
        let mut free = self.links()?;
        free.retain(|l| l.link.kind == LinkKind::Physical);
        for link in network.links.iter().filter(|l| is_wanted(l, network)) {
            let at = match_hardware(link, &free)?;
            let found = free.swap_remove(at);
            let (now, index) = (found.link.name.clone(), found.index);
            log::debug!("{} of the old OS is {now}", link.name);
            let in_bond =
                master(link, network).is_some_and(|m| matches!(m.kind, LinkKind::Bond(_)));
            // A bond gives its slaves its own MTU and MAC address.
            if !in_bond {
                if let Some(mac) = link.mac.filter(|mac| found.link.mac != Some(*mac)) {
                    self.set_down(&now, index)?;
                    let what = format!("set the MAC address of {now} to {mac}");
                    self.kernel.request(&what, requests::set_mac(index, mac))?;
                }
                if found.link.mtu != link.mtu {
                    let what = format!("set the MTU of {now} to {}", link.mtu);
                    let request = requests::set_mtu(index, link.mtu);
                    self.kernel.request(&what, request)?;
                }
            }
            self.brought.push(BroughtUp {
                old: link.name.clone(),
                now,
                index,
            });
        }
        Ok(())
    }

    fn set_down(&mut self, name: &str, index: u32) -> Result<(), NetworkError> {
        let what = format!("set {name} down");
        self.kernel.request(&what, requests::set_up(index, false))
    }

    /// Makes bonds, VLANs and bridges, each when what it stands on is there.
    fn make_virtual(&mut self, network: &Network) -> Result<(), NetworkError> {
        let mut pending: Vec<&Link> = Vec::new();
        for link in &network.links {
            match &link.kind {
                LinkKind::Bond(_) | LinkKind::Vlan { .. } | LinkKind::Bridge { .. } => {
                    pending.push(link);
                }
                LinkKind::Physical => {}
                LinkKind::Other(word) => {
                    log::info!("{} ({word}) is not brought up here", link.name);
                }
            }
        }
        while !pending.is_empty() {
            let before = pending.len();
            let mut waiting = Vec::new();
            for link in pending {
                match &link.kind {
                    LinkKind::Vlan { parent, .. } if self.brought(parent).is_none() => {
                        waiting.push(link);
                    }
                    _ => self.make(link)?,
                }
            }
            if waiting.len() == before {
                return Err(NetworkError::Unmakeable {
                    name: waiting[0].name.clone(),
                    why: "the link that carries it is not here".to_owned(),
                });
            }
            pending = waiting;
        }
        Ok(())
    }

    fn make(&mut self, link: &Link) -> Result<(), NetworkError> {
        let links = self.links()?;
        let wanted = self.kind_here(&link.kind);
        let (name, existing) = self.name_for(link, &wanted, &links);
        let index = match existing {
            Some(index) => index,
            None => self.make_anew(link, &name, &links)?,
        };
        self.brought.push(BroughtUp {
            old: link.name.clone(),
            now: name,
            index,
        });
        Ok(())
    }

    /// Makes a link, and says its number.
    fn make_anew(
        &mut self,
        link: &Link,
        name: &str,
        links: &[Indexed],
    ) -> Result<u32, NetworkError> {
        if let Some(other) = links.iter().find(|l| l.link.name == name) {
            // The module bonding makes a `bond0` when it is loaded.
            let what = format!("remove {name}, which is not as it was");
            self.kernel.request(&what, requests::delete(other.index))?;
        }
        let parent = match &link.kind {
            LinkKind::Vlan { parent, .. } => self.index(parent),
            _ => None,
        };
        let request = requests::make(link, name, parent)?;
        self.kernel.request(&format!("make {name}"), request)?;
        let made = self.links()?.into_iter().find(|l| l.link.name == name);
        let made = made.ok_or_else(|| NetworkError::NoLink(name.to_owned()))?;
        let wanted = self.kind_here(&link.kind);
        self.settle(name, &wanted, &options::missing(&wanted, &made.link.kind))?;
        Ok(made.index)
    }

    /// Writes what the kernel passed over in a request, and looks whether it is so now.
    fn settle(
        &mut self,
        name: &str,
        wanted: &LinkKind,
        settings: &[Setting],
    ) -> Result<(), NetworkError> {
        if settings.is_empty() {
            return Ok(());
        }
        options::write(Path::new(CLASS_NET), name, settings)?;
        let now = self.links()?.into_iter().find(|l| l.link.name == name);
        let now = now.ok_or_else(|| NetworkError::NoLink(name.to_owned()))?;
        let left = options::missing(wanted, &now.link.kind);
        match left.first() {
            None => Ok(()),
            Some(Setting { file, value }) => Err(NetworkError::Unmakeable {
                name: name.to_owned(),
                why: format!("the kernel took `{value}` for {file} and has something else"),
            }),
        }
    }

    /// The kind with the names that links have here.
    fn kind_here(&self, kind: &LinkKind) -> LinkKind {
        let now = |old: &String| self.brought(old).map(|b| b.now.clone());
        let mut kind = kind.clone();
        match &mut kind {
            LinkKind::Bond(bond) => bond.primary = bond.primary.as_ref().and_then(now),
            LinkKind::Vlan { parent, .. } => *parent = now(parent).unwrap_or_default(),
            // As it is made: see there.
            LinkKind::Bridge {
                stp: false,
                forward_delay,
            } => *forward_delay = 0,
            _ => {}
        }
        kind
    }

    /// The old name, unless something else has it here; and the link's number where it is there
    /// as it should be.
    fn name_for(&self, link: &Link, wanted: &LinkKind, links: &[Indexed]) -> (String, Option<u32>) {
        let spare = (0..).map(|n| format!("rr{n}"));
        for (at, name) in std::iter::once(link.name.clone()).chain(spare).enumerate() {
            let Some(other) = links.iter().find(|l| l.link.name == name) else {
                return (name, None);
            };
            let claimed = self.brought.iter().any(|b| b.index == other.index);
            if claimed {
                continue;
            }
            if other.link.kind == *wanted {
                return (name, Some(other.index));
            }
            let alike = std::mem::discriminant(&other.link.kind) == std::mem::discriminant(wanted);
            if at == 0 && alike {
                return (name, None);
            }
        }
        (link.name.clone(), None)
    }

    fn join_masters(&mut self, network: &Network) -> Result<(), NetworkError> {
        let links = self.links()?;
        for link in &network.links {
            let Some(master) = master(link, network) else {
                continue;
            };
            let (Some(slave), Some(into)) = (
                self.brought(&link.name).cloned(),
                self.brought(&master.name).cloned(),
            ) else {
                continue;
            };
            let current = links.iter().find(|l| l.index == slave.index);
            if current.is_some_and(|l| l.link.master.as_ref() == Some(&into.now)) {
                continue;
            }
            if matches!(master.kind, LinkKind::Bond(_)) {
                // Bonding takes only links that are down.
                self.set_down(&slave.now, slave.index)?;
            }
            let what = format!("put {} into {}", slave.now, into.now);
            let request = requests::set_master(slave.index, into.index);
            self.kernel.request(&what, request)?;
        }
        for link in &network.links {
            let LinkKind::Bond(bond) = &link.kind else {
                continue;
            };
            let Some(primary) = bond.primary.as_ref() else {
                continue;
            };
            if let (Some(bond), Some(slave)) = (self.index(&link.name), self.index(primary)) {
                let what = format!("make {primary} the primary slave of {}", link.name);
                match self
                    .kernel
                    .request(&what, requests::set_primary(bond, slave))
                {
                    // Before 3.13 bonds have no options in requests.
                    Err(e) if e.errno() == Some(Errno::OPNOTSUPP) => log::debug!("{e}"),
                    other => other?,
                }
            }
        }
        self.settle_primaries(network)
    }

    /// Writes the primary slaves that the kernel passed over.
    fn settle_primaries(&mut self, network: &Network) -> Result<(), NetworkError> {
        let links = self.links()?;
        for link in &network.links {
            let LinkKind::Bond(wanted) = self.kind_here(&link.kind) else {
                continue;
            };
            let Some(here) = self.brought(&link.name) else {
                continue;
            };
            let found = links.iter().find(|l| l.index == here.index);
            let Some(LinkKind::Bond(found)) = found.map(|l| &l.link.kind) else {
                continue;
            };
            if let Some(slave) = wanted.primary.filter(|p| found.primary.as_ref() != Some(p)) {
                let settings = [options::primary(&slave)];
                options::write(Path::new(CLASS_NET), &here.now, &settings)?;
            }
        }
        Ok(())
    }

    fn set_up(&mut self, network: &Network) -> Result<(), NetworkError> {
        let mut pending = self.brought.clone();
        pending.retain(|b| {
            let link = network.links.iter().find(|l| l.name == b.old);
            link.is_some_and(|l| l.up)
        });
        for link in &pending {
            for (setting, value) in IPV6_SETTINGS {
                let path = format!("/proc/sys/net/ipv6/conf/{}/{setting}", link.now);
                if let Err(e) = std::fs::write(&path, value) {
                    // Without IPv6 there is nothing to listen to.
                    log::debug!("write {path}: {e}");
                }
            }
        }
        // A VLAN goes up after what carries it.
        self.until_done(&mut pending, Duration::ZERO, |kernel, link| {
            let what = format!("set {} up", link.now);
            kernel.request(&what, requests::set_up(link.index, true))
        })
    }

    /// Tries what is pending again and again, as long as something succeeds and `patience` lasts.
    fn until_done<T>(
        &mut self,
        pending: &mut Vec<T>,
        patience: Duration,
        mut step: impl FnMut(&mut Kernel, &T) -> Result<(), NetworkError>,
    ) -> Result<(), NetworkError> {
        let start = Instant::now();
        loop {
            let before = pending.len();
            let mut error = None;
            pending.retain(|item| match step(&mut self.kernel, item) {
                Ok(()) => false,
                Err(e) if e.errno() == Some(Errno::EXIST) => {
                    // A second run, or another way to the same.
                    log::debug!("{e}");
                    false
                }
                Err(e) => {
                    error.get_or_insert(e);
                    true
                }
            });
            let Some(error) = error else { return Ok(()) };
            if pending.len() == before {
                if error.is_lasting() || start.elapsed() >= patience {
                    return Err(error);
                }
                thread::sleep(PAUSE);
            }
        }
    }

    fn add_addresses(&mut self, network: &Network) -> Result<(), NetworkError> {
        for link in &network.links {
            let Some(here) = self.brought(&link.name).cloned() else {
                continue;
            };
            for address in &link.addresses {
                if address.origin == Origin::Kernel || address.temporary {
                    continue;
                }
                let what = format!("add {}/{} to {}", address.ip, address.prefix, here.now);
                let request = requests::add_address(address, here.index, &link.name, &here.now);
                self.request_once(&what, request)?;
            }
        }
        Ok(())
    }

    /// Waits until the links that packets will go over have a carrier. One without is not an
    /// error here: the gateway's silence will say it.
    fn wait_for_carriers(&mut self, network: &Network) -> Result<(), NetworkError> {
        let used = |link: &Link| {
            let mut routes = network.routes.iter();
            link.up
                && (!link.addresses.is_empty()
                    || routes.any(|r| r.link.as_ref() == Some(&link.name)))
        };
        let used: Vec<u32> = network
            .links
            .iter()
            .filter(|l| used(l))
            .filter_map(|l| self.index(&l.name))
            .collect();
        let start = Instant::now();
        loop {
            let links = self.links()?;
            let without = links.iter().find(|l| used.contains(&l.index) && !l.carrier);
            match without {
                None => return Ok(()),
                Some(link) if start.elapsed() >= CARRIER_PATIENCE => {
                    log::warn!("{} has no carrier", link.link.name);
                    return Ok(());
                }
                Some(_) => thread::sleep(PAUSE),
            }
        }
    }

    fn add_rules(&mut self, network: &Network) -> Result<(), NetworkError> {
        let now: BTreeMap<String, String> = self
            .brought
            .iter()
            .map(|b| (b.old.clone(), b.now.clone()))
            .collect();
        for rule in &network.rules {
            let what = format!("add the rule of priority {}", rule.priority);
            self.request_once(&what, requests::add_rule(rule, &now))?;
        }
        Ok(())
    }

    fn add_routes(&mut self, network: &Network) -> Result<(), NetworkError> {
        let mut pending: Vec<(&Route, Option<u32>)> = Vec::new();
        for route in &network.routes {
            let index = match route.link.as_deref() {
                None => None,
                Some("lo") => Some(LOOPBACK),
                Some(name) => {
                    let index = self.index(name);
                    if index.is_none() {
                        let to = route.destination;
                        log::warn!("route {to}: its link {name} is not brought up here");
                        continue;
                    }
                    index
                }
            };
            pending.push((route, index));
        }
        // A gateway is found by the routes before it.
        pending.sort_by_key(|(route, _)| (route.gateway.is_some(), !route.onlink));
        self.until_done(&mut pending, ROUTE_PATIENCE, |kernel, (route, index)| {
            let via = route
                .gateway
                .map(|g| format!(" via {g}"))
                .unwrap_or_default();
            let what = format!(
                "add route {}{via} to table {}",
                route.destination, route.table
            );
            let added = kernel.request(&what, requests::add_route(route, *index));
            match route.source {
                Some(_) => added.map_err(NetworkError::of_route_with_source),
                None => added,
            }
        })
    }
}

/// The bond or bridge that a link is in.
fn master<'a>(link: &Link, network: &'a Network) -> Option<&'a Link> {
    let name = link.master.as_ref()?;
    let master = network.links.iter().find(|l| l.name == *name)?;
    matches!(master.kind, LinkKind::Bond(_) | LinkKind::Bridge { .. }).then_some(master)
}

/// Hardware that the network needs. One that was down and had nothing is not looked for; nor is a
/// virtual function under its synthetic twin, which the kernel pairs by itself.
fn is_wanted(link: &Link, network: &Network) -> bool {
    let carries = network
        .links
        .iter()
        .any(|l| matches!(&l.kind, LinkKind::Vlan { parent, .. } if *parent == link.name));
    let used = link.up || !link.addresses.is_empty() || carries || master(link, network).is_some();
    let twin = link.master.is_some() && master(link, network).is_none();
    link.kind == LinkKind::Physical && used && !twin
}

/// Which of the links here is the old one: by permanent MAC address; among several by where the
/// hardware is, then by driver.
fn match_hardware(link: &Link, free: &[Indexed]) -> Result<usize, NetworkError> {
    let mac = link.permanent_mac.or(link.mac);
    let mut found: Vec<usize> = (0..free.len())
        .filter(|at| {
            let here = &free[*at].link;
            match mac {
                Some(mac) => here.permanent_mac == Some(mac),
                None => link.bus.is_some() && here.bus == link.bus,
            }
        })
        .collect();
    let rules: [&dyn Fn(&Link) -> bool; 2] = [
        &|here| link.bus.is_some() && here.bus == link.bus,
        &|here| link.driver.is_some() && here.driver == link.driver,
    ];
    for rule in rules {
        if found.len() > 1 {
            let better: Vec<usize> = found
                .iter()
                .copied()
                .filter(|at| rule(&free[*at].link))
                .collect();
            if !better.is_empty() {
                found = better;
            }
        }
    }
    match found[..] {
        [at] => Ok(at),
        [] => Err(NetworkError::Missing {
            name: link.name.clone(),
            address: mac
                .map(|mac| mac.to_string())
                .or_else(|| link.bus.clone())
                .unwrap_or_else(|| "none".to_owned()),
        }),
        _ => {
            let names: Vec<&str> = found
                .iter()
                .map(|at| free[*at].link.name.as_str())
                .collect();
            Err(NetworkError::Ambiguous {
                name: link.name.clone(),
                found: names.join(", "),
            })
        }
    }
}
