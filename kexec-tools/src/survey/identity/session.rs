//! The connection by which the operator is here, and the ssh server's release by its own greeting.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use formats::access::{Doors, Session};
use identity::access::{logged, server};
use machine::answers::{self, Answer};
use machine::patience::stretched;
use plan::version::Version;

/// A server that listens greets at once; on a busy machine it takes its turn.
const GREETING: Duration = Duration::from_secs(5);

/// Where the server's log is, with Debian's name and with Red Hat's.
const LOGS: [&str; 2] = ["/var/log/auth.log", "/var/log/secure"];
/// How much of a log's end is read: some ten thousand lines.
const TAIL: u64 = 2 << 20;
/// Entries of the journal that are read where there is no log.
const ENTRIES: &str = "5000";

/// How far up is looked for whom ssh called: shells, sudo, a terminal's multiplexer.
const ANCESTORS: usize = 32;

/// By the environment of this process or of those that called it, for sudo and su take it away; nothing where none
/// of them was called by ssh. Who it is and how they logged in, the server's log says, where it still does.
pub fn session() -> Option<Session> {
    let mut session = by_environments(environments(std::process::id()).into_iter())?;
    let find = |log: &str| logged::find(log, &session.client, session.client_port);
    let logs = LOGS.iter().filter_map(|path| tail(Path::new(path)).ok());
    if let Some((user, by)) = logs.chain(journal()).find_map(|log| find(&log)) {
        session.user = user;
        session.by = Some(by);
    }
    Some(session)
}

