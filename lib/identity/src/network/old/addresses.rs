//! Addresses and words as configuration files write them.

use std::net::{IpAddr, Ipv4Addr};

use formats::network::Prefix;

/// The text without the quotes that stand around it.
pub(crate) fn unquoted(text: &str) -> &str {
    let text = text.trim();
    ['"', '\'']
        .iter()
        .find_map(|q| text.strip_prefix(*q)?.strip_suffix(*q))
        .unwrap_or(text)
        .trim()
}

/// Words, separated by blanks, commas or semicolons, without quotes.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '"' | '\''))
        .filter(|w| !w.is_empty())
}

/// An address, without what may stand around it: quotes, a prefix length, the scope behind `%`,
/// the name behind `#`.
pub fn address(text: &str) -> Option<IpAddr> {
    let text = unquoted(text);
    let end = text.find(['/', '%', '#']).unwrap_or(text.len());
    text[..end].trim_matches(['[', ']']).parse().ok()
}

/// An address with a prefix length, or with a netmask that stands beside it.
pub fn prefix(text: &str, netmask: Option<&str>) -> Option<Prefix> {
    let text = unquoted(text);
    if text.contains('/') {
        let (ip, bits) = text.split_once('/')?;
        let ip = address(ip)?;
        return Some(Prefix {
            ip,
            bits: bits_of(bits, ip)?,
        });
    }
    let ip = address(text)?;
    let bits = netmask
        .and_then(|m| bits_of(m, ip))
        .unwrap_or(if ip.is_ipv4() { 32 } else { 128 });
    Some(Prefix { ip, bits })
}

/// `24`, `255.255.255.0`.
fn bits_of(text: &str, ip: IpAddr) -> Option<u8> {
    let text = unquoted(text);
    let most = if ip.is_ipv4() { 32 } else { 128 };
    if let Ok(mask) = text.parse::<Ipv4Addr>() {
        let mask = u32::from(mask);
        return (mask.leading_ones() + mask.trailing_zeros() >= 32)
            .then_some(mask.leading_ones() as u8);
    }
    text.parse().ok().filter(|b| *b <= most)
}

/// `yes`, `true`, `on`, `1` and their opposites.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match unquoted(text).to_ascii_lowercase().as_str() {
        "yes" | "true" | "on" | "y" | "1" => Some(true),
        "no" | "false" | "off" | "n" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_addresses_in_every_dress() {
        for (text, mask, expected) in [
            ("192.0.2.7/24", None, Some("192.0.2.7/24")),
            ("\"192.0.2.7/24\"", None, Some("192.0.2.7/24")),
            ("192.0.2.7", Some("255.255.255.0"), Some("192.0.2.7/24")),
            ("192.0.2.7", Some("26"), Some("192.0.2.7/26")),
            ("192.0.2.7/255.255.255.128", None, Some("192.0.2.7/25")),
            ("192.0.2.7", Some("0.0.0.0"), Some("192.0.2.7/0")),
            ("192.0.2.7", None, Some("192.0.2.7/32")),
            ("192.0.2.7", Some("255.0.255.0"), Some("192.0.2.7/32")),
            ("2001:db8::7", Some("64"), Some("2001:db8::7/64")),
            ("192.0.2.7/33", None, None),
            ("gateway.example.org", None, None),
            ("", None, None),
        ] {
            let found = prefix(text, mask).map(|p| p.to_string());
            assert_eq!(found.as_deref(), expected, "{text} {mask:?}");
        }
        assert_eq!(address("fe80::1%eth0"), "fe80::1".parse().ok());
        assert_eq!(address("192.0.2.53#dns.example"), "192.0.2.53".parse().ok());
    }
}
