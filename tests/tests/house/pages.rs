//! Paths of the repository that the pages name.

use std::fs;
use std::path::{Path, PathBuf};

use reroot_tests::paths;

/// Folders that a path of the repository begins with; what begins otherwise is a machine's.
const FOLDERS: [&str; 9] = [
    "builder/",
    "docs/",
    "images/",
    "init/",
    "kexec-tools/",
    "lib/",
    // As crates of lib/ were called once.
    "machine/",
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

/// Files of a room that its row of the map does not name.
pub fn files_off_the_map() -> Vec<String> {
    let map = fs::read_to_string(paths::workspace().join("docs/design.md")).expect("read the map");
    let (_, map) = map.split_once("| room | files |").expect("the map's files");
    let mut off = Vec::new();
    for row in map.lines().skip(2).take_while(|row| row.starts_with('|')) {
        let words: Vec<&str> = row.split('`').skip(1).step_by(2).collect();
        let (room, named) = words.split_first().expect("a room");
        let room = paths::workspace().join(room);
        let source = Some(room.join("src")).filter(|source| source.is_dir());
        let files = fs::read_dir(source.unwrap_or(room)).expect("list a room");
        for path in files.flatten().map(|entry| entry.path()) {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            let itself = ["lib", "main", "mod", "before", "behind"].contains(&&*name);
            if !(itself || name.ends_with("tests") || named.contains(&&*name)) {
                off.push(format!("{} is not in its row of the map", path.display()));
            }
        }
    }
    off
}

/// Patterns and words in capitals stand for many paths.
fn is_path(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "/._-".contains(c);
    FOLDERS.iter().any(|folder| text.starts_with(folder)) && text.chars().all(plain)
}
