//! Values that tests begin with.

use crate::network::{Address, Link, LinkKind, Origin, Route, RouteKind};

/// A physical link or another, up, of which nothing is known.
pub fn link(name: &str, kind: LinkKind) -> Link {
    Link {
        name: name.to_owned(),
        mac: None,
        permanent_mac: None,
        mtu: 1500,
        up: true,
        kind,
        master: None,
        driver: None,
        bus: None,
        addresses: Vec::new(),
        dhcp4: None,
        dhcp6: None,
        router: None,
        dhcp_metric: None,
        configured: false,
    }
}

/// A global address that lives for ever.
pub fn address(text: &str) -> Address {
    let (ip, prefix) = text.split_once('/').unwrap();
    Address {
        ip: ip.parse().unwrap(),
        prefix: prefix.parse().unwrap(),
        peer: None,
        broadcast: None,
        scope: 0,
        label: None,
        valid: None,
        temporary: false,
        generated: false,
        no_prefix_route: false,
        origin: Origin::Static,
        evidence: String::new(),
    }
}

/// A route by 192.0.2.1 that `ip route` made.
pub fn route(to: &str, link: &str, table: u32) -> Route {
    Route {
        destination: to.parse().unwrap(),
        kind: RouteKind::Unicast,
        gateway: Some("192.0.2.1".parse().unwrap()),
        link: Some(link.to_owned()),
        source: None,
        metric: 0,
        table,
        onlink: false,
        scope: 0,
        mtu: None,
        protocol: 3,
        origin: Origin::Static,
    }
}
