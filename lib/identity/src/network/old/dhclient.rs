//! What ISC's client calls itself: dhclient.conf(5), and the leases that it writes, dhclient.leases(5).
//!
//! By itself it sends no identifier to servers of IPv4. With `-i` it sends its DUID and, as IAID, the
//! end of the MAC address; ifupdown starts it so since Debian 9.

use formats::dhcp::Octets;

use super::glob;
use super::old_file::OldFile;
use super::said::{Said, What};

/// The name that leases have for it.
pub(super) const PROGRAM: &str = "dhclient";

/// Its settings and its leases, as patterns of whole paths.
const FILES: [&str; 10] = [
    "/etc/dhcp/dhclient*.conf",
    "/etc/dhcp3/dhclient*.conf",
    "/etc/dhclient*.conf",
    "/var/lib/NetworkManager/dhclient*.conf",
    "/run/NetworkManager/dhclient*.conf",
    "/var/lib/dhcp/dhclient*.lease*",
    "/var/lib/dhcp3/dhclient*.lease*",
    "/var/lib/dhclient/*.lease*",
    "/var/lib/NetworkManager/dhclient*.lease",
    "/run/dhclient*.lease*",
];

/// What its files say.
pub(super) fn said(files: &[OldFile]) -> Vec<Said> {
    let own = |f: &&OldFile| FILES.iter().any(|p| glob::matches_path(p, &f.path));
    files.iter().filter(own).flat_map(of_file).collect()
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Quoted(Vec<u8>),
    Opens,
    Closes,
    Ends,
}

/// Tokens of both languages. A quoted text has bytes as `\ooo`; a line's end closes what was forgotten.
fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '#' => while chars.next_if(|c| *c != '\n').is_some() {},
            '{' => found.push(Token::Opens),
            '}' => found.push(Token::Closes),
            ';' => found.push(Token::Ends),
            '"' => {
                let mut bytes = Vec::new();
                while let Some(c) = chars.next_if(|c| *c != '\n') {
                    match c {
                        '"' => break,
                        '\\' => {
                            let mut octal = String::new();
                            while octal.len() < 3 {
                                match chars.next_if(|c| ('0'..='7').contains(c)) {
                                    Some(digit) => octal.push(digit),
                                    None => break,
                                }
                            }
                            match u8::from_str_radix(&octal, 8) {
                                Ok(byte) => bytes.push(byte),
                                Err(_) => push(&mut bytes, chars.next()),
                            }
                        }
                        c => push(&mut bytes, Some(c)),
                    }
                }
                found.push(Token::Quoted(bytes));
            }
            c if c.is_whitespace() || matches!(c, '=' | ',') => {}
            c => {
                let mut word = c.to_string();
                let part = |c: &char| !c.is_whitespace() && !"=,;{}\"#".contains(*c);
                while let Some(c) = chars.next_if(part) {
                    word.push(c);
                }
                found.push(Token::Word(word));
            }
        }
    }
    found
}

fn push(bytes: &mut Vec<u8>, c: Option<char>) {
    let mut buffer = [0; 4];
    if let Some(c) = c {
        bytes.extend(c.encode_utf8(&mut buffer).as_bytes());
    }
}

/// What stands around a statement.
struct Block {
    interface: Option<String>,
    lease: bool,
}

fn of_file(file: &OldFile) -> Vec<Said> {
    let stem = file.name().strip_suffix(".conf");
    // `dhclient-eth0.conf` is for that link alone.
    let own = stem.and_then(|stem| {
        let link = stem.strip_prefix("dhclient-");
        link.or_else(|| stem.strip_prefix("dhclient6-"))
    });
    let mut blocks = vec![Block {
        interface: own.map(str::to_owned),
        lease: false,
    }];
    let mut found = Vec::new();
    let mut statement: Vec<Token> = Vec::new();
    for token in tokens(&file.text) {
        let whats = match token {
            Token::Opens => {
                let opened = opens(&statement, &mut blocks);
                statement.clear();
                opened
            }
            Token::Closes => {
                statement.clear();
                if blocks.len() > 1 {
                    blocks.pop();
                }
                None
            }
            Token::Ends => {
                let said = ends(&statement, &mut blocks);
                statement.clear();
                said
            }
            other => {
                statement.push(other);
                None
            }
        };
        if let (Some(what), Some(block)) = (whats, blocks.last()) {
            found.push(Said {
                file: file.path.clone(),
                program: PROGRAM,
                interface: block.interface.clone(),
                leased: block.lease && stem.is_none(),
                what,
            });
        }
    }
    found
}

fn words(statement: &[Token]) -> Vec<&str> {
    let words = statement.iter().map(|token| match token {
        Token::Word(word) => word.as_str(),
        _ => "\"",
    });
    words.collect()
}

