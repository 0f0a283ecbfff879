//! The machine as it is now: thin readers, one a question. What cannot be read is told in its
//! place, and nothing here stops the others.

use std::fs;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use formats::confirm::KeptFound;
use formats::identity::HostKey;
use formats::network::Network;
use formats::plan::Plan;
use identity::access::written::FILES;
use identity::confirm::{link_now, Live, Probed, SshPort};
use identity::host_keys;
use machine::patience::stretched;
use storage::mounts;

use super::dns;
use crate::root::place::at;

/// How long a gateway, and the ssh server, may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The kernel's side, with failures as text: each is told in the place of what could not be read.
mod kernel {
    use std::net::IpAddr;
    use std::time::Duration;

    use formats::network::Network;

    /// The kernel's network.
    pub fn read() -> Result<Network, String> {
        network::read().map_err(|e| format!("{:#}", anyhow::Error::from(e)))
    }

    /// Whether the gateway answers on the link (ARP, neighbour discovery).
    pub fn probe(link: &str, gateway: IpAddr, patience: Duration) -> Result<bool, String> {
        network::probe(link, gateway, patience).map_err(|e| format!("{:#}", anyhow::Error::from(e)))
    }
}

/// Reads everything that the plan is compared with.
pub fn read(plan: &Plan, kept: &Result<KeptFound, String>) -> Live {
    let network = kernel::read();
    Live {
        gateways: gateways(plan, &network),
        servers: servers(plan, &network),
        ssh: ssh_ports(plan, &network),
        resolver: resolver(),
        network,
        hostname: text("/proc/sys/kernel/hostname").unwrap_or_default(),
        machine_id: text("/etc/machine-id").ok(),
        host_keys: plan
            .identity
            .host_keys
            .iter()
            .filter_map(|key| host_key(Path::new("/"), &key.path))
            .collect(),
        access: FILES
            .iter()
            .filter_map(|path| Some(((*path).to_owned(), fs::read_to_string(path).ok()?)))
            .collect(),
        users: accounts("/etc/passwd"),
        groups: accounts("/etc/group"),
        mounts: mounted(),
        swaps: swaps(plan),
        listening: machine::listening::read().map_err(|e| format!("read what listens: {e}")),
        kept: kept.clone(),
    }
}

/// How long the kernel has been up.
pub fn uptime() -> Option<Duration> {
    let text = fs::read_to_string("/proc/uptime").ok()?;
    let seconds: f64 = text.split_whitespace().next()?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

fn text(path: &str) -> Result<String, String> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text.trim_end().to_owned()),
        Err(e) => Err(format!("read {path}: {e}")),
    }
}

fn gateways(plan: &Plan, network: &Result<Network, String>) -> Vec<Probed> {
    let Ok(now) = network else {
        return Vec::new();
    };
    let wanted = plan.network.gateways.iter().filter(|g| g.answers);
    wanted
        .map(|gateway| Probed {
            address: gateway.address,
            link: Some(gateway.link.clone()),
            answers: match link_now(&plan.network, now, &gateway.link) {
                Some(link) => kernel::probe(&link.name, gateway.address, stretched(PATIENCE)),
                None => Err(format!("there is no link {}", gateway.link)),
            },
        })
        .collect()
}

fn servers(plan: &Plan, network: &Result<Network, String>) -> Vec<Probed> {
    let servers = plan.network.network.dns.servers.iter();
    servers
        .map(|server| {
            let old = server.link.as_deref();
            let now = old.zip(network.as_ref().ok());
            let link = now.and_then(|(old, now)| link_now(&plan.network, now, old));
            Probed {
                address: server.address,
                link: server.link.clone(),
                answers: dns::probe(server.address, scope(link.map(|l| l.name.as_str()))),
            }
        })
        .collect()
}

fn resolver() -> Vec<Probed> {
    let text = text("/etc/resolv.conf").unwrap_or_default();
    dns::servers(&text)
        .into_iter()
        .map(|(address, link)| Probed {
            address,
            answers: dns::probe(address, scope(link.as_deref())),
            link,
        })
        .collect()
}

