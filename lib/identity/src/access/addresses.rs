//! An ssh server that listens on some addresses alone. At boot it may be started before these are there (DHCP,
//! duplicate address detection), and ends then; Debian's unit never starts it again after that
//! (`RestartPreventExitStatus=255`, `After=network.target`). What waits for them, systemd.service(5), and for the
//! server's socket, systemd.socket(5).

use formats::access::Doors;
use formats::network::NewFile;

use super::server;
use crate::kept::UNITS;
use crate::names::text;

/// The name of ours. A unit with two names reads a file of one name once.
const NAME: &str = "10-reroot.conf";

/// The server's units, with Debian's name and with everybody else's.
pub const SERVICES: [&str; 2] = ["ssh.service", "sshd.service"];

/// Words of `ListenAddress` for all addresses, and for those that are there as soon as there is a kernel.
const ALWAYS_THERE: [&str; 5] = ["0.0.0.0", "::", "*", "::1", "localhost"];

/// The addresses that have to be there before it listens on all that it is told of.
pub fn waited_for(doors: &Doors) -> Vec<String> {
    let values = server::counting(doors)
        .filter(|s| s.condition.is_none() && server::is(s, "ListenAddress"))
        .filter_map(|setting| setting.values.first());
    let mut found: Vec<String> = values
        .map(|value| server::host_of(value))
        .filter(|host| !ALWAYS_THERE.contains(host) && !host.starts_with("127."))
        .map(str::to_owned)
        .collect();
    found.dedup();
    found
}

/// What is written for that: nothing where the server listens on all addresses.
pub fn files(doors: &Doors) -> Vec<NewFile> {
    let addresses = waited_for(doors);
    if !doors.server || addresses.is_empty() {
        return Vec::new();
    }
    let known = |unit: &&str| doors.units.iter().any(|known| known == unit);
    let services = SERVICES.iter().copied();
    // An image that does not say what it has has one of both.
    let mut services: Vec<&str> = services.clone().filter(known).collect();
    if services.is_empty() {
        services = SERVICES.to_vec();
    }
    let sockets = super::socket::UNITS.iter().copied().filter(known);
    let head = format!(
        "# Written by reroot: the ssh server listens on {}, which may not be there yet when it is started.\n",
        addresses.join(", ")
    );
    let service = format!("{head}{SERVICE}");
    let socket = format!("{head}{SOCKET}");
    let services = services.into_iter().map(|unit| (unit, &service));
    let all = services.chain(sockets.map(|unit| (unit, &socket)));
    all.map(|(unit, of)| text(&format!("{UNITS}/{unit}.d/{NAME}"), of.clone()))
        .collect()
}

/// It is started once the network is there, and again as long as an address is missing: ten seconds and five starts
/// would end that otherwise.
const SERVICE: &str = "\
[Unit]
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
Restart=on-failure
RestartSec=5
RestartPreventExitStatus=
# The same limit, as systemd before 230 has it.
StartLimitInterval=0
";

/// A socket may be bound to an address that is not there yet.
const SOCKET: &str = "\
[Socket]
FreeBind=yes
";

#[cfg(test)]
mod tests {
    use super::*;

    fn doors(text: &str, units: &[&str]) -> Doors {
        Doors {
            server: true,
            settings: server::tests::settings(text),
            units: units.iter().map(|unit| (*unit).to_owned()).collect(),
            ..Doors::default()
        }
    }

    #[test]
    fn a_server_on_some_addresses_waits_for_them_and_no_other_does() {
        for (text, expected) in [
            ("", &[][..]),
            ("Port 2222", &[]),
            ("ListenAddress 0.0.0.0\nListenAddress ::", &[]),
            ("ListenAddress 0.0.0.0:2222\nListenAddress [::]:2222", &[]),
            ("ListenAddress *", &[]),
            (
                "ListenAddress 127.0.0.1\nListenAddress [::1]:22\nListenAddress localhost:22",
                &[],
            ),
            ("ListenAddress 192.0.2.7", &["192.0.2.7"]),
            (
                "listenaddress 0.0.0.0\nListenAddress 192.0.2.7:2222",
                &["192.0.2.7"],
            ),
            ("ListenAddress [2001:db8::7]:22", &["2001:db8::7"]),
            ("ListenAddress 2001:db8::7", &["2001:db8::7"]),
            ("ListenAddress [fe80::1%eth0]:22", &["fe80::1%eth0"]),
            ("ListenAddress shop.example rdomain x", &["shop.example"]),
        ] {
            let doors = doors(text, &[]);
            assert_eq!(waited_for(&doors), expected, "{text}");
            assert_eq!(files(&doors).is_empty(), expected.is_empty(), "{text}");
        }
        let by_socket = Doors {
            socket: server::tests::settings("ListenAddress 192.0.2.7:22"),
            ..doors("ListenAddress 0.0.0.0", &[])
        };
        assert_eq!(waited_for(&by_socket), ["192.0.2.7"]);
        let none = Doors {
            server: false,
            ..by_socket
        };
        assert_eq!(files(&none), []);
    }

    #[test]
    fn it_is_written_for_the_units_that_the_image_has() {
        let paths = |units: &[&str]| {
            let files = files(&doors("ListenAddress 192.0.2.7", units)).into_iter();
            files.map(|file| file.path).collect::<Vec<_>>()
        };
        let at = |unit: &str| format!("/etc/systemd/system/{unit}.d/10-reroot.conf");
        assert_eq!(paths(&[]), [at("ssh.service"), at("sshd.service")]);
        assert_eq!(paths(&["sshd.service"]), [at("sshd.service")]);
        assert_eq!(
            paths(&["ssh.service", "ssh.socket"]),
            [at("ssh.service"), at("ssh.socket")]
        );
    }
}