fn name(token: Option<&Token>) -> Option<String> {
    match token? {
        Token::Word(word) => Some(word.clone()),
        Token::Quoted(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        _ => None,
    }
}

fn opens(statement: &[Token], blocks: &mut Vec<Block>) -> Option<What> {
    let outer = blocks.last();
    let lease = outer.is_some_and(|b| b.lease);
    let interface = outer.and_then(|b| b.interface.clone());
    let words = words(statement);
    let (block, what) = match words[..] {
        ["interface", ..] => (
            Block {
                interface: name(statement.get(1)),
                lease: false,
            },
            None,
        ),
        ["lease" | "lease6", ..] => (
            Block {
                interface: None,
                lease: true,
            },
            None,
        ),
        [kind, ref rest @ ..] => {
            let what = match (kind, rest.first()) {
                ("ia-na", Some(number)) => iaid(number).map(What::Iaid),
                ("ia-pd", _) => Some(What::Delegation),
                _ => None,
            };
            (Block { interface, lease }, what)
        }
        [] => (Block { interface, lease }, None),
    };
    blocks.push(block);
    what
}

fn iaid(text: &str) -> Option<u32> {
    let bytes: Octets = text.parse().ok()?;
    Some(u32::from_be_bytes(bytes.0.try_into().ok()?))
}

fn ends(statement: &[Token], blocks: &mut [Block]) -> Option<What> {
    match words(statement)[..] {
        ["interface", _] => {
            let block = blocks.last_mut().filter(|b| b.lease)?;
            block.interface = name(statement.get(1));
            None
        }
        ["default-duid", _] => bytes(&statement[1..]).map(What::Duid),
        ["send" | "option", "dhcp-client-identifier", "hardware"] => Some(What::ByMac),
        ["send" | "option", "dhcp-client-identifier", _] => {
            bytes(&statement[2..]).map(What::Identifier)
        }
        ["send" | "option", "dhcp6.client-id", _] => bytes(&statement[2..]).map(What::Duid),
        _ => None,
    }
}

/// The bytes of a value: quoted ones as they are, hexadecimal ones with colons.
fn bytes(value: &[Token]) -> Option<Octets> {
    let found = match value {
        [Token::Quoted(bytes)] => Some(Octets(bytes.clone())),
        [Token::Word(word)] => word.parse().ok(),
        _ => None,
    };
    found.filter(|o| !o.0.is_empty() && o.0.len() <= 255)
}

#[cfg(test)]
mod tests {
    use super::super::old_file::file;
    use super::*;

    fn read(path: &str, text: &str) -> Vec<(Option<String>, bool, What)> {
        let found = said(&[file(path, text)]);
        let parts = found.into_iter().map(|s| (s.interface, s.leased, s.what));
        parts.collect()
    }

    fn octets(text: &str) -> Octets {
        text.parse().unwrap()
    }

    #[test]
    fn reads_what_the_client_wrote() {
        let leases = include_str!("fixtures/dhclient.leases");
        let ens3 = || Some("ens3".to_owned());
        let duid = octets("00:01:00:01:27:4a:52:54:00:12:34:56");
        assert_eq!(
            read("/var/lib/dhcp/dhclient.ens3.leases", leases),
            [
                (None, false, What::Duid(duid.clone())),
                (ens3(), true, What::Iaid(0x0012_3456)),
                (ens3(), true, What::Duid(duid)),
            ]
        );
        let echoed = "lease { interface \"ens3\"; fixed-address 192.0.2.7;\n option \
                      dhcp-client-identifier 1:52:54:0:12:34:56; }\nlease6 { interface \"ens3\"; \
                      ia-pd 0:0:0:1 { iaprefix 2001:db8::/56 { } } }";
        assert_eq!(
            read("/run/dhclient.lease", echoed),
            [
                (
                    ens3(),
                    true,
                    What::Identifier(octets("01:52:54:00:12:34:56"))
                ),
                (ens3(), true, What::Delegation),
            ]
        );
    }

    #[test]
    fn reads_what_people_wrote() {
        let text = "# send dhcp-client-identifier 1:2:3;\nsend host-name = gethostname();\n\
                    send dhcp-client-identifier \"shop1\";\ninterface \"eth1\" {\n  \
                    send dhcp-client-identifier = hardware;\n}\ninterface \"eth2\" { send \
                    dhcp-client-identifier 0:61; send dhcp6.client-id 0:3:0:1:2:3:4:5:6:7; }\n\
                    send dhcp-client-identifier = concat(1, hardware);";
        let link = |n: &str| Some(n.to_owned());
        assert_eq!(
            read("/etc/dhcp/dhclient.conf", text),
            [
                (None, false, What::Identifier(Octets(b"shop1".to_vec()))),
                (link("eth1"), false, What::ByMac),
                (link("eth2"), false, What::Identifier(octets("00:61"))),
                (
                    link("eth2"),
                    false,
                    What::Duid(octets("00:03:00:01:02:03:04:05:06:07"))
                ),
            ]
        );
        let one = read(
            "/var/lib/NetworkManager/dhclient-ens3.conf",
            "send dhcp-client-identifier 01:52:54:00:12:34:56; # added by NetworkManager",
        );
        assert_eq!(one[0].0, link("ens3"));
    }

    #[test]
    fn hostile_files_are_passed_over() {
        for text in [
            "",
            "}}}",
            "default-duid",
            "default-duid \"",
            "default-duid \"\\",
            "default-duid \"\\777\";",
            "send dhcp-client-identifier zz;",
            "lease { interface ; option dhcp-client-identifier ;",
            "ia-na {",
            "ia-na 1:2 {",
        ] {
            let found = read("/etc/dhcp/dhclient.conf", text);
            assert!(found.len() <= 1, "{text}: {found:?}");
        }
        assert_eq!(read("/etc/passwd", "default-duid \"\\000\";"), []);
    }
}