/// The number of a link; 0 is none.
fn scope(link: Option<&str>) -> u32 {
    link.filter(|name| !name.contains('/'))
        .and_then(|name| text(&format!("/sys/class/net/{name}/ifindex")).ok())
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

/// An image that is older than the question says no port.
const USUAL_PORT: u16 = 22;

/// What answers at each port that the plan promised, on the machine's own addresses: a server that
/// listens on some of them alone is not at the loopback interface.
fn ssh_ports(plan: &Plan, network: &Result<Network, String>) -> Vec<(u16, SshPort)> {
    let addresses: Vec<IpAddr> = std::iter::once(IpAddr::V4(Ipv4Addr::LOCALHOST))
        .chain(outer_addresses(network))
        .collect();
    let promised = &plan.identity.ssh_ports;
    let ports = if promised.is_empty() {
        &[USUAL_PORT][..]
    } else {
        promised
    };
    let ask = |port: u16| {
        let mut answers = addresses.iter().map(|a| ssh(SocketAddr::from((*a, port))));
        let open = answers.find(|answer| *answer != SshPort::Closed);
        (port, open.unwrap_or(SshPort::Closed))
    };
    ports.iter().map(|port| ask(*port)).collect()
}

/// Addresses by which others reach the machine.
pub fn outer_addresses(network: &Result<Network, String>) -> Vec<IpAddr> {
    let links = network.iter().flat_map(|network| &network.links);
    let own = links.flat_map(|link| link.addresses.iter().map(|a| a.ip));
    let is_usable = |address: &IpAddr| match address {
        IpAddr::V4(v4) => !v4.is_loopback(),
        // A link-local one is nothing without its link.
        IpAddr::V6(v6) => !v6.is_loopback() && (v6.segments()[0] & 0xffc0) != 0xfe80,
    };
    own.filter(is_usable).collect()
}

/// What is at an address and a port.
pub fn ssh(at: SocketAddr) -> SshPort {
    let Ok(mut stream) = TcpStream::connect_timeout(&at, stretched(PATIENCE)) else {
        return SshPort::Closed;
    };
    let mut greeting = [0; 4];
    let timeout = stream.set_read_timeout(Some(stretched(PATIENCE)));
    match timeout.and_then(|()| stream.read_exact(&mut greeting)) {
        Ok(()) if greeting == *b"SSH-" => SshPort::Greets,
        _ => SshPort::Silent,
    }
}

fn accounts(path: &str) -> Result<Vec<(String, u32)>, String> {
    let bytes = fs::read(path).map_err(|e| format!("read {path}: {e}"))?;
    Ok(numbers(&bytes))
}

/// Names and numbers of passwd(5) or group(5): the first and the third field. Lines that are not
/// of that shape (NIS, comments) are no accounts of this machine.
fn numbers(bytes: &[u8]) -> Vec<(String, u32)> {
    bytes
        .split(|b| *b == b'\n')
        .filter_map(|line| {
            let mut fields = line.split(|b| *b == b':');
            let name = std::str::from_utf8(fields.next()?).ok()?;
            let number = std::str::from_utf8(fields.nth(1)?).ok()?.parse().ok()?;
            let plain = !name.is_empty() && !name.starts_with(['+', '-', '#']);
            plain.then(|| (name.to_owned(), number))
        })
        .collect()
}

/// A host key by its private half, which is what the server shows; by the public half where the
/// private one does not tell a fingerprint.
fn host_key(root: &Path, path: &str) -> Option<HostKey> {
    let text = |path: &str| fs::read_to_string(at(root, path)).ok();
    let private = text(path).and_then(|text| host_keys::from_private(path, &text))?;
    let public = || text(&format!("{path}.pub")).and_then(|t| host_keys::from_public(path, &t));
    if private.fingerprint.is_empty() {
        public().or(Some(private))
    } else {
        Some(private)
    }
}

fn mounted() -> Vec<String> {
    let mounts = mounts::read().unwrap_or_default();
    mounts
        .into_iter()
        .map(|m| m.target.to_string_lossy().into_owned())
        .collect()
}

/// The sources of the plan's swap spaces that are in use.
fn swaps(plan: &Plan) -> Vec<String> {
    let table = fs::read_to_string("/proc/swaps").unwrap_or_default();
    let used: Vec<Meant> = table
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().next())
        .map(meant)
        .collect();
    let mounts = plan.identity.mounts.iter();
    mounts
        .filter(|m| m.fstype == "swap" && used.contains(&meant(node(&m.source))))
        .map(|m| m.source.clone())
        .collect()
}

