//! What the new OS's client of DHCP calls itself: as the old one did, as far as a dialect can say it.
//! Follows RFC 2132, 9.14, RFC 4361 and RFC 8415, 11.

use formats::dhcp::Octets;
use formats::network::Link;

use super::draft::Draft;

/// The name for servers of IPv4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Identifier {
    /// The old one is not known.
    Unknown,
    /// The old client sent none.
    Nothing,
    /// The MAC address.
    Mac,
    /// An IAID and a DUID.
    Duid(u32, Octets),
    /// Other bytes.
    Other(Octets),
}

/// What the link's client of IPv4 called itself.
pub(super) fn identifier(link: &Link) -> Identifier {
    match &link.dhcp_client.identifier {
        None => Identifier::Unknown,
        Some(id) if id.0.is_empty() => Identifier::Nothing,
        Some(id) if link.mac.map(Octets::of_mac).as_ref() == Some(id) => Identifier::Mac,
        Some(id) => match id.parts() {
            Some((iaid, duid)) => Identifier::Duid(iaid, duid),
            None => Identifier::Other(id.clone()),
        },
    }
}

/// Says by what servers know the machine, and where that is not known.
pub(super) fn note(link: &Link, draft: &mut Draft) {
    let (name, client) = (&link.name, &link.dhcp_client);
    if link.dhcp4.is_some() {
        draft.note(match &client.identifier {
            None => format!(
                "{name}: what its DHCP client called itself is not known; the new one names itself \
                 by the MAC address, and a server that went by another name gives another address"
            ),
            Some(id) if id.0.is_empty() => format!(
                "{name}: DHCP servers know it by its MAC address, without a client identifier: {}",
                client.identifier_by
            ),
            Some(id) => format!(
                "{name}: DHCP servers know it as {id}: {}",
                client.identifier_by
            ),
        });
    }
    if link.dhcp6.is_some() {
        draft.note(match (&client.duid, client.iaid) {
            (None, _) => format!(
                "{name}: the DUID of its DHCPv6 client is not known; the new one has its own, and \
                 a server may give it another address"
            ),
            (Some(duid), None) => format!(
                "{name}: DHCPv6 servers know it as {duid}: {}; the IAID is not known",
                client.duid_by
            ),
            (Some(duid), Some(iaid)) => format!(
                "{name}: DHCPv6 servers know it as {duid} with IAID {iaid}: {}",
                client.duid_by
            ),
        });
    }
}

/// Says that a client cannot send a name to servers of IPv4, and sends the MAC address instead.
pub(super) fn cannot(link: &Link, client: &str, draft: &mut Draft) {
    draft.note(match identifier(link) {
        Identifier::Nothing => format!(
            "{}: {client} always sends a client identifier: it is the MAC address, which servers \
             know it by",
            link.name
        ),
        _ => format!(
            "{}: {client} cannot send that client identifier, and sends the MAC address: a server \
             that goes by the identifier gives another address",
            link.name
        ),
    });
}

/// Keys of systemd.network(5), by section.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// Of `[DHCPv4]`, `[DHCP]` before systemd 243.
    pub(super) v4: Vec<(&'static str, String)>,
    /// Of `[DHCPv6]`.
    pub(super) v6: Vec<(&'static str, String)>,
}

/// Versions of systemd that keys first appeared in.
mod since {
    /// `DUIDType=`, `DUIDRawData=`, `IAID=`.
    pub(super) const DUID: u32 = 230;
    /// The same in a section of IPv6's own; before, both families have one.
    pub(super) const DUID6: u32 = 246;
}

/// What systemd-networkd of a version is told about names.
pub(super) fn networkd(link: &Link, version: u32, draft: &mut Draft) -> Keys {
    let mut keys = Keys::default();
    if link.dhcp4.is_some() {
        let kind = match identifier(link) {
            Identifier::Duid(iaid, duid) if version >= since::DUID => {
                keys.v4 = duid_keys(Some(iaid), &duid);
                "duid"
            }
            Identifier::Unknown | Identifier::Mac => "mac",
            _ => {
                cannot(link, "systemd-networkd", draft);
                "mac"
            }
        };
        keys.v4.insert(0, ("ClientIdentifier", kind.to_owned()));
    }
    let client = &link.dhcp_client;
    let Some(duid) = client.duid.as_ref().filter(|_| link.dhcp6.is_some()) else {
        return keys;
    };
    let own = duid_keys(client.iaid, duid);
    if version >= since::DUID6 {
        keys.v6 = own;
    } else if version >= since::DUID && keys.v4.len() < 2 {
        // The client identifier stays as it was said: the MAC address.
        keys.v4.extend(own);
    } else if !own.iter().all(|key| keys.v4.contains(key)) {
        draft.note(format!(
            "{}: systemd {version} has no DUID for DHCPv6 alone: a server may give another address",
            link.name
        ));
    }
    keys
}

/// Words for types of DUIDs, by number from 1.
const TYPES: [&str; 4] = ["link-layer-time", "vendor", "link-layer", "uuid"];

fn duid_keys(iaid: Option<u32>, duid: &Octets) -> Vec<(&'static str, String)> {
    let mut keys = Vec::new();
    if let Some(iaid) = iaid {
        keys.push(("IAID", iaid.to_string()));
    }
    if let [high, low, data @ ..] = &duid.0[..] {
        let number = u16::from_be_bytes([*high, *low]);
        let word = usize::from(number)
            .checked_sub(1)
            .and_then(|at| TYPES.get(at));
        let word = word.map_or_else(|| number.to_string(), |word| (*word).to_owned());
        keys.push(("DUIDType", word));
        keys.push(("DUIDRawData", Octets(data.to_vec()).to_string()));
    }
    keys
}

/// A file of leases that holds nothing but a DUID, as dhclient writes one.
pub(super) fn dhclient_leases(duid: &Octets) -> String {
    let bytes: Vec<String> = duid.0.iter().map(|b| format!("\\{b:03o}")).collect();
    format!("default-duid \"{}\";\n", bytes.concat())
}
