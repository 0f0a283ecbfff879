//! The files of an OS, as far as those who read its configuration have to see them.

/// Whoever has them; paths are absolute, as that OS has them.
pub trait Files {
    /// The text of a file.
    fn text(&self, path: &str) -> Option<String>;
    /// Paths of what is in a folder, sorted.
    fn folder(&self, path: &str) -> Vec<String>;
}
