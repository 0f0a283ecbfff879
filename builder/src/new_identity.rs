//! What a new OS brings for a machine's identity: what configures its network, its accounts, its
//! ssh server, the filesystems that it can mount. The launcher plans with it on the machine.
//!
//! Everything is read from the finished tree; nothing in it is run.

use anyhow::{Context, Result};
use formats::access::Doors;
use formats::accounts::{AccountFiles, Accounts};
use formats::identity::NewIdentity;
use formats::network::{Dialect, Resolver, Stack, STACK_PROGRAMS};
use identity::access::written::SETTINGS;
use identity::access::{doas, sudoers};
use identity::files::Files;
use identity::{accounts, ssh_access};

use crate::failure::refusal;
use crate::new_units;
use crate::recipe::Recipe;
use crate::requirements::NewOs;
use crate::root_tree::RootTree;

/// What was found.
pub struct Found {
    /// What configures the network.
    pub network: Option<Stack>,
    /// Users and groups.
    pub accounts: Accounts,
    /// Names, keys and mounts.
    pub identity: NewIdentity,
}

/// Looks at a finished tree.
pub fn look(tree: &RootTree, recipe: &Recipe, os: &NewOs) -> Result<Found> {
    let files = AccountFiles {
        passwd: optional(tree, "etc/passwd")?,
        shadow: optional(tree, "etc/shadow")?,
        group: optional(tree, "etc/group")?,
        gshadow: optional(tree, "etc/gshadow")?,
        subuid: optional(tree, "etc/subuid")?,
        subgid: optional(tree, "etc/subgid")?,
    };
    let accounts = accounts::parse(&files, &optional(tree, "etc/login.defs")?)
        .context("read the accounts of the new root")?;
    let network = stack(tree, recipe)?;
    Ok(Found {
        network,
        accounts,
        identity: NewIdentity {
            host_key_types: host_key_types(tree)?,
            ssh_includes: ssh_includes(tree)?,
            ssh_before: ssh_access::read_before(tree, SETTINGS),
            pam_modules: Some(pam_modules(tree)),
            doors: Some(doors(tree)?),
            password_schemes: password_schemes(tree),
            filesystems: filesystems(tree, os)?,
            shells: shells(tree)?,
            programs: programs(tree),
            zones: tree.has("usr/share/zoneinfo/Europe/London"),
            locale_gen: tree.has("usr/sbin/locale-gen"),
            serial_getty: new_units::has(tree, "serial-getty@.service"),
            cloud_init: tree.has("usr/bin/cloud-init"),
            carry: recipe.carry.iter().map(ToString::to_string).collect(),
        },
    })
}

fn optional(tree: &RootTree, path: &str) -> Result<Vec<u8>> {
    match tree.read(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other.with_context(|| format!("read /{path} in the new root")),
    }
}

fn optional_text(tree: &RootTree, path: &str) -> Result<String> {
    Ok(String::from_utf8_lossy(&optional(tree, path)?).into_owned())
}

/// Folders in which a program may be.
const PROGRAM_FOLDERS: [&str; 4] = ["usr/sbin", "usr/bin", "sbin", "bin"];

/// Folders whose programs people may be held to by the ssh server. Where the first are links to others, these have
/// them all.
const FOLDERS_OF_PEOPLE: [&str; 7] = [
    "bin",
    "sbin",
    "usr/bin",
    "usr/lib/openssh",
    "usr/local/bin",
    "usr/local/sbin",
    "usr/sbin",
];

/// The paths of programs that people find.
fn programs(tree: &RootTree) -> Vec<String> {
    let own = |folder: &&str| {
        let merged = format!("usr/{folder}");
        let names = |folder: &str| tree.names(folder).unwrap_or_default();
        let is_link = !folder.contains('/') && names(folder) == names(&merged);
        let names = if is_link { Vec::new() } else { names(folder) };
        let paths = names.into_iter().map(|name| format!("/{folder}/{name}"));
        paths.collect::<Vec<_>>()
    };
    let mut found: Vec<String> = FOLDERS_OF_PEOPLE.iter().flat_map(own).collect();
    found.sort();
    found
}

