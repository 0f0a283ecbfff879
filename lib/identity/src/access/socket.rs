//! Where an ssh server is reached that systemd starts by a socket, systemd.socket(5): what its configuration
//! says of ports and addresses does not count then.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use formats::access::Setting;

/// The units, with Debian's name and with everybody else's.
pub const UNITS: [&str; 2] = ["ssh.socket", "sshd.socket"];

/// What is asked of them, `systemctl show`. Releases before 247 have another name for where they listen, and
/// say nothing of properties that they have not.
pub const PROPERTIES: &str = "Id,ActiveState,BindIPv6Only,Listen";

/// Reads what `systemctl show` says of the units, those that are active: their places as the settings of a
/// server that listens there itself. Empty where systemd listens for none.
pub fn settings(shown: &str) -> Vec<Setting> {
    let mut places = Places::default();
    let mut unit = "";
    for shown in shown.split("\n\n") {
        let properties = || shown.lines().filter_map(|line| line.split_once('='));
        let is = |name: &str, value: &str| properties().any(|(n, v)| n == name && v == value);
        if !is("ActiveState", "active") {
            continue;
        }
        let both = !is("BindIPv6Only", "ipv6-only");
        for (name, value) in properties() {
            let place = match name {
                // `[::]:22 (Stream)`, and before `ListenStream=[::]:22`.
                "Listen" => value.strip_suffix(" (Stream)"),
                "ListenStream" => Some(value),
                _ => None,
            };
            // Others are paths, or addresses of machines' insides.
            if let Some(place) = place.and_then(|place| place.parse().ok()) {
                unit = properties()
                    .find(|(n, _)| *n == "Id")
                    .map_or(unit, |(_, id)| id);
                places.add(place, both);
            }
        }
    }
    places.settings(unit)
}

#[derive(Default)]
struct Places {
    /// Ports of all addresses, of IPv4 and of IPv6.
    any: BTreeMap<bool, BTreeSet<u16>>,
    /// Others.
    named: BTreeSet<SocketAddr>,
}

impl Places {
    fn add(&mut self, place: SocketAddr, both: bool) {
        if !place.ip().is_unspecified() {
            self.named.insert(place);
            return;
        }
        let ipv4 = place.is_ipv4();
        self.any.entry(ipv4).or_default().insert(place.port());
        if !ipv4 && both {
            self.any.entry(true).or_default().insert(place.port());
        }
    }

    fn settings(&self, unit: &str) -> Vec<Setting> {
        let setting = |keyword: &str, value: String| Setting {
            path: unit.to_owned(),
            condition: None,
            keyword: keyword.to_owned(),
            values: vec![value],
        };
        let (ipv4, ipv6) = (self.any.get(&true), self.any.get(&false));
        if self.named.is_empty() && ipv4 == ipv6 {
            let ports = ipv4.into_iter().flatten();
            return ports
                .map(|port| setting("Port", port.to_string()))
                .collect();
        }
        let any = |ip: IpAddr, ports: Option<&BTreeSet<u16>>| -> Vec<SocketAddr> {
            let ports = ports.into_iter().flatten();
            ports.map(|port| SocketAddr::new(ip, *port)).collect()
        };
        let mut all = any(Ipv4Addr::UNSPECIFIED.into(), ipv4);
        all.extend(any(Ipv6Addr::UNSPECIFIED.into(), ipv6));
        all.extend(&self.named);
        all.iter()
            .map(|place| setting("ListenAddress", place.to_string()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(shown: &str) -> Vec<String> {
        let settings = settings(shown).into_iter();
        settings
            .map(|s| format!("{}: {} {}", s.path, s.keyword, s.values.join(" ")))
            .collect()
    }

    #[test]
    fn where_systemd_listens_for_the_server_is_where_it_is_reached() {
        let active = "Id=ssh.socket\nActiveState=active\n";
        for (properties, expected) in [
            // As older systemds say it, and as newer ones do.
            ("BindIPv6Only=default\nListenStream=[::]:2222", &["Port 2222"][..]),
            ("BindIPv6Only=default\nListen=[::]:2222 (Stream)", &["Port 2222"]),
            (
                "BindIPv6Only=ipv6-only\nListen=0.0.0.0:22 (Stream)\nListen=[::]:22 (Stream)",
                &["Port 22"],
            ),
            ("BindIPv6Only=ipv6-only\nListen=[::]:22 (Stream)", &["ListenAddress [::]:22"]),
            ("Listen=0.0.0.0:22 (Stream)", &["ListenAddress 0.0.0.0:22"]),
            (
                "Listen=192.0.2.7:2200 (Stream)\nListen=[::]:22 (Stream)\nListen=[2001:db8::7]:22 (Stream)",
                &[
                    "ListenAddress 0.0.0.0:22",
                    "ListenAddress [::]:22",
                    "ListenAddress 192.0.2.7:2200",
                    "ListenAddress [2001:db8::7]:22",
                ],
            ),
            (
                "Listen=/run/ssh-unix-local/socket (Stream)\nListen=vsock::22 (Stream)\nListen=[::]:9 (Datagram)",
                &[],
            ),
        ] {
            let expected: Vec<String> =
                expected.iter().map(|e| format!("ssh.socket: {e}")).collect();
            assert_eq!(said(&format!("{active}{properties}\n")), expected, "{properties}");
        }
    }

    /// One that is not started listens nowhere, and an alias is the same unit once more.
    #[test]
    fn only_what_is_active_counts_and_once() {
        let unit = |state: &str, port: u16| {
            format!("Id=ssh.socket\nActiveState={state}\nListen=[::]:{port} (Stream)\n")
        };
        assert_eq!(said(&unit("inactive", 22)), [""; 0]);
        assert_eq!(said(""), [""; 0]);
        let both = format!("{}\n{}", unit("active", 2222), unit("active", 2222));
        assert_eq!(said(&both), ["ssh.socket: Port 2222"]);
        // As systemd 252 said it of a unit and of one that there is not.
        let seen =
            "BindIPv6Only=default\nListen=[::]:2222 (Stream)\nListen=127.0.0.1:2200 (Stream)\n\
                    Id=ssh.socket\nActiveState=active\n\n\
                    BindIPv6Only=default\nId=sshd.socket\nActiveState=inactive\n";
        let expected = ["0.0.0.0:2222", "[::]:2222", "127.0.0.1:2200"];
        let expected = expected.map(|place| format!("ssh.socket: ListenAddress {place}"));
        assert_eq!(said(seen), expected);
    }
}
