//! Links and their addresses, from what the kernel sent.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use formats::dhcp::DhcpClient;
use formats::network::{Address, Bond, Link, LinkKind, Mac, Origin, BOND_MODES};

use super::sysfs::{Hardware, Sysfs};
use super::wire::{u32_at, u8_at, Attributes, Message};
use super::NetworkError;

/// Messages, linux/rtnetlink.h.
pub const RTM_NEWLINK: u16 = 16;
pub const RTM_NEWADDR: u16 = 20;

/// `struct ifinfomsg` and `struct ifaddrmsg`.
pub const IFINFOMSG: usize = 16;
const IFADDRMSG: usize = 8;

/// Flags of a link, linux/if.h.
pub const IFF_UP: u32 = 0x1;
const IFF_LOOPBACK: u32 = 0x8;
pub const IFF_LOWER_UP: u32 = 0x1_0000;

/// Attributes of a link, `linux/if_link.h`.
pub const IFLA_ADDRESS: u16 = 1;
pub const IFLA_IFNAME: u16 = 3;
pub const IFLA_MTU: u16 = 4;
pub const IFLA_LINK: u16 = 5;
pub const IFLA_MASTER: u16 = 10;
pub const IFLA_LINKINFO: u16 = 18;
const IFLA_LINK_NETNSID: u16 = 37;
const IFLA_PERM_ADDRESS: u16 = 54;
pub const IFLA_INFO_KIND: u16 = 1;
pub const IFLA_INFO_DATA: u16 = 2;
const IFLA_INFO_SLAVE_KIND: u16 = 4;
const IFLA_INFO_SLAVE_DATA: u16 = 5;
pub const IFLA_VLAN_ID: u16 = 1;
const IFLA_VLAN_PROTOCOL: u16 = 5;
pub const IFLA_BR_FORWARD_DELAY: u16 = 1;
pub const IFLA_BR_STP_STATE: u16 = 5;
const IFLA_BR_VLAN_FILTERING: u16 = 7;
pub const IFLA_BOND_MODE: u16 = 1;
pub const IFLA_BOND_MIIMON: u16 = 3;
pub const IFLA_BOND_UPDELAY: u16 = 4;
pub const IFLA_BOND_DOWNDELAY: u16 = 5;
pub const IFLA_BOND_ARP_INTERVAL: u16 = 7;
pub const IFLA_BOND_ARP_IP_TARGET: u16 = 8;
pub const IFLA_BOND_PRIMARY: u16 = 11;
pub const IFLA_BOND_XMIT_HASH_POLICY: u16 = 14;
pub const IFLA_BOND_AD_LACP_RATE: u16 = 21;
pub const IFLA_BOND_NS_IP6_TARGET: u16 = 31;
const IFLA_BOND_SLAVE_PERM_HWADDR: u16 = 4;

/// Policies of spreading packets by their number.
pub const XMIT_HASH_POLICIES: [&str; 6] = [
    "layer2",
    "layer3+4",
    "layer2+3",
    "encap2+3",
    "encap3+4",
    "vlan+srcmac",
];
/// Modes whose packets are spread by a policy.
const HASHING_MODES: [&str; 3] = ["balance-xor", "802.3ad", "balance-tlb"];
/// Rates of LACP by their number.
pub const LACP_RATES: [&str; 2] = ["slow", "fast"];
/// Options of bonds that cannot be said, with their default.
const BOND_UNSAID: [(u16, &str, u32); 9] = [
    (9, "arp_validate", 0),
    (10, "arp_all_targets", 0),
    (12, "primary_reselect", 0),
    (13, "fail_over_mac", 0),
    (15, "resend_igmp", 1),
    (17, "all_slaves_active", 0),
    (18, "min_links", 0),
    (20, "packets_per_slave", 1),
    (22, "ad_select", 0),
];

