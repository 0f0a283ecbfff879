//! Asking a name server: a query for the root's name servers, by RFC 1035, over UDP. Whatever it
//! answers, it answers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::time::{Duration, Instant};

/// How long a server may take.
const PATIENCE: Duration = Duration::from_secs(2);
const PORT: u16 = 53;

/// Whether the server answers. `scope` is the number of the link, for link-local addresses.
pub fn probe(server: IpAddr, scope: u32) -> Result<bool, String> {
    let to = match server {
        IpAddr::V4(ip) => SocketAddr::from((ip, PORT)),
        IpAddr::V6(ip) => SocketAddrV6::new(ip, PORT, 0, scope).into(),
    };
    probe_at(to, PATIENCE).map_err(|e| format!("ask {server}: {e}"))
}

fn probe_at(to: SocketAddr, patience: Duration) -> std::io::Result<bool> {
    let any = if to.is_ipv4() {
        IpAddr::from(Ipv4Addr::UNSPECIFIED)
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(to)?;
    let id = (std::process::id() as u16).to_be_bytes();
    socket.send(&query(id))?;
    let until = Instant::now() + patience;
    let mut reply = [0; 512];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        socket.set_read_timeout(Some(left))?;
        match socket.recv(&mut reply) {
            Ok(length) if is_reply(&reply[..length], id) => return Ok(true),
            // Something that is no reply to this: another may come.
            Ok(_) => {}
            // The time is over, or nobody listens there (the ICMP message comes as an error).
            Err(_) => return Ok(false),
        }
    }
}

/// A query for `.`, type NS, class IN, recursion desired.
fn query(id: [u8; 2]) -> [u8; 17] {
    let [a, b] = id;
    [a, b, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1]
}

fn is_reply(bytes: &[u8], id: [u8; 2]) -> bool {
    bytes.len() >= 12 && bytes[..2] == id && bytes[2] & 0x80 != 0
}

/// The servers of a resolv.conf(5), with the link that a scoped address names.
pub fn servers(text: &str) -> Vec<(IpAddr, Option<String>)> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let server = words
                .next()
                .filter(|w| *w == "nameserver")
                .and(words.next())?;
            let (ip, link) = match server.split_once('%') {
                Some((ip, link)) => (ip, Some(link.to_owned())),
                None => (server, None),
            };
            Some((ip.parse().ok()?, link))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_answers_anything_answers() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = server.local_addr().unwrap();
        let refuses = std::thread::spawn(move || {
            let mut bytes = [0; 64];
            let (length, from) = server.recv_from(&mut bytes).unwrap();
            assert_eq!(
                bytes[2..length],
                [1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1]
            );
            // Noise first, then REFUSED.
            server.send_to(b"x", from).unwrap();
            bytes[2] |= 0x80;
            bytes[3] |= 5;
            server.send_to(&bytes[..length], from).unwrap();
        });
        assert!(probe_at(to, Duration::from_secs(10)).unwrap());
        refuses.join().unwrap();
    }

    #[test]
    fn nobody_and_silence_are_no_answer() {
        let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = silent.local_addr().unwrap();
        assert!(!probe_at(to, Duration::from_millis(50)).unwrap());
        drop(silent);
        assert!(!probe_at(to, Duration::from_secs(10)).unwrap());
    }

    #[test]
    fn servers_are_read_as_the_c_library_reads_them() {
        let text = "# nameserver 192.0.2.1\nnameserver 192.0.2.53 \r\n nameserver\t2001:db8::53\n\
            nameserver fe80::1%eth0\nnameserver name\nnameserver\nsearch nameserver\n";
        let link = Some("eth0".to_owned());
        let expected = [
            ("192.0.2.53", None),
            ("2001:db8::53", None),
            ("fe80::1", link),
        ]
        .map(|(ip, link)| (ip.parse().unwrap(), link));
        assert_eq!(servers(text), expected);
    }
}
