//! The id of a run, as it is given from outside: it becomes part of paths, units and scripts, so that
//! it has one strict syntax and can lead nowhere.
//!
//! `YYYYMMDDTHHMMSSZ-NAME`: a moment as [`crate::utc`] writes it, and 4 to 32 lower case letters and
//! digits. The moment is for people; in which order runs were begun is said by their numbers
//! ([`crate::begun`]), for clocks are set.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Letters and digits behind the moment, at least and at most: the journal has room for 64 bytes.
const NAME: std::ops::RangeInclusive<usize> = 4..=32;
/// `YYYYMMDDTHHMMSSZ-`, `0` for a digit.
const MOMENT: &[u8; 17] = b"00000000T000000Z-";

/// The id of a run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunId(String);

/// The text is no id of a run.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "a run's id is YYYYMMDDTHHMMSSZ-NAME, with 4 to 32 lower case letters and digits as its name, \
     as in 20261124T155307Z-077c"
)]
pub struct NotARunId;

impl RunId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RunId {
    type Err = NotARunId;

    fn from_str(text: &str) -> Result<RunId, NotARunId> {
        let (moment, name) = text
            .as_bytes()
            .split_at_checked(MOMENT.len())
            .ok_or(NotARunId)?;
        let as_shaped = moment.iter().zip(MOMENT).all(|(byte, shape)| match shape {
            b'0' => byte.is_ascii_digit(),
            _ => byte == shape,
        });
        let plain = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        if as_shaped && NAME.contains(&name.len()) && name.iter().all(plain) {
            Ok(RunId(text.to_owned()))
        } else {
            Err(NotARunId)
        }
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reroot_names_its_runs_is_an_id() {
        for text in [
            "20261124T155307Z-077c",
            "20261124T155307Z-job42web1a",
            "20261124T155307Z-0123456789abcdef0123456789abcdef",
        ] {
            assert_eq!(text.parse::<RunId>().unwrap().as_str(), text);
        }
    }

    #[test]
    fn what_could_lead_out_of_the_run_directory_or_be_read_as_something_else_is_none() {
        for text in [
            "",
            "none",
            ".",
            "..",
            "../20261124T155307Z-077c",
            "/etc/passwd",
            "20261124T155307Z-07/c",
            "20261124T155307Z-07..",
            "20261124T155307Z-07\u{e9}c",
            "20261124T155307Z-077C",
            "20261124T155307Z-077c\n",
            "20261124T155307Z-07 7c",
            "20261124T155307Z-077",
            "20261124T155307Z-0123456789abcdef0123456789abcdef0",
            "20261124T155307-077c",
            "2026112aT155307Z-077c",
            "--yes",
        ] {
            assert_eq!(text.parse::<RunId>(), Err(NotARunId), "{text:?}");
        }
    }
}