/// Attributes of an address, `linux/if_addr.h`.
pub const IFA_ADDRESS: u16 = 1;
pub const IFA_LOCAL: u16 = 2;
pub const IFA_LABEL: u16 = 3;
pub const IFA_BROADCAST: u16 = 4;
const IFA_CACHEINFO: u16 = 6;
pub const IFA_FLAGS: u16 = 8;
const IFA_PROTO: u16 = 11;
const IFA_F_TEMPORARY: u32 = 0x01;
pub const IFA_F_NODAD: u32 = 0x02;
const IFA_F_DADFAILED: u32 = 0x08;
const IFA_F_PERMANENT: u32 = 0x80;
const IFA_F_MANAGETEMPADDR: u32 = 0x100;
pub const IFA_F_NOPREFIXROUTE: u32 = 0x200;
const IFA_F_STABLE_PRIVACY: u32 = 0x800;
/// Who made an address (`IFA_PROTO`): the kernel from an advertisement, the kernel's link-local.
const IFAPROT_KERNEL_RA: u32 = 2;
const IFAPROT_KERNEL_LL: u32 = 3;
/// The kernel's scope of the link.
const SCOPE_LINK: u8 = 253;
const FOR_EVER: u32 = u32::MAX;

/// The kernel counts a bridge's seconds in hundredths (`USER_HZ`).
pub const USER_HZ: u32 = 100;

/// Families, linux/socket.h.
pub const AF_INET: u8 = 2;
pub const AF_INET6: u8 = 10;

/// The names of all links by index, the loopback's too.
pub fn names(messages: &[Message]) -> Result<BTreeMap<u32, String>, NetworkError> {
    let mut found = BTreeMap::new();
    for message in of_kind(messages, RTM_NEWLINK) {
        let attributes = Attributes::behind("links", message.body, IFINFOMSG)?;
        let index = u32_at(message.body, 4);
        let name = attributes.text(IFLA_IFNAME);
        found.insert(index, name.unwrap_or_else(|| format!("if{index}")));
    }
    Ok(found)
}

/// Messages of a kind.
pub fn of_kind<'m, 'a>(
    messages: &'m [Message<'a>],
    kind: u16,
) -> impl Iterator<Item = &'m Message<'a>> {
    messages.iter().filter(move |m| m.kind == kind)
}

/// A link with its index.
#[derive(Clone, Debug)]
pub struct Indexed {
    /// The kernel's number of it.
    pub index: u32,
    /// It has a carrier.
    pub carrier: bool,
    /// The link.
    pub link: Link,
}

/// All links but the loopback, without addresses.
pub fn links(
    messages: &[Message],
    names: &BTreeMap<u32, String>,
    sysfs: &Sysfs,
    unsaid: &mut Vec<String>,
) -> Result<Vec<Indexed>, NetworkError> {
    let mut found = Vec::new();
    let nothing = Hardware::default();
    for message in of_kind(messages, RTM_NEWLINK) {
        let attributes = Attributes::behind("links", message.body, IFINFOMSG)?;
        let flags = u32_at(message.body, 8);
        let index = u32_at(message.body, 4);
        if flags & IFF_LOOPBACK != 0 {
            continue;
        }
        let name = names.get(&index).cloned().unwrap_or_default();
        let hardware = sysfs.get(&name).unwrap_or(&nothing);
        let info = attributes.nested(IFLA_LINKINFO);
        let mac = attributes.bytes(IFLA_ADDRESS).and_then(mac);
        let slave_mac = (info.text(IFLA_INFO_SLAVE_KIND).as_deref() == Some("bond"))
            .then(|| info.nested(IFLA_INFO_SLAVE_DATA))
            .and_then(|data| data.bytes(IFLA_BOND_SLAVE_PERM_HWADDR).and_then(self::mac));
        let permanent = attributes
            .bytes(IFLA_PERM_ADDRESS)
            .and_then(self::mac)
            .or(slave_mac)
            .or(hardware.permanent_mac);
        let kind = kind(&name, &attributes, &info, names, hardware, unsaid);
        let physical = kind == LinkKind::Physical;
        let master = attributes
            .number(IFLA_MASTER)
            .and_then(|index| names.get(&index).cloned());
        found.push(Indexed {
            index,
            carrier: flags & IFF_LOWER_UP != 0,
            link: Link {
                mac,
                permanent_mac: permanent.or(mac),
                mtu: attributes.number(IFLA_MTU).unwrap_or(1500),
                up: flags & IFF_UP != 0,
                carrier: flags & IFF_LOWER_UP != 0,
                kind,
                master: master.or_else(|| hardware.master.clone()),
                driver: hardware.driver.clone().filter(|_| physical),
                bus: hardware.bus.clone().filter(|_| physical),
                addresses: Vec::new(),
                dhcp4: None,
                dhcp6: None,
                router: None,
                dhcp_metric: None,
                token: None,
                dhcp_client: DhcpClient::default(),
                configured: false,
                name,
            },
        });
    }
    Ok(found)
}

