//! The files of an OS, as far as those who read its configuration have to see them.

/// Whoever has them; paths are absolute, as that OS has them.
pub trait Files {
    /// The text of a file.
    fn text(&self, path: &str) -> Option<String>;
    /// Paths of what is in a folder, sorted.
    fn folder(&self, path: &str) -> Vec<String>;
}

#[cfg(test)]
pub(crate) mod tests {
    use super::Files;

    /// The files of an OS, by path.
    pub struct Tree<'a>(pub &'a [(&'a str, &'a str)]);

    impl Files for Tree<'_> {
        fn text(&self, path: &str) -> Option<String> {
            let found = self.0.iter().find(|(p, _)| *p == path);
            found.map(|(_, text)| (*text).to_owned())
        }

        fn folder(&self, path: &str) -> Vec<String> {
            let all = self.0.iter().map(|(p, _)| (*p).to_owned());
            all.filter(|p| p.rsplit_once('/').is_some_and(|(above, _)| above == path))
                .collect()
        }
    }
}