/// What a path means: a block device may have several nodes, which are no links.
#[derive(PartialEq)]
enum Meant {
    Device(u64),
    Path(PathBuf),
}

fn meant(path: impl AsRef<Path>) -> Meant {
    let path = path.as_ref();
    match fs::metadata(path) {
        Ok(found) if found.file_type().is_block_device() => Meant::Device(found.rdev()),
        _ => Meant::Path(fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())),
    }
}

/// Tags of fstab(5) and udev's directories for them.
const TAGS: [(&str, &str); 5] = [
    ("UUID=", "by-uuid"),
    ("LABEL=", "by-label"),
    ("PARTUUID=", "by-partuuid"),
    ("PARTLABEL=", "by-partlabel"),
    ("ID=", "by-id"),
];

/// The path that stands for a source of fstab(5).
fn node(source: &str) -> String {
    TAGS.iter()
        .find_map(|(tag, directory)| {
            let value = source.strip_prefix(tag)?.trim_matches('"');
            Some(format!("/dev/disk/{directory}/{value}"))
        })
        .unwrap_or_else(|| source.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::TcpListener;

    #[test]
    fn accounts_are_the_lines_of_this_machine() {
        let text = b"root:x:0:0::/root:/bin/sh\nmysql:x:27:27:\xe9::\n+nis::::::\n+:::\n#a:x:1:\n\
            broken\nhuge:x:4294967296:1:::\nbig:x:4294967294:1:::\n:x:3:\nadm:*:4:a,b\r\n";
        let expected = [
            ("root", 0),
            ("mysql", 27),
            ("big", 4_294_967_294),
            ("adm", 4),
        ]
        .map(|(name, number)| (name.to_owned(), number));
        assert_eq!(numbers(text), expected);
    }

    #[test]
    fn a_device_is_the_same_by_whichever_node() {
        use rustix::fs::{makedev, mknodat, FileType, Mode, CWD};

        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        for (name, minor) in [("dm-1", 1), ("vg-swap", 1), ("dm-2", 2)] {
            let number = makedev(253, minor);
            mknodat(CWD, at(name), FileType::BlockDevice, Mode::RUSR, number)
                .expect("this test makes device nodes and needs root");
        }
        std::os::unix::fs::symlink("vg-swap", at("link")).unwrap();
        assert!(meant(at("dm-1")) == meant(at("link")));
        assert!(meant(at("dm-1")) != meant(at("dm-2")));
        assert!(meant(at("file")) == meant(at("file")) && meant(at("file")) != meant(at("dm-1")));
    }

    #[test]
    fn sources_are_looked_up_where_udev_links_them() {
        for (source, path) in [
            ("UUID=12-34", "/dev/disk/by-uuid/12-34"),
            ("LABEL=\"swap\"", "/dev/disk/by-label/swap"),
            ("PARTUUID=a-01", "/dev/disk/by-partuuid/a-01"),
            ("/dev/vda2", "/dev/vda2"),
        ] {
            assert_eq!(node(source), path);
        }
    }

    #[test]
    fn the_ssh_port_is_told_by_its_greeting() {
        for (greeting, expected) in [
            ("SSH-2.0-x\r\n", SshPort::Greets),
            ("HTTP/1.1 400\r\n", SshPort::Silent),
            ("", SshPort::Silent),
        ] {
            // Not 127.0.0.1, where another program may have the port by the time that it is closed here.
            let listener = TcpListener::bind("127.0.0.2:0").unwrap();
            let at = listener.local_addr().unwrap();
            let greets = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                stream.write_all(greeting.as_bytes()).unwrap();
            });
            assert_eq!(ssh(at), expected, "{greeting:?}");
            greets.join().unwrap();
            assert_eq!(ssh(at), SshPort::Closed);
        }
    }
}
