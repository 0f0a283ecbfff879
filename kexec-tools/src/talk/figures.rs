//! Figures as people read them.

pub use formats::figures::{duration, size};
use formats::utc::utc;

/// The day of a moment in seconds since 1970: `2026-11-23`.
pub fn day(seconds: u64) -> String {
    let text = utc(seconds);
    format!("{}-{}-{}", &text[..4], &text[4..6], &text[6..8])
}
