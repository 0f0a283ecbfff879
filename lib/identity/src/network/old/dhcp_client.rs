//! By which names the old OS's clients of DHCP are known to servers. What a lease has the server has
//! seen; then come settings, the command line, and what the client does by itself.
//!
//! Where nothing tells, nothing is said: a wrong name gets another address as surely as none.

use formats::dhcp::{DhcpClient, Octets};
use formats::network::{Link, Mac, Origin};

use super::derived;
use super::evidence::Evidence;
use super::hint::Tool;
use super::leases::Lease;
use super::said::{identifier, What};
use super::{dhclient, dhcpcd, networkd};

const NETWORK_MANAGER: &str = "NetworkManager";
const UDHCPC: &str = "udhcpc";

/// The link's client, or as much as is known of it.
pub(super) fn decide(link: &Link, evidence: &Evidence) -> DhcpClient {
    let mut client = DhcpClient::default();
    if link.dhcp4.is_some() {
        let about = About::new(link, evidence, false);
        if let Some((identifier, by)) = about.identifier() {
            (client.identifier, client.identifier_by) = (Some(identifier), by);
        }
    }
    if link.dhcp6.is_some() {
        let about = About::new(link, evidence, true);
        if let Some((duid, by)) = about.duid(client.identifier.as_ref()) {
            client.iaid = about.iaid(client.identifier.as_ref());
            (client.duid, client.duid_by) = (Some(duid), by);
        }
    }
    client
}

/// The file that says that a prefix is delegated on the link.
pub(super) fn delegation(link: &Link, evidence: &Evidence) -> Option<String> {
    link.dhcp6.as_ref()?;
    let leased = evidence.leases_for(&link.name).find(|l| l.delegated);
    let about = About::new(link, evidence, true);
    leased.map(|l| l.file.clone()).or_else(|| {
        let mut said = about.said();
        said.find(|(_, what)| **what == What::Delegation)
            .map(|(file, _)| file.to_owned())
    })
}

struct About<'a> {
    link: &'a Link,
    evidence: &'a Evidence,
    /// The lease that is in force.
    lease: Option<&'a Lease>,
    program: Option<&'a str>,
}

