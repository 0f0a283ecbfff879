//! This moment by the machine's clock, which is the RAM environment's too.

use std::time::{SystemTime, UNIX_EPOCH};

use formats::utc::utc;

/// As documents have it, `YYYYMMDDTHHMMSSZ`.
pub fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    utc(since.map_or(0, |d| d.as_secs()))
}
