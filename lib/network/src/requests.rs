//! What is asked of the kernel to bring a network up, as messages. Nothing is sent here.

use std::collections::BTreeMap;
use std::net::IpAddr;

use formats::network::{
    Address, Bond, Link, LinkKind, Mac, Prefix, Route, RouteKind, Rule, BOND_MODES,
};

use super::kernel::{NLM_F_CREATE, NLM_F_EXCL};
use super::links::{
    AF_INET, AF_INET6, IFA_ADDRESS, IFA_BROADCAST, IFA_FLAGS, IFA_F_NODAD, IFA_F_NOPREFIXROUTE,
    IFA_LABEL, IFA_LOCAL, IFF_UP, IFLA_ADDRESS, IFLA_BOND_AD_LACP_RATE, IFLA_BOND_ARP_INTERVAL,
    IFLA_BOND_ARP_IP_TARGET, IFLA_BOND_DOWNDELAY, IFLA_BOND_MIIMON, IFLA_BOND_MODE,
    IFLA_BOND_NS_IP6_TARGET, IFLA_BOND_PRIMARY, IFLA_BOND_UPDELAY, IFLA_BOND_XMIT_HASH_POLICY,
    IFLA_BR_FORWARD_DELAY, IFLA_BR_STP_STATE, IFLA_IFNAME, IFLA_INFO_DATA, IFLA_INFO_KIND,
    IFLA_LINK, IFLA_LINKINFO, IFLA_MASTER, IFLA_MTU, IFLA_VLAN_ID, LACP_RATES, RTM_NEWADDR,
    RTM_NEWLINK, USER_HZ, XMIT_HASH_POLICIES,
};
use super::routes::{
    FRA_DST, FRA_FWMARK, FRA_FWMASK, FRA_IIFNAME, FRA_OIFNAME, FRA_PRIORITY, FRA_SRC, FRA_TABLE,
    FR_ACT_TO_TBL, ROUTE_KINDS, RTAX_MTU, RTA_DST, RTA_GATEWAY, RTA_METRICS, RTA_OIF, RTA_PREFSRC,
    RTA_PRIORITY, RTA_TABLE, RTM_NEWROUTE, RTM_NEWRULE, RTNH_F_ONLINK,
};
use super::wire::Request;
use super::NetworkError;

const RTM_DELLINK: u16 = 17;
/// The attributes that follow are nested.
const NLA_F_NESTED: u16 = 0x8000;

/// `struct ifinfomsg` with the flags in `change` set to `flags`.
fn ifinfomsg(index: u32, flags: u32, change: u32) -> [u8; 16] {
    let mut body = [0; 16];
    body[4..8].copy_from_slice(&index.to_ne_bytes());
    body[8..12].copy_from_slice(&flags.to_ne_bytes());
    body[12..16].copy_from_slice(&change.to_ne_bytes());
    body
}

/// Changes nothing of a link yet.
pub fn change(index: u32) -> Request {
    Request::new(RTM_NEWLINK, 0, &ifinfomsg(index, 0, 0))
}

/// Sets a link up or down.
pub fn set_up(index: u32, up: bool) -> Request {
    let flags = if up { IFF_UP } else { 0 };
    Request::new(RTM_NEWLINK, 0, &ifinfomsg(index, flags, IFF_UP))
}

/// Sets a link's MAC address.
pub fn set_mac(index: u32, mac: Mac) -> Request {
    change(index).with(IFLA_ADDRESS, &mac.0)
}

/// Sets a link's MTU.
pub fn set_mtu(index: u32, mtu: u32) -> Request {
    change(index).number(IFLA_MTU, mtu)
}

/// Puts a link into a bond or a bridge.
pub fn set_master(index: u32, master: u32) -> Request {
    change(index).number(IFLA_MASTER, master)
}

/// Sets the primary slave of a bond.
pub fn set_primary(bond: u32, slave: u32) -> Request {
    change(bond).nest(IFLA_LINKINFO, |info| {
        info.text(IFLA_INFO_KIND, "bond")
            .nest(IFLA_INFO_DATA, |data| data.number(IFLA_BOND_PRIMARY, slave))
    })
}

/// Removes a link.
pub fn delete(index: u32) -> Request {
    Request::new(RTM_DELLINK, 0, &ifinfomsg(index, 0, 0))
}