/// A MAC address; none where it is none of Ethernet or all zeros.
fn mac(bytes: &[u8]) -> Option<Mac> {
    let bytes = <[u8; 6]>::try_from(bytes).ok()?;
    (bytes != [0; 6]).then_some(Mac(bytes))
}

fn kind(
    name: &str,
    attributes: &Attributes,
    info: &Attributes,
    names: &BTreeMap<u32, String>,
    hardware: &Hardware,
    unsaid: &mut Vec<String>,
) -> LinkKind {
    let data = info.nested(IFLA_INFO_DATA);
    let word = info.text(IFLA_INFO_KIND);
    match word.as_deref() {
        Some("bond") => LinkKind::Bond(bond(name, &data, names, hardware, unsaid)),
        None if !hardware.bonding.is_empty() => {
            LinkKind::Bond(bond(name, &data, names, hardware, unsaid))
        }
        Some("bridge") => bridge(name, &data, hardware, unsaid),
        None if !hardware.bridge.is_empty() => bridge(name, &data, hardware, unsaid),
        Some("vlan") => {
            // With LINK_NETNSID the parent is in another namespace, and its index means nothing.
            let parent = attributes
                .number(IFLA_LINK)
                .filter(|_| attributes.bytes(IFLA_LINK_NETNSID).is_none())
                .and_then(|index| names.get(&index).cloned());
            let id = data.number(IFLA_VLAN_ID);
            let protocol = data.bytes(IFLA_VLAN_PROTOCOL).unwrap_or(&[0x81, 0]);
            match (parent, id.and_then(|id| u16::try_from(id).ok())) {
                (Some(parent), Some(id)) if protocol == [0x81, 0] => LinkKind::Vlan { parent, id },
                _ => {
                    unsaid.push(format!(
                        "link {name}: a VLAN that is not by IEEE 802.1Q, or has no parent here"
                    ));
                    LinkKind::Other("vlan".to_owned())
                }
            }
        }
        _ if hardware.physical => LinkKind::Physical,
        Some(word) => LinkKind::Other(word.to_owned()),
        None => LinkKind::Other("unknown".to_owned()),
    }
}

