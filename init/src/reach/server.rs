//! The process that has the new OS's sshd running: it makes what that needs, brings up the network where no
//! step did, puts itself behind everything else of the machine, and hands on what sshd says.
//!
//! Private host keys are the machine's own, out of the archive of carried files, and stay in memory.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{bail, ensure, Context, Result};
use caps::{CapSet, Capability};
use formats::access::RamServer;
use identity::access::ram_files;
use rustix::mount::{mount, MountFlags};
use rustix::process::{Resource, Rlimit};
use storage::mounts;

use crate::ram::reachable::Network;
use crate::ram::{console, parts, state};
use crate::run::before::network;
use crate::run::order::Order;

/// The program, and what everybody gets who logs in.
const SERVER: &str = "/usr/sbin/sshd";
const GREET: &str = "/init greet";

/// In the state's directory: everything of the server's own.
const FOLDER: &str = "ssh";
/// Where its unprivileged half is locked up, by what distributions have compiled into it.
const EMPTY: [&str; 5] = [
    "/run/sshd",
    "/var/run/sshd",
    "/var/empty/sshd",
    "/usr/share/empty.sshd",
    "/var/lib/empty",
];
/// Where terminals of sessions are.
const TERMINALS: &str = "/dev/pts";

/// What a server needs that lets nobody do anything: to listen, to give up rights, to be locked up, to
/// hand a terminal on. Without the others it can neither protect itself from being ended first when
/// memory is short, nor can a session of it mount, load or reset anything.
const ALLOWED: [Capability; 10] = [
    // A server that is built to tell the kernel's audit of logins ends a session that it cannot tell of.
    Capability::CAP_AUDIT_WRITE,
    Capability::CAP_CHOWN,
    Capability::CAP_DAC_OVERRIDE,
    Capability::CAP_FOWNER,
    Capability::CAP_FSETID,
    Capability::CAP_KILL,
    Capability::CAP_NET_BIND_SERVICE,
    Capability::CAP_SETGID,
    Capability::CAP_SETUID,
    Capability::CAP_SYS_CHROOT,
];
/// Addresses that each of its processes may have, in bytes: ten times what they take.
const ADDRESSES: u64 = 256 << 20;
/// How far it stands behind in getting turns, as nice(1) has it.
const NICE: i32 = 10;

/// How many logins, and how many complaints, are told in the log: anybody may knock.
const LOGINS: usize = 50;
const COMPLAINTS: usize = 20;