/// Makes a bond, a VLAN on the link with the number `parent`, or a bridge.
pub fn make(link: &Link, name: &str, parent: Option<u32>) -> Result<Request, NetworkError> {
    let unmakeable = |why: String| NetworkError::Unmakeable {
        name: link.name.clone(),
        why,
    };
    let mut request = Request::new(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &ifinfomsg(0, 0, 0))
        .text(IFLA_IFNAME, name)
        .number(IFLA_MTU, link.mtu);
    if let Some(mac) = link.mac {
        request = request.with(IFLA_ADDRESS, &mac.0);
    }
    let (word, data) = match &link.kind {
        LinkKind::Bond(bond) => ("bond", bond_data(bond).map_err(unmakeable)?),
        LinkKind::Vlan { id, .. } => {
            let parent = parent.ok_or_else(|| unmakeable("its parent is not here".to_owned()))?;
            request = request.number(IFLA_LINK, parent);
            let id = id.to_ne_bytes();
            ("vlan", vec![(IFLA_VLAN_ID, id.to_vec())])
        }
        LinkKind::Bridge { stp, forward_delay } => {
            // Without the spanning tree the delay only keeps ports shut for that long.
            let delay = if *stp { *forward_delay } else { 0 };
            let delay = delay.saturating_mul(USER_HZ);
            (
                "bridge",
                vec![
                    (IFLA_BR_FORWARD_DELAY, delay.to_ne_bytes().to_vec()),
                    (IFLA_BR_STP_STATE, u32::from(*stp).to_ne_bytes().to_vec()),
                ],
            )
        }
        LinkKind::Physical | LinkKind::Other(_) => {
            return Err(unmakeable("it is nothing that can be made".to_owned()))
        }
    };
    Ok(request.nest(IFLA_LINKINFO, |info| {
        info.text(IFLA_INFO_KIND, word)
            .nest(IFLA_INFO_DATA, |info| {
                data.iter().fold(info, |info, (k, v)| info.with(*k, v))
            })
    }))
}

/// A bond's options. The primary slave comes later, when it is one.
fn bond_data(bond: &Bond) -> Result<Vec<(u16, Vec<u8>)>, String> {
    let number = |table: &[&str], word: &str, option: &str| {
        let at = table.iter().position(|w| *w == word);
        at.map(|at| vec![at as u8])
            .ok_or_else(|| format!("`{word}` is no {option} of bonds"))
    };
    let mut data = vec![(IFLA_BOND_MODE, number(&BOND_MODES, &bond.mode, "mode")?)];
    if let Some(policy) = &bond.xmit_hash_policy {
        let policy = number(&XMIT_HASH_POLICIES, policy, "xmit_hash_policy")?;
        data.push((IFLA_BOND_XMIT_HASH_POLICY, policy));
    }
    if let Some(rate) = &bond.lacp_rate {
        let rate = number(&LACP_RATES, rate, "lacp_rate")?;
        data.push((IFLA_BOND_AD_LACP_RATE, rate));
    }
    // The kernel refuses delays without miimon, and miimon together with ARP probes.
    if bond.miimon != 0 {
        for (kind, value) in [
            (IFLA_BOND_MIIMON, bond.miimon),
            (IFLA_BOND_UPDELAY, bond.updelay),
            (IFLA_BOND_DOWNDELAY, bond.downdelay),
        ] {
            data.push((kind, value.to_ne_bytes().to_vec()));
        }
    } else if bond.arp_interval != 0 {
        data.push((
            IFLA_BOND_ARP_INTERVAL,
            bond.arp_interval.to_ne_bytes().to_vec(),
        ));
        for (kind, ipv6) in [
            (IFLA_BOND_ARP_IP_TARGET, false),
            (IFLA_BOND_NS_IP6_TARGET, true),
        ] {
            let targets = bond.arp_targets.iter().filter(|ip| ip.is_ipv6() == ipv6);
            let mut nested = Request::new(0, 0, &[]);
            let mut any = false;
            for (at, ip) in (0..).zip(targets) {
                nested = nested.ip(at, *ip);
                any = true;
            }
            if any {
                data.push((kind | NLA_F_NESTED, nested.body().to_vec()));
            }
        }
    }
    Ok(data)
}

fn family(ip: IpAddr) -> u8 {
    match ip {
        IpAddr::V4(_) => AF_INET,
        IpAddr::V6(_) => AF_INET6,
    }
}