/// Whether a program is in one of the folders that programs are in.
pub(crate) fn has_program(tree: &RootTree, name: &str) -> bool {
    PROGRAM_FOLDERS
        .iter()
        .any(|folder| tree.has(&format!("{folder}/{name}")))
}

/// What each dialect needs in the tree: a file, and whether a unit must be enabled, by its name.
const DIALECTS: [(Dialect, &[&str], Option<&str>); 4] = [
    (Dialect::Netplan, &["usr/sbin/netplan"], None),
    (
        Dialect::NetworkManager,
        &["usr/sbin/NetworkManager"],
        Some("NetworkManager.service"),
    ),
    (
        Dialect::Networkd,
        &[
            "usr/lib/systemd/systemd-networkd",
            "lib/systemd/systemd-networkd",
        ],
        Some("systemd-networkd.service"),
    ),
    (Dialect::Ifupdown, &["usr/sbin/ifup", "sbin/ifup"], None),
];

/// The first dialect whose program is there, and is started at boot.
fn stack(tree: &RootTree, recipe: &Recipe) -> Result<Option<Stack>> {
    let there = |dialect: Dialect| {
        DIALECTS
            .iter()
            .any(|(d, files, _)| *d == dialect && files.iter().any(|file| tree.has(file)))
    };
    let dialect = match recipe.dialect {
        Some(dialect) if there(dialect) => Some(dialect),
        Some(dialect) => {
            return Err(refusal(
                format!("image.toml says that {dialect:?} configures the network, and the new root does not have it"),
                "have the folder install its package, or correct [network] dialect",
            ));
        }
        None => DIALECTS
            .iter()
            .filter(|(_, _, unit)| unit.is_none_or(|unit| new_units::is_enabled(tree, unit)))
            .map(|(dialect, ..)| *dialect)
            .find(|dialect| there(*dialect)),
    };
    let Some(dialect) = dialect else {
        return Ok(None);
    };
    let resolver = if new_units::is_enabled(tree, "systemd-resolved.service") {
        Resolver::Resolved
    } else if has_program(tree, "resolvconf") {
        Resolver::Resolvconf
    } else {
        Resolver::File
    };
    let words: Vec<_> = recipe.boot.cmdline.split_whitespace().collect();
    Ok(Some(Stack {
        dialect,
        systemd: systemd_version(tree)?,
        kernel_names: words.contains(&"net.ifnames=0"),
        resolver,
        programs: STACK_PROGRAMS
            .iter()
            .filter(|name| has_program(tree, name))
            .map(|name| (*name).to_owned())
            .collect(),
    }))
}

/// The version of a package as dpkg has it, without its epoch; nothing where there is no dpkg.
fn package_version(tree: &RootTree, package: &str) -> Result<Option<String>> {
    let status = optional_text(tree, "var/lib/dpkg/status")?;
    let wanted = format!("Package: {package}");
    let paragraph = status
        .split("\n\n")
        .find(|paragraph| paragraph.lines().any(|line| line == wanted));
    Ok(paragraph.and_then(|paragraph| {
        let version = paragraph
            .lines()
            .find_map(|line| line.strip_prefix("Version: "))?;
        let after_epoch = version.split_once(':').map_or(version, |(_, rest)| rest);
        Some(after_epoch.to_owned())
    }))
}