/// Serves until the server ends, which is a failure; success says that there is none to be had.
pub fn main(network: &str, moment: &str) -> ExitCode {
    console::start();
    match serve(Network::of_word(network), moment) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            log::warn!("ssh: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve(network: Network, moment: &str) -> Result<()> {
    let order = Order::read()?;
    let ssh = &order.plan.ram_ssh;
    let Some(server) = &ssh.server else {
        log::info!("ssh: no server here: {}", ssh.reason);
        return Ok(());
    };
    if network == Network::Down {
        // A part of it may be up, and that is better than nothing.
        if let Err(e) = network::raise(&order) {
            log::warn!("ssh: {e:#}");
        }
    }
    let config = make_files(server)?;
    if let Err(e) = mount_terminals() {
        log::warn!("ssh: {e:#}; sessions have no terminal");
    }
    if moment == "run" {
        step_behind();
    }
    run(&config)
}

/// Writes what the server reads; gives its configuration's path.
fn make_files(server: &RamServer) -> Result<String> {
    let folder = state::at(FOLDER);
    let keys = folder.join("keys");
    for directory in [&folder, &keys] {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .with_context(|| format!("make {}", directory.display()))?;
    }
    for empty in EMPTY {
        fs::create_dir_all(empty).with_context(|| format!("make {empty}"))?;
    }
    let put = |name: &str, bytes: &[u8]| -> Result<String> {
        state::write(&format!("{FOLDER}/{name}"), bytes, 0o600)?;
        Ok(folder.join(name).display().to_string())
    };
    let carried = parts::read("carried.tar")?;
    let mut host_keys = Vec::new();
    for (n, path) in server.host_keys.iter().enumerate() {
        match tree::file_of_tar(&carried, path.trim_start_matches('/'))? {
            Some(bytes) => host_keys.push(put(&format!("host-key-{n}"), &bytes)?),
            None => log::warn!("ssh: the host key {path} was not carried"),
        }
    }
    ensure!(!host_keys.is_empty(), "no host key was carried");
    for login in &server.people {
        let text = ram_files::keys(&login.keys);
        put(&format!("keys/{}", login.user), text.as_bytes())?;
    }
    for (path, text) in [
        ("/etc/passwd", ram_files::passwd(server)),
        ("/etc/group", ram_files::GROUP.to_owned()),
        ("/etc/nsswitch.conf", ram_files::NSSWITCH.to_owned()),
    ] {
        fs::write(path, text).with_context(|| format!("write {path}"))?;
    }
    let keys = keys.display().to_string();
    let config = ram_files::config(server, &keys, &host_keys, GREET);
    put("config", config.as_bytes())
}

fn mount_terminals() -> Result<()> {
    let mounted = mounts::read().context("read /proc/self/mountinfo")?;
    if mounts::at(&mounted, Path::new(TERMINALS)).is_some_and(|m| m.fstype == "devpts") {
        return Ok(());
    }
    fs::create_dir_all(TERMINALS).with_context(|| format!("make {TERMINALS}"))?;
    let options = CString::new("gid=5,mode=620,ptmxmode=666").unwrap_or_default();
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
    mount(
        "devpts",
        TERMINALS,
        "devpts",
        flags,
        Some(options.as_c_str()),
    )
    .with_context(|| format!("mount {TERMINALS}"))
}

/// When memory is short this is ended first; when turns are, it waits. What cannot be had of that is told,
/// and the server runs all the same.
fn step_behind() {
    let note = |what: &str, result: std::io::Result<()>| {
        if let Err(e) = result {
            log::warn!("ssh: {what}: {e}");
        }
    };
    note(
        "be ended first when memory is short",
        fs::write("/proc/self/oom_score_adj", "1000"),
    );
    note(
        "stand behind in getting turns",
        rustix::process::setpriority_process(None, NICE).map_err(Into::into),
    );
    let limit = |bytes| Rlimit {
        current: Some(bytes),
        maximum: Some(bytes),
    };
    for (resource, bytes) in [(Resource::As, ADDRESSES), (Resource::Core, 0)] {
        let set = rustix::process::setrlimit(resource, limit(bytes));
        note("set a limit", set.map_err(Into::into));
    }
    for capability in caps::runtime::thread_all_supported() {
        if !ALLOWED.contains(&capability) {
            let dropped = caps::drop(None, CapSet::Bounding, capability);
            note("give up rights", dropped.map_err(std::io::Error::other));
        }
    }
}

fn run(config: &str) -> Result<()> {
    // In the foreground, with what it has to say on its error output.
    let mut server = Command::new(SERVER)
        .args(["-D", "-e", "-f", config])
        .env_clear()
        .env("PATH", "/bin:/sbin")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {SERVER}"))?;
    if let Some(said) = server.stderr.take() {
        hand_on(said);
    }
    let status = server.wait().context("wait for the server")?;
    bail!("the server ended with {status}")
}

/// Tells the log what the server says, as long as there is not too much of it.
fn hand_on(said: impl Read) {
    let (mut logins, mut complaints) = (LOGINS, COMPLAINTS);
    let mut told = BTreeSet::new();
    for line in BufReader::new(said).lines() {
        let Ok(line) = line else { return };
        let line = line.trim_end();
        let (left, tell): (_, fn(&str)) = match kind(line) {
            Kind::Login => (&mut logins, |line| log::info!("ssh: {line}")),
            Kind::Complaint => (&mut complaints, |line| log::warn!("ssh: {line}")),
            Kind::Knock => continue,
        };
        // Who asks every few seconds has a port of their own each time.
        if *left > 0 && told.insert(without_port(line)) {
            *left -= 1;
            tell(line);
        }
    }
}

/// A line without the port that somebody came from.
fn without_port(line: &str) -> String {
    if !line.starts_with("Accepted ") {
        return line.to_owned();
    }
    let mut words = line.split(' ');
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        kept.push(word);
        if word == "port" {
            words.next();
        }
    }
    kept.join(" ")
}

