//! How far the step is that runs: the worker says it, whoever is told of the run reads it.

use std::fs;

use crate::ram::state;

/// The file that says it.
const FILE: &str = "progress";

/// Says it. What cannot be said is not missed by the run.
pub fn tell(step: &str, percent: u64) {
    // Two of a step's threads may write at once; the next to come says it anyway.
    let _ = state::write(FILE, format!("{percent} {step}\n").as_bytes(), 0o644);
}

/// How far this step is, if it tells it.
pub fn of(step: &str) -> Option<u64> {
    parse(&fs::read_to_string(state::at(FILE)).ok()?, step)
}

fn parse(text: &str, step: &str) -> Option<u64> {
    let (percent, name) = text.trim_end().split_once(' ')?;
    percent.parse().ok().filter(|_| name == step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_steps_figure_is_not_this_ones() {
        assert_eq!(parse("43 wipe\n", "wipe"), Some(43));
        assert_eq!(parse("43 wipe\n", "unpack"), None);
        assert_eq!(parse("wipe", "wipe"), None);
    }
}
