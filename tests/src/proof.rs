//! What `make prove` keeps of each of its cases, so that what was broken off goes on where it was: the list of
//! cases, the ledger of those that have ended, the table at the end.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What came of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Whether it passed.
    pub passed: bool,
    /// How long it took, in seconds.
    pub seconds: u64,
}

/// The cases of a test program, by what it says to `--list`: `layouts::a_row: test`.
pub fn cases(list: &str) -> Vec<String> {
    let names = list.lines().filter_map(|line| line.strip_suffix(": test"));
    names.map(str::to_owned).collect()
}

/// Whether a test program that was asked for one case did just that, by what it said: one that has no such case
/// ends well too.
pub fn is_passed(said: &str) -> bool {
    said.lines()
        .any(|line| line.starts_with("test result: ok. 1 passed; 0 failed;"))
}

/// A line of the ledger: name, result, seconds, parted by tabulators.
pub fn line(name: &str, ended: Ended) -> String {
    let result = result(ended.passed);
    format!("{name}\t{result}\t{}\n", ended.seconds)
}

fn result(passed: bool) -> &'static str {
    if passed {
        "passed"
    } else {
        "failed"
    }
}

/// Reads a ledger. What was tried again counts as it ended last; a line that a kill has left half is none.
pub fn ledger(text: &str) -> BTreeMap<String, Ended> {
    let whole = text
        .split_inclusive('\n')
        .filter_map(|line| line.strip_suffix('\n'));
    whole.filter_map(ledger_line).collect()
}

fn ledger_line(line: &str) -> Option<(String, Ended)> {
    let mut fields = line.split('\t');
    let (name, said, seconds) = (fields.next()?, fields.next()?, fields.next()?);
    let passed = [true, false]
        .into_iter()
        .find(|&passed| result(passed) == said)?;
    let seconds = seconds.parse().ok()?;
    fields
        .next()
        .is_none()
        .then(|| (name.to_owned(), Ended { passed, seconds }))
}

/// The cases as a table of Markdown, in their order; what has not ended is told as that.
pub fn table(cases: &[String], ended: &BTreeMap<String, Ended>) -> String {
    let mut text = "| case | came out | minutes |\n|---|---|---|\n".to_owned();
    for case in cases {
        let name = case.replace("::", ": ").replace('_', " ");
        let _ = match ended.get(case) {
            Some(e) => writeln!(
                text,
                "| {name} | {} | {} |",
                result(e.passed),
                e.seconds.div_ceil(60)
            ),
            None => writeln!(text, "| {name} | not tried | – |"),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(passed: bool, seconds: u64) -> Ended {
        Ended { passed, seconds }
    }

    #[test]
    fn cases_are_listed_and_benchmarks_and_counts_are_none() {
        let list = "layouts::a_row: test\nspeed: benchmark\n\n2 tests, 1 benchmark\n";
        assert_eq!(cases(list), ["layouts::a_row"]);
    }

    #[test]
    fn a_case_that_was_not_there_has_not_passed() {
        assert!(is_passed(
            "x\ntest result: ok. 1 passed; 0 failed; 0 ignored; 0 measured\n"
        ));
        assert!(!is_passed(
            "test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured\n"
        ));
        assert!(!is_passed(
            "test result: FAILED. 0 passed; 1 failed; 0 ignored\n"
        ));
    }

    #[test]
    fn a_ledger_says_how_each_case_ended_last_and_a_torn_line_says_nothing() {
        let mut text = line("a", ended(false, 61)) + &line("b", ended(true, 7));
        text += &line("a", ended(true, 300));
        text += "c\tpassed\t9";
        let found = ledger(&text);
        let wanted = [("a", ended(true, 300)), ("b", ended(true, 7))];
        assert_eq!(found, wanted.map(|(name, e)| (name.to_owned(), e)).into());
    }

    #[test]
    fn the_table_has_every_case_in_its_order() {
        let cases = ["b::two_words", "a"].map(str::to_owned);
        let ended = ledger(&line("a", ended(false, 61)));
        assert_eq!(
            table(&cases, &ended),
            "| case | came out | minutes |\n|---|---|---|\n| b: two words | not tried | – |\n| a | failed | 2 |\n"
        );
    }
}
