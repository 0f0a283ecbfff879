//! login.defs(5): which numbers an OS gives to people and to services.

use formats::accounts::Ranges;

const FILE: &str = "/etc/login.defs";

/// Reads the ranges. What is missing or makes no sense is as in Debian, as it is for useradd(8),
/// and what makes no sense is listed.
pub(super) fn parse(bytes: &[u8]) -> (Ranges, Vec<String>) {
    let mut skipped = Vec::new();
    let text = String::from_utf8_lossy(bytes);
    let mut value = |key: &str| {
        // As in the shadow suite, the last line for a key counts.
        let (at, value) = text
            .lines()
            .enumerate()
            .filter_map(|(at, line)| {
                let (found, value) = line.trim().split_once([' ', '\t'])?;
                (found == key).then(|| (at + 1, value.trim_matches([' ', '\t', '"'])))
            })
            .last()?;
        let number = number(value);
        if number.is_none() {
            let shown: String = value.chars().take(32).collect();
            skipped.push(format!("{FILE}, line {at}: {key} {shown:?} is no number"));
        }
        number
    };
    let defaults = Ranges::default();
    let mut range = |kind: &str, people: (u32, u32), services: (u32, u32)| {
        let min = value(&format!("{kind}_MIN")).unwrap_or(people.0);
        let max = value(&format!("{kind}_MAX")).unwrap_or(people.1);
        // What useradd does where login.defs is older than ranges for services.
        let above = min.saturating_sub(1);
        let system_min = value(&format!("SYS_{kind}_MIN")).unwrap_or(services.0.min(above));
        let system_max = value(&format!("SYS_{kind}_MAX")).unwrap_or(above);
        [(min, max, people), (system_min, system_max, services)]
    };
    let users = range("UID", defaults.users, defaults.system_users);
    let groups = range("GID", defaults.groups, defaults.system_groups);
    let [users, system_users, groups, system_groups] = [users[0], users[1], groups[0], groups[1]]
        .map(|(min, max, default)| {
            if min <= max {
                return (min, max);
            }
            skipped.push(format!("{FILE}: the range from {min} to {max} is empty"));
            default
        });
    let ranges = Ranges {
        users,
        system_users,
        groups,
        system_groups,
    };
    (ranges, skipped)
}

/// A number in C's notation.
fn number(text: &str) -> Option<u32> {
    let (digits, radix) = match text.strip_prefix("0x").or(text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if text.len() > 1 && text.starts_with('0') => (&text[1..], 8),
        None => (text, 10),
    };
    // The parser of the standard library takes a sign.
    let sound = digits.starts_with(|c: char| c.is_ascii_hexdigit());
    u32::from_str_radix(digits, radix).ok().filter(|_| sound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_the_file_or_the_defaults() {
        let debian = Ranges::default();
        let cases: &[(&str, &str, Ranges, usize)] = &[
            ("no file", "", debian, 0),
            (
                "old RHEL",
                "# comment\nUID_MIN\t\t\t  500\nUID_MAX 60000\nGID_MIN 500\nGID_MAX 60000\n",
                Ranges {
                    users: (500, 60_000),
                    system_users: (100, 499),
                    groups: (500, 60_000),
                    system_groups: (100, 499),
                },
                0,
            ),
            (
                "RHEL 7, with CR and quotes",
                "UID_MIN \"1000\"\r\nSYS_UID_MIN 201\r\nSYS_UID_MAX 0x3e7\r\nSYS_GID_MIN 0311\r\n",
                Ranges {
                    system_users: (201, 999),
                    system_groups: (201, 999),
                    ..debian
                },
                0,
            ),
            (
                "the last one counts",
                "UID_MIN 500\nUID_MIN 1000\n",
                debian,
                0,
            ),
            ("commented out", "#UID_MIN 500\n # UID_MIN 500\n", debian, 0),
            (
                "no numbers",
                "UID_MIN many\nGID_MAX -1\nUID_MAX +5\n",
                debian,
                3,
            ),
            (
                "upside down",
                "UID_MIN 70000\nGID_MIN 5\nGID_MAX 4\n",
                Ranges {
                    system_users: (100, 69_999),
                    system_groups: (4, 4),
                    ..debian
                },
                2,
            ),
            ("too large", "UID_MAX 4294967296\n", debian, 1),
            (
                "as large as can be",
                "UID_MAX 4294967295\n",
                Ranges {
                    users: (1000, u32::MAX),
                    ..debian
                },
                0,
            ),
        ];
        for (case, text, ranges, skipped) in cases {
            let (found, said) = parse(text.as_bytes());
            assert_eq!(found, *ranges, "{case}");
            assert_eq!(said.len(), *skipped, "{case}: {said:?}");
        }
    }
}
