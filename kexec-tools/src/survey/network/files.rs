//! The old OS's files and programs that tell where its network came from, read and handed on.
//! What they mean is decided in [`identity::network::old`].

use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use identity::network::old::{glob, interfaces, OldFile, RunningClient};
use machine::plain_file;
use machine::processes::{self, Process};

/// The most that is read of a file, in bytes. Configuration stays far below; of leases, which grow,
/// the end is read.
const MOST_BYTES: u64 = 1 << 20;

/// The most files that are read; a directory of more is not configuration.
const MOST_FILES: usize = 2000;

/// Where network configuration, leases and name servers are, in every old OS. Components may have
/// `*`.
const PATTERNS: [&str; 73] = [
    interfaces::MAIN,
    "/run/netplan/*.yaml",
    "/etc/netplan/*.yaml",
    "/lib/netplan/*.yaml",
    "/etc/systemd/network/*.network",
    "/etc/systemd/network/*.netdev",
    "/etc/systemd/network/*.network.d/*.conf",
    "/run/systemd/network/*.network",
    "/run/systemd/network/*.netdev",
    "/run/systemd/network/*.network.d/*.conf",
    "/usr/local/lib/systemd/network/*.network",
    "/usr/lib/systemd/network/*.network",
    "/usr/lib/systemd/network/*.network.d/*.conf",
    "/lib/systemd/network/*.network",
    "/etc/NetworkManager/system-connections/*",
    "/run/NetworkManager/system-connections/*",
    "/usr/lib/NetworkManager/system-connections/*",
    "/etc/sysconfig/network-scripts/ifcfg-*",
    "/etc/sysconfig/network/ifcfg-*",
    "/var/lib/dhcp/dhclient*.lease*",
    "/var/lib/dhcp3/dhclient*.lease*",
    "/var/lib/dhclient/*.lease*",
    "/run/dhclient*.lease*",
    "/var/lib/NetworkManager/*.lease",
    "/var/lib/dhcpcd/*.lease",
    "/var/lib/dhcpcd/*.info",
    "/var/lib/dhcpcd5/*.lease",
    "/var/db/dhcpcd/*.lease",
    "/var/lib/dhcpcd/*.lease6",
    "/var/lib/dhcpcd5/*.lease6",
    "/var/db/dhcpcd/*.lease6",
    "/run/systemd/netif/leases/*",
    "/run/systemd/netif/links/*",
    "/sys/class/net/*/ifindex",
    "/etc/resolv.conf",
    "/run/systemd/resolve/resolv.conf",
    "/etc/systemd/resolved.conf",
    "/etc/systemd/resolved.conf.d/*.conf",
    "/run/systemd/resolved.conf.d/*.conf",
    "/usr/lib/systemd/resolved.conf.d/*.conf",
    "/lib/systemd/resolved.conf.d/*.conf",
    "/run/NetworkManager/no-stub-resolv.conf",
    "/run/NetworkManager/resolv.conf",
    "/var/run/NetworkManager/resolv.conf",
    "/run/resolvconf/interface/*",
    "/run/resolvconf/interfaces/*",
    "/run/resolvconf/keys/*",
    "/etc/resolvconf/run/interface/*",
    "/etc/resolvconf/resolv.conf.d/head",
    "/etc/resolvconf/resolv.conf.d/base",
    "/etc/resolvconf/resolv.conf.d/tail",
    "/run/dnsmasq/resolv.conf",
    "/var/run/dnsmasq/resolv.conf",
    "/run/nm-dns-dnsmasq.conf",
    "/var/run/nm-dns-dnsmasq.conf",
    "/usr/lib/netplan/*.yaml",
    "/usr/lib/systemd/network/*.netdev",
    "/lib/systemd/network/*.netdev",
    "/lib/systemd/network/*.network.d/*.conf",
    "/usr/local/lib/systemd/network/*.netdev",
    // What clients of DHCP call themselves.
    "/etc/dhcp/dhclient*.conf",
    "/etc/dhcp3/dhclient*.conf",
    "/etc/dhclient*.conf",
    "/var/lib/NetworkManager/dhclient*.conf",
    "/run/NetworkManager/dhclient*.conf",
    "/etc/dhcpcd.conf",
    "/var/lib/dhcpcd/duid",
    "/var/lib/dhcpcd5/duid",
    "/etc/dhcpcd.duid",
    "/var/db/dhcpcd/duid",
    "/etc/systemd/networkd.conf",
    "/etc/systemd/networkd.conf.d/*.conf",
    // From which some make it up.
    "/etc/machine-id",
];