/// The end of a file.
fn tail(path: &Path) -> std::io::Result<String> {
    let mut file = machine::plain_file::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What the server has in the journal, where there is one.
fn journal() -> Option<String> {
    let mut child = Command::new("journalctl");
    child
        .args([
            "-q",
            "--no-pager",
            "-o",
            "cat",
            "-n",
            ENTRIES,
            "-t",
            "sshd",
            "-t",
            "sshd-session",
        ])
        .stderr(Stdio::null());
    match answers::ask(child) {
        Ok(Answer::Said(bytes)) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        _ => None,
    }
}

/// Variables of a process, by name.
type Environment = BTreeMap<String, String>;

/// Those of a process and of its ancestors, the nearest first, as they were started.
fn environments(pid: u32) -> Vec<Environment> {
    let mut found = Vec::new();
    let mut next = Some(pid);
    // The first process was called by nobody.
    while let Some(pid) = next.filter(|pid| *pid > 1 && found.len() < ANCESTORS) {
        let bytes = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        found.push(variables(&bytes));
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"));
        next = parent.and_then(|parent| parent.trim().parse().ok());
    }
    found
}

fn variables(environ: &[u8]) -> Environment {
    let text = String::from_utf8_lossy(environ);
    let variables = text
        .split('\0')
        .filter_map(|variable| variable.split_once('='));
    variables
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// The nearest that has a connection says which, and who: sudo says for whom it calls something.
fn by_environments(mut all: impl Iterator<Item = Environment>) -> Option<Session> {
    let own = all.find(|variables| variables.contains_key("SSH_CONNECTION"))?;
    let user = own.get("SUDO_USER").or_else(|| own.get("USER"))?;
    parse(own.get("SSH_CONNECTION")?, user.clone())
}

/// `CLIENT PORT SERVER PORT`, ssh(1).
fn parse(connection: &str, user: String) -> Option<Session> {
    let words: Vec<&str> = connection.split_whitespace().collect();
    let [client, client_port, address, port] = words[..] else {
        return None;
    };
    Some(Session {
        user,
        address: address.to_owned(),
        port: port.parse().ok()?,
        client: client.to_owned(),
        client_port: client_port.parse().ok()?,
        by: None,
    })
}

/// The OpenSSH release of the server that listens here, if one says so.
pub fn release(doors: &Doors) -> Option<(u32, u32)> {
    let ports = server::ports(doors).into_iter();
    ports
        .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .find_map(|address| greeting(address).as_deref().and_then(of_greeting))
}

fn greeting(address: SocketAddr) -> Option<String> {
    let patience = stretched(GREETING);
    let stream = TcpStream::connect_timeout(&address, patience).ok()?;
    stream.set_read_timeout(Some(patience)).ok()?;
    let mut line = String::new();
    // A greeting has at most 255 bytes: RFC 4253, section 4.2.
    let mut limited = BufReader::new(stream.take(255));
    limited.read_line(&mut line).ok()?;
    Some(line)
}

/// `SSH-2.0-OpenSSH_5.9p1 Debian-5ubuntu1` is 5.9.
fn of_greeting(line: &str) -> Option<(u32, u32)> {
    let version = Version::parse(line.split_once("OpenSSH_")?.1)?;
    Some((version.major, version.minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_log_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("auth.log");
        let long = "x".repeat(TAIL as usize);
        std::fs::write(&path, format!("{long}\nlast\n")).unwrap();
        let found = tail(&path).unwrap();
        assert!(found.ends_with("x\nlast\n") && found.len() as u64 == TAIL);
        std::fs::write(&path, "short").unwrap();
        assert_eq!(tail(&path).unwrap(), "short");
        assert!(tail(&folder.path().join("none")).is_err());
    }

    #[test]
    fn a_greeting_tells_the_release() {
        for (line, expected) in [
            ("SSH-2.0-OpenSSH_5.9p1 Debian-5ubuntu1\r\n", Some((5, 9))),
            ("SSH-2.0-OpenSSH_10.0\r\n", Some((10, 0))),
            ("SSH-2.0-dropbear_2022.83\r\n", None),
            ("", None),
        ] {
            assert_eq!(of_greeting(line), expected, "{line}");
        }
    }

    #[test]
    fn whoever_calls_by_sudo_or_su_came_by_the_connection_of_their_shell() {
        let variables =
            |text: &str| variables(text.replace(' ', "\0").replace('+', " ").as_bytes());
        let connection = "SSH_CONNECTION=192.0.2.7+50122+198.51.100.4+22";
        let plain = format!("HOME=/home/ann USER=ann {connection}");
        let kept = format!("USER=root SUDO_USER=ann {connection}");
        let sudo = "HOME=/root USER=root SUDO_USER=ann";
        for (all, expected) in [
            (&[plain.as_str()][..], Some("ann")),
            (&[sudo, sudo, &plain], Some("ann")),
            (&[kept.as_str(), "USER=x"], Some("ann")),
            (&["USER=root", sudo, &plain, "USER=y"], Some("ann")),
            (&[sudo, "USER=ann"], None),
            (&["USER=ann SSH_CONNECTION="], None),
            (&[], None),
        ] {
            let found = by_environments(all.iter().map(|text| variables(text)));
            let user = found.map(|session| session.user);
            assert_eq!(user.as_deref(), expected, "{all:?}");
        }
    }

    #[test]
    fn what_called_a_process_is_seen_where_its_own_environment_says_nothing() {
        let mut child = Command::new("/bin/sh");
        // Its shell has the connection, and what that calls has not.
        let script = "env -i sleep 60 & echo $!; wait";
        let connection = "192.0.2.7 50122 198.51.100.4 22";
        let mut child = child
            .args(["-c", script])
            .env("SSH_CONNECTION", connection)
            .env("USER", "ann")
            .env_remove("SUDO_USER")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        said.read_line(&mut line).unwrap();
        let pid: u32 = line.trim().parse().unwrap();
        // Until it is what it is to be.
        while fs::read(format!("/proc/{pid}/environ")).is_ok_and(|bytes| !bytes.is_empty()) {
            std::thread::sleep(Duration::from_millis(10));
        }
        let found = by_environments(environments(pid).into_iter());
        for pid in [pid, child.id()] {
            let pid = rustix::process::Pid::from_raw(pid.cast_signed()).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        }
        child.wait().unwrap();
        assert_eq!(found.unwrap().user, "ann");
    }

    #[test]
    fn the_session_is_told_by_the_servers_end() {
        let session = parse("192.0.2.7 50122 198.51.100.4 2222", "ann".to_owned()).unwrap();
        assert_eq!(
            (session.address.as_str(), session.port),
            ("198.51.100.4", 2222)
        );
        assert_eq!(
            (session.client.as_str(), session.client_port),
            ("192.0.2.7", 50122)
        );
        assert_eq!(parse("nonsense", "ann".to_owned()), None);
    }
}
