//! What sysfs and /proc tell of links beyond rtnetlink: the hardware behind them, and the options
//! of bonds and bridges on kernels whose netlink does not have them (before 3.13).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use formats::network::Mac;

/// Facts of all links, by name.
pub type Sysfs = BTreeMap<String, Hardware>;

/// Facts of a link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hardware {
    /// There is a device behind it.
    pub physical: bool,
    /// Its driver's module, with `_` for `-`.
    pub driver: Option<String>,
    /// Where the device is.
    pub bus: Option<String>,
    /// The bond or bridge that it belongs to.
    pub master: Option<String>,
    /// The permanent address that bonding says it has.
    pub permanent_mac: Option<Mac>,
    /// Files of the directory `bonding`, as they read; empty where it is no bond.
    pub bonding: BTreeMap<String, String>,
    /// The same of `bridge`.
    pub bridge: BTreeMap<String, String>,
    /// The MTU of IPv6.
    pub ipv6_mtu: Option<u32>,
}

/// Files of `/sys/class/net/X/bonding` that are read.
const BONDING: [&str; 9] = [
    "mode",
    "miimon",
    "updelay",
    "downdelay",
    "lacp_rate",
    "xmit_hash_policy",
    "primary",
    "arp_interval",
    "arp_ip_target",
];

/// Files of `/sys/class/net/X/bridge` that are read.
const BRIDGE: [&str; 2] = ["stp_state", "forward_delay"];

/// Reads the facts of all links of the calling thread's network namespace; `/sys` has to be
/// mounted in it. What cannot be read is not there.
pub fn read() -> Sysfs {
    let mut found = Sysfs::new();
    let entries = fs::read_dir("/sys/class/net").into_iter().flatten();
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let dir = entry.path();
        // `bonding_masters` is a file in there.
        if !dir.join("ifindex").exists() {
            continue;
        }
        let device = fs::canonicalize(dir.join("device")).ok();
        let hardware = Hardware {
            physical: device.is_some(),
            driver: device.as_deref().and_then(driver),
            bus: device.as_deref().and_then(bus),
            master: link_name(&dir.join("master"))
                .or_else(|| link_name(&dir.join("brport/bridge"))),
            permanent_mac: None,
            bonding: texts(&dir.join("bonding"), &BONDING),
            bridge: texts(&dir.join("bridge"), &BRIDGE),
            ipv6_mtu: fs::read_to_string(format!("/proc/sys/net/ipv6/conf/{name}/mtu"))
                .ok()
                .and_then(|text| text.trim().parse().ok()),
        };
        found.insert(name, hardware);
    }
    for entry in fs::read_dir("/proc/net/bonding")
        .into_iter()
        .flatten()
        .flatten()
    {
        let text = fs::read_to_string(entry.path()).unwrap_or_default();
        for (slave, mac) in permanent_macs(&text) {
            if let Some(hardware) = found.get_mut(&slave) {
                hardware.permanent_mac = Some(mac);
            }
        }
    }
    found
}

fn link_name(link: &Path) -> Option<String> {
    let target = fs::read_link(link).ok()?;
    Some(target.file_name()?.to_string_lossy().into_owned())
}

fn driver(device: &Path) -> Option<String> {
    link_name(&device.join("driver/module"))
        .or_else(|| link_name(&device.join("driver")))
        .map(|name| name.replace('-', "_"))
}

/// The nearest PCI device at or above the device; its own name where there is none.
fn bus(device: &Path) -> Option<String> {
    let mut names = device
        .components()
        .rev()
        .filter_map(|c| c.as_os_str().to_str());
    names
        .clone()
        .find(|name| is_pci(name))
        .or_else(|| names.next())
        .map(str::to_owned)
}

/// `0000:00:03.0`: domain, bus, slot, function, all hexadecimal.
fn is_pci(name: &str) -> bool {
    let parts: Vec<&str> = name.split([':', '.']).collect();
    parts.len() == 4
        && parts.iter().map(|p| p.len()).skip(1).eq([2, 2, 1])
        && parts
            .iter()
            .all(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn texts(dir: &Path, names: &[&str]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for name in names {
        if let Ok(text) = fs::read_to_string(dir.join(name)) {
            found.insert((*name).to_owned(), text.trim().to_owned());
        }
    }
    found
}

/// Slaves and their permanent addresses of a file in /proc/net/bonding.
fn permanent_macs(text: &str) -> Vec<(String, Mac)> {
    let mut found = Vec::new();
    let mut slave = None;
    for line in text.lines() {
        match line.split_once(": ") {
            Some(("Slave Interface", name)) => slave = Some(name.trim().to_owned()),
            Some(("Permanent HW addr", mac)) => {
                if let (Some(slave), Ok(mac)) = (slave.take(), mac.trim().parse()) {
                    found.push((slave, mac));
                }
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_named_by_its_pci_address() {
        let cases = [
            (
                "/sys/devices/pci0000:00/0000:00:03.0/virtio0",
                "0000:00:03.0",
            ),
            (
                "/sys/devices/pci0000:00/0000:00:1c.0/0000:02:00.1",
                "0000:02:00.1",
            ),
            (
                "/sys/devices/LNXSYSTM:00/LNXSYBUS:00/vmbus_0_11",
                "vmbus_0_11",
            ),
            ("/sys/devices/platform/soc/fd58.ethernet", "fd58.ethernet"),
        ];
        for (device, name) in cases {
            assert_eq!(bus(Path::new(device)).as_deref(), Some(name), "{device}");
        }
    }

    #[test]
    fn reads_permanent_addresses_of_slaves() {
        let text = "Ethernet Channel Bonding Driver: v3.7.1\n\nBonding Mode: fault-tolerance\n\
                    MII Status: up\n\nSlave Interface: eth0\nMII Status: up\n\
                    Permanent HW addr: 52:54:00:12:34:01\n\nSlave Interface: eth1\n\
                    Permanent HW addr: 52:54:00:12:34:02\nSlave Interface: eth2\n\
                    Permanent HW addr: (none)\n";
        let mac = |last| Mac([0x52, 0x54, 0, 0x12, 0x34, last]);
        let want = vec![("eth0".to_owned(), mac(1)), ("eth1".to_owned(), mac(2))];
        assert_eq!(permanent_macs(text), want);
    }
}