/// DHCP clients by their names in `comm`, which holds 15 bytes, with their whole names.
const CLIENTS: [(&str, &str); 8] = [
    ("dhclient", "dhclient"),
    ("dhclient3", "dhclient3"),
    ("dhcpcd", "dhcpcd"),
    ("dhcpcd5", "dhcpcd"),
    ("udhcpc", "udhcpc"),
    ("pump", "pump"),
    ("systemd-network", "systemd-networkd"),
    ("NetworkManager", "NetworkManager"),
];

/// Every file that may tell where the network came from. Those that are not there or cannot be
/// read are passed over: the kernel's state stands without them, and then counts as static.
pub fn old_files() -> Vec<OldFile> {
    files_below(Path::new(""))
}

/// The same, below another root.
fn files_below(root: &Path) -> Vec<OldFile> {
    let mut files: Vec<OldFile> = Vec::new();
    let mut patterns: Vec<String> = PATTERNS.iter().map(|p| (*p).to_owned()).collect();
    let mut at = 0;
    while let Some(pattern) = patterns.get(at).cloned() {
        at += 1;
        let of_interfaces = at == 1 || at > PATTERNS.len();
        for path in expand(root, &pattern) {
            if files.len() >= MOST_FILES || files.iter().any(|f| f.path == path) {
                continue;
            }
            let Some(file) = read(root, &path) else {
                continue;
            };
            if of_interfaces {
                patterns.extend(interfaces::sources(&file.text));
            }
            files.push(file);
        }
    }
    files
}

/// The paths that match a pattern, in order of their names.
fn expand(root: &Path, pattern: &str) -> Vec<String> {
    let mut paths = vec![String::new()];
    for component in pattern.split('/').filter(|c| !c.is_empty()) {
        let literal = !component.contains(['*', '?', '[']);
        paths = paths
            .into_iter()
            .flat_map(|start| {
                if literal {
                    return vec![format!("{start}/{component}")];
                }
                let mut names = names(&below(root, &format!("{start}/")));
                names.retain(|n| {
                    glob::matches(component, n)
                        && (component.starts_with('.') || !n.starts_with('.'))
                });
                names.iter().map(|n| format!("{start}/{n}")).collect()
            })
            .take(MOST_FILES)
            .collect();
    }
    paths
}

