//! What a password field says, without trying a password.
//!
//! As `pam_unix` reads it: the field of passwd(5) counts unless it is `x`, then that of shadow(5).

/// Whether one can log in with a password. An empty field needs none at all, and counts.
pub(super) fn is_usable(field: &[u8]) -> bool {
    // `x` in shadow(5), or without a line there, is a hash that no password has.
    !matches!(field.first(), Some(b'!' | b'*')) && field != b"x"
}

/// Whether it is locked, as OpenSSH without PAM has it on Linux (`LOCKED_PASSWD_PREFIX`): then nobody gets in, not
/// with a key either. A `*` is a password that nobody has, and locks nothing.
pub(super) fn is_locked(field: &[u8]) -> bool {
    field.starts_with(b"!")
}

/// How a password that one can log in with is hashed, crypt(5): `$6$`; nothing for the older forms, which do not
/// tell it.
pub(super) fn scheme(field: &[u8]) -> Option<String> {
    let rest = field.strip_prefix(b"$")?;
    let end = rest.iter().position(|byte| *byte == b'$')?;
    let name = std::str::from_utf8(&rest[..end]).ok()?;
    let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    plain.then(|| format!("${name}$"))
}

/// What to know about a password field that one can log in with.
pub(super) fn note(field: &[u8]) -> Option<&'static str> {
    if !is_usable(field) {
        return None;
    }
    if field.is_empty() {
        return Some("logs in without a password");
    }
    if field.starts_with(b"$1$") {
        return Some("password hash is MD5 ($1$), which newer systems may refuse");
    }
    match field.len() {
        _ if field.starts_with(b"$") => None,
        20 if field.starts_with(b"_") => {
            Some("password hash is extended DES, which newer systems may refuse")
        }
        13 => Some("password hash is DES, which newer systems may refuse"),
        14.. => Some("password hash is bigcrypt or unknown, which newer systems may refuse"),
        _ => Some("password field is no known hash"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_tells_how_it_was_made() {
        for (field, expected) in [
            ("$6$salt$hash", Some("$6$")),
            ("$y$j9T$salt$hash", Some("$y$")),
            ("$2b$05$hash", Some("$2b$")),
            ("!$6$salt$hash", None),
            ("abJnggxhB/yWI", None),
            ("$$", None),
            ("$6", None),
        ] {
            assert_eq!(scheme(field.as_bytes()).as_deref(), expected, "{field}");
        }
    }

    #[test]
    fn password_fields_are_told_apart() {
        let cases: &[(&str, &str, bool, Option<&str>)] = &[
            ("locked", "!", false, None),
            ("never set", "!!", false, None),
            ("no password", "*", false, None),
            ("locked with its hash", "!$6$salt$hash", false, None),
            ("elsewhere", "x", false, None),
            ("SHA-512", "$6$salt$hash", true, None),
            ("yescrypt", "$y$j9T$salt$hash", true, None),
            ("bcrypt", "$2b$05$hash", true, None),
            ("empty", "", true, Some("without a password")),
            ("MD5", "$1$salt$hash", true, Some("MD5")),
            ("DES", "abJnggxhB/yWI", true, Some("is DES")),
            ("BSDi", "_J9..K0AyUubDrfOgO4s", true, Some("extended DES")),
            (
                "bigcrypt",
                "qiyh4XPJGsOZ2MEAyLkfWqeQ",
                true,
                Some("bigcrypt"),
            ),
            ("a word", "NP", true, Some("no known hash")),
        ];
        for (case, field, usable, text) in cases {
            assert_eq!(is_usable(field.as_bytes()), *usable, "{case}");
            assert_eq!(
                is_locked(field.as_bytes()),
                case.contains("locked") || *case == "never set"
            );
            let said = note(field.as_bytes());
            assert_eq!(said.is_some(), text.is_some(), "{case}");
            assert!(
                said.unwrap_or_default().contains(text.unwrap_or_default()),
                "{case}: {said:?}"
            );
        }
    }
}
