//! Figures as people read them.

pub use formats::figures::size;
use formats::utc::utc;

/// The day of a moment in seconds since 1970: `2026-11-23`.
pub fn day(seconds: u64) -> String {
    let text = utc(seconds);
    format!("{}-{}-{}", &text[..4], &text[4..6], &text[6..8])
}

/// Seconds for people.
pub fn duration(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} h", seconds.div_ceil(3600)),
    }
}
