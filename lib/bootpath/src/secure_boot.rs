//! Whether Secure Boot is in force, by the firmware's variable of that name (UEFI, 3.3).

use crate::uefi::variables;

/// Reads it; `None` where the firmware has no such variable. An error says why it cannot be told.
pub fn read() -> Result<Option<bool>, String> {
    match variables::read("SecureBoot")? {
        None => Ok(None),
        Some(bytes) => value(&bytes)
            .map(Some)
            .ok_or_else(|| "the firmware's SecureBoot is empty".to_owned()),
    }
}

fn value(data: &[u8]) -> Option<bool> {
    data.first().map(|byte| *byte == 1)
}

#[cfg(test)]
mod tests {
    #[test]
    fn one_byte_says_it() {
        assert_eq!(super::value(&[1]), Some(true));
        assert_eq!(super::value(&[0]), Some(false));
        assert_eq!(super::value(&[]), None);
    }
}
