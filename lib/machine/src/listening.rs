//! Which sockets listen to the outside: /proc/net/tcp and its kin, `proc_net(5)`, with the processes
//! that have them open.
//!
//! Left out is what nobody outside can reach, on loopback, and what is no service: UDP ports that the
//! kernel hands out to whoever asks something, and those of DHCP clients.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::path::Path;

use formats::listening::{Listener, Protocol};

use crate::processes;

/// The tables, and the state in which a socket of each listens: `TCP_LISTEN`, and for UDP, which has
/// no such state, `TCP_CLOSE`: bound, connected to nobody.
const TABLES: [(&str, Protocol, &str); 4] = [
    ("tcp", Protocol::Tcp, "0A"),
    ("tcp6", Protocol::Tcp, "0A"),
    ("udp", Protocol::Udp, "07"),
    ("udp6", Protocol::Udp, "07"),
];

/// The most of a table that is read: a line takes 150 bytes, a busy machine has 100,000 of them.
const LARGEST: u64 = 256 << 20;

/// Ports that a DHCP client listens on, for IPv4 and IPv6.
const DHCP_CLIENT: [u16; 2] = [68, 546];

/// What the kernel has unless told otherwise.
const HANDED_OUT: RangeInclusive<u16> = 32768..=60999;

/// A line of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Socket {
    address: IpAddr,
    port: u16,
    state: String,
    inode: u64,
}

/// Every socket that listens to the outside, sorted, each once.
pub fn read() -> io::Result<Vec<Listener>> {
    read_in(Path::new("/proc/net"))
}

/// [`read`], with the directory of the tables.
fn read_in(directory: &Path) -> io::Result<Vec<Listener>> {
    let handed_out = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|text| range(&text))
        .unwrap_or(HANDED_OUT);
    let mut found = Vec::new();
    for (table, protocol, state) in TABLES {
        let sockets = sockets(&directory.join(table), state)?.into_iter();
        let outside = sockets.filter(|s| is_outside(s, protocol, &handed_out));
        found.extend(outside.map(|socket| (protocol, socket)));
    }
    let holders = holders(&found.iter().map(|(_, s)| s.inode).collect::<Vec<_>>());
    let mut listeners: Vec<Listener> = found
        .into_iter()
        .map(|(protocol, socket)| Listener {
            protocol,
            port: socket.port,
            address: socket.address,
            process: holders.get(&socket.inode).map(|(_, name)| name.clone()),
        })
        .collect();
    listeners.sort();
    listeners.dedup();
    Ok(listeners)
}

/// A process that takes connections of TCP, from outside or from this machine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Server {
    /// On which port.
    pub port: u16,
    /// Its number.
    pub pid: i32,
    /// Its name.
    pub name: String,
}

/// Every such process, sorted, each port of it once.
pub fn servers() -> io::Result<Vec<Server>> {
    let mut found = Vec::new();
    let of_tcp = TABLES.iter().filter(|(_, p, _)| *p == Protocol::Tcp);
    for (table, _, state) in of_tcp {
        found.extend(sockets(&Path::new("/proc/net").join(table), state)?);
    }
    let holders = holders(&found.iter().map(|socket| socket.inode).collect::<Vec<_>>());
    let server = |socket: Socket| {
        let (pid, name) = holders.get(&socket.inode)?.clone();
        Some(Server {
            port: socket.port,
            pid,
            name,
        })
    };
    let mut servers: Vec<Server> = found.into_iter().filter_map(server).collect();
    servers.sort();
    servers.dedup();
    Ok(servers)
}

/// The sockets of a table that are in this state.
fn sockets(table: &Path, state: &str) -> io::Result<Vec<Socket>> {
    let file = match File::open(table) {
        Ok(file) => file,
        // Without IPv6 there is no table of it.
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let mut found = Vec::new();
    for line in BufReader::new(file.take(LARGEST)).lines().skip(1) {
        found.extend(parse_line(&line?).filter(|socket| socket.state == state));
    }
    Ok(found)
}

fn is_outside(socket: &Socket, protocol: Protocol, handed_out: &RangeInclusive<u16>) -> bool {
    let asks = protocol == Protocol::Udp
        && (handed_out.contains(&socket.port) || DHCP_CLIENT.contains(&socket.port));
    socket.port != 0 && !socket.address.is_loopback() && !asks
}

/// A line of `proc_net(5)`: number, local address, remote address, state, …, inode in the tenth field.
fn parse_line(line: &str) -> Option<Socket> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (address, port) = fields.get(1)?.split_once(':')?;
    Some(Socket {
        address: parse_address(address)?,
        port: u16::from_str_radix(port, 16).ok()?,
        state: (*fields.get(3)?).to_owned(),
        inode: fields.get(9)?.parse().ok()?,
    })
}

/// An address in hexadecimal, printed as words of 32 bits in the machine's order.
fn parse_address(text: &str) -> Option<IpAddr> {
    if !text.is_ascii() {
        return None;
    }
    let word = |at: usize| -> Option<[u8; 4]> {
        let word = u32::from_str_radix(text.get(at * 8..at * 8 + 8)?, 16).ok()?;
        Some(word.to_ne_bytes())
    };
    match text.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            let bytes: [u8; 16] = words.concat().try_into().ok()?;
            Some(Ipv6Addr::from(bytes).to_canonical())
        }
        _ => None,
    }
}

/// Two numbers, as in `ip_local_port_range`.
fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let mut numbers = text.split_whitespace().map(str::parse);
    Some(numbers.next()?.ok()?..=numbers.next()?.ok()?)
}

