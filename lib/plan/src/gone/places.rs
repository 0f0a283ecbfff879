//! Where people and services put what is theirs, and what every OS has of its own: tables.

use formats::facts::Weight;
use formats::keep::is_below;

/// A place that is known, and what people and services have there.
pub(super) struct Known {
    pub(super) path: &'static str,
    pub(super) what: &'static str,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Whoever writes there at this moment is using data that would be gone.
    Data,
    /// It is somebody's, and what is open there need not be in use: root's shell, a tool's log.
    Things,
    /// Every machine has them, and they go with every reinstall.
    Logs,
}

const fn data(path: &'static str, what: &'static str) -> Known {
    Known {
        path,
        what,
        kind: Kind::Data,
    }
}

const fn things(path: &'static str, what: &'static str) -> Known {
    Known {
        path,
        what,
        kind: Kind::Things,
    }
}

/// Each is looked at as one place. What is in none of them and not the OS's own is told too, without
/// a word for what it is.
const KNOWN: &[Known] = &[
    data("/var/lib/mysql", "MySQL or MariaDB"),
    data("/var/lib/mariadb", "MariaDB"),
    data("/var/lib/postgresql", "PostgreSQL"),
    data("/var/lib/pgsql", "PostgreSQL"),
    data("/var/lib/mongodb", "MongoDB"),
    data("/var/lib/mongo", "MongoDB"),
    data("/var/lib/redis", "Redis"),
    data("/var/lib/valkey", "Valkey"),
    data("/var/lib/ldap", "OpenLDAP"),
    data("/var/lib/dirsrv", "389 Directory Server"),
    data("/var/lib/couchdb", "CouchDB"),
    data("/var/lib/cassandra", "Cassandra"),
    data("/var/lib/clickhouse", "ClickHouse"),
    data("/var/lib/elasticsearch", "Elasticsearch"),
    data("/var/lib/opensearch", "OpenSearch"),
    data("/var/lib/solr", "Solr"),
    data("/var/lib/influxdb", "InfluxDB"),
    data("/var/lib/prometheus", "Prometheus"),
    data("/var/lib/grafana", "Grafana"),
    data("/var/lib/graphite", "Graphite"),
    data("/var/lib/rabbitmq", "RabbitMQ"),
    data("/var/lib/kafka", "Kafka"),
    data("/var/lib/zookeeper", "ZooKeeper"),
    data("/var/lib/etcd", "etcd"),
    data("/var/lib/consul", "Consul"),
    data("/var/lib/neo4j", "Neo4j"),
    data("/var/lib/firebird", "Firebird"),
    data("/var/lib/docker", "Docker"),
    data("/var/lib/containerd", "containerd"),
    data("/var/lib/containers", "Podman"),
    data("/var/lib/kubelet", "Kubernetes"),
    data("/var/lib/rancher", "Kubernetes"),
    data("/var/lib/lxc", "LXC"),
    data("/var/lib/lxd", "LXD"),
    data("/var/lib/incus", "Incus"),
    data("/var/lib/libvirt", "virtual machines"),
    data("/var/lib/samba", "Samba"),
    data("/var/lib/krb5kdc", "Kerberos"),
    data("/var/lib/bind", "zones of BIND"),
    data("/var/lib/powerdns", "PowerDNS"),
    data("/var/lib/pdns", "PowerDNS"),
    data("/var/lib/gitea", "Gitea"),
    data("/var/lib/forgejo", "Forgejo"),
    data("/var/lib/gitlab", "GitLab"),
    data("/var/lib/git", "git"),
    data("/var/lib/svn", "Subversion"),
    data("/var/lib/jenkins", "Jenkins"),
    data("/var/lib/nextcloud", "Nextcloud"),
    data("/var/lib/vaultwarden", "Vaultwarden"),
    data("/var/lib/mailman", "Mailman"),
    data("/var/lib/mailman3", "Mailman"),
    data("/var/lib/cyrus", "mail of Cyrus"),
    data("/var/lib/imap", "mail of Cyrus"),
    data("/var/vmail", "mail"),
    data("/var/mail", "mail"),
    data("/var/spool/mail", "mail"),
    data("/var/spool/cyrus", "mail of Cyrus"),
    data("/var/spool/imap", "mail of Cyrus"),
    data("/var/www", "web sites"),
    data("/var/opt", "software outside of packages"),
    data("/var/snap", "data of snaps"),
    things("/var/spool/postfix", "mail that waits to be sent"),
    things("/var/spool/exim4", "mail that waits to be sent"),
    things("/var/spool/cron", "crontabs and at jobs"),
    things("/var/spool/at", "at jobs"),
    things("/root", "root's home"),
    things("/usr/local", "software outside of packages"),
    things("/var/backups", "copies that the OS makes of its lists"),
    Known {
        path: "/var/log",
        what: "logs",
        kind: Kind::Logs,
    },
];

