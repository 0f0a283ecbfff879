//! How a run ended, for those who are being told of it: PID 1 says it before it reboots or holds.

use std::fs;

use crate::ram::state;

/// The file that says it.
const FILE: &str = "ended";

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The exit status of whoever follows, by the numbers of `wait`.
    pub status: u8,
    /// What becomes of the machine.
    pub words: String,
}

/// The status of a run that holds: it needs a person.
pub const HELD: u8 = 4;

impl Ended {
    /// Whether the machine waits for a person.
    pub fn holds(&self) -> bool {
        self.status == HELD
    }
}

/// Says it.
pub fn tell(status: u8, words: &str) {
    if let Err(e) = state::write(FILE, format!("{status} {words}\n").as_bytes(), 0o644) {
        log::warn!("tell those who follow that the run has ended: {e}");
    }
}

/// How it ended, once it has.
pub fn read() -> Option<Ended> {
    parse(&fs::read_to_string(state::at(FILE)).ok()?)
}

fn parse(text: &str) -> Option<Ended> {
    let (status, words) = text.trim_end().split_once(' ')?;
    Some(Ended {
        status: status.parse().ok()?,
        words: words.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_understood() {
        let held = parse("4 the run failed after the commit point\n").unwrap();
        assert!(held.holds());
        assert_eq!(held.words, "the run failed after the commit point");
        assert!(!parse("7 rebooting into the new OS\n").unwrap().holds());
        assert_eq!(parse(""), None);
        assert_eq!(parse("held"), None);
    }
}
