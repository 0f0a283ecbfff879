//! Numbers of things, in words.

use std::fmt::Display;

/// `1 file`, `2 files`.
pub fn counted<N: Copy + Display + PartialEq + From<u8>>(
    count: N,
    one: &str,
    many: &str,
) -> String {
    let things = if count == N::from(1) { one } else { many };
    format!("{count} {things}")
}

/// The first names of a list, and how many there are besides: `a, b and 3 more`.
pub fn first_of<S: AsRef<str>>(names: &[S], shown: usize) -> String {
    let told: Vec<&str> = names.iter().take(shown).map(AsRef::as_ref).collect();
    let told = told.join(", ");
    match names.len().saturating_sub(shown) {
        0 => told,
        more => format!("{told} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_no_things() {
        for (count, told) in [(0_u64, "0 entries"), (1, "1 entry"), (21, "21 entries")] {
            assert_eq!(counted(count, "entry", "entries"), told);
        }
    }

    #[test]
    fn what_is_not_shown_is_counted() {
        let names = ["a", "b", "c"];
        let told = [0, 1, 2, 3].map(|count| first_of(&names[..count], 2));
        assert_eq!(told, ["", "a", "a, b", "a, b and 1 more"]);
    }
}