/// Directories in which each name is a place of its own, and whether what is there is data.
const OF_MANY: [(&str, Kind); 7] = [
    ("/srv", Kind::Data),
    ("/home", Kind::Data),
    ("/opt", Kind::Data),
    ("/mnt", Kind::Data),
    ("/media", Kind::Data),
    ("/var/lib", Kind::Things),
    ("/var/spool", Kind::Things),
];

/// Names at the top of a filesystem that every OS has. hier(7), FHS 3.0; and what is there without
/// being anybody's: kernels, quota files (told with the root's options), marks of tools.
#[rustfmt::skip]
const TOP: &[&str] = &[
    ".autofsck", ".autorelabel", ".readahead", ".reroot", "aquota.group", "aquota.user", "bin", "boot",
    "cdrom", "cgroup", "dev", "etc", "home", "initrd", "initrd.img", "initrd.img.old", "lib", "lib32",
    "lib64", "libx32", "lost+found", "media", "mnt", "opt", "proc", "root", "run", "sbin", "selinux",
    "snap", "srv", "swap.img", "swapfile", "sys", "tmp", "usr", "var", "vmlinuz", "vmlinuz.old",
];

/// Names in /var that every OS has.
#[rustfmt::skip]
const VAR: &[&str] = &[
    "account", "adm", "backups", "cache", "crash", "empty", "games", "kerberos", "lib", "local", "lock",
    "log", "mail", "nis", "opt", "preserve", "run", "snap", "spool", "tmp", "www", "yp",
];

/// Names in /usr that every OS has.
#[rustfmt::skip]
const USR: &[&str] = &[
    "X11R6", "bin", "etc", "games", "include", "lib", "lib32", "lib64", "libexec", "libx32", "local",
    "sbin", "share", "src", "tmp",
];

/// Directories in which only what has another name is somebody's.
const TABLES: [(&str, &[&str]); 3] = [("/", TOP), ("/var/", VAR), ("/usr/", USR)];

/// What an OS keeps for itself below /var/lib and /var/spool: the new one has its own, or needs none.
#[rustfmt::skip]
const OWN: &[&str] = &[
    "AccountsService", "NetworkManager", "PackageKit", "alternatives", "apparmor", "apt", "apt-xapian-index",
    "aptitude", "aspell", "authselect", "base-files", "binfmts", "chrony", "cloud", "colord",
    "command-not-found", "console-setup", "dbus", "defoma", "dhclient", "dhcp", "dhcp3", "dhcpcd",
    "dictionaries-common", "discover", "dkms", "dnf", "doc-base", "dpkg", "emacsen-common",
    "fail2ban", "fwupd", "games", "ghostscript", "gssproxy", "grub", "hal", "hp", "ifupdown", "initramfs-tools",
    "initscripts", "insserv", "ispell", "landscape", "libuuid", "locales", "logrotate", "lvm", "man-db",
    "mdadm", "misc", "mlocate", "net-snmp", "nfs", "ntp", "ntpsec", "nssdb", "openais", "os-prober",
    "pam", "pastebinit", "plocate", "plymouth", "policykit-1", "polkit-1", "portables", "python",
    "python-support", "random-seed", "readahead", "resolvconf", "rpcbind", "rpm", "rpm-state", "selinux",
    "sepolgen", "sgml-base", "shells.state", "snapd", "snmp", "ssl-cert", "stateless", "sudo", "susv2", "systemd",
    "tex-common", "texmf", "tpm", "tuned", "ubuntu-advantage", "ubuntu-release-upgrader", "ucf",
    "udisks2", "unattended-upgrades", "update-manager", "update-notifier", "update-rc.d", "ureadahead",
    "urandom", "usb_modeswitch", "usbutils", "usrmerge", "vim", "xfonts", "xkb", "xml-core", "yum",
    "abrt", "abrt-upload", "anacron", "lpd", "rsyslog", "up2date",
];

