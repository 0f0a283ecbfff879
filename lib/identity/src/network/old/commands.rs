//! Commands in interfaces(5) whose kind is known: ethtool(8), neighbours by ip(8) and arp(8), sysctl(8).
//!
//! A command is known as a whole or not at all: one that has anything in it that is not understood, a pipe, a
//! condition, a variable, says nothing here.

use crate::network::ethtool;
use formats::network::Prefix;
use formats::tuning::Tuned;

/// Features by the words of `ethtool -K`, and by those of `ethtool -k`, which it takes as well.
const FEATURES: [(&str, &str); 14] = [
    ("rx", "rx-checksumming"),
    ("tx", "tx-checksumming"),
    ("sg", "scatter-gather"),
    ("tso", "tcp-segmentation-offload"),
    ("gso", "generic-segmentation-offload"),
    ("gro", "generic-receive-offload"),
    ("lro", "large-receive-offload"),
    ("rxvlan", "rx-vlan-offload"),
    ("txvlan", "tx-vlan-offload"),
    ("ntuple", "ntuple-filters"),
    ("rxhash", "receive-hashing"),
    ("rx-gro-hw", "rx-gro-hw"),
    ("rx-vlan-filter", "rx-vlan-filter"),
    ("tx-vlan-stag-hw-insert", "tx-vlan-stag-hw-insert"),
];

/// Options of ethtool that set several things of a card at once, by both their names.
const OPTIONS: [(&str, &str); 4] = [
    ("-A", "--pause"),
    ("-C", "--coalesce"),
    ("-L", "--set-channels"),
    ("-s", "--change"),
];

/// The largest number of packets that a ring is believed to have room for.
const LARGEST_RING: u32 = 1 << 20;

/// What a command of this link's stanza sets, each with the link that it names; nothing where it is of no known
/// kind.
pub(super) fn settings(text: &str, link: &str) -> Option<Vec<(Option<String>, Tuned)>> {
    let words = words(text, link)?;
    let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
    strip(&mut words);
    let (program, rest) = words.split_first()?;
    let found = match program.rsplit('/').next()? {
        "ethtool" => ethtool(rest)?,
        "ip" => vec![ip(rest)?],
        "arp" => vec![arp(rest, link)?],
        "sysctl" => sysctl(rest)?,
        "echo" => vec![echo(rest)?],
        _ => return None,
    };
    (!found.is_empty()).then_some(found)
}