fn bond(
    name: &str,
    data: &Attributes,
    names: &BTreeMap<u32, String>,
    hardware: &Hardware,
    unsaid: &mut Vec<String>,
) -> Bond {
    // "active-backup 1": the word, then the number.
    let file = |file: &str| {
        let text = hardware.bonding.get(file)?;
        let word = text.split_whitespace().next()?;
        Some(word.to_owned())
    };
    let word = |attribute: u16, table: &[&str], name: &str| match data.number(attribute) {
        Some(number) => {
            let word = table.get(number as usize).copied();
            Some(word.map_or_else(|| number.to_string(), str::to_owned))
        }
        None => file(name),
    };
    let number = |attribute: u16, name: &str| {
        data.number(attribute)
            .or_else(|| file(name)?.parse().ok())
            .unwrap_or(0)
    };
    for (attribute, option, default) in BOND_UNSAID {
        if data.number(attribute).is_some_and(|n| n != default) {
            unsaid.push(format!("link {name}: the option `{option}` of the bond"));
        }
    }
    let mode = word(IFLA_BOND_MODE, &BOND_MODES, "mode").unwrap_or_else(|| "balance-rr".to_owned());
    let mut arp_targets: Vec<IpAddr> = [IFLA_BOND_ARP_IP_TARGET, IFLA_BOND_NS_IP6_TARGET]
        .into_iter()
        .flat_map(|kind| {
            let targets = data.nested(kind);
            targets
                .iter()
                .filter_map(|(_, b)| super::wire::ip(b))
                .collect::<Vec<_>>()
        })
        .collect();
    if data.bytes(IFLA_BOND_MODE).is_none() {
        let text = hardware.bonding.get("arp_ip_target");
        arp_targets = text
            .into_iter()
            .flat_map(|text| text.split_whitespace())
            .filter_map(|ip| ip.parse().ok())
            .collect();
    }
    arp_targets.retain(|ip| !ip.is_unspecified());
    Bond {
        miimon: number(IFLA_BOND_MIIMON, "miimon"),
        updelay: number(IFLA_BOND_UPDELAY, "updelay"),
        downdelay: number(IFLA_BOND_DOWNDELAY, "downdelay"),
        lacp_rate: word(IFLA_BOND_AD_LACP_RATE, &LACP_RATES, "lacp_rate")
            .filter(|_| mode == "802.3ad"),
        // The kernel gives one for every mode; only some look at it.
        xmit_hash_policy: word(
            IFLA_BOND_XMIT_HASH_POLICY,
            &XMIT_HASH_POLICIES,
            "xmit_hash_policy",
        )
        .filter(|_| HASHING_MODES.contains(&mode.as_str())),
        primary: match data.number(IFLA_BOND_PRIMARY) {
            Some(index) => names.get(&index).cloned(),
            None => file("primary"),
        },
        arp_interval: number(IFLA_BOND_ARP_INTERVAL, "arp_interval"),
        arp_targets,
        mode,
    }
}

fn bridge(
    name: &str,
    data: &Attributes,
    hardware: &Hardware,
    unsaid: &mut Vec<String>,
) -> LinkKind {
    let number = |attribute: u16, file: &str| {
        data.number(attribute)
            .or_else(|| hardware.bridge.get(file)?.parse().ok())
            .unwrap_or(0)
    };
    if data
        .number(IFLA_BR_VLAN_FILTERING)
        .is_some_and(|on| on != 0)
    {
        unsaid.push(format!("link {name}: a bridge that filters VLANs"));
    }
    LinkKind::Bridge {
        stp: number(IFLA_BR_STP_STATE, "stp_state") != 0,
        forward_delay: number(IFLA_BR_FORWARD_DELAY, "forward_delay") / USER_HZ,
    }
}

/// Puts the addresses to their links.
pub fn addresses(messages: &[Message], links: &mut [Indexed]) -> Result<(), NetworkError> {
    for message in of_kind(messages, RTM_NEWADDR) {
        let body = message.body;
        let attributes = Attributes::behind("addresses", body, IFADDRMSG)?;
        let (family, index) = (u8_at(body, 0), u32_at(body, 4));
        let Some(link) = links.iter_mut().find(|l| l.index == index) else {
            continue;
        };
        if family != AF_INET && family != AF_INET6 {
            continue;
        }
        if let Some(address) = address(body, &attributes, &link.link) {
            link.link.addresses.push(address);
        }
    }
    for link in links {
        settle_link_local(&mut link.link.addresses);
    }
    Ok(())
}