/// What a line of the server is about.
#[derive(Debug, PartialEq, Eq)]
enum Kind {
    /// Somebody is in, or it listens.
    Login,
    /// It cannot do what it shall.
    Complaint,
    /// Somebody is not let in, or goes.
    Knock,
}

/// What it cannot do, in its words; on its error output it does not say which of them are errors.
const COMPLAINT_WORDS: [&str; 6] = [
    "annot ",
    " failed: ",
    "Could not ",
    "Unable to ",
    "Bad configuration ",
    "no hostkeys",
];

fn kind(line: &str) -> Kind {
    if line.starts_with("Accepted ") || line.starts_with("Server listening ") {
        Kind::Login
    } else if line.contains("[preauth]") || line.contains("kex_exchange") {
        // Whoever is not in yet.
        Kind::Knock
    } else if COMPLAINT_WORDS.iter().any(|words| line.contains(words)) {
        Kind::Complaint
    } else {
        Kind::Knock
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_again_is_told_once() {
        let line = |port| {
            format!("Accepted publickey for root from 10.0.2.2 port {port} ssh2: ED25519 SHA256:x")
        };
        assert_eq!(without_port(&line(4)), without_port(&line(50122)));
        assert_ne!(
            without_port(&line(4)),
            without_port("Accepted publickey for ann from 10.0.2.2 port 4 ssh2: ED25519 SHA256:x")
        );
    }

    #[test]
    fn who_is_in_is_told_and_who_knocks_is_not() {
        for (line, expected) in [
            ("Server listening on 0.0.0.0 port 22.", Kind::Login),
            (
                "Accepted publickey for root from 10.0.2.2 port 4 ssh2: ED25519 SHA256:x",
                Kind::Login,
            ),
            (
                "Bind to port 22 on 192.0.2.7 failed: Cannot assign",
                Kind::Complaint,
            ),
            ("Cannot bind any address.", Kind::Complaint),
            ("sshd: no hostkeys available -- exiting.", Kind::Complaint),
            (
                "linux_audit_write_entry failed: Operation not permitted",
                Kind::Complaint,
            ),
            (
                "lastlog_openseek: Couldn't stat /var/log/lastlog: No such file",
                Kind::Knock,
            ),
            (
                "/run/x: line 3: Bad configuration option: X",
                Kind::Complaint,
            ),
            ("Could not x from 192.0.2.1 port 2 [preauth]", Kind::Knock),
            ("Connection closed by 10.0.2.2 port 4", Kind::Knock),
            ("", Kind::Knock),
        ] {
            assert_eq!(kind(line), expected, "{line}");
        }
    }

    /// By the server of whichever OS this is; each new OS's own has the last word when it starts.
    #[test]
    fn a_server_understands_what_it_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("host");
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(&key)
            .status();
        assert!(made.unwrap().success());
        let server = RamServer {
            addresses: vec!["192.0.2.7:22".to_owned(), "[2001:db8::7]:2222".to_owned()],
            allowed: vec!["ann@192.0.2.*".to_owned(), "root".to_owned()],
            ..RamServer::default()
        };
        let keys = folder.path().display().to_string();
        let config = ram_files::config(&server, &keys, &[key.display().to_string()], GREET);
        let path = folder.path().join("config");
        fs::write(&path, config).unwrap();
        // Debian's wants it, and it is there where a server has ever run.
        let _ = fs::create_dir_all("/run/sshd");
        let asked = Command::new(SERVER).arg("-t").arg("-f").arg(&path).output();
        let asked = asked.unwrap();
        let said = String::from_utf8_lossy(&asked.stderr);
        assert!(asked.status.success() && said.is_empty(), "{said}");
    }
}
