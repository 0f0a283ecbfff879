//! Options of bonds and bridges by sysfs, for kernels that pass over them in a request.
//!
//! Linux 3.2 makes a bond or a bridge by netlink and ignores what the request says about it, in
//! silence: bonds take their options from a request since 3.13 and 3.14, bridges since 3.18, the
//! spanning tree since 4.1. The files in sysfs are older than all of that and still there. So
//! nothing is concluded from a version: what was made is read back, and what differs is written
//! here.

use std::io;
use std::path::Path;

use formats::network::{Bond, LinkKind};

use super::links::USER_HZ;
use super::NetworkError;

/// Where the kernel shows links.
pub const CLASS_NET: &str = "/sys/class/net";

/// A file below a link's directory in sysfs, and what is to be written to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The file.
    pub file: &'static str,
    /// What is written.
    pub value: String,
}

fn setting(file: &'static str, value: &(impl ToString + ?Sized)) -> Setting {
    Setting {
        file,
        value: value.to_string(),
    }
}

/// What has to be written so that a link of the kind `found` becomes one of the kind `wanted`, in
/// the order that the kernel wants it. The primary slave of a bond comes later, when it is one.
pub fn missing(wanted: &LinkKind, found: &LinkKind) -> Vec<Setting> {
    match (wanted, found) {
        (LinkKind::Bond(wanted), LinkKind::Bond(found)) => bond(wanted, found),
        (
            LinkKind::Bridge { stp, forward_delay },
            LinkKind::Bridge {
                stp: found_stp,
                forward_delay: found_delay,
            },
        ) => {
            let mut settings = Vec::new();
            // While the spanning tree is on, delays below two seconds are refused.
            if !stp && *found_stp {
                settings.push(setting("bridge/stp_state", &0));
            }
            if forward_delay != found_delay {
                let delay = forward_delay.saturating_mul(USER_HZ);
                settings.push(setting("bridge/forward_delay", &delay));
            }
            if *stp && !found_stp {
                settings.push(setting("bridge/stp_state", &1));
            }
            settings
        }
        _ => Vec::new(),
    }
}

fn bond(wanted: &Bond, found: &Bond) -> Vec<Setting> {
    let mut settings = Vec::new();
    // Only a bond that is down and has no slaves takes another mode; the rest depends on it.
    if wanted.mode != found.mode {
        settings.push(setting("bonding/mode", &wanted.mode));
    }
    for (file, wanted, found) in [
        ("bonding/lacp_rate", &wanted.lacp_rate, &found.lacp_rate),
        (
            "bonding/xmit_hash_policy",
            &wanted.xmit_hash_policy,
            &found.xmit_hash_policy,
        ),
    ] {
        if let Some(word) = wanted.as_ref().filter(|w| Some(*w) != found.as_ref()) {
            settings.push(setting(file, word));
        }
    }
    // Delays without miimon are refused. Setting miimon ends the ARP probes, and the other way
    // round.
    let delays = [
        ("bonding/miimon", wanted.miimon, found.miimon),
        ("bonding/updelay", wanted.updelay, found.updelay),
        ("bonding/downdelay", wanted.downdelay, found.downdelay),
    ];
    if wanted.miimon != 0 {
        for (file, wanted, found) in delays {
            if wanted != found {
                settings.push(setting(file, &wanted));
            }
        }
    } else if wanted.arp_interval != 0 {
        if wanted.arp_interval != found.arp_interval {
            settings.push(setting("bonding/arp_interval", &wanted.arp_interval));
        }
        let new = wanted.arp_targets.iter();
        for target in new.filter(|t| !found.arp_targets.contains(t)) {
            // Probes of IPv6 came with 5.18, by which time requests could say them.
            if target.is_ipv4() {
                settings.push(setting("bonding/arp_ip_target", &format!("+{target}")));
            }
        }
    }
    settings
}

/// The setting that makes `slave` the primary one of a bond.
pub fn primary(slave: &str) -> Setting {
    setting("bonding/primary", slave)
}

