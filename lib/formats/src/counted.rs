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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_no_things() {
        for (count, told) in [(0_u64, "0 entries"), (1, "1 entry"), (21, "21 entries")] {
            assert_eq!(counted(count, "entry", "entries"), told);
        }
    }
}
