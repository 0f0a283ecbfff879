//! What the old OS's packages have brought, by their managers' own databases. dpkg's is read: the programs
//! that compare with it are seldom installed. rpm is asked.

use std::collections::{HashMap, HashSet};
use std::process::{Command, Stdio};

use machine::answers::{self, Answer};

use crate::survey::identity::Tree;

const INFO: &str = "/var/lib/dpkg/info";
const STATUS: &str = "/var/lib/dpkg/status";
const DIVERSIONS: &str = "/var/lib/dpkg/diversions";
/// What ucf(1) has written for packages, with the digest that it had.
const UCF: &str = "/var/lib/ucf/hashfile";

/// What packages have brought, as far as it is of interest.
#[derive(Default)]
pub struct Packages {
    /// Paths of files and directories, `/usr` left out where directories are merged.
    owned: HashSet<String>,
    /// MD5 digests by path, of files that a package may have changed by an operator.
    digests: HashMap<String, Vec<String>>,
    /// Files that rpm says were changed.
    changed: HashSet<String>,
    /// What cannot be told, a line each.
    pub unknown: Vec<String>,
}

/// A path as it is compared: `/lib/x` and `/usr/lib/x` are one where directories are merged, and in
/// databases that are older than that.
fn key(path: &str) -> &str {
    match path.strip_prefix("/usr") {
        Some(rest) if rest.starts_with("/lib/") => rest,
        _ => path,
    }
}

impl Packages {
    /// Reads the databases, as far as they speak of paths that `wanted` says.
    pub fn read(tree: &Tree, wanted: &dyn Fn(&str) -> bool) -> Packages {
        let mut packages = Packages::default();
        if tree.exists(STATUS) {
            packages.of_dpkg(tree, wanted);
        } else if tree.exists("/var/lib/rpm") || tree.exists("/usr/lib/sysimage/rpm") {
            packages.of_rpm(wanted);
        } else {
            let none = "no package database that is known: every file is listed";
            packages.unknown.push(none.to_owned());
        }
        packages
    }

    fn of_dpkg(&mut self, tree: &Tree, wanted: &dyn Fn(&str) -> bool) {
        for path in tree.folder(INFO) {
            let list = match path.rsplit_once('.') {
                Some((_, "list")) => true,
                Some((_, "md5sums")) => false,
                _ => continue,
            };
            let Some(text) = tree.text_up_to(&path, LARGEST) else {
                self.unknown.push(format!("{path} cannot be read"));
                continue;
            };
            for line in text.lines() {
                if list && wanted(line) {
                    self.owned.insert(key(line).to_owned());
                }
                let of_file = (!list).then(|| line.split_once("  ")).flatten();
                if let Some((digest, path)) = of_file {
                    self.add(&format!("/{path}"), digest, wanted);
                }
            }
        }
        match tree.text_up_to(STATUS, LARGEST) {
            Some(text) => {
                for (path, digest) in conffiles(&text) {
                    self.add(path, digest, wanted);
                }
            }
            None => self.unknown.push(format!("{STATUS} cannot be read")),
        }
        let ucf = tree.text(UCF).unwrap_or_default();
        for (digest, path) in ucf.lines().filter_map(|line| line.split_once("  ")) {
            self.add(path.trim(), digest, wanted);
        }
        // Three lines each: what is diverted, where to, by which package.
        let diversions = tree.text(DIVERSIONS).unwrap_or_default();
        let lines: Vec<&str> = diversions.lines().collect();
        for record in lines.chunks_exact(3) {
            self.owned.insert(key(record[1]).to_owned());
        }
    }

    fn add(&mut self, path: &str, digest: &str, wanted: &dyn Fn(&str) -> bool) {
        if wanted(path) {
            self.owned.insert(key(path).to_owned());
            let digests = self.digests.entry(key(path).to_owned()).or_default();
            digests.push(digest.to_owned());
        }
    }

