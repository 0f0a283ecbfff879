//! A file of the old OS, as every reader gets it.

use super::packet;

/// A file of the old OS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldFile {
    /// Its path from the root.
    pub path: String,
    /// What it says; bytes that are not UTF-8 are replaced.
    pub text: String,
    /// Where it leads, as written in it, where the path itself is a symbolic link.
    pub link_target: Option<String>,
}

impl OldFile {
    /// A file from its bytes. The DHCP packets that dhcpcd keeps become text of the form that
    /// systemd's lease files have.
    pub fn from_bytes(path: &str, bytes: &[u8], link_target: Option<String>) -> OldFile {
        let text =
            packet::describe(bytes).unwrap_or_else(|| String::from_utf8_lossy(bytes).into_owned());
        OldFile {
            path: path.to_owned(),
            text,
            link_target,
        }
    }

    /// The last component of the path.
    pub(super) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}

/// A file of which a test says the text.
#[cfg(test)]
pub(super) fn file(path: &str, text: &str) -> OldFile {
    OldFile::from_bytes(path, text.as_bytes(), None)
}