/// The words of a command as a shell has them; `$IFACE` is the link, and what else a shell would change or act upon
/// is not understood. Signs of the shell's are words of their own.
fn words(text: &str, link: &str) -> Option<Vec<String>> {
    let text = text.replace("${IFACE}", link).replace("$IFACE", link);
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in text.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (_, '$' | '`' | '\\') => return None,
            (None, c) if "*?[](){}<;#~".contains(c) => return None,
            (None, '>' | '|' | '&') => {
                // `2>` is a sign, and so is `2>&1` in three words.
                let number = word.take_if(|w| c == '>' && *w == "2");
                words.extend(word.take());
                words.push(number.map_or_else(|| c.to_string(), |n| format!("{n}{c}")));
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) if c.is_control() => return None,
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

/// Takes off what only keeps a command quiet.
fn strip(words: &mut Vec<&str>) {
    const TAILS: [&[&str]; 5] = [
        &["|", "|", "true"],
        &["|", "|", ":"],
        &["2>", "&", "1"],
        &[">", "/dev/null"],
        &["2>", "/dev/null"],
    ];
    while let Some(tail) = TAILS.iter().find(|tail| words.ends_with(tail)) {
        words.truncate(words.len() - tail.len());
    }
}

fn ethtool(words: &[&str]) -> Option<Vec<(Option<String>, Tuned)>> {
    let [option, device, pairs @ ..] = words else {
        return None;
    };
    if !is_device(device) || pairs.len() % 2 != 0 {
        return None;
    }
    let mut options = OPTIONS.iter();
    if let Some((short, _)) = options.find(|(short, long)| short == option || long == option) {
        let set = several(short, pairs)?;
        return Some(vec![(Some((*device).to_owned()), set)]);
    }
    let of = |pair: &[&str]| {
        let [name, value] = pair else { return None };
        let set = match *option {
            "-K" | "--offload" | "--features" => {
                let mut features = FEATURES.iter();
                let (short, _) = features.find(|(short, long)| short == name || long == name)?;
                Tuned::Feature {
                    name: (*short).to_owned(),
                    on: match *value {
                        "on" => true,
                        "off" => false,
                        _ => return None,
                    },
                }
            }
            "-G" | "--set-ring" if ["rx", "tx"].contains(name) => Tuned::Ring {
                name: (*name).to_owned(),
                size: value
                    .parse()
                    .ok()
                    .filter(|n| (1..=LARGEST_RING).contains(n))?,
            },
            _ => return None,
        };
        Some((Some((*device).to_owned()), set))
    };
    pairs.chunks(2).map(of).collect()
}

/// What an option with several words sets.
fn several(option: &str, words: &[&str]) -> Option<Tuned> {
    let of = |pair: &[&str]| {
        let [name, value] = pair else { return None };
        let (_, _, _, form, _) = ethtool::word(option, name)?;
        form.takes(value)
            .then(|| ((*name).to_owned(), (*value).to_owned()))
    };
    let pairs: Vec<(String, String)> = words.chunks(2).map(of).collect::<Option<_>>()?;
    let value = |name: &str| {
        let mut pairs = pairs.iter();
        pairs
            .find(|(word, _)| word == name)
            .map(|(_, v)| v.as_str())
    };
    let twice = pairs
        .iter()
        .enumerate()
        .any(|(at, (name, _))| pairs[..at].iter().any(|(before, _)| before == name));
    // With negotiation, or where nothing is said of it, a speed is what is offered to the other side.
    let offered = ["speed", "duplex"].iter().any(|name| value(name).is_some())
        && value("autoneg") != Some("off");
    if pairs.is_empty() || twice || option == "-s" && offered {
        return None;
    }
    Some(Tuned::Ethtool {
        option: option.to_owned(),
        pairs,
    })
}

fn ip(words: &[&str]) -> Option<(Option<String>, Tuned)> {
    let words = match words {
        ["-4" | "-6", rest @ ..] => rest,
        all => all,
    };
    let ["n" | "neigh" | "neighbor" | "neighbour", "add" | "replace" | "change" | "chg", address, pairs @ ..] =
        words
    else {
        return None;
    };
    let (mut mac, mut device) = (None, None);
    for pair in pairs.chunks(2) {
        match pair {
            ["lladdr", value] => mac = Some(value.parse().ok()?),
            ["dev", value] if is_device(value) => device = Some((*value).to_owned()),
            ["nud", "permanent"] => {}
            _ => return None,
        }
    }
    neighbour(address, mac, Some(device?))
}

fn arp(words: &[&str], link: &str) -> Option<(Option<String>, Tuned)> {
    let (device, rest) = match words {
        ["-i", device, rest @ ..] | [rest @ .., "-i", device] => (*device, rest),
        all => (link, all),
    };
    let ["-s" | "--set", address, mac] = rest else {
        return None;
    };
    if !is_device(device) {
        return None;
    }
    neighbour(address, Some(mac.parse().ok()?), Some(device.to_owned()))
}

fn neighbour(
    address: &str,
    mac: Option<formats::network::Mac>,
    device: Option<String>,
) -> Option<(Option<String>, Tuned)> {
    let prefix: Prefix = address.parse().ok().filter(|_| !address.contains('/'))?;
    let set = Tuned::Neighbour {
        address: prefix.ip,
        mac: mac?,
    };
    Some((device, set))
}

fn sysctl(words: &[&str]) -> Option<Vec<(Option<String>, Tuned)>> {
    let options =
        |word: &&&str| ["-w", "-q", "-e", "--write", "--quiet", "--ignore"].contains(*word);
    let count = words.iter().take_while(options).count();
    let of = |word: &&str| {
        let (key, value) = word.split_once('=')?;
        kernel(&slashes(key), value)
    };
    words[count..].iter().map(of).collect()
}

/// The path of a setting: the first sign that parts its words parts all of them, sysctl.d(5).
fn slashes(key: &str) -> String {
    let swap = |c| match c {
        '.' => '/',
        '/' => '.',
        other => other,
    };
    match key.find(['.', '/']) {
        Some(at) if key[at..].starts_with('.') => key.chars().map(swap).collect(),
        _ => key.to_owned(),
    }
}

fn echo(words: &[&str]) -> Option<(Option<String>, Tuned)> {
    let [value @ .., ">", file] = words else {
        return None;
    };
    if value.first().is_some_and(|word| word.starts_with('-')) {
        return None;
    }
    kernel(file.strip_prefix("/proc/sys/")?, &value.join(" "))
}

/// A setting of the kernel's network, and the link that it is of.
fn kernel(path: &str, value: &str) -> Option<(Option<String>, Tuned)> {
    let is_word = |part: &str| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        !part.is_empty() && ![".", ".."].contains(&part) && part.bytes().all(plain)
    };
    let parts: Vec<&str> = path.split('/').collect();
    let value_is_plain = |c: char| c.is_ascii_alphanumeric() || " \t.,:-_/".contains(c);
    let value = value.trim();
    if parts.first() != Some(&"net")
        || parts.len() < 3
        || !parts.iter().all(|part| is_word(part))
        || value.is_empty()
        || !value.chars().all(value_is_plain)
    {
        return None;
    }
    let link = match parts[..] {
        [_, "ipv4" | "ipv6", "conf" | "neigh", link, _] => {
            Some(link.to_owned()).filter(|link| !["all", "default"].contains(&link.as_str()))
        }
        _ => None,
    };
    let set = Tuned::Sysctl {
        path: path.to_owned(),
        value: value.to_owned(),
    };
    Some((link, set))
}

