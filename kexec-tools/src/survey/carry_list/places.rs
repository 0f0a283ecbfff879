//! Where an OS has what people put there, what kind of thing it is, and what is left out of a list of it,
//! with the reason. Knowledge, as tables.

/// Where is looked. Data is not: of that the plan has a section, and it is kept rather than carried.
pub const LOOKED_AT: [&str; 12] = [
    "/etc",
    "/lib/systemd/system",
    "/lib/udev/rules.d",
    "/opt",
    "/root",
    "/usr/lib/systemd/system",
    "/usr/lib/udev/rules.d",
    "/usr/local",
    "/usr/share/keyrings",
    "/var/spool/at",
    "/var/spool/cron",
    "/var/spool/anacron",
];

/// Folders that every OS has, whether a package says so or not: what is in them is listed by name.
pub const OPENED: [&str; 10] = [
    "/etc/systemd",
    "/etc/systemd/system",
    "/root/.ssh",
    "/usr/local/bin",
    "/usr/local/etc",
    "/usr/local/lib",
    "/usr/local/sbin",
    "/usr/local/share",
    "/usr/local/share/ca-certificates",
    "/var/spool/cron/crontabs",
];

/// Kinds of things, by the beginning of their paths; the first that fits. What fits nowhere is of the last.
pub const GROUPS: [(&str, &[&str]); 12] = [
    (
        "crontabs and at jobs",
        &["/etc/cron", "/etc/anacrontab", "/var/spool/"],
    ),
    (
        "kernel settings and modules",
        &[
            "/etc/sysctl",
            "/etc/modules",
            "/etc/modprobe.d",
            "/etc/depmod.d",
        ],
    ),
    (
        "firewall",
        &[
            "/etc/iptables",
            "/etc/nftables",
            "/etc/ufw",
            "/etc/default/ufw",
            "/etc/firewalld",
            "/etc/shorewall",
            "/etc/fail2ban",
            "/etc/ipset",
            "/etc/sysconfig/iptables",
            "/etc/sysconfig/ip6tables",
        ],
    ),
    (
        "package sources, which name the old release: edit them before use",
        &[
            "/etc/apt",
            "/usr/share/keyrings",
            "/etc/yum",
            "/etc/dnf",
            "/etc/zypp",
            "/etc/pki/rpm-gpg",
        ],
    ),
    (
        "services: units, timers, start scripts",
        &[
            "/etc/systemd",
            "/lib/systemd",
            "/usr/lib/systemd",
            "/etc/init.d",
            "/etc/init/",
            "/etc/rc.local",
            "/etc/default",
            "/etc/sysconfig",
        ],
    ),
    ("udev rules", &["/etc/udev", "/lib/udev", "/usr/lib/udev"]),
    (
        "CA certificates, certificates and their keys",
        &[
            "/usr/local/share/ca-certificates",
            "/etc/ca-certificates",
            "/etc/ssl",
            "/etc/pki",
            "/etc/letsencrypt",
        ],
    ),
    (
        "who may connect, and the clock",
        &["/etc/hosts.allow", "/etc/hosts.deny", "/etc/adjtime"],
    ),
    ("rotation of logs", &["/etc/logrotate"]),
    ("software outside of packages", &["/opt", "/usr/local"]),
    ("root's home", &["/root"]),
    ("others", &[""]),
];

/// The kind of a path, by its place in [`GROUPS`].
pub fn group_of(path: &str) -> usize {
    let fits = |starts: &[&str]| starts.iter().any(|start| path.starts_with(start));
    let found = GROUPS.iter().position(|(_, starts)| fits(starts));
    found.unwrap_or(GROUPS.len() - 1)
}

const ACCOUNTS: &str = "users and groups are merged by the run";
const NETWORK: &str = "the network is written anew, from what the kernel has";
const ITSELF: &str = "comes along by itself";
const MADE: &str = "is made by programs of the OS";
const BOOT: &str = "belongs to how the old OS boots";
const HISTORY: &str = "tells what was done, and does nothing";

