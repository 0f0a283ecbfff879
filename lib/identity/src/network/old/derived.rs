//! Names that clients of DHCP make up from what the machine is known by anyway, and write down nowhere.
//!
//! systemd-networkd's DUID is a hash of the machine id under systemd's own enterprise number
//! (networkd.conf(5), `DUIDType=vendor`); `NetworkManager`'s is one too, as a UUID, and its IAID a hash
//! of the link's name (nm-settings(5), `dhcp-duid` and `dhcp-iaid`). Both were read off the wire.

use std::hash::Hasher;
#[allow(deprecated)]
use std::hash::SipHasher;

use formats::dhcp::Octets;
use sha2::{Digest as _, Sha256};

use super::addresses::unquoted;

/// The key of systemd's hashes for DHCP, `80118cc2fe4a03ee 3ed60c6f36391409`, as two numbers.
const KEY: [u64; 2] = [0xee03_4afe_c28c_1180, 0x0914_3936_6f0c_d63e];

/// DUID-EN (RFC 8415, 11.3) with systemd's enterprise number, 43793.
const VENDOR: [u8; 6] = [0, 2, 0, 0, 0xab, 0x11];
/// DUID-UUID (RFC 6355).
const UUID: [u8; 2] = [0, 4];

/// The machine id's bytes, from the text of machine-id(5).
pub(super) fn machine_id(text: &str) -> Option<[u8; 16]> {
    let id = Octets::from_hex(unquoted(text))?;
    id.0.try_into().ok().filter(|id| *id != [0; 16])
}

/// systemd-networkd's DUID.
pub(super) fn networkd_duid(machine_id: [u8; 16]) -> Octets {
    Octets([&VENDOR[..], &hash(&machine_id).to_le_bytes()].concat())
}

/// `NetworkManager`'s DUID.
pub(super) fn network_manager_duid(machine_id: [u8; 16]) -> Octets {
    Octets([&UUID[..], &Sha256::digest(machine_id)[..16]].concat())
}

/// `NetworkManager`'s IAID.
pub(super) fn network_manager_iaid(link: &str) -> u32 {
    let hash = hash(link.as_bytes());
    (hash >> 32) as u32 ^ hash as u32
}

/// SipHash-2-4, which the standard library has under this name alone.
#[allow(deprecated)]
fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = SipHasher::new_with_keys(KEY[0], KEY[1]);
    hasher.write(bytes);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As systemd 257 and `NetworkManager` 1.52 sent them to a server.
    #[test]
    fn they_are_what_the_clients_send() {
        let id = machine_id("0123456789abcdef0123456789abcdef\n").unwrap();
        assert_eq!(
            networkd_duid(id).to_string(),
            "00:02:00:00:ab:11:de:de:0f:ab:f5:e9:fc:a3"
        );
        assert_eq!(
            network_manager_duid(id).to_string(),
            "00:04:22:3e:0a:16:0a:f9:da:0a:03:e6:dd:2c:47:19:c5:6f"
        );
        assert_eq!(network_manager_iaid("ens3"), 3_042_863_103);
        for bad in [
            "",
            "uninitialized",
            "0123",
            "00000000000000000000000000000000",
        ] {
            assert_eq!(machine_id(bad), None, "{bad}");
        }
    }
}
