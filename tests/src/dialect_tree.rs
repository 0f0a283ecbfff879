//! A Debian tree with every network stack, and namespaces in which one of them is run for real.
//!
//! Made once, kept under `target/base/`. Needs root for the tree and the namespaces; nothing but
//! those namespaces is touched.

use std::fs::{self, Permissions};
use std::os::unix::fs::{symlink, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{bail, Context, Result};
use formats::network::{Content, Dialect, Written};
use serde_json::Value;

use crate::base::{digest, say};
use crate::command::{explain, run};
use crate::{lock, mirror, paths};

const SUITE: &str = "trixie";

const PACKAGES: &[&str] = &[
    "dbus",
    "dhcpcd-base",
    "dnsmasq-base",
    "ethtool",
    "ifupdown",
    "iproute2",
    "isc-dhcp-client",
    "netplan.io",
    "network-manager",
    "systemd",
    "udev",
];

const MMDEBSTRAP: [&str; 3] = [
    "--variant=minbase",
    "--components=main",
    "--keyring=/usr/share/keyrings/debian-archive-keyring.gpg",
];

const SCRIPT: &str = include_str!("dialect_tree.sh");

/// What the kernel has once a network is up, as `ip -j` shows it.
#[derive(Debug)]
pub struct Up {
    /// `ip -j -d address`.
    pub links: Value,
    /// `ip -j route show table all`, IPv4 and then IPv6.
    pub routes: Vec<Value>,
    /// `ip -j rule`, IPv4 and then IPv6.
    pub rules: Vec<Value>,
    /// The names of the connections that NetworkManager took, in order, then the options that it
    /// knows of the bond `bond0`, if there is one.
    pub connections: Vec<String>,
    /// The lines of the answers to [`Surroundings::ask`].
    pub answers: Vec<String>,
    /// What the programs said.
    pub log: String,
}

/// What a network is brought up among.
#[derive(Debug, Default)]
pub struct Surroundings<'a> {
    /// The links that are there, with their MAC addresses.
    pub links: &'a [(&'a str, &'a str)],
    /// A link without a cable.
    pub unplugged: &'a str,
    /// The link that has a DHCP server at its other end.
    pub dhcp: Option<&'a str>,
    /// What that server keeps for clients by their names, as `dnsmasq --dhcp-host` has it. Without any
    /// it keeps 192.0.2.77 for the MAC address, and has IPv4 alone.
    pub hosts: &'a [String],
    /// It advertises the prefix `2001:db8::/64`, of which everybody makes addresses.
    pub router: bool,
    /// The client of DHCP that ifupdown finds; dhcpcd without it.
    pub client: Option<&'a str>,
    /// A directory for what is left: the clients' state below `root`, and the server's `leases`.
    pub out: Option<&'a Path>,
    /// udev runs, as on a machine, and sets up each link as its `.link` file says.
    pub udev: bool,
    /// For how many seconds it is watched from when all is up: `$WATCHED` is how often it was looked at, `$MISSED`
    /// how often something of what was awaited was not there.
    pub watch: u32,
    /// Commands of a shell in the tree, asked at the end.
    pub ask: &'a str,
    /// What `ip` shows when all is up; without it, all is awaited for 20 seconds.
    pub wait_for: &'a [&'a str],
}

/// The tree, made if it is not there yet (about a minute, with the archive at hand).
pub fn tree() -> Result<PathBuf> {
    let key = digest(&[SUITE, &PACKAGES.join(" "), &MMDEBSTRAP.join(" ")]);
    let tree = paths::base().join(format!("dialects-{key}"));
    let _lock = lock::exclusive(&paths::base().join("dialects.lock"))?;
    if tree.exists() {
        return Ok(tree);
    }
    if !rustix::process::geteuid().is_root() {
        bail!("making a tree with every network stack needs root; run `make test`");
    }
    let mirror = mirror::for_suite(SUITE)?;
    say(&format!(
        "making a Debian {SUITE} tree with every network stack from {mirror}"
    ));
    let scratch = tempfile::tempdir_in(paths::base()).context("create a scratch directory")?;
    let partial = scratch.path().join("tree");
    run(Command::new("mmdebstrap")
        .args(MMDEBSTRAP)
        .arg("--format=directory")
        .arg(format!("--include={}", PACKAGES.join(",")))
        .args([SUITE.as_ref(), partial.as_os_str(), mirror.as_ref()])
        .env("DEBIAN_FRONTEND", "noninteractive"))?;
    fs::rename(&partial, &tree).with_context(|| format!("name {}", tree.display()))?;
    Ok(tree)
}

/// Brings a network up with the programs of its dialect.
pub fn bring_up(written: &Written, dialect: Dialect, around: &Surroundings<'_>) -> Result<Up> {
    let tree = tree()?;
    if !rustix::process::geteuid().is_root() {
        bail!("network namespaces need root; run `make test`");
    }
    let files = tempfile::tempdir().context("create a directory for the written files")?;
    lay_out(written, files.path())?;
    let links = around
        .links
        .iter()
        .map(|(name, mac)| format!("{name}={mac}"));
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--net", "--pid", "--fork", "--kill-child"])
        .args(["/bin/sh", "-c", SCRIPT, "bring-up"])
        .args([tree.as_path(), files.path()])
        .arg(word(dialect))
        .args(links)
        .env("WAIT_FOR", around.wait_for.join("\n"))
        .env("DHCP_LINK", around.dhcp.unwrap_or_default())
        .env("DHCP_HOSTS", around.hosts.join("\n"))
        .env("ROUTER", if around.router { "yes" } else { "" })
        .env("CLIENT", around.client.unwrap_or_default())
        .env("UDEV", if around.udev { "yes" } else { "" })
        .env("UNPLUGGED", around.unplugged)
        .env("WATCH", around.watch.to_string())
        .env("ASK", around.ask)
        .env("OUT", around.out.unwrap_or(Path::new("")))
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .stdin(Stdio::null());
    let said = command.output().map_err(|error| explain(&command, error))?;
    let log = String::from_utf8_lossy(&said.stderr).into_owned();
    let text = String::from_utf8(said.stdout).context("what ip printed is not UTF-8")?;
    let answers: Vec<&str> = text.lines().collect();
    let [links, routes4, routes6, rules4, rules6, connections, asked] = answers[..] else {
        bail!("bringing the network up: {}\n{text}\n{log}", said.status);
    };
    let json = |line: &str| -> Result<Value> {
        serde_json::from_str(line).with_context(|| format!("read what ip printed: {line}"))
    };
    Ok(Up {
        links: json(links)?,
        routes: vec![json(routes4)?, json(routes6)?],
        rules: vec![json(rules4)?, json(rules6)?],
        connections: connections.split_whitespace().map(str::to_owned).collect(),
        answers: asked.split('\t').map(str::to_owned).collect(),
        log,
    })
}

fn lay_out(written: &Written, root: &Path) -> Result<()> {
    for file in &written.files {
        let path = root.join(file.path.trim_start_matches('/'));
        let parent = path.parent().context("a file at the root")?;
        fs::create_dir_all(parent).with_context(|| format!("create {}", parent.display()))?;
        match &file.content {
            Content::Link(target) => symlink(target, &path),
            Content::Text(text) => fs::write(&path, text)
                .and_then(|()| fs::set_permissions(&path, Permissions::from_mode(file.mode))),
        }
        .with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

fn word(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Ifupdown => "ifupdown",
        Dialect::Netplan => "netplan",
        Dialect::Networkd => "networkd",
        Dialect::NetworkManager => "network-manager",
    }
}