/// Where programs write as a matter of course, and nobody looks for it again.
#[rustfmt::skip]
const PASSING: &[&str] = &[
    "/.reroot", "/dev", "/proc", "/run", "/sys", "/tmp", "/var/cache", "/var/lock", "/var/run", "/var/tmp",
];

/// What is smaller, has no name here, and is not being written to, is counted and not named.
const SMALL: u64 = 64 << 10;

/// Places that are looked at as one.
pub fn whole_places() -> impl Iterator<Item = &'static str> {
    KNOWN.iter().map(|k| k.path)
}

/// Directories in which each name is a place.
pub fn places_of_many() -> impl Iterator<Item = &'static str> {
    OF_MANY.iter().map(|(path, _)| *path)
}

/// Directories in which only what has another name than every OS's is a place.
pub fn places_of_few() -> impl Iterator<Item = &'static str> {
    TABLES.iter().map(|(path, _)| *path)
}

/// Whether something at the top of the root filesystem, of /var or of /usr is one that every OS has.
pub fn is_every_os(path: &str) -> bool {
    let of = |(above, names): &(&str, &[&str])| {
        path.strip_prefix(above)
            .is_some_and(|name| names.contains(&name))
    };
    path == "/" || TABLES.iter().any(of)
}

/// Is it where programs write as a matter of course?
pub(super) fn is_passing(path: &str) -> bool {
    PASSING.iter().any(|p| is_below(path, p))
}

/// The row of a place, or of what it is in.
pub(super) fn known(path: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|k| is_below(path, k.path))
}

/// What a path holds, as far as it can be told from where it is.
pub(super) fn kind(path: &str) -> Option<Kind> {
    if is_passing(path) || is_own(path) {
        return None;
    }
    if let Some(known) = known(path) {
        return Some(known.kind);
    }
    let of_many = OF_MANY.iter().find(|(above, _)| is_below(path, above));
    if let Some((_, kind)) = of_many {
        return Some(*kind);
    }
    // Something whose ancestors are every OS's up to a directory that no OS has.
    let (above, names) = TABLES
        .iter()
        .rev()
        .find(|(above, _)| path.starts_with(above))?;
    let name = path.strip_prefix(above)?.split('/').next()?;
    (!name.is_empty() && !names.contains(&name)).then_some(Kind::Data)
}

/// Is it the OS's own?
pub(super) fn is_own(path: &str) -> bool {
    known(path).is_none()
        && ["/var/lib/", "/var/spool/"].iter().any(|above| {
            let name = path
                .strip_prefix(above)
                .and_then(|rest| rest.split('/').next());
            name.is_some_and(|name| OWN.contains(&name))
        })
}

/// Only what is in a directory of the OS may be too small to be named: at the top of the filesystem,
/// and among people's and services' things, everything is somebody's.
pub(super) fn is_small(path: &str, found: Weight) -> bool {
    let kind = OF_MANY.iter().find(|(above, _)| is_below(path, above));
    kind.is_some_and(|(_, kind)| *kind == Kind::Things) && found.whole && found.bytes < SMALL
}
