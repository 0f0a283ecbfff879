//! The connection by which the operator is here, and the ssh server's release by its own greeting.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use formats::access::{Doors, Session};
use identity::access::server;
use machine::patience::stretched;
use plan::version::Version;

/// A server that listens greets at once; on a busy machine it takes its turn.
const GREETING: Duration = Duration::from_secs(5);

/// By the environment; nothing where the launcher was not called by ssh.
pub fn session() -> Option<Session> {
    let variable = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
    let user = variable("SUDO_USER").or_else(|| variable("USER"))?;
    parse(&variable("SSH_CONNECTION")?, user)
}

/// `CLIENT PORT SERVER PORT`, ssh(1).
fn parse(connection: &str, user: String) -> Option<Session> {
    let words: Vec<&str> = connection.split_whitespace().collect();
    let [_, _, address, port] = words[..] else {
        return None;
    };
    Some(Session {
        user,
        address: address.to_owned(),
        port: port.parse().ok()?,
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
    let mut limited = BufReader::new(std::io::Read::take(stream, 255));
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
    fn the_session_is_told_by_the_servers_end() {
        let session = parse("192.0.2.7 50122 198.51.100.4 2222", "ann".to_owned()).unwrap();
        assert_eq!(
            (session.address.as_str(), session.port),
            ("198.51.100.4", 2222)
        );
        assert_eq!(parse("nonsense", "ann".to_owned()), None);
    }
}