impl<'a> About<'a> {
    fn new(link: &'a Link, evidence: &'a Evidence, ipv6: bool) -> About<'a> {
        let given = |lease: &&Lease| {
            let own = link.addresses.iter().filter(|a| a.origin == Origin::Dhcp);
            let mut own = own.filter(|a| a.ip.is_ipv6() == ipv6);
            own.any(|a| lease.addresses.contains(&a.ip))
        };
        let lease = evidence.leases_for(&link.name).find(given);
        let program = lease
            .map(|l| l.program)
            .or_else(|| program(link, evidence, ipv6));
        About {
            link,
            evidence,
            lease,
            program,
        }
    }

    fn is(&self, program: &str) -> bool {
        self.program == Some(program)
    }

    /// Everything that is said of this link's client, the strongest first: leases, settings for this
    /// link, settings for any. Of one strength the last counts, as in the programs themselves.
    fn said(&self) -> impl Iterator<Item = (&'a str, &'a What)> {
        let program = self.program;
        let name = self.link.name.as_str();
        let of = move |leased: bool, interface: Option<&'a str>| {
            let said = self.evidence.said.iter().rev();
            said.filter(move |s| {
                Some(s.program) == program
                    && s.leased == leased
                    && s.interface.as_deref() == interface
            })
        };
        let whats = |found: Vec<&'a super::said::Said>| {
            found.into_iter().map(|s| (s.file.as_str(), &s.what))
        };
        // dhclient keeps one DUID a file, and a file a link.
        let (own, others): (Vec<_>, Vec<_>) = of(false, None).partition(|s| names(&s.file, name));
        let hints = self.evidence.hints_for(self.link).into_iter();
        let hints = hints.filter(move |h| program.is_some_and(|p| acts_on(p, h.tool)));
        let hints: Vec<(&str, &What)> = hints
            .flat_map(|h| h.said.iter().map(move |what| (h.file.as_str(), what)))
            .collect();
        whats(of(true, Some(name)).collect())
            .chain(whats(of(false, Some(name)).collect()))
            .chain(hints)
            .chain(whats(own))
            .chain(whats(others))
    }

    /// IPv4's client identifier, and how it is known.
    fn identifier(&self) -> Option<(Octets, String)> {
        if let Some((lease, id)) = self.lease.and_then(|l| Some((l, l.identifier.clone()?))) {
            return Some((id, format!("the lease in {} has it", lease.file)));
        }
        let fits = |(_, what): &(&str, &What)| {
            matches!(what, What::Identifier(_) | What::ByMac | What::ByDuid)
        };
        // ifupdown says nothing else to dhclient than not to send any.
        let ifupdowns = |file: &str| file.starts_with("/etc/network/");
        let found = self.said().filter(fits).find(|(file, what)| {
            let of_dhclient = self.is(dhclient::PROGRAM) && ifupdowns(file);
            !of_dhclient || **what == What::Identifier(Octets::default())
        });
        let found = found.map(|(f, w)| (w.clone(), format!("{f} says so")));
        // dhclient's settings come before its command line; elsewhere it is the other way round.
        let told = match self.argument() {
            argument if self.is(dhclient::PROGRAM) => found.or(argument),
            argument => argument.or(found),
        };
        match told {
            Some((What::Identifier(id), by)) => Some((id, by)),
            Some((What::ByMac, by)) => Some((Octets::of_mac(self.link.mac?), by)),
            Some((What::ByDuid, by)) => {
                let (duid, at) = self.duid(None)?;
                let id = Octets::of_duid(self.iaid(None)?, &duid);
                Some((id, format!("{by}, and {at}")))
            }
            _ => self.by_itself(),
        }
    }

    /// What the command line says.
    fn argument(&self) -> Option<(What, String)> {
        let program = self.program?;
        let running = self
            .evidence
            .client_for(&self.link.name, |c| c == program)?;
        let words = &running.arguments;
        let behind = |option: &str| {
            let at = words.iter().position(|w| w == option)?;
            words.get(at + 1).map(String::as_str)
        };
        let has = |option: &str| words.iter().any(|w| w == option);
        let what = match program {
            dhcpcd::PROGRAM => {
                let own = behind("-I")
                    .or_else(|| words.iter().find_map(|w| w.strip_prefix("--clientid=")));
                match own {
                    Some("") => Some(What::ByMac),
                    Some(id) => identifier(id).map(What::Identifier),
                    None if has("-D") || has("--duid") => Some(What::ByDuid),
                    None => None,
                }
            }
            UDHCPC if has("-C") => Some(What::Identifier(Octets::default())),
            UDHCPC => words
                .iter()
                .find_map(|w| w.strip_prefix("0x3d:"))
                .and_then(|hex| Octets::from_hex(&hex.replace(':', "")))
                .map(What::Identifier),
            dhclient::PROGRAM if has("-i") => Some(What::ByDuid),
            _ => None,
        };
        what.map(|what| (what, format!("{program} was started so")))
    }

    /// What the client sends unless it is told.
    fn by_itself(&self) -> Option<(Octets, String)> {
        let by = |program: &str| format!("{program} does so by itself");
        match self.program? {
            program @ dhclient::PROGRAM => {
                let evidence = self.evidence;
                let running = evidence.client_for(&self.link.name, |c| c == program);
                let told = running.is_some_and(|c| !c.arguments.is_empty());
                // It writes a DUID down only if it sends one.
                let (duid, at) = match self.duid(None) {
                    Some(found) if !told && !at_ipv6(&found.1) => found,
                    _ => return Some((Octets::default(), by(program))),
                };
                Some((Octets::of_duid(self.mac_end()?, &duid), at))
            }
            program @ dhcpcd::PROGRAM => Some((Octets::default(), by(program))),
            program @ (NETWORK_MANAGER | UDHCPC) => {
                Some((Octets::of_mac(self.link.mac?), by(program)))
            }
            _ => None,
        }
    }

    /// The DUID, and how it is known. `v4` is IPv4's identifier, which networkd makes of the same.
    fn duid(&self, v4: Option<&Octets>) -> Option<(Octets, String)> {
        if let Some((lease, duid)) = self.lease.and_then(|l| Some((l, l.duid.clone()?))) {
            return Some((duid, format!("the lease in {} has it", lease.file)));
        }
        let said = self.said().find_map(|(file, what)| match what {
            What::Duid(duid) => Some((duid.clone(), format!("{file} has the DUID"))),
            _ => None,
        });
        if let Some((duid, by)) = said {
            return (!duid.0.is_empty()).then_some((duid, by));
        }
        let machine_id = self.evidence.machine_id;
        match self.program? {
            networkd::PROGRAM => {
                let same = v4.and_then(Octets::parts);
                same.map(|(_, duid)| (duid, "it is IPv4's".to_owned()))
                    .or_else(|| {
                        let duid = derived::networkd_duid(machine_id?);
                        Some((duid, "networkd makes it from the machine id".to_owned()))
                    })
            }
            NETWORK_MANAGER => {
                let duid = derived::network_manager_duid(machine_id?);
                let by = "NetworkManager makes it from the machine id";
                Some((duid, by.to_owned()))
            }
            _ => None,
        }
    }

    /// The IAID.
    fn iaid(&self, v4: Option<&Octets>) -> Option<u32> {
        let said = self.said().find_map(|(_, what)| match what {
            What::Iaid(number) => Some(*number),
            _ => None,
        });
        let leased = self.lease.and_then(|l| l.iaid);
        leased.or(said).or_else(|| match self.program? {
            networkd::PROGRAM => Some(v4.and_then(Octets::parts)?.0),
            NETWORK_MANAGER => Some(derived::network_manager_iaid(&self.link.name)),
            dhclient::PROGRAM | dhcpcd::PROGRAM => self.mac_end(),
            _ => None,
        })
    }

    /// The last four bytes of the MAC address, as a number.
    fn mac_end(&self) -> Option<u32> {
        self.link.mac.map(Mac::end)
    }
}