fn below(root: &Path, path: &str) -> std::path::PathBuf {
    if root.as_os_str().is_empty() {
        path.into()
    } else {
        root.join(path.trim_start_matches('/'))
    }
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|e| e.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

/// A file, or a symbolic link whose end is missing.
fn read(root: &Path, path: &str) -> Option<OldFile> {
    let at = below(root, path);
    let target = fs::read_link(&at)
        .ok()
        .map(|t| t.to_string_lossy().into_owned());
    match contents(&at, path.contains("lease")) {
        Ok(bytes) => Some(OldFile::from_bytes(path, &bytes, target)),
        // The link itself tells who serves the file.
        Err(_) => target.map(|t| OldFile::from_bytes(path, &[], Some(t))),
    }
}

/// The file's bytes, at most [`MOST_BYTES`] of its beginning or its end.
fn contents(path: &Path, end: bool) -> io::Result<Vec<u8>> {
    let mut file = plain_file::open(path)?;
    let length = file.metadata()?.len();
    if end && length > MOST_BYTES {
        file.seek(SeekFrom::Start(length - MOST_BYTES))?;
    }
    let mut bytes = Vec::new();
    file.take(MOST_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The DHCP clients among the processes, with the links that their command lines name: one entry
/// for each link, or one without a link.
pub fn running_clients(processes: &[Process]) -> Vec<RunningClient> {
    let links = names(Path::new("/sys/class/net"));
    let mut clients = Vec::new();
    // Whoever likes may call a program of theirs so, and name a link to it.
    let theirs = |p: &&Process| !p.kernel && !processes::is_a_persons(p.pid);
    for process in processes.iter().filter(theirs) {
        let Some((_, name)) = CLIENTS.iter().find(|(comm, _)| *comm == process.name) else {
            continue;
        };
        // A process that has ended since looks after nothing.
        let Ok(line) = fs::read(format!("/proc/{}/cmdline", process.pid)) else {
            continue;
        };
        let line = String::from_utf8_lossy(&line);
        let named = named_links(&line, &links);
        let words = line.trim_end_matches('\0').split('\0').skip(1);
        let arguments: Vec<String> = words.map(str::to_owned).collect();
        let client = |interface| RunningClient {
            name: (*name).to_owned(),
            interface,
            arguments: arguments.clone(),
        };
        if named.is_empty() {
            clients.push(client(None));
        }
        clients.extend(named.into_iter().map(|link| client(Some(link))));
    }
    clients
}

/// The links that a command line names: `dhclient -v eth0`, `udhcpc -i eth0`, and titles that
/// programs give themselves, `dhcpcd: eth0 [ip4]`.
fn named_links(line: &str, links: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for word in line.split(['\0', ' ']).skip(1) {
        if links.iter().any(|l| l == word) && !found.iter().any(|f| f == word) {
            found.push(word.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn reads_what_is_there_and_nothing_dangerous() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let write = |path: &str, bytes: &[u8]| {
            let path = below(root, path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        };
        write(
            "/etc/network/interfaces",
            b"source interfaces.d/*.cfg\nsource-dir more\n",
        );
        write(
            "/etc/network/interfaces.d/a.cfg",
            b"source /etc/network/interfaces\n",
        );
        write("/etc/network/interfaces.d/a.bak", b"");
        write("/etc/network/more/b", b"\xff\xfe");
        write("/etc/network/more/.b.swp", b"");
        write(
            "/var/lib/dhcp/dhclient.leases",
            &[&vec![b'x'; 1 << 20][..], b"end"].concat(),
        );
        write("/etc/netplan/1.yaml", &vec![b'x'; (1 << 20) + 3]);
        symlink("/dev/zero", below(root, "/etc/netplan/2.yaml")).unwrap();
        symlink("../run/gone/resolv.conf", below(root, "/etc/resolv.conf")).unwrap();
        let files = files_below(root);
        let paths: Vec<_> = files.iter().map(|f| f.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "/etc/network/interfaces",
                "/etc/netplan/1.yaml",
                "/etc/netplan/2.yaml",
                "/var/lib/dhcp/dhclient.leases",
                "/etc/resolv.conf",
                "/etc/network/interfaces.d/a.cfg",
                "/etc/network/more/b",
            ]
        );
        assert_eq!(files[1].text.len(), 1 << 20);
        assert_eq!(files[2].text, "");
        assert!(files[3].text.ends_with("end"));
        assert_eq!(files[3].text.len(), 1 << 20);
        assert_eq!(
            files[4].link_target.as_deref(),
            Some("../run/gone/resolv.conf")
        );
        assert_eq!(files[6].text, "\u{fffd}\u{fffd}");
    }

    #[test]
    fn command_lines_name_links() {
        let links = ["eth0", "eth1", "v"].map(str::to_owned);
        for (line, expected) in [
            (
                "/sbin/dhclient\0-1\0-v\0-pf\0/run/dhclient.eth0.pid\0eth0\0",
                &["eth0"][..],
            ),
            ("dhclient\0eth0\0eth1\0eth0\0", &["eth0", "eth1"]),
            ("udhcpc\0-i\0eth1\0-b\0", &["eth1"]),
            ("dhcpcd: eth0 [ip4]\0", &["eth0"]),
            ("dhclient\0-v\0", &[]),
            ("eth0\0", &[]),
            ("dhclient\0eth2\0", &[]),
        ] {
            assert_eq!(named_links(line, &links), expected, "{line}");
        }
    }
}
