//! This moment by the machine's clock, which is the RAM environment's too.

use std::time::{SystemTime, UNIX_EPOCH};

use formats::utc::utc;

/// As documents have it, `YYYYMMDDTHHMMSSZ`.
pub fn now() -> String {
    utc(seconds())
}

/// In days since the beginning of 1970, as shadow(5) has them.
pub fn today() -> u64 {
    seconds() / (24 * 60 * 60)
}

/// Since the beginning of 1970; none by a clock that is before it.
fn seconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
