//! The first two numbers of a version, which is what knowledge by version goes by.

/// Major and minor of `6.12.57+deb13-amd64`, `1:2.06-13+deb12u1`, `3.2.0-4-amd64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The first number.
    pub major: u32,
    /// The second, 0 where there is none.
    pub minor: u32,
}

impl Version {
    /// Reads it; a package's epoch is passed over. `None` where it does not begin with a number.
    pub fn parse(text: &str) -> Option<Version> {
        let text = match text.split_once(':') {
            Some((epoch, rest)) if epoch.bytes().all(|b| b.is_ascii_digit()) => rest,
            _ => text,
        };
        let mut numbers = text.split(|c: char| !c.is_ascii_digit());
        Some(Version {
            major: numbers.next()?.parse().ok()?,
            minor: numbers.next().and_then(|n| n.parse().ok()).unwrap_or(0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_kernels_and_packages() {
        for (text, expected) in [
            ("6.12.57+deb13-amd64", Some((6, 12))),
            ("3.2.0-4-amd64", Some((3, 2))),
            ("2.6.32-754.el6.x86_64", Some((2, 6))),
            ("1:2.06-13+deb12u1", Some((2, 6))),
            ("2.02~beta2-36", Some((2, 2))),
            ("5", Some((5, 0))),
            ("linux", None),
            ("", None),
        ] {
            let found = Version::parse(text).map(|v| (v.major, v.minor));
            assert_eq!(found, expected, "{text:?}");
        }
    }
}