fn is_device(word: &str) -> bool {
    (1..=15).contains(&word.len())
        && !word.starts_with('-')
        && word
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<String> {
        let found = settings(text, "eth0").unwrap_or_default();
        let one = |(link, set): &(Option<String>, Tuned)| {
            let what = match set {
                Tuned::Feature { name, on } => format!("{name}={on}"),
                Tuned::Ring { name, size } => format!("{name}={size}"),
                Tuned::Ethtool { .. } => set.to_string(),
                Tuned::Neighbour { address, mac } => format!("{address}={mac}"),
                Tuned::Sysctl { path, value } => format!("{path}={value}"),
            };
            format!("{}: {what}", link.as_deref().unwrap_or("-"))
        };
        found.iter().map(one).collect()
    }

    #[test]
    fn commands_of_a_known_kind_say_what_they_set() {
        for (text, expected) in [
            (
                "ethtool -K eth0 tso off gro off",
                &["eth0: tso=false", "eth0: gro=false"][..],
            ),
            (
                "/sbin/ethtool --offload $IFACE generic-receive-offload on || true",
                &["eth0: gro=true"],
            ),
            (
                "ethtool -G \"${IFACE}\" rx 4096 tx 4096 >/dev/null 2>&1",
                &["eth0: rx=4096", "eth0: tx=4096"],
            ),
            (
                "ethtool -K eth0 rx-gro-hw off rx-vlan-filter off",
                &["eth0: rx-gro-hw=false", "eth0: rx-vlan-filter=false"],
            ),
            (
                "ethtool -s eth0 speed 100 duplex full autoneg off",
                &["eth0: -s speed 100 duplex full autoneg off"],
            ),
            (
                "ethtool --change eth0 wol g autoneg on",
                &["eth0: -s wol g autoneg on"],
            ),
            (
                "ethtool -A eth0 autoneg off rx off tx on",
                &["eth0: -A autoneg off rx off tx on"],
            ),
            (
                "ethtool -C eth0 adaptive-rx off rx-usecs 50 || true",
                &["eth0: -C adaptive-rx off rx-usecs 50"],
            ),
            (
                "ethtool --set-channels eth0 combined 4",
                &["eth0: -L combined 4"],
            ),
            (
                "ethtool -K eth2 rx off 2>/dev/null || :",
                &["eth2: rx=false"],
            ),
            (
                "ip neigh add 192.0.2.1 lladdr 52:54:00:00:00:01 dev eth0 nud permanent",
                &["eth0: 192.0.2.1=52:54:00:00:00:01"],
            ),
            (
                "ip -6 neighbor replace 2001:db8::1 dev eth0 lladdr 52:54:00:00:00:01",
                &["eth0: 2001:db8::1=52:54:00:00:00:01"],
            ),
            (
                "arp -s 192.0.2.1 52:54:00:00:00:01",
                &["eth0: 192.0.2.1=52:54:00:00:00:01"],
            ),
            (
                "arp -i eth1 -s 192.0.2.1 52:54:00:00:00:01",
                &["eth1: 192.0.2.1=52:54:00:00:00:01"],
            ),
            (
                "sysctl -w net.ipv4.conf.eth0.rp_filter=2",
                &["eth0: net/ipv4/conf/eth0/rp_filter=2"],
            ),
            ("sysctl -qw net.ipv4.ip_forward=1", &[]),
            (
                "sysctl -q -w net.ipv4.ip_forward=1 net.ipv4.conf.all.arp_ignore=1",
                &[
                    "-: net/ipv4/ip_forward=1",
                    "-: net/ipv4/conf/all/arp_ignore=1",
                ],
            ),
            (
                "sysctl net/ipv6/conf/bond0.100/accept_ra=0",
                &["bond0.100: net/ipv6/conf/bond0.100/accept_ra=0"],
            ),
            (
                "sysctl -w net.ipv4.tcp_rmem='4096 87380 6291456'",
                &["-: net/ipv4/tcp_rmem=4096 87380 6291456"],
            ),
            (
                "echo 1 > /proc/sys/net/ipv4/conf/$IFACE/proxy_arp",
                &["eth0: net/ipv4/conf/eth0/proxy_arp=1"],
            ),
            (
                "echo 0 >/proc/sys/net/ipv6/conf/all/forwarding",
                &["-: net/ipv6/conf/all/forwarding=0"],
            ),
        ] {
            assert_eq!(told(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_understood_as_a_whole_says_nothing() {
        for text in [
            "",
            "ethtool -K eth0",
            "ethtool -K eth0 tso",
            "ethtool -K eth0 tso off; reboot",
            "ethtool -K eth0 tso off && touch /x",
            "ethtool -K eth0 tso off | logger",
            "ethtool -K eth0 tso off fast on",
            "ethtool -K $OTHER tso off",
            "ethtool -K eth0 tso `cat /x`",
            "ethtool -K 'eth0 tso off",
            "ethtool -G eth0 rx 0",
            "ethtool -G eth0 rx 99999999999",
            "ethtool -s eth0 speed 100 duplex full",
            "ethtool -s eth0 speed 1000 duplex full autoneg on",
            "ethtool -s eth0 wol s sopass 00:11:22:33:44:55",
            "ethtool -s eth0 wol",
            "ethtool -s eth0",
            "ethtool -s eth0 advertise 0x008",
            "ethtool -A eth0 rx maybe",
            "ethtool -A eth0 rx on rx off",
            "ethtool -C eth0 rx-usecs -1",
            "ethtool -C eth0 rx-usecs 4294967296",
            "ethtool -L eth0 combined +4",
            "ip neigh add proxy 192.0.2.1 dev eth0",
            "ip neigh add 192.0.2.1 dev eth0",
            "ip neigh add 192.0.2.1 lladdr 52:54:00:00:00:01",
            "ip neigh add 192.0.2.0/24 lladdr 52:54:00:00:00:01 dev eth0",
            "ip neigh del 192.0.2.1 dev eth0",
            "arp -d 192.0.2.1",
            "sysctl -p /etc/sysctl.d/x.conf",
            "sysctl -w vm.swappiness=10",
            "sysctl -w net.ipv4.conf/../x=1",
            "sysctl -w net=1",
            "echo 1 > /proc/sys/kernel/sysrq",
            "echo 1 >> /proc/sys/net/ipv4/ip_forward",
            "echo 1 > /proc/sys/net/../kernel/sysrq",
            "echo -n 1 > /proc/sys/net/ipv4/ip_forward",
            "iptables-restore < /etc/iptables.rules",
        ] {
            assert_eq!(told(text), [""; 0], "{text}");
        }
    }
}