/// Adds an address for as long as the RAM environment lives, without looking whether another
/// machine has it: the old OS had it a minute ago. `old` is the link's name then, `name` now.
pub fn add_address(address: &Address, index: u32, old: &str, name: &str) -> Request {
    let mut flags = 0;
    if address.ip.is_ipv6() {
        flags |= IFA_F_NODAD;
    }
    if address.no_prefix_route {
        flags |= IFA_F_NOPREFIXROUTE;
    }
    // The header has one byte for flags. Linux before 3.14 has nothing else, and before 3.10 it
    // refuses a whole request for one attribute that it does not know.
    let [low, ..] = flags.to_le_bytes();
    let mut body = [
        family(address.ip),
        address.prefix,
        low,
        address.scope,
        0,
        0,
        0,
        0,
    ];
    body[4..].copy_from_slice(&index.to_ne_bytes());
    let mut request = Request::new(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &body)
        .ip(IFA_LOCAL, address.ip)
        .ip(IFA_ADDRESS, address.peer.unwrap_or(address.ip));
    if address.ip.is_ipv4() {
        if let Some(broadcast) = address.broadcast {
            request = request.ip(IFA_BROADCAST, broadcast);
        }
        // The kernel wants the link's name in front.
        let label = match &address.label {
            Some(label) => match label.strip_prefix(old) {
                Some(rest) => format!("{name}{rest}"),
                None => name.to_owned(),
            },
            None => name.to_owned(),
        };
        if label.len() < 16 {
            request = request.text(IFA_LABEL, &label);
        }
    }
    // A flag that does not fit is as old as the attribute: only a kernel that knows it can have
    // had such an address.
    if flags > u32::from(low) {
        request = request.number(IFA_FLAGS, flags);
    }
    request
}

/// Adds a route. `index` is its link's number.
pub fn add_route(route: &Route, index: Option<u32>) -> Request {
    let kind = ROUTE_KINDS.iter().find(|(_, kind)| *kind == route.kind);
    let flags = if route.onlink { RTNH_F_ONLINK } else { 0 };
    let mut body = [0; 12];
    body[0] = family(route.destination.ip);
    body[1] = route.destination.bits;
    // Greater numbers do not fit here; RTA_TABLE counts.
    body[4] = u8::try_from(route.table).unwrap_or(0);
    body[5] = route.protocol;
    body[6] = route.scope;
    body[7] = kind.map_or(1, |(number, _)| *number);
    body[8..].copy_from_slice(&flags.to_ne_bytes());
    let mut request =
        Request::new(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &body).number(RTA_TABLE, route.table);
    if !route.destination.is_default() {
        request = request.ip(RTA_DST, route.destination.ip);
    }
    if route.metric != 0 {
        request = request.number(RTA_PRIORITY, route.metric);
    }
    if let Some(source) = route.source {
        request = request.ip(RTA_PREFSRC, source);
    }
    if let Some(mtu) = route.mtu {
        request = request.nest(RTA_METRICS, |metrics| metrics.number(RTAX_MTU, mtu));
    }
    if route.kind == RouteKind::Unicast {
        if let Some(gateway) = route.gateway {
            request = request.ip(RTA_GATEWAY, gateway);
        }
        if let Some(index) = index {
            request = request.number(RTA_OIF, index);
        }
    }
    request
}

/// Adds a policy rule. `now` has the names of links by their old names.
pub fn add_rule(rule: &Rule, now: &BTreeMap<String, String>) -> Request {
    let bits = |prefix: Option<Prefix>| prefix.map_or(0, |p| p.bits);
    let mut body = [0; 12];
    body[0] = if rule.ipv6 { AF_INET6 } else { AF_INET };
    body[1] = bits(rule.to);
    body[2] = bits(rule.from);
    body[4] = u8::try_from(rule.table).unwrap_or(0);
    body[7] = FR_ACT_TO_TBL;
    let mut request = Request::new(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, &body)
        .number(FRA_PRIORITY, rule.priority)
        .number(FRA_TABLE, rule.table);
    for (kind, prefix) in [(FRA_DST, rule.to), (FRA_SRC, rule.from)] {
        if let Some(prefix) = prefix.filter(|p| p.bits != 0) {
            request = request.ip(kind, prefix.ip);
        }
    }
    for (kind, name) in [(FRA_IIFNAME, &rule.iif), (FRA_OIFNAME, &rule.oif)] {
        if let Some(name) = name {
            request = request.text(kind, now.get(name).unwrap_or(name));
        }
    }
    if let Some((mark, mask)) = rule.fwmark {
        request = request.number(FRA_FWMARK, mark).number(FRA_FWMASK, mask);
    }
    request
}