/// The number that a version begins with, and the one behind its first dot.
fn leading_numbers(version: &str) -> (u32, u32) {
    let mut numbers = version
        .split(|c: char| !c.is_ascii_digit())
        .map(|digits| digits.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn systemd_version(tree: &RootTree) -> Result<u32> {
    if let Some(version) = package_version(tree, "systemd")? {
        return Ok(leading_numbers(&version).0);
    }
    // libsystemd-shared-257.so, since 231.
    for folder in [
        "usr/lib/systemd",
        "lib/systemd",
        "usr/lib/x86_64-linux-gnu/systemd",
    ] {
        let names = tree.names(folder).unwrap_or_default();
        let version = names
            .iter()
            .filter_map(|name| name.strip_prefix("libsystemd-shared-"))
            .map(|rest| leading_numbers(rest).0)
            .max();
        if let Some(version) = version {
            return Ok(version);
        }
    }
    Ok(0)
}

/// The first two numbers of a version.
type Release = (u32, u32);

/// Types of host keys and the releases of OpenSSH that show them: from, up to but without.
const HOST_KEY_TYPES: [(&str, Release, Release); 6] = [
    ("ssh-dss", (0, 0), (7, 0)),
    ("ssh-rsa", (0, 0), (u32::MAX, 0)),
    ("ecdsa-sha2-nistp256", (5, 7), (u32::MAX, 0)),
    ("ecdsa-sha2-nistp384", (5, 7), (u32::MAX, 0)),
    ("ecdsa-sha2-nistp521", (5, 7), (u32::MAX, 0)),
    ("ssh-ed25519", (6, 5), (u32::MAX, 0)),
];

fn host_key_types(tree: &RootTree) -> Result<Vec<String>> {
    if !has_program(tree, "sshd") {
        return Ok(Vec::new());
    }
    // One whose version is not known is taken for a recent one.
    let version = package_version(tree, "openssh-server")?
        .map_or((u32::MAX - 1, 0), |version| leading_numbers(&version));
    Ok(HOST_KEY_TYPES
        .iter()
        .filter(|(_, from, to)| (from..to).contains(&&version))
        .map(|(name, ..)| (*name).to_owned())
        .collect())
}

/// The first release of OpenSSH whose server knows `Include`.
const INCLUDE: Release = (8, 2);

fn ssh_includes(tree: &RootTree) -> Result<Vec<String>> {
    if !has_program(tree, "sshd") {
        return Ok(Vec::new());
    }
    let version = package_version(tree, "openssh-server")?;
    if version.is_some_and(|version| leading_numbers(&version) < INCLUDE) {
        return Ok(Vec::new());
    }
    let main = ssh_access::MAIN.trim_start_matches('/');
    Ok(ssh_access::includes(&optional_text(tree, main)?))
}

/// Folders of libraries.
const LIBRARY_FOLDERS: [&str; 6] = [
    "usr/lib/x86_64-linux-gnu",
    "lib/x86_64-linux-gnu",
    "usr/lib64",
    "lib64",
    "usr/lib",
    "lib",
];
/// The modules of PAM, in a folder of each of these.
fn pam_modules(tree: &RootTree) -> Vec<String> {
    let names = |folder: &str| {
        tree.names(&format!("{folder}/security"))
            .unwrap_or_default()
    };
    let mut found: Vec<String> = LIBRARY_FOLDERS.iter().flat_map(|f| names(f)).collect();
    found.retain(|name| name.starts_with("pam_") && name.strip_suffix(".so").is_some());
    found.sort();
    found.dedup();
    found
}

/// How a password may be hashed, crypt(5).
const PASSWORD_SCHEMES: [&str; 10] = [
    "$1$", "$2a$", "$2b$", "$2y$", "$5$", "$6$", "$7$", "$gy$", "$sha1$", "$y$",
];
/// What every C library that says so has known since 2007.
const SURE_SCHEME: &str = "$6$";

/// How passwords may be hashed for the C library to know them: the names are in it. Nothing where it does not say.
fn password_schemes(tree: &RootTree) -> Vec<String> {
    let library = |folder: &&str| {
        let names = tree.names(folder).ok()?.into_iter();
        let mut names = names.filter(|name| name.strip_prefix("libcrypt.so.").is_some());
        names.find_map(|name| tree.read(&format!("{folder}/{name}")).ok())
    };
    let Some(bytes) = LIBRARY_FOLDERS.iter().find_map(library) else {
        return Vec::new();
    };
    let has = |name: &str| {
        let text = [name.as_bytes(), b"\0"].concat();
        bytes.windows(text.len()).any(|window| window == text)
    };
    let found = PASSWORD_SCHEMES.iter().filter(|name| has(name));
    let found: Vec<String> = found.map(|name| (*name).to_owned()).collect();
    if found.iter().any(|name| name == SURE_SCHEME) {
        found
    } else {
        Vec::new()
    }
}

/// Who gets in and becomes root, by the tree's files.
fn doors(tree: &RootTree) -> Result<Doors> {
    let version = package_version(tree, "openssh-server")?;
    let sudo = has_program(tree, "sudo");
    let rules = if sudo {
        sudoers::read(tree)
    } else {
        sudoers::Found::default()
    };
    Ok(Doors {
        server: has_program(tree, "sshd"),
        off: new_units::is_server_off(tree),
        release: version.map(|version| leading_numbers(&version)),
        settings: ssh_access::settings(tree),
        units: new_units::of_server(tree),
        sudo,
        sudoers: rules.rules,
        sudo_asks: rules.asks,
        doas: if has_program(tree, "doas") {
            doas::read(tree)
        } else {
            Vec::new()
        },
        ..Doors::default()
    })
}

impl Files for RootTree {
    fn text(&self, path: &str) -> Option<String> {
        let bytes = self.read(path.trim_start_matches('/')).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn folder(&self, path: &str) -> Vec<String> {
        let inner = path.trim_matches('/');
        let mut names = self.names(inner).unwrap_or_default();
        names.sort();
        let paths = names.iter().map(|name| format!("/{inner}/{name}"));
        paths.collect()
    }
}

/// Filesystems that take a program of their own to mount.
const MOUNT_HELPERS: [(&str, &str); 5] = [
    ("nfs", "mount.nfs"),
    ("nfs4", "mount.nfs4"),
    ("cifs", "mount.cifs"),
    ("ceph", "mount.ceph"),
    ("glusterfs", "mount.glusterfs"),
];

/// What the kernel can mount: modules tell it by an alias `fs-NAME`, filesystems that are part of
/// the kernel by the name of their object file.
fn filesystems(tree: &RootTree, os: &NewOs) -> Result<Vec<String>> {
    let aliases = optional_text(tree, &format!("{}/modules.alias", os.modules))?;
    let builtin = optional_text(tree, &format!("{}/modules.builtin", os.modules))?;
    let mut found: Vec<String> = aliases
        .lines()
        .filter_map(|line| line.strip_prefix("alias fs-")?.split_whitespace().next())
        .map(str::to_owned)
        .collect();
    let objects = builtin.lines().filter_map(|line| {
        let inner = line.trim().strip_prefix("kernel/fs/")?;
        inner.rsplit('/').next()?.strip_suffix(".ko")
    });
    found.extend(objects.map(|name| name.replace('_', "-")));
    // ext4 mounts its ancestors too.
    if found.iter().any(|name| name == "ext4") {
        found.extend(["ext2", "ext3"].map(str::to_owned));
    }
    found.retain(|name| {
        MOUNT_HELPERS
            .iter()
            .all(|(fstype, helper)| name != fstype || has_program(tree, helper))
    });
    found.sort();
    found.dedup();
    Ok(found)
}

/// Programs that stand for a shell where nobody may log in.
const NO_LOGIN: [&str; 4] = [
    "/usr/sbin/nologin",
    "/sbin/nologin",
    "/bin/false",
    "/usr/bin/false",
];

fn shells(tree: &RootTree) -> Result<Vec<String>> {
    let listed = optional_text(tree, "etc/shells")?;
    let mut shells: Vec<String> = listed
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with('/'))
        .chain(NO_LOGIN)
        .filter(|path| tree.has(path.trim_start_matches('/')))
        .map(str::to_owned)
        .collect();
    shells.sort();
    shells.dedup();
    Ok(shells)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fs;

    use super::*;

    pub(crate) fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, RootTree) {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let tree = RootTree::open(folder.path()).unwrap();
        (folder, tree)
    }

    #[test]
    fn versions_come_from_the_package_database() {
        let (_folder, tree) = tree(&[(
            "var/lib/dpkg/status",
            "Package: systemd-sysv\nVersion: 9\n\nPackage: systemd\nStatus: x\nVersion: 257.8-1~deb13u2\n\n\
             Package: openssh-server\nVersion: 1:6.0p1-3ubuntu1\n",
        ), ("usr/sbin/sshd", "")]);
        assert_eq!(systemd_version(&tree).unwrap(), 257);
        let types = host_key_types(&tree).unwrap();
        assert_eq!(types.first().unwrap(), "ssh-dss");
        assert!(!types.contains(&"ssh-ed25519".to_owned()));
    }

    #[test]
    fn what_the_ssh_server_includes_is_none_where_it_does_not_know_the_word() {
        for (version, expected) in [("1:7.2p2-4ubuntu2.10", 0), ("1:9.2p1-2+deb12u3", 1)] {
            let (_folder, tree) = tree(&[
                (
                    "var/lib/dpkg/status",
                    &format!("Package: openssh-server\nVersion: {version}\n"),
                ),
                ("usr/sbin/sshd", ""),
                (
                    "etc/ssh/sshd_config",
                    "Include /etc/ssh/sshd_config.d/*.conf\n",
                ),
            ]);
            assert_eq!(ssh_includes(&tree).unwrap().len(), expected, "{version}");
        }
    }

    #[test]
    fn a_system_without_packages_tells_its_version_by_a_library() {
        let (_folder, tree) = tree(&[("usr/lib/systemd/libsystemd-shared-252.19-1.fc.so", "")]);
        assert_eq!(systemd_version(&tree).unwrap(), 252);
        assert!(host_key_types(&tree).unwrap().is_empty());
    }

    #[test]
    fn how_passwords_may_be_hashed_is_told_by_the_library() {
        let own = "/lib/x86_64-linux-gnu/libcrypt.so.1";
        let (folder, found) = tree(&[("usr/lib/x86_64-linux-gnu/libm.so.6", "")]);
        assert_eq!(password_schemes(&found), [""; 0]);
        let to = folder.path().join("usr/lib/x86_64-linux-gnu/libcrypt.so.1");
        fs::copy(own, &to).unwrap();
        let schemes = password_schemes(&found);
        for known in ["$6$", "$y$"] {
            assert!(schemes.iter().any(|scheme| scheme == known), "{schemes:?}");
        }
        fs::write(&to, "\0$1$\0$5$\0$6$\0").unwrap();
        assert_eq!(password_schemes(&found), ["$1$", "$5$", "$6$"]);
        fs::write(&to, "it does not say").unwrap();
        assert_eq!(password_schemes(&found), [""; 0]);
    }

    #[test]
    fn filesystems_need_their_programs() {
        let os = NewOs {
            release: formats::facts::OsRelease::default(),
            kernel: "6".to_owned(),
            modules: "lib/modules/6".to_owned(),
        };
        let (_folder, tree) = tree(&[
            (
                "lib/modules/6/modules.alias",
                "alias fs-xfs xfs\nalias fs-nfs nfs\nalias fs-cifs cifs\nalias pci:x y\n",
            ),
            (
                "lib/modules/6/modules.builtin",
                "kernel/fs/ext4/ext4.ko\nkernel/fs/nls/nls_utf8.ko\nkernel/drivers/x.ko\n",
            ),
            ("sbin/mount.nfs", ""),
        ]);
        let found = filesystems(&tree, &os).unwrap();
        for there in ["ext2", "ext4", "nfs", "xfs"] {
            assert!(found.iter().any(|f| f == there), "{there}");
        }
        assert!(!found.iter().any(|f| f == "cifs"));
    }

    #[test]
    fn programs_are_told_once_by_their_paths() {
        let (folder, tree) = tree(&[
            ("usr/bin/script", ""),
            ("usr/sbin/visudo", ""),
            ("sbin/ifup", ""),
            ("usr/local/bin/record", ""),
        ]);
        std::os::unix::fs::symlink("usr/bin", folder.path().join("bin")).unwrap();
        assert_eq!(
            programs(&tree),
            [
                "/sbin/ifup",
                "/usr/bin/script",
                "/usr/local/bin/record",
                "/usr/sbin/visudo"
            ]
        );
    }

    #[test]
    fn modules_of_pam_are_named() {
        let (_folder, tree) = tree(&[
            ("usr/lib/x86_64-linux-gnu/security/pam_unix.so", ""),
            ("lib/security/pam_own.so", ""),
            ("lib/security/README", ""),
            ("usr/lib/pam_no.so", ""),
        ]);
        assert_eq!(pam_modules(&tree), ["pam_own.so", "pam_unix.so"]);
    }

    #[test]
    fn only_shells_that_exist_count() {
        let (_folder, tree) = tree(&[
            ("etc/shells", "# shells\n/bin/sh\n/bin/zsh\n"),
            ("bin/sh", ""),
            ("usr/sbin/nologin", ""),
        ]);
        assert_eq!(shells(&tree).unwrap(), ["/bin/sh", "/usr/sbin/nologin"]);
    }
}
