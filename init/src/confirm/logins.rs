//! Asks the new OS's ssh server about everybody who is promised to get in, by the new OS's own client, from the
//! machine itself over the addresses by which others reach it.
//!
//! No private key is here, and none is needed: the client offers public keys, and the server says which of them
//! it would take. Nobody is logged in, no password is tried, and PAM is not asked, so that nothing counts
//! against anybody but the machine's own address. OpenSSH since 9.8 keeps an address out for a while from which
//! logins are broken off (`PerSourcePenalties`): there is a pause between two of them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use formats::access::Login;
use formats::plan::Plan;
use identity::access::asked::{self, Answer};
use identity::confirm::{Asked, SshPort};
use machine::answers;
use machine::patience::stretched;

use super::live;

const CLIENT: &str = "/usr/bin/ssh";
const SERVER: &str = "/usr/sbin/sshd";

/// Where the public keys lie meanwhile.
const KEYS: &str = "/run/reroot-login";

/// Connections that are made at most, and how long they may take together: a machine has few people who
/// become root, and the unit that asks has an end.
const MOST: usize = 12;
const PATIENCE: Duration = Duration::from_mins(2);
/// The same on a machine however busy.
const LONGEST: Duration = Duration::from_mins(4);

/// Addresses that are asked at each port: a machine may have hundreds.
const MOST_ADDRESSES: usize = 4;

/// Releases of the server that keep an address out, and how long a login that was broken off counts against it.
const PENALTIES: (u32, u32) = (9, 8);
const PENALTY: Duration = Duration::from_secs(6);
/// One that was kept out is asked again after this.
const KEPT_OUT: Duration = Duration::from_secs(20);

/// Asks about everybody, or says why nobody can be asked about.
pub fn ask(plan: &Plan) -> Result<Vec<Asked>, String> {
    let logins = &plan.identity.logins;
    if logins.is_empty() {
        return Ok(Vec::new());
    }
    if !Path::new(CLIENT).exists() {
        return Err(format!(
            "not asked: the new OS has no {CLIENT}; that the server greets is told apart"
        ));
    }
    let network =
        network::read().map_err(|e| format!("read the network: {:#}", anyhow::Error::from(e)))?;
    let addresses = live::outer_addresses(&Ok(network));
    let places = places(&plan.identity.ssh_ports, &addresses, &|at| {
        live::ssh(at) == SshPort::Greets
    });
    if places.is_empty() {
        return Err("not asked: no server greets on an address of this machine's".to_owned());
    }
    let client = Client::default();
    Ok(ask_at(&client, logins, &pairs(logins.len(), &places)))
}

/// Where a server greets, by port.
fn places(
    ports: &[u16],
    addresses: &[IpAddr],
    greets: &dyn Fn(SocketAddr) -> bool,
) -> Vec<Vec<SocketAddr>> {
    let at_port = |port: &u16| {
        let all = addresses
            .iter()
            .map(|address| SocketAddr::from((*address, *port)));
        all.filter(|at| greets(*at))
            .take(MOST_ADDRESSES)
            .collect::<Vec<_>>()
    };
    let all = ports.iter().map(at_port);
    all.filter(|places| !places.is_empty()).collect()
}

/// Who is asked about where: at each port everybody once, and everywhere somebody.
fn pairs(logins: usize, places: &[Vec<SocketAddr>]) -> Vec<(usize, SocketAddr)> {
    let at_port = |places: &Vec<SocketAddr>| {
        let count = logins.max(places.len());
        let pair = |n: usize| (n % logins, places[n % places.len()]);
        (0..count).map(pair).collect::<Vec<_>>()
    };
    places.iter().flat_map(at_port).collect()
}

fn ask_at(client: &Client, logins: &[Login], pairs: &[(usize, SocketAddr)]) -> Vec<Asked> {
    let (begin, patience) = (Instant::now(), stretched(PATIENCE).min(LONGEST));
    let mut last: BTreeMap<IpAddr, Instant> = BTreeMap::new();
    let mut penalties = true;
    let mut found = Vec::new();
    for (count, (login, at)) in pairs.iter().enumerate() {
        let answer = if count >= MOST || begin.elapsed() > patience {
            Err("not asked: others were, and that is enough of one machine's server".to_owned())
        } else {
            let since = last.get(&at.ip()).map(Instant::elapsed);
            let pause = since.and_then(|since| PENALTY.checked_sub(since));
            thread::sleep(pause.filter(|_| penalties).unwrap_or_default());
            let mut answer = client.ask(&logins[*login], *at);
            if answer.as_ref().is_ok_and(|answer| answer.means.is_empty()) {
                thread::sleep(KEPT_OUT);
                answer = client.ask(&logins[*login], *at);
            }
            last.insert(at.ip(), Instant::now());
            answer
        };
        if let Ok(release) = answer.as_ref().map(|answer| answer.release) {
            penalties = release.is_none_or(|release| release >= PENALTIES);
        }
        found.push(Asked {
            login: *login,
            at: *at,
            root_login: answer.is_ok().then(|| client.root_login(*at)).flatten(),
            answer,
        });
    }
    found
}

