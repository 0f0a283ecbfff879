//! Files of kept trees that have names outside of them: those names go with the old OS, the files
//! stay. Nothing is lost; whoever relied on the other name should know.

use std::collections::BTreeMap;

use formats::facts::OutsideLinks;

/// How many files are followed. Trees of hard links, as backups have them, go into the millions.
const MAX: usize = 1 << 18;

/// Names that were seen of each file with several.
#[derive(Debug, Default)]
pub struct Links {
    /// By inode: names seen, names that there are, and the tree of the first.
    files: BTreeMap<u64, (u64, u64, usize)>,
    trees: Vec<String>,
    too_many: bool,
}

impl Links {
    /// What is noted from now on is in this kept tree.
    pub(super) fn enter(&mut self, tree: &str) {
        self.trees.push(tree.to_owned());
    }

    /// Notes a name of a file with several.
    pub(super) fn note(&mut self, inode: u64, names: u64) {
        if self.files.len() >= MAX && !self.files.contains_key(&inode) {
            self.too_many = true;
            return;
        }
        let tree = self.trees.len().saturating_sub(1);
        self.files.entry(inode).or_insert((0, names, tree)).0 += 1;
    }

    /// Files with names that were not seen; `None` where there were too many to follow.
    pub fn outside(&self) -> Option<OutsideLinks> {
        if self.too_many {
            return None;
        }
        let mut outside = self
            .files
            .iter()
            .filter(|(_, (seen, names, _))| seen < names);
        let first = outside.next();
        Some(OutsideLinks {
            files: first.iter().count() as u64 + outside.count() as u64,
            example: first.map_or_else(String::new, |(inode, (.., tree))| {
                let tree = self.trees.get(*tree).map_or("", String::as_str);
                format!("inode {inode} below {tree}")
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::AsFd;

    use formats::keep::KeepPath;

    use super::super::{Measuring, Stillness};
    use super::*;

    #[test]
    fn only_names_outside_of_all_kept_trees_count() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::create_dir_all(at("srv/a")).unwrap();
        fs::create_dir_all(at("home")).unwrap();
        fs::write(at("srv/a/within"), "1").unwrap();
        fs::hard_link(at("srv/a/within"), at("srv/within")).unwrap();
        fs::write(at("srv/across"), "2").unwrap();
        fs::hard_link(at("srv/across"), at("home/across")).unwrap();
        let look = |kept: &[&str]| {
            let directory = fs::File::open(root.path()).unwrap();
            let mut measuring = Measuring::new(directory.as_fd(), Stillness::Still);
            for path in kept {
                let path = KeepPath::parse(path).unwrap();
                measuring.measure(&path).unwrap();
            }
            measuring.noted().0.outside().unwrap()
        };
        assert_eq!(look(&["/srv", "/home"]), OutsideLinks::default());
        let found = look(&["/srv"]);
        assert_eq!(found.files, 1);
        assert!(found.example.ends_with("below /srv"), "{}", found.example);
    }
}