fn address(body: &[u8], attributes: &Attributes, link: &Link) -> Option<Address> {
    let (local, other) = (attributes.ip(IFA_LOCAL), attributes.ip(IFA_ADDRESS));
    let ip = local.or(other)?;
    let flags = attributes
        .number(IFA_FLAGS)
        .unwrap_or_else(|| u8_at(body, 2).into());
    let valid = attributes
        .bytes(IFA_CACHEINFO)
        .map_or(FOR_EVER, |info| u32_at(info, 4));
    let valid = (valid != FOR_EVER).then_some(valid);
    let maker = attributes.number(IFA_PROTO);
    let (prefix, scope) = (u8_at(body, 1), u8_at(body, 3));
    let prefix = prefix.min(if ip.is_ipv4() { 32 } else { 128 });
    // The kernel sets this flag on whatever somebody added without a lifetime.
    let permanent = flags & IFA_F_PERMANENT != 0;
    let (mut temporary, mut generated) = (false, false);
    if let IpAddr::V6(ip) = ip {
        temporary = flags & IFA_F_TEMPORARY != 0;
        generated = flags & (IFA_F_MANAGETEMPADDR | IFA_F_STABLE_PRIVACY) != 0
            || matches!(maker, Some(IFAPROT_KERNEL_RA | IFAPROT_KERNEL_LL))
            || (from_mac(ip, link) && (!permanent || scope == SCOPE_LINK));
    }
    let link_local = matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
    let (origin, evidence) = match (ip, valid) {
        _ if link_local && scope == SCOPE_LINK => (
            Origin::Kernel,
            "the kernel makes link-local addresses".to_owned(),
        ),
        (IpAddr::V4(_), Some(seconds)) => (
            Origin::Dhcp,
            format!("the kernel knows a lifetime of {seconds} s"),
        ),
        (IpAddr::V6(_), _) if temporary || generated => (
            Origin::Router,
            "the kernel made it from a prefix".to_owned(),
        ),
        (IpAddr::V6(_), Some(seconds)) if prefix == 128 => (
            Origin::Dhcp,
            format!("the kernel knows a lifetime of {seconds} s for this one address"),
        ),
        (IpAddr::V6(_), Some(seconds)) => (
            Origin::Router,
            format!("the kernel knows a lifetime of {seconds} s"),
        ),
        (_, None) => (Origin::Static, "it lives for ever".to_owned()),
    };
    Some(Address {
        peer: other.filter(|other| Some(*other) != local && local.is_some()),
        broadcast: attributes.ip(IFA_BROADCAST),
        label: attributes
            .text(IFA_LABEL)
            .filter(|label| *label != link.name),
        no_prefix_route: flags & IFA_F_NOPREFIXROUTE != 0,
        evidence: if flags & IFA_F_DADFAILED == 0 {
            evidence
        } else {
            format!("{evidence}; another machine has it too")
        },
        ip,
        prefix,
        scope,
        valid,
        temporary,
        generated,
        origin,
    })
}

/// The last 64 bits are made from the link's MAC address (RFC 4291, appendix A).
fn from_mac(ip: Ipv6Addr, link: &Link) -> bool {
    let ends = |mac: &Mac| {
        let mut bytes = mac.0;
        bytes[0] ^= 2;
        let (maker, number) = bytes.split_at(3);
        ip.octets()[8..] == [maker, &[0xff, 0xfe], number].concat()
    };
    [link.mac, link.permanent_mac].iter().flatten().any(ends)
}

/// Somebody may add a link-local address too, `fe80::1` on a bridge: static where the link has
/// one that the kernel made by rule, and this one is not made by a rule.
fn settle_link_local(addresses: &mut [Address]) {
    let by_rule = |a: &Address| {
        let eui64 = matches!(a.ip, IpAddr::V6(ip) if ip.octets()[11..13] == [0xff, 0xfe]);
        a.generated || eui64
    };
    let made = |a: &Address| a.ip.is_ipv6() && a.origin == Origin::Kernel && by_rule(a);
    if addresses.iter().any(made) {
        for address in addresses {
            if address.origin == Origin::Kernel && address.valid.is_none() && !by_rule(address) {
                address.origin = Origin::Static;
                "it lives for ever, beside the kernel's own".clone_into(&mut address.evidence);
            }
        }
    }
}
