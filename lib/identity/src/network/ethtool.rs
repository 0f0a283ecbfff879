//! What ethtool sets of a card by a command of several words, and what systemd.link(5) calls each: the words of one
//! table are those that are understood in an old OS's commands, and those that a new OS is told.

/// What a word takes, and how that is written in a `.link` file.
#[derive(Clone, Copy)]
pub(super) enum Form {
    /// `on` or `off`; there yes or no.
    Switch,
    /// A number of 32 bits, as it is.
    Number,
    /// A number; there in microseconds.
    Micros,
    /// A number; there in seconds, of which there has to be one.
    Seconds,
    /// A number; there in microseconds, of which there has to be one.
    SomeMicros,
    /// A number, of one at least there.
    Some,
    /// A number; there in megabits.
    Megabits,
    /// `half` or `full`, as it is.
    Duplex,
    /// Letters for what wakes the machine, without the one that takes a password; words there.
    Wake,
}

/// An option of ethtool in its short form, a word of it, the key, and the systemd that first had that.
type Word = (&'static str, &'static str, &'static str, Form, u32);

#[rustfmt::skip]
const WORDS: [Word; 33] = [
    ("-A", "autoneg",           "AutoNegotiationFlowControl",          Form::Switch,     246),
    ("-A", "rx",                "RxFlowControl",                       Form::Switch,     246),
    ("-A", "tx",                "TxFlowControl",                       Form::Switch,     246),
    ("-C", "adaptive-rx",       "UseAdaptiveRxCoalesce",               Form::Switch,     250),
    ("-C", "adaptive-tx",       "UseAdaptiveTxCoalesce",               Form::Switch,     250),
    ("-C", "rx-usecs",          "RxCoalesceSec",                       Form::Micros,     250),
    ("-C", "rx-usecs-irq",      "RxCoalesceIrqSec",                    Form::Micros,     250),
    ("-C", "rx-usecs-low",      "RxCoalesceLowSec",                    Form::Micros,     250),
    ("-C", "rx-usecs-high",     "RxCoalesceHighSec",                   Form::Micros,     250),
    ("-C", "tx-usecs",          "TxCoalesceSec",                       Form::Micros,     250),
    ("-C", "tx-usecs-irq",      "TxCoalesceIrqSec",                    Form::Micros,     250),
    ("-C", "tx-usecs-low",      "TxCoalesceLowSec",                    Form::Micros,     250),
    ("-C", "tx-usecs-high",     "TxCoalesceHighSec",                   Form::Micros,     250),
    ("-C", "rx-frames",         "RxMaxCoalescedFrames",                Form::Number,     250),
    ("-C", "rx-frames-irq",     "RxMaxCoalescedIrqFrames",             Form::Number,     250),
    ("-C", "rx-frames-low",     "RxMaxCoalescedLowFrames",             Form::Number,     250),
    ("-C", "rx-frames-high",    "RxMaxCoalescedHighFrames",            Form::Number,     250),
    ("-C", "tx-frames",         "TxMaxCoalescedFrames",                Form::Number,     250),
    ("-C", "tx-frames-irq",     "TxMaxCoalescedIrqFrames",             Form::Number,     250),
    ("-C", "tx-frames-low",     "TxMaxCoalescedLowFrames",             Form::Number,     250),
    ("-C", "tx-frames-high",    "TxMaxCoalescedHighFrames",            Form::Number,     250),
    ("-C", "pkt-rate-low",      "CoalescePacketRateLow",               Form::Number,     250),
    ("-C", "pkt-rate-high",     "CoalescePacketRateHigh",              Form::Number,     250),
    ("-C", "sample-interval",   "CoalescePacketRateSampleIntervalSec", Form::Seconds,    250),
    ("-C", "stats-block-usecs", "StatisticsBlockCoalesceSec",          Form::SomeMicros, 250),
    ("-L", "rx",                "RxChannels",                          Form::Some,       239),
    ("-L", "tx",                "TxChannels",                          Form::Some,       239),
    ("-L", "other",             "OtherChannels",                       Form::Some,       239),
    ("-L", "combined",          "CombinedChannels",                    Form::Some,       239),
    ("-s", "speed",             "BitsPerSecond",                       Form::Megabits,   211),
    ("-s", "duplex",            "Duplex",                              Form::Duplex,     211),
    ("-s", "autoneg",           "AutoNegotiation",                     Form::Switch,     233),
    ("-s", "wol",               "WakeOnLan",                           Form::Wake,       235),
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

/// What there is for a word of an option.
pub(super) fn word(option: &str, word: &str) -> Option<&'static Word> {
    let mut words = WORDS.iter();
    words.find(|(of, known, ..)| *of == option && *known == word)
}

impl Form {
    /// Whether a word takes such a value.
    pub(super) fn takes(self, text: &str) -> bool {
        match self {
            Form::Switch => ["on", "off"].contains(&text),
            Form::Number
            | Form::Micros
            | Form::Seconds
            | Form::SomeMicros
            | Form::Some
            | Form::Megabits => {
                text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u32>().is_ok()
            }
            Form::Duplex => ["half", "full"].contains(&text),
            Form::Wake => {
                let wakes =
                    |letter| letter != 'd' && WAKES.iter().any(|(known, _)| *known == letter);
                text == "d" || !text.is_empty() && text.chars().all(wakes)
            }
        }
    }

    /// The value as a systemd of this release reads it; `None` where it has no words for it.
    pub(super) fn written(self, value: &str, systemd: u32) -> Option<String> {
        let some = |text: String| (!value.trim_start_matches('0').is_empty()).then_some(text);
        match self {
            Form::Switch => Some(if value == "on" { "yes" } else { "no" }.to_owned()),
            Form::Number | Form::Duplex => Some(value.to_owned()),
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
}
