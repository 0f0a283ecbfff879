//! What commands set of a card, as keys of its `.link` file, systemd.link(5): udev reads it, whatever the dialect.

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

/// How a value of ethtool's is written in a `.link` file.
#[derive(Clone, Copy)]
enum Form {
    /// `on` is yes.
    Switch,
    /// As it is.
    Number,
    /// Microseconds.
    Micros,
    /// Seconds, of which there has to be one.
    Seconds,
    /// Microseconds, of which there has to be one.
    SomeMicros,
    /// One at least.
    Some,
    /// Megabits.
    Megabits,
    /// Letters of what wakes the machine.
    Wake,
}

/// Options of ethtool with several words: the key of each, and the systemd that first had it.
const OPTIONS: [(&str, &str, &str, Form, u32); 33] = [
    (
        "-A",
        "autoneg",
        "AutoNegotiationFlowControl",
        Form::Switch,
        246,
    ),
    ("-A", "rx", "RxFlowControl", Form::Switch, 246),
    ("-A", "tx", "TxFlowControl", Form::Switch, 246),
    (
        "-C",
        "adaptive-rx",
        "UseAdaptiveRxCoalesce",
        Form::Switch,
        250,
    ),
    (
        "-C",
        "adaptive-tx",
        "UseAdaptiveTxCoalesce",
        Form::Switch,
        250,
    ),
    ("-C", "rx-usecs", "RxCoalesceSec", Form::Micros, 250),
    ("-C", "rx-usecs-irq", "RxCoalesceIrqSec", Form::Micros, 250),
    ("-C", "rx-usecs-low", "RxCoalesceLowSec", Form::Micros, 250),
    (
        "-C",
        "rx-usecs-high",
        "RxCoalesceHighSec",
        Form::Micros,
        250,
    ),
    ("-C", "tx-usecs", "TxCoalesceSec", Form::Micros, 250),
    ("-C", "tx-usecs-irq", "TxCoalesceIrqSec", Form::Micros, 250),
    ("-C", "tx-usecs-low", "TxCoalesceLowSec", Form::Micros, 250),
    (
        "-C",
        "tx-usecs-high",
        "TxCoalesceHighSec",
        Form::Micros,
        250,
    ),
    ("-C", "rx-frames", "RxMaxCoalescedFrames", Form::Number, 250),
    (
        "-C",
        "rx-frames-irq",
        "RxMaxCoalescedIrqFrames",
        Form::Number,
        250,
    ),
    (
        "-C",
        "rx-frames-low",
        "RxMaxCoalescedLowFrames",
        Form::Number,
        250,
    ),
    (
        "-C",
        "rx-frames-high",
        "RxMaxCoalescedHighFrames",
        Form::Number,
        250,
    ),
    ("-C", "tx-frames", "TxMaxCoalescedFrames", Form::Number, 250),
    (
        "-C",
        "tx-frames-irq",
        "TxMaxCoalescedIrqFrames",
        Form::Number,
        250,
    ),
    (
        "-C",
        "tx-frames-low",
        "TxMaxCoalescedLowFrames",
        Form::Number,
        250,
    ),
    (
        "-C",
        "tx-frames-high",
        "TxMaxCoalescedHighFrames",
        Form::Number,
        250,
    ),
    (
        "-C",
        "pkt-rate-low",
        "CoalescePacketRateLow",
        Form::Number,
        250,
    ),
    (
        "-C",
        "pkt-rate-high",
        "CoalescePacketRateHigh",
        Form::Number,
        250,
    ),
    (
        "-C",
        "sample-interval",
        "CoalescePacketRateSampleIntervalSec",
        Form::Seconds,
        250,
    ),
    (
        "-C",
        "stats-block-usecs",
        "StatisticsBlockCoalesceSec",
        Form::SomeMicros,
        250,
    ),
    ("-L", "rx", "RxChannels", Form::Some, 239),
    ("-L", "tx", "TxChannels", Form::Some, 239),
    ("-L", "other", "OtherChannels", Form::Some, 239),
    ("-L", "combined", "CombinedChannels", Form::Some, 239),
    ("-s", "speed", "BitsPerSecond", Form::Megabits, 211),
    ("-s", "duplex", "Duplex", Form::Number, 211),
    ("-s", "autoneg", "AutoNegotiation", Form::Switch, 233),
    ("-s", "wol", "WakeOnLan", Form::Wake, 235),
];

/// What wakes a machine, by ethtool's letters.
const WAKES: [(char, &str); 7] = [
    ('a', "arp"),
    ('b', "broadcast"),
    ('d', "off"),
    ('g', "magic"),
    ('m', "multicast"),
    ('p', "phy"),
    ('u', "unicast"),
];

/// The first systemd of which it is certain that it takes several of them.
const WAKES_SINCE: u32 = 250;

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
                let mut options = OPTIONS.iter();
                let (_, _, key, form, since) =
                    options.find(|(of, word, ..)| of == option && word == name)?;
                let value = value_of(*form, value, systemd)?;
                (systemd >= *since).then(|| format!("{key}={value}"))
            };
            // One that has no word for a part of it would set the rest to something else.
            pairs.iter().map(line).collect()
        }
        Tuned::Neighbour { .. } | Tuned::Sysctl { .. } => None,
    }
}

fn value_of(form: Form, value: &str, systemd: u32) -> Option<String> {
    let some = |text: String| (!value.trim_start_matches('0').is_empty()).then_some(text);
    match form {
        Form::Switch => Some(if value == "on" { "yes" } else { "no" }.to_owned()),
        Form::Number => Some(value.to_owned()),
        Form::Some => some(value.to_owned()),
        Form::Micros => Some(format!("{value}us")),
        Form::SomeMicros => some(format!("{value}us")),
        Form::Seconds => some(format!("{value}s")),
        Form::Megabits => some(format!("{value}M")),
        Form::Wake => {
            let word = |letter| WAKES.iter().find(|(known, _)| *known == letter);
            let words: Option<Vec<&str>> = value
                .chars()
                .map(|letter| word(letter).map(|(_, word)| *word))
                .collect();
            let words = words.filter(|words| words.len() == 1 || systemd >= WAKES_SINCE)?;
            Some(words.join(" "))
        }
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