/// The programs that ask, and where the keys lie.
struct Client {
    keys: PathBuf,
    server: Vec<String>,
}

impl Default for Client {
    fn default() -> Self {
        Self {
            keys: PathBuf::from(KEYS),
            server: vec![SERVER.to_owned()],
        }
    }
}

impl Client {
    /// One connection: which of somebody's keys are taken, and what other means.
    fn ask(&self, login: &Login, at: SocketAddr) -> Result<Answer, String> {
        let files = Files::write(&self.keys, login)
            .map_err(|e| format!("write {}: {e}", self.keys.display()))?;
        let mut ssh = Command::new(CLIENT);
        // Nothing of the machine's own configuration, no agent, nobody to be asked; what is said goes to the
        // output that is read.
        ssh.args(["-v", "-E", "/proc/self/fd/1", "-F", "/dev/null"])
            .args(["-N", "-T", "-a", "-x"])
            .env_remove("SSH_AUTH_SOCK")
            .stderr(Stdio::null());
        for option in [
            "BatchMode=yes",
            "ConnectTimeout=20",
            "ConnectionAttempts=1",
            "ControlPath=none",
            "GlobalKnownHostsFile=/dev/null",
            "IdentitiesOnly=yes",
            "PreferredAuthentications=publickey",
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
        ] {
            ssh.args(["-o", option]);
        }
        if files.names.is_empty() {
            ssh.args(["-o", "PubkeyAuthentication=no"]);
        }
        for name in &files.names {
            ssh.args(["-i", name]);
        }
        ssh.args([
            "-p",
            &at.port().to_string(),
            "-l",
            &login.user,
            &at.ip().to_string(),
        ]);
        match answers::ask(ssh) {
            Ok(answers::Answer::Said(said)) => {
                Ok(asked::parse(&String::from_utf8_lossy(&said), &files.names))
            }
            Ok(answers::Answer::Silent) => Err("the server did not answer in time".to_owned()),
            Err(e) => Err(format!("run {CLIENT}: {e}")),
        }
    }

    /// What the server's settings say of root who comes from here; nothing where it does not say.
    fn root_login(&self, at: SocketAddr) -> Option<String> {
        let (address, port) = (at.ip(), at.port());
        let mut sshd = Command::new(self.server.first()?);
        sshd.args(&self.server[1..])
            .args(["-T", "-C"])
            .arg(format!(
                "user=root,host={address},addr={address},laddr={address},lport={port}"
            ))
            .stderr(Stdio::null());
        let Ok(answers::Answer::Said(said)) = answers::ask(sshd) else {
            return None;
        };
        let text = String::from_utf8_lossy(&said);
        let mut values = text
            .lines()
            .filter_map(|line| line.strip_prefix("permitrootlogin "));
        values.next().map(|value| value.trim().to_owned())
    }
}

/// Public keys in a directory of root's, as long as they are needed.
struct Files {
    directory: PathBuf,
    names: Vec<String>,
}

impl Files {
    fn write(directory: &Path, login: &Login) -> io::Result<Files> {
        let gone = fs::remove_dir_all(directory);
        // One of an earlier look that was cut off.
        gone.or_else(|e| {
            if e.kind() == io::ErrorKind::NotFound {
                Ok(())
            } else {
                Err(e)
            }
        })?;
        fs::DirBuilder::new().mode(0o700).create(directory)?;
        let mut files = Files {
            directory: directory.to_owned(),
            names: Vec::new(),
        };
        for (at, key) in login.keys.iter().enumerate() {
            let path = directory.join(format!("{at}.pub"));
            // The client takes it for a private key in the end, and would warn of one that others read.
            let mut file = fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)?;
            io::Write::write_all(&mut file, format!("{} {}\n", key.kind, key.blob).as_bytes())?;
            files.names.push(path.display().to_string());
        }
        Ok(files)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // What is left is public, and in memory.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

#[cfg(test)]
#[path = "logins_tests.rs"]
mod tests;
