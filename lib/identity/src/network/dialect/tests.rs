//! Whole files, compared with those in `expected/`; then what is refused, and where keys depend on
//! the version.

mod client;
mod links;
mod networks;
mod refusals;
mod tuning;

use std::fmt::Write as _;

use super::write;
use formats::network::{Content, Dialect, Written};

/// Everything that was written as one text.
fn shown(written: &Written) -> String {
    let mut text = String::new();
    for file in &written.files {
        match &file.content {
            Content::Text(content) => {
                let _ = write!(text, "==== {} {:04o}\n{content}", file.path, file.mode);
            }
            Content::Link(target) => {
                let _ = writeln!(text, "==== {} -> {target}", file.path);
            }
        }
    }
    for renamed in &written.renamed {
        let new = renamed.new.as_deref().unwrap_or("?");
        let _ = writeln!(text, "==== renamed {} {new}", renamed.old);
    }
    for note in &written.notes {
        let _ = writeln!(text, "==== note {note}");
    }
    text
}

/// Compares with a file of `expected/`.
macro_rules! table {
    ($($name:ident: $network:ident, $stack:expr;)*) => {
        $(#[test]
        fn $name() {
            let written = write(&networks::$network(), &$stack).unwrap();
            let expected = include_str!(concat!("expected/", stringify!($name), ".txt"));
            assert_eq!(shown(&written), expected);
        })*
    };
}

table! {
    networkd_static_v4: static_v4, networks::debian(Dialect::Networkd);
    ifupdown_static_v4: static_v4, networks::debian(Dialect::Ifupdown);
    netplan_static_v4: static_v4, networks::debian(Dialect::Netplan);
    network_manager_static_v4: static_v4, networks::debian(Dialect::NetworkManager);
    networkd_onlink: onlink, networks::debian(Dialect::Networkd);
    ifupdown_onlink: onlink, networks::debian(Dialect::Ifupdown);
    netplan_onlink: onlink, networks::debian(Dialect::Netplan);
    network_manager_onlink: onlink, networks::debian(Dialect::NetworkManager);
    networkd_ipv6_only: ipv6_only, networks::debian(Dialect::Networkd);
    ifupdown_ipv6_only: ipv6_only, networks::debian(Dialect::Ifupdown);
    netplan_ipv6_only: ipv6_only, networks::debian(Dialect::Netplan);
    network_manager_ipv6_only: ipv6_only, networks::debian(Dialect::NetworkManager);
    xenial_ipv6_only: ipv6_only, networks::xenial();
    networkd_dhcp: dhcp, networks::debian(Dialect::Networkd);
    ifupdown_dhcp: dhcp, networks::debian(Dialect::Ifupdown);
    netplan_dhcp: dhcp, networks::debian(Dialect::Netplan);
    network_manager_dhcp: dhcp, networks::debian(Dialect::NetworkManager);
    networkd_dhcp_and_static: dhcp_and_static, networks::debian(Dialect::Networkd);
    netplan_dhcp_and_static: dhcp_and_static, networks::debian(Dialect::Netplan);
    network_manager_dhcp_and_static: dhcp_and_static, networks::debian(Dialect::NetworkManager);
    networkd_known: known, networks::debian(Dialect::Networkd);
    ifupdown_known: known, networks::with(&["ip", "dhclient"]);
    netplan_known: known, networks::debian(Dialect::Netplan);
    network_manager_known: known, networks::debian(Dialect::NetworkManager);
    networkd_layered: layered, networks::debian(Dialect::Networkd);
    ifupdown_layered: layered, networks::debian(Dialect::Ifupdown);
    netplan_layered: layered, networks::debian(Dialect::Netplan);
    network_manager_layered: layered, networks::debian(Dialect::NetworkManager);
    networkd_policy: policy, networks::debian(Dialect::Networkd);
    ifupdown_policy: policy, networks::debian(Dialect::Ifupdown);
    netplan_policy: policy, networks::debian(Dialect::Netplan);
    network_manager_policy: policy, networks::debian(Dialect::NetworkManager);
    networkd_two_nics: two_nics, networks::debian(Dialect::Networkd);
    ifupdown_two_nics: two_nics, networks::debian(Dialect::Ifupdown);
    xenial_static_v4: static_v4, networks::xenial();
    xenial_onlink: onlink, networks::xenial();
    xenial_dhcp_and_static: dhcp_and_static, networks::xenial();
    xenial_layered: layered, networks::xenial();
    xenial_two_nics: two_nics, networks::xenial();
}
