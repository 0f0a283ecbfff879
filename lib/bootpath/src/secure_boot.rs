//! Whether Secure Boot is in force, by the firmware's variable of that name (UEFI, 3.3).

use std::fs;

/// Reads it; `None` where the firmware has no such variable.
pub fn read() -> Option<bool> {
    const NAME: &str = "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
    // A file of efivarfs begins with four bytes of attributes; the older interface has them apart.
    fs::read(format!("/sys/firmware/efi/efivars/{NAME}"))
        .ok()
        .and_then(|bytes| value(bytes.get(4..)?))
        .or_else(|| value(&fs::read(format!("/sys/firmware/efi/vars/{NAME}/data")).ok()?))
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