    fn of_rpm(&mut self, wanted: &dyn Fn(&str) -> bool) {
        let mut ask = |arguments: &[&str]| {
            // It reads every file that it is asked about, which may take minutes; it is waited for as long as it
            // gets on, so nothing may stand between that sleeps until it has ended.
            let mut command = Command::new("rpm");
            command.args(arguments);
            command.env("LC_ALL", "C").stderr(Stdio::null());
            if let Ok(Answer::Said(bytes)) = answers::ask(command) {
                return String::from_utf8_lossy(&bytes).into_owned();
            }
            let call = format!("rpm {}", arguments.join(" "));
            self.unknown.push(format!("`{call}` does not answer"));
            String::new()
        };
        let all = ask(&["-qal"]);
        let verified = ask(&["-Va", "--configfiles", "--nodeps", "--noscripts"]);
        let owned = all.lines().filter(|path| wanted(path));
        self.owned.extend(owned.map(|path| key(path).to_owned()));
        let changed = changed_by_rpm(&verified).filter(|path| wanted(path));
        self.changed
            .extend(changed.map(|path| key(path).to_owned()));
    }

    /// Whether a package has brought this path.
    pub fn own(&self, path: &str) -> bool {
        self.owned.contains(key(path))
    }

    /// Whether a package has brought something that begins so.
    pub fn own_below(&self, start: &str) -> bool {
        self.owned.iter().any(|path| path.starts_with(key(start)))
    }

    /// Digests that a file has as packages brought it; `None` where they do not say.
    pub fn digests(&self, path: &str) -> Option<&[String]> {
        self.digests.get(key(path)).map(Vec::as_slice)
    }

    /// Whether rpm says that a file was changed.
    pub fn changed(&self, path: &str) -> bool {
        self.changed.contains(key(path))
    }
}

/// dpkg's status file has some megabytes, a list of files seldom one.
const LARGEST: u64 = 64 << 20;

/// Conffiles with their digests, by dpkg's status file: lines below `Conffiles:`, indented.
fn conffiles(status: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut inside = false;
    status.lines().filter_map(move |line| {
        if !line.starts_with(' ') {
            inside = line.starts_with("Conffiles:");
            return None;
        }
        // What no package has any more belongs to whoever keeps it.
        let line = line.trim();
        if !inside || line.ends_with(" obsolete") || line.ends_with(" remove-on-upgrade") {
            return None;
        }
        let (path, digest) = line.rsplit_once(' ')?;
        (digest.len() == 32).then_some((path, digest))
    })
}

/// Files whose content differs, by `rpm -V`: `S.5....T.  c /etc/x`.
fn changed_by_rpm(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let (flags, rest) = line.split_once(' ')?;
        let path = rest.get(rest.find('/')?..)?;
        (flags.len() >= 8 && flags.as_bytes().get(2) == Some(&b'5')).then_some(path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conffiles_are_read_with_blanks_in_their_names_and_without_what_is_obsolete() {
        let digest = "0123456789abcdef0123456789abcdef";
        let status = format!(
            "Package: a\nConffiles:\n /etc/a b {digest}\n /etc/old {digest} obsolete\nDescription: x\n /etc/no {digest}\n\nPackage: b\n"
        );
        let found: Vec<_> = conffiles(&status).collect();
        assert_eq!(found, [("/etc/a b", digest)]);
    }

    #[test]
    fn what_rpm_says_of_contents_is_taken_and_of_times_is_not() {
        // As rpm 4.18 says it; the eight letters of rpm before 4.6.
        let text = "S.5....T.  c /opt/shop/changed.conf\nmissing   c /opt/shop/gone.conf\n.......T.  c /opt/shop/same.conf\nS.5....T.  c /opt/shop/with blank.conf\n..5.....   /usr/lib/y z\n";
        let found: Vec<_> = changed_by_rpm(text).collect();
        let changed = [
            "/opt/shop/changed.conf",
            "/opt/shop/with blank.conf",
            "/usr/lib/y z",
        ];
        assert_eq!(found, changed);
    }
}