/// What is left out, by path or, with `*` at the end, by its beginning; with the reason.
pub const LEFT_OUT: [(&str, &str); 62] = [
    ("/etc/passwd*", ACCOUNTS),
    ("/etc/shadow*", ACCOUNTS),
    ("/etc/group*", ACCOUNTS),
    ("/etc/gshadow*", ACCOUNTS),
    ("/etc/subuid*", ACCOUNTS),
    ("/etc/subgid*", ACCOUNTS),
    ("/etc/.pwd.lock", ACCOUNTS),
    ("/etc/hostname", ITSELF),
    ("/etc/hosts", ITSELF),
    ("/etc/machine-id", ITSELF),
    ("/etc/localtime", ITSELF),
    ("/etc/timezone", ITSELF),
    ("/etc/locale.conf", ITSELF),
    ("/etc/default/locale", ITSELF),
    ("/etc/locale.gen", ITSELF),
    ("/etc/fstab", "its mounts come along by themselves"),
    ("/etc/ssh/ssh_host_*", ITSELF),
    (
        "/etc/ssh/sshd_config",
        "what it says about who gets in is written anew: docs/access.md",
    ),
    ("/root/.ssh/authorized_keys*", ITSELF),
    ("/etc/resolv.conf", NETWORK),
    ("/etc/network/interfaces*", NETWORK),
    ("/etc/network/run*", NETWORK),
    ("/etc/netplan/*", NETWORK),
    ("/etc/systemd/network/*", NETWORK),
    ("/etc/NetworkManager/system-connections/*", NETWORK),
    ("/etc/sysconfig/network*", NETWORK),
    ("/etc/dhcp/dhclient*", NETWORK),
    ("/etc/udev/rules.d/70-persistent-net.rules", NETWORK),
    ("/etc/mtab", MADE),
    ("/etc/ld.so.cache", MADE),
    ("/etc/.updated", MADE),
    ("/etc/alternatives/*", MADE),
    ("/etc/rc0.d/*", MADE),
    ("/etc/rc1.d/*", MADE),
    ("/etc/rc2.d/*", MADE),
    ("/etc/rc3.d/*", MADE),
    ("/etc/rc4.d/*", MADE),
    ("/etc/rc5.d/*", MADE),
    ("/etc/rc6.d/*", MADE),
    ("/etc/rcS.d/*", MADE),
    ("/etc/ssl/certs/*", MADE),
    ("/etc/ssl/private/ssl-cert-snakeoil.key", MADE),
    ("/etc/ca-certificates.conf*", MADE),
    ("/etc/pki/ca-trust/extracted/*", MADE),
    ("/etc/apparmor.d/cache*", MADE),
    ("/etc/udev/hwdb.bin", MADE),
    ("/etc/lvm/*", MADE),
    ("/etc/blkid.tab*", MADE),
    ("/etc/xml/*", MADE),
    ("/etc/sgml/*", MADE),
    ("/etc/popularity-contest.conf", MADE),
    ("/var/spool/anacron/*", MADE),
    ("/var/spool/cron/atjobs/.SEQ", MADE),
    ("/etc/default/grub*", BOOT),
    ("/etc/grub.d/*", BOOT),
    ("/etc/initramfs-tools/*", BOOT),
    ("/etc/kernel*", BOOT),
    ("/etc/dracut*", BOOT),
    ("/root/.bash_history", HISTORY),
    ("/root/.viminfo", HISTORY),
    ("/root/.lesshst", HISTORY),
    ("/root/.cache*", MADE),
];

/// Why a path is left out.
pub fn left_out(path: &str) -> Option<&'static str> {
    let fits = |pattern: &str| match pattern.strip_suffix('*') {
        Some(start) => path.starts_with(start),
        None => path == pattern,
    };
    let row = LEFT_OUT.iter().find(|(pattern, _)| fits(pattern));
    row.map(|(_, why)| *why)
}

/// Links that enable a unit, and folders of them: which services run is for the new OS's packages to say.
pub fn enables(path: &str) -> bool {
    let of_units = |name: &str| matches!(name.rsplit_once('.'), Some((_, "wants" | "requires")));
    path.starts_with("/etc/systemd/") && path.split('/').any(of_units)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_found_by_its_place() {
        for (path, group) in [
            ("/etc/cron.d/shop", "crontabs"),
            ("/var/spool/cron/crontabs/root", "crontabs"),
            ("/etc/sysctl.d/9.conf", "kernel"),
            ("/etc/ufw/user.rules", "firewall"),
            ("/etc/apt/sources.list.d/x.list", "package"),
            ("/etc/systemd/system/x.timer", "services"),
            ("/usr/local/share/ca-certificates/own.crt", "CA"),
            ("/usr/local/bin/x", "software"),
            ("/etc/hosts.allow", "who may"),
            ("/etc/nginx/nginx.conf", "others"),
        ] {
            let found = GROUPS[group_of(path)].0;
            assert!(found.starts_with(group), "{path}: {found}");
        }
        assert!(left_out("/etc/fstab").is_some() && left_out("/etc/fstab.d/x").is_none());
        assert!(left_out("/etc/ssh/ssh_host_rsa_key.pub").is_some());
        assert!(left_out("/etc/hosts.allow").is_none());
    }
}
