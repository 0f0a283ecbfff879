//! What commands set of a card, as keys of its `.link` file, systemd.link(5): udev reads it, whatever the dialect.

use crate::network::ethtool;
use formats::network::{Dialect, Link, Network, Stack};
use formats::tuning::{Tuned, Tuning};

/// Keys of systemd.link(5) by ethtool's words, and the systemd that first had them. What ethtool calls by one word
/// is sometimes several there.
const FEATURES: [(&str, &[&str], u32); 12] = [
    ("rx", &["ReceiveChecksumOffload"], 245),
    ("tx", &["TransmitChecksumOffload"], 245),
    (
        "tso",
        &["TCPSegmentationOffload", "TCP6SegmentationOffload"],
        235,
    ),
    ("gso", &["GenericSegmentationOffload"], 235),
    ("gro", &["GenericReceiveOffload"], 235),
    ("lro", &["LargeReceiveOffload"], 235),
    ("rxvlan", &["ReceiveVLANCTAGHardwareAcceleration"], 250),
    ("txvlan", &["TransmitVLANCTAGHardwareAcceleration"], 250),
    ("ntuple", &["NTupleFilter"], 250),
    ("rx-gro-hw", &["GenericReceiveOffloadHardware"], 250),
    ("rx-vlan-filter", &["ReceiveVLANCTAGFilter"], 250),
    (
        "tx-vlan-stag-hw-insert",
        &["TransmitVLANSTAGHardwareAcceleration"],
        250,
    ),
];
const RINGS: [(&str, &str); 2] = [("rx", "RxBufferSize"), ("tx", "TxBufferSize")];
const RINGS_SINCE: u32 = 244;

/// What is of a link, in the order of the old OS's files.
pub(super) fn of<'n>(network: &'n Network, link: &'n Link) -> impl Iterator<Item = &'n Tuning> {
    let own = |tuning: &&Tuning| tuning.link.as_ref() == Some(&link.name);
    network.tuning.iter().filter(own)
}

/// Whether ifupdown sets a card by the command that the old OS had.
pub(super) fn by_command(stack: &Stack) -> bool {
    stack.dialect == Dialect::Ifupdown && stack.programs.iter().any(|p| p == "ethtool")
}

/// Lines of the `[Link]` section of a card's `.link` file.
pub(super) fn keys(tuning: &Tuning, systemd: u32) -> Option<Vec<String>> {
    match &tuning.set {
        Tuned::Feature { name, on } => {
            let mut features = FEATURES.iter();
            let (_, keys, since) = features.find(|(word, ..)| word == name)?;
            let word = if *on { "yes" } else { "no" };
            let line = |key: &&str| format!("{key}={word}");
            (systemd >= *since).then(|| keys.iter().map(line).collect())
        }
        Tuned::Ring { name, size } => {
            let (_, key) = RINGS.iter().find(|(word, _)| word == name)?;
            (systemd >= RINGS_SINCE).then(|| vec![format!("{key}={size}")])
        }
        Tuned::Ethtool { option, pairs } => {
            let line = |(name, value): &(String, String)| {
                let (_, _, key, form, since) = ethtool::word(option, name)?;
                let value = form.written(value, systemd)?;
                (systemd >= *since).then(|| format!("{key}={value}"))
            };
            // One that has no word for a part of it would set the rest to something else.
            pairs.iter().map(line).collect()
        }
        Tuned::Neighbour { .. } | Tuned::Sysctl { .. } => None,
    }
}

/// Every line for a card's `.link` file.
pub(super) fn link_keys(network: &Network, link: &Link, stack: &Stack) -> String {
    if by_command(stack) {
        return String::new();
    }
    let lines = of(network, link).filter_map(|tuning| keys(tuning, stack.systemd));
    lines.flatten().map(|line| line + "\n").collect()
}

/// Whether a link has to be called by a name that is known beforehand.
pub(super) fn needs_name(network: &Network, link: &Link, stack: &Stack) -> bool {
    let sysctl = |tuning: &Tuning| matches!(tuning.set, Tuned::Sysctl { .. });
    of(network, link).any(sysctl) || !link_keys(network, link, stack).is_empty()
}

/// The file that says what a card of this name is like. netplan has one of its own for the name, before which this
/// has to come.
pub(super) fn link_file(stack: &Stack, name: &str) -> String {
    let number = match stack.dialect {
        Dialect::Netplan => "05",
        _ => "10",
    };
    format!("/etc/systemd/network/{number}-reroot-{name}.link")
}