/// The words name a file of dhclient's for IPv6.
fn at_ipv6(by: &str) -> bool {
    by.contains("/dhclient6")
}

/// A file's name has the link's in it: `dhclient.eth0.leases`, `dhclient--eth0.lease`.
fn names(file: &str, link: &str) -> bool {
    let name = file.rsplit('/').next().unwrap_or_default();
    let parts = [format!(".{link}."), format!("-{link}.")];
    parts.iter().any(|part| name.contains(part.as_str()))
}

/// The program that asks on the link, where no lease tells.
fn program<'a>(link: &Link, evidence: &'a Evidence, ipv6: bool) -> Option<&'a str> {
    let plain = |name: &'a str| match name {
        "dhclient3" | "dhclient-script" => dhclient::PROGRAM,
        name => name,
    };
    let running = |suits: &dyn Fn(&str) -> bool| {
        let client = evidence.client_for(&link.name, suits)?;
        Some((client.interface.is_some(), plain(&client.name)))
    };
    let any = running(&|_| true);
    if let Some((true, program)) = any {
        return Some(program);
    }
    let hints = evidence.hints_for(link).into_iter();
    let says = |h: &&super::hint::Hint| if ipv6 { h.dhcp6 } else { h.dhcp4 } == Some(true);
    let daemon = hints.filter(says).find_map(|hint| {
        let acts = |name: &str| acts_on(name, hint.tool);
        running(&acts).map(|(_, program)| program)
    });
    daemon.or_else(|| any.map(|(_, program)| program))
}

/// The program does what the tool's files say.
fn acts_on(program: &str, tool: Tool) -> bool {
    match tool {
        Tool::Networkd => program == networkd::PROGRAM,
        Tool::NetworkManager => program == NETWORK_MANAGER,
        Tool::Netplan => [networkd::PROGRAM, NETWORK_MANAGER].contains(&program),
        Tool::Ifupdown | Tool::Ifcfg => ![networkd::PROGRAM, NETWORK_MANAGER].contains(&program),
    }
}