/// Writes settings of the link `name`, whose directory is in `class`.
pub fn write(class: &Path, name: &str, settings: &[Setting]) -> Result<(), NetworkError> {
    for Setting { file, value } in settings {
        let path = class.join(name).join(file);
        log::debug!("write {value} to {}", path.display());
        write_one(&path, value).map_err(|source| NetworkError::Refused {
            what: format!("write {value} to {}", path.display()),
            source,
        })?;
    }
    Ok(())
}

/// One write(2), as these files want it; nothing is made where there is no such file.
fn write_one(path: &Path, value: &str) -> io::Result<()> {
    use std::io::Write;
    let mut file = std::fs::OpenOptions::new().write(true).open(path)?;
    file.write_all(value.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Linux 3.2 makes a bond, whatever the request said.
    fn made() -> Bond {
        fixtures::network::bond("balance-rr", 0)
    }

    fn texts(settings: &[Setting]) -> Vec<String> {
        let text = |s: &Setting| format!("{}={}", s.file, s.value);
        settings.iter().map(text).collect()
    }

    #[test]
    fn a_bond_gets_every_option_in_the_order_that_the_kernel_wants() {
        let lacp = Bond {
            mode: "802.3ad".to_owned(),
            miimon: 100,
            updelay: 200,
            lacp_rate: Some("fast".to_owned()),
            xmit_hash_policy: Some("layer3+4".to_owned()),
            ..made()
        };
        let kind = |bond: &Bond| LinkKind::Bond(bond.clone());
        assert_eq!(
            texts(&missing(&kind(&lacp), &kind(&made()))),
            [
                "bonding/mode=802.3ad",
                "bonding/lacp_rate=fast",
                "bonding/xmit_hash_policy=layer3+4",
                "bonding/miimon=100",
                "bonding/updelay=200",
            ]
        );
        // As Linux 3.13 makes it: the mode alone was in the request.
        let half = Bond {
            mode: "802.3ad".to_owned(),
            ..made()
        };
        assert_eq!(missing(&kind(&lacp), &kind(&half)).len(), 4);
        assert_eq!(missing(&kind(&lacp), &kind(&lacp)), []);
        let probing = Bond {
            mode: "active-backup".to_owned(),
            arp_interval: 1000,
            arp_targets: vec!["192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap()],
            ..made()
        };
        assert_eq!(
            texts(&missing(&kind(&probing), &kind(&made()))),
            [
                "bonding/mode=active-backup",
                "bonding/arp_interval=1000",
                "bonding/arp_ip_target=+192.0.2.1",
                "bonding/arp_ip_target=+192.0.2.2",
            ]
        );
    }

    #[test]
    fn a_bridge_without_the_spanning_tree_forwards_at_once() {
        let bridge = |stp, forward_delay| LinkKind::Bridge { stp, forward_delay };
        let cases = [
            (
                bridge(false, 0),
                bridge(false, 15),
                vec!["bridge/forward_delay=0"],
            ),
            (
                bridge(true, 4),
                bridge(false, 15),
                vec!["bridge/forward_delay=400", "bridge/stp_state=1"],
            ),
            (
                bridge(false, 0),
                bridge(true, 15),
                vec!["bridge/stp_state=0", "bridge/forward_delay=0"],
            ),
            (bridge(true, 4), bridge(true, 4), vec![]),
        ];
        for (wanted, found, want) in cases {
            assert_eq!(texts(&missing(&wanted, &found)), want);
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_not_made() {
        let class = tempfile::tempdir().unwrap();
        let dir = class.path().join("bond0/bonding");
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("mode"), "").unwrap();
        write(class.path(), "bond0", &[setting("bonding/mode", "802.3ad")]).unwrap();
        let text = std::fs::read_to_string(dir.join("mode")).unwrap();
        assert_eq!(text, "802.3ad");
        let error = write(class.path(), "bond0", &[primary("eth1")]).unwrap_err();
        assert!(error.to_string().contains("bond0/bonding/primary"));
        assert!(!dir.join("primary").exists());
    }
}