/// Numbers and names of the processes that have sockets open, by inode. Of several, the first: a program's own
/// before those of what it started.
fn holders(inodes: &[u64]) -> BTreeMap<u64, (i32, String)> {
    let mut holders = BTreeMap::new();
    for process in processes::all().unwrap_or_default() {
        let Ok(entries) = fs::read_dir(format!("/proc/{}/fd", process.pid)) else {
            continue;
        };
        for entry in entries.flatten() {
            let inode = fs::read_link(entry.path())
                .ok()
                .and_then(|link| inode(link.to_str()?))
                .filter(|inode| inodes.contains(inode));
            if let Some(inode) = inode {
                let own = || (process.pid, process.name.clone());
                let holder = holders.entry(inode).or_insert_with(own);
                // A socket unit's: PID 1 holds it beside the service.
                if process.pid != 1 && holder.1 == "systemd" {
                    *holder = own();
                }
            }
        }
    }
    holders
}

/// The inode in `socket:[INODE]`.
fn inode(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?
        .strip_suffix(']')?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use rustix::thread::UnshareFlags;

    use super::*;

    /// Recorded on Debian 13, on a little-endian machine; the second is established.
    const RECORDED: &[(&str, &str, u16, &str, u64)] = &[
        (
            "   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12345 1 0000000000000000 100 0 0 10 0",
            "0.0.0.0", 22, "0A", 12345,
        ),
        (
            "   1: 0F02000A:0016 0202000A:C3A2 01 00000000:00000000 02:000A7214 00000000     0        0 22222 2 0000000000000000 20 4 31 10 -1",
            "10.0.2.15", 22, "01", 22222,
        ),
        (
            "   2: 3500007F:0035 00000000:0000 0A 00000000:00000000 00:00000000 00000000   991        0 3 1 0 100 0 0 10 5",
            "127.0.0.53", 53, "0A", 3,
        ),
        (
            "   0: 00000000000000000000000000000000:14EB 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000   991        0 7890 1 0 100 0 0 10 0",
            "::", 5355, "0A", 7890,
        ),
        (
            "   1: 00000000000000000000000001000000:0277 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4 1 0 100 0 0 10 0",
            "::1", 631, "0A", 4,
        ),
        (
            "  2: 0000000000000000FFFF00000100007F:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 5 1 0 100 0 0 10 0",
            "127.0.0.1", 8080, "0A", 5,
        ),
        (
            " 1437: 00000000:14EB 00000000:0000 07 00000000:00000000 00:00000000 00000000   991        0 6 2 0 0",
            "0.0.0.0", 5355, "07", 6,
        ),
    ];

    #[test]
    #[cfg(target_endian = "little")]
    fn reads_recorded_tables() {
        for (line, address, port, state, inode) in RECORDED {
            let expected = Socket {
                address: address.parse().unwrap(),
                port: *port,
                state: (*state).to_owned(),
                inode: *inode,
            };
            assert_eq!(parse_line(line), Some(expected), "{line}");
        }
        for line in [
            "",
            "  sl  local_address rem_address   st",
            "0: 00:16 0 0A",
            "0: é0000000:0016 0 0A 0 0 0 0 0 1",
        ] {
            assert_eq!(parse_line(line), None, "{line}");
        }
    }

    #[test]
    fn loopback_answers_and_dhcp_clients_are_no_services() {
        let socket = |address: &str, port| Socket {
            address: address.parse().unwrap(),
            port,
            state: String::new(),
            inode: 1,
        };
        for (address, port, protocol, expected) in [
            ("0.0.0.0", 80, Protocol::Tcp, true),
            ("::", 5355, Protocol::Udp, true),
            ("192.0.2.7", 40000, Protocol::Tcp, true),
            ("192.0.2.7", 40000, Protocol::Udp, false),
            ("0.0.0.0", 68, Protocol::Udp, false),
            ("127.0.0.53", 53, Protocol::Udp, false),
            ("::1", 631, Protocol::Tcp, false),
            ("0.0.0.0", 0, Protocol::Udp, false),
        ] {
            let found = is_outside(&socket(address, port), protocol, &HANDED_OUT);
            assert_eq!(found, expected, "{address} {port}");
        }
        assert_eq!(range("1024\t65000\n"), Some(1024..=65000));
        assert_eq!(range("1024"), None);
    }

    #[test]
    fn a_server_of_this_machines_own_is_found_with_its_process() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let found = servers().unwrap();
        let own: Vec<_> = found.iter().filter(|server| server.port == port).collect();
        let me = i32::try_from(std::process::id()).unwrap();
        assert_eq!(own.iter().map(|s| s.pid).collect::<Vec<_>>(), [me]);
        drop(socket);
    }

    /// Real sockets, on every address of a network namespace that a thread makes for itself.
    #[test]
    fn real_sockets_are_found_with_their_process() {
        let found = std::thread::spawn(|| {
            #[allow(deprecated)] // The flag shares nothing that Rust relies on.
            rustix::thread::unshare(UnshareFlags::NEWNET)
                .expect("make a network namespace; run `sudo -E cargo test -p machine listening`");
            // The address of IPv6 is not yet there on a loopback that is down; every address is.
            let tcp = TcpListener::bind("0.0.0.0:5355").unwrap();
            let udp = UdpSocket::bind("0.0.0.0:5353").unwrap();
            let asking = UdpSocket::bind("0.0.0.0:0").unwrap();
            let found = read_in(Path::new("/proc/thread-self/net")).unwrap();
            drop((tcp, udp, asking));
            found
        })
        .join()
        .unwrap();
        let me = fs::read_to_string("/proc/self/comm").unwrap();
        let told: Vec<_> = found.iter().map(Listener::told).collect();
        let me = me.trim_end();
        assert_eq!(
            told,
            [
                format!("tcp 5355 on every address ({me})"),
                format!("udp 5353 on every address ({me})")
            ]
        );
    }
}
