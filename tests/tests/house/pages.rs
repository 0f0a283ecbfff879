//! Paths of the repository that the pages name.

use std::fs;
use std::path::{Path, PathBuf};

use reroot_tests::paths;

/// Folders that a path of the repository begins with; what begins otherwise is a machine's.
const FOLDERS: [&str; 8] = [
    "builder/",
    "docs/",
    "images/",
    "init/",
    "kexec-tools/",
    "lib/",
    "scripts/",
    "tests/",
];

/// Pages and the paths in backticks that lead nowhere.
pub fn lost_paths() -> Vec<String> {
    let mut pages = vec![PathBuf::from("README.md")];
    let docs = fs::read_dir(paths::workspace().join("docs")).expect("list docs/");
    pages.extend(
        docs.flatten()
            .map(|e| Path::new("docs").join(e.file_name())),
    );
    pages.retain(|page| page.extension().is_some_and(|end| end == "md"));
    let mut lost = Vec::new();
    for page in pages {
        let text = fs::read_to_string(paths::workspace().join(&page)).expect("read a page");
        for path in text.split('`').skip(1).step_by(2).filter(|t| is_path(t)) {
            if !paths::workspace().join(path).exists() {
                lost.push(format!("{} names {path}", page.display()));
            }
        }
    }
    lost
}

/// Patterns and words in capitals stand for many paths.
fn is_path(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "/._-".contains(c);
    FOLDERS.iter().any(|folder| text.starts_with(folder)) && text.chars().all(plain)
}
