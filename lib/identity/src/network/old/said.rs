//! What a file says about the name that a client of DHCP goes by, whoever wrote it.

use formats::dhcp::Octets;

/// One thing that is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// IPv4's client identifier, with its type.
    Identifier(Octets),
    /// It is made from the MAC address.
    ByMac,
    /// It is made from the IAID and the DUID.
    ByDuid,
    /// The DUID, with its type; empty where it is made up in a way that is not known here.
    Duid(Octets),
    /// The IAID.
    Iaid(u32),
    /// A prefix is asked for, to be handed on to others.
    Delegation,
}

/// What is said, where, and for which link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// The file.
    pub file: String,
    /// The client whose file it is, by the name that leases have for it.
    pub program: &'static str,
    /// The link; none where it holds for every link.
    pub interface: Option<String>,
    /// It is a lease, not a setting: the server has seen it so.
    pub leased: bool,
    /// What is said.
    pub what: What,
}

/// A client identifier as people write it in settings: bytes with colons, or a text, which has the
/// type 0.
pub(super) fn identifier(text: &str) -> Option<Octets> {
    let bytes: Option<Octets> = text.parse().ok().filter(|_| text.contains(':'));
    bytes
        .or_else(|| Some(Octets([&[0], text.as_bytes()].concat())).filter(|_| !text.is_empty()))
        .filter(|o| o.0.len() <= 255)
}