#[cfg(test)]
mod tests {
    use fixtures::network::lacp;
    use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
    use netlink_packet_route::link::{
        BondLacpRate, BondMode, BondXmitHashPolicy, InfoBond, InfoData, InfoKind, InfoVlan,
        LinkAttribute, LinkInfo,
    };
    use netlink_packet_route::RouteNetlinkMessage;

    use super::*;

    /// What another implementation of the format reads in a request.
    fn attributes(request: &Request) -> Vec<LinkAttribute> {
        let bytes = request.to_bytes(1);
        let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&bytes).unwrap();
        match message.payload {
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) => link.attributes,
            other => panic!("{other:?}"),
        }
    }

    fn link(kind: LinkKind) -> Link {
        Link {
            mac: Some(Mac([0x52, 0x54, 0, 0, 0, 1])),
            mtu: 9000,
            ..fixtures::network::link("bond0", kind)
        }
    }

    #[test]
    fn makes_a_bond() {
        let request = make(&link(LinkKind::Bond(lacp())), "rr0", None).unwrap();
        let data = vec![
            InfoBond::Mode(BondMode::Ieee8023Ad),
            InfoBond::XmitHashPolicy(BondXmitHashPolicy::Layer34),
            InfoBond::AdLacpRate(BondLacpRate::Fast),
            InfoBond::MiiMon(100),
            InfoBond::UpDelay(200),
            InfoBond::DownDelay(300),
        ];
        let want = vec![
            LinkAttribute::IfName("rr0".to_owned()),
            LinkAttribute::Mtu(9000),
            LinkAttribute::Address(vec![0x52, 0x54, 0, 0, 0, 1]),
            LinkAttribute::LinkInfo(vec![
                LinkInfo::Kind(InfoKind::Bond),
                LinkInfo::Data(InfoData::Bond(data)),
            ]),
        ];
        assert_eq!(attributes(&request), want);
        let primary = vec![
            LinkInfo::Kind(InfoKind::Bond),
            LinkInfo::Data(InfoData::Bond(vec![InfoBond::Primary(3)])),
        ];
        let request = set_primary(4, 3);
        assert_eq!(attributes(&request), [LinkAttribute::LinkInfo(primary)]);
    }

    #[test]
    fn makes_a_bond_that_probes_by_arp() {
        let bond = Bond {
            mode: "active-backup".to_owned(),
            miimon: 0,
            lacp_rate: None,
            xmit_hash_policy: None,
            arp_interval: 1000,
            arp_targets: vec!["192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap()],
            ..lacp()
        };
        let request = make(&link(LinkKind::Bond(bond)), "bond0", None).unwrap();
        let targets = ["192.0.2.1", "192.0.2.2"].map(|ip| ip.parse().unwrap());
        let data = vec![
            InfoBond::Mode(BondMode::ActiveBackup),
            InfoBond::ArpInterval(1000),
            InfoBond::ArpIpTarget(targets.to_vec()),
        ];
        let found = attributes(&request);
        let want = LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Bond),
            LinkInfo::Data(InfoData::Bond(data)),
        ]);
        assert!(found.contains(&want), "{found:#?}");
    }

    #[test]
    fn makes_a_vlan_on_its_parent() {
        let vlan = link(LinkKind::Vlan {
            parent: "eth0".to_owned(),
            id: 100,
        });
        let found = attributes(&make(&vlan, "eth0.100", Some(7)).unwrap());
        let want = LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Vlan),
            LinkInfo::Data(InfoData::Vlan(vec![InfoVlan::Id(100)])),
        ]);
        assert!(found.contains(&want), "{found:#?}");
        assert!(found.contains(&LinkAttribute::Link(7)), "{found:#?}");
        assert!(make(&vlan, "eth0.100", None).is_err());
    }

    #[test]
    fn refuses_options_that_bonding_does_not_have() {
        for (mode, rate) in [("sideways", None), ("802.3ad", Some("now"))] {
            let bond = Bond {
                mode: mode.to_owned(),
                lacp_rate: rate.map(str::to_owned),
                ..lacp()
            };
            let error = make(&link(LinkKind::Bond(bond)), "bond0", None).unwrap_err();
            assert!(
                matches!(&error, NetworkError::Unmakeable { name, .. } if name == "bond0"),
                "{error}"
            );
        }
    }
}
