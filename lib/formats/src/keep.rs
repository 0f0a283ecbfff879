//! The keep list: which paths of the old OS stay where they are.
//!
//! A [`KeepPath`] is checked once, where text enters the program, and trusted from then on. A
//! [`KeepSet`] answers the only question a walker has in a directory: does this name stay, does
//! something below it stay, or does it go. This module looks at no filesystem; whether a kept path
//! exists, and is reached without a link, is for the walker to prove.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The longest path that Linux takes in one system call, without the closing NUL.
const LONGEST_PATH: usize = 4095;
/// The longest name in a directory, on every filesystem that a root can be on.
const LONGEST_NAME: usize = 255;

/// Which paths an entry of a table is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The path itself.
    Exactly,
    /// The path and everything below it.
    Below,
}

impl Reach {
    /// Whether an entry for `place` is about `path`.
    pub fn has(self, place: &str, path: &str) -> bool {
        match self {
            Reach::Exactly => path == place,
            Reach::Below => is_below(path, place),
        }
    }
}

/// Below these, which are in a directory of the OS's, are the site's places.
pub const SITE: [&str; 2] = ["/usr/local", "/usr/src"];

/// Paths that a keep list may not name, and the reason given to the operator.
const RESERVED: &[(&str, Reach, &str)] = &[
    ("/boot", Reach::Below, BOOT),
    ("/dev", Reach::Below, VIRTUAL),
    ("/proc", Reach::Below, VIRTUAL),
    ("/sys", Reach::Below, VIRTUAL),
    ("/run", Reach::Below, VIRTUAL),
    ("/tmp", Reach::Below, EMPTIED),
    ("/var/tmp", Reach::Below, EMPTIED),
    ("/.reroot", Reach::Below, OWN),
    ("/var/log/reroot", Reach::Below, OWN),
    ("/var/lib/dpkg", Reach::Below, PACKAGES),
    ("/var/lib/apt", Reach::Below, PACKAGES),
    ("/etc/fstab", Reach::Below, WRITTEN),
    ("/etc/passwd", Reach::Below, WRITTEN),
    ("/etc/shadow", Reach::Below, WRITTEN),
    ("/etc/group", Reach::Below, WRITTEN),
    ("/etc/gshadow", Reach::Below, WRITTEN),
    ("/etc/subuid", Reach::Below, WRITTEN),
    ("/etc/subgid", Reach::Below, WRITTEN),
    ("/etc/resolv.conf", Reach::Below, WRITTEN),
    ("/etc/grub.d", Reach::Below, BOOT),
    ("/etc/default", Reach::Exactly, SYSTEM),
    ("/etc/default/grub", Reach::Below, BOOT),
    ("/etc/default/grub.d", Reach::Below, BOOT),
    ("/var/cache", Reach::Exactly, SYSTEM),
    ("/var/cache/debconf", Reach::Below, PACKAGES),
    ("/usr/bin", Reach::Below, PROGRAMS),
    ("/usr/sbin", Reach::Below, PROGRAMS),
    ("/usr/lib", Reach::Below, PROGRAMS),
    ("/usr/lib32", Reach::Below, PROGRAMS),
    ("/usr/lib64", Reach::Below, PROGRAMS),
    ("/lib/modules", Reach::Below, PROGRAMS),
    ("/lib/systemd", Reach::Below, PROGRAMS),
    ("/etc", Reach::Exactly, SYSTEM),
    ("/usr", Reach::Exactly, SYSTEM),
    ("/bin", Reach::Exactly, SYSTEM),
    ("/sbin", Reach::Exactly, SYSTEM),
    ("/lib", Reach::Exactly, SYSTEM),
    ("/lib32", Reach::Exactly, SYSTEM),
    ("/lib64", Reach::Exactly, SYSTEM),
    ("/libx32", Reach::Exactly, SYSTEM),
    ("/var", Reach::Exactly, SYSTEM),
    ("/var/lib", Reach::Exactly, SYSTEM),
];

const BOOT: &str = "the boot loader and the kernels there belong to the new OS";
const VIRTUAL: &str = "it holds no data of the root filesystem: the kernel or the OS fills it";
const EMPTIED: &str =
    "the new OS empties it, or covers it with memory; move what is to stay elsewhere before";
const OWN: &str = "reroot keeps its own records there";
const PACKAGES: &str = "the package database there belongs to the new OS";
const WRITTEN: &str = "the new OS gets its own, written by reroot";
const PROGRAMS: &str = "the programs there belong to the OS; old and new would be mixed";
const SYSTEM: &str = "the directory belongs to the OS; name the path below it that is to stay";

/// Directories that the wipe spares although nobody named them: what runs have of their own, and
/// what the filesystem's own check found.
pub const SPARED: [&str; 2] = ["/.reroot", LOST_AND_FOUND];
/// What a filesystem's own check finds, at the top of each.
pub const LOST_AND_FOUND: &str = "/lost+found";

/// Why a text is not a path that can be kept.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeepPathError {
    /// Nothing was given.
    #[error("a path to keep is empty; name an absolute path, such as /srv")]
    Empty,
    /// The path does not begin at the root.
    #[error("cannot keep {0:?}: the path is not absolute; it must begin with /")]
    Relative(String),
    /// The whole root filesystem was named.
    #[error("cannot keep /: keeping everything leaves nothing to reinstall")]
    Root,
    /// A component is `.` or `..`.
    #[error("cannot keep {path:?}: it contains {component:?}; write the path without it")]
    Dots {
        /// The path as given.
        path: String,
        /// The component that is refused.
        component: String,
    },
    /// The path holds a NUL byte, which no file name can.
    #[error("cannot keep {0:?}: it contains a NUL character, which no file name can")]
    Nul(String),
    /// The path or one of its names is longer than Linux takes.
    #[error("cannot keep {path:?}: {what} is longer than {limit} bytes")]
    TooLong {
        /// The path as given.
        path: String,
        /// What is too long.
        what: &'static str,
        /// How long it may be.
        limit: usize,
    },
    /// The path belongs to the OS or to reroot.
    #[error("cannot keep {path:?}: {reserved} is reserved: {reason}")]
    Reserved {
        /// The path as given.
        path: String,
        /// The reserved path that it names or lies in.
        reserved: &'static str,
        /// Why it is reserved.
        reason: &'static str,
    },
}

/// An absolute path that is to stay, in its shortest spelling: no `.`, no `..`, no doubled and no
/// closing slash.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeepPath(String);

impl KeepPath {
    /// Checks a path that a person wrote.
    pub fn parse(text: &str) -> Result<Self, KeepPathError> {
        let path = normalise(text)?;
        let reserved = RESERVED
            .iter()
            .find(|(reserved, reach, _)| reach.has(reserved, &path));
        match reserved {
            Some(&(reserved, _, reason)) => Err(KeepPathError::Reserved {
                path: text.to_owned(),
                reserved,
                reason,
            }),
            None => Ok(Self(path)),
        }
    }

    /// A path that no keep list may name, such as reroot's own directory.
    pub fn internal(path: &str) -> Result<Self, KeepPathError> {
        normalise(path).map(Self)
    }

    /// The path, beginning with a slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is another path, or below it.
    pub fn is_below(&self, other: &Self) -> bool {
        is_below(&self.0, &other.0)
    }

    /// The same file's path from the top of the filesystem that is mounted at `target`, which is above it.
    pub fn within(&self, target: &str) -> Option<Self> {
        let rest = self.0.strip_prefix(target.trim_end_matches('/'))?;
        let below = rest.starts_with('/') && rest.len() > 1;
        below.then(|| Self(rest.to_owned()))
    }

    /// The names from the root down; there is at least one.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> + Clone {
        self.0[1..].split('/')
    }
}

/// The shortest spelling of an absolute path, or why it is none.
fn normalise(text: &str) -> Result<String, KeepPathError> {
    if text.is_empty() {
        return Err(KeepPathError::Empty);
    }
    if text.contains('\0') {
        return Err(KeepPathError::Nul(text.to_owned()));
    }
    if !text.starts_with('/') {
        return Err(KeepPathError::Relative(text.to_owned()));
    }
    let mut path = String::with_capacity(text.len());
    for component in text.split('/').filter(|component| !component.is_empty()) {
        if component == "." || component == ".." {
            return Err(KeepPathError::Dots {
                path: text.to_owned(),
                component: component.to_owned(),
            });
        }
        if component.len() > LONGEST_NAME {
            return Err(KeepPathError::TooLong {
                path: text.to_owned(),
                what: "a name in it",
                limit: LONGEST_NAME,
            });
        }
        path.push('/');
        path.push_str(component);
    }
    if path.is_empty() {
        return Err(KeepPathError::Root);
    }
    if path.len() > LONGEST_PATH {
        return Err(KeepPathError::TooLong {
            path: text.to_owned(),
            what: "it",
            limit: LONGEST_PATH,
        });
    }
    Ok(path)
}

impl FromStr for KeepPath {
    type Err = KeepPathError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl TryFrom<String> for KeepPath {
    type Error = KeepPathError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<KeepPath> for String {
    fn from(path: KeepPath) -> Self {
        path.0
    }
}

impl fmt::Display for KeepPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What becomes of a name in a directory.
#[derive(Debug, Clone, Copy)]
pub enum Fate<'a> {
    /// It stays, with everything below it.
    Kept,
    /// Something below it stays, so the directory does; the node answers for what is in it.
    Ancestor(&'a KeepNode),
    /// Neither it nor anything below it stays.
    Gone,
}

/// A directory on the way to kept paths.
#[derive(Debug, Clone, Default)]
pub struct KeepNode {
    /// A name without a node is kept itself.
    children: BTreeMap<Vec<u8>, Option<KeepNode>>,
}

impl KeepNode {
    /// What becomes of `name` in this directory.
    pub fn child(&self, name: &[u8]) -> Fate<'_> {
        match self.children.get(name) {
            None => Fate::Gone,
            Some(None) => Fate::Kept,
            Some(Some(node)) => Fate::Ancestor(node),
        }
    }

    /// The names in this directory that stay or lead to what stays, in the order of their bytes.
    pub fn children(&self) -> impl Iterator<Item = (&[u8], Fate<'_>)> {
        self.children.iter().map(|(name, node)| {
            (
                name.as_slice(),
                node.as_ref().map_or(Fate::Kept, Fate::Ancestor),
            )
        })
    }

    fn insert<'a>(&mut self, mut components: impl Iterator<Item = &'a str>) {
        let Some(name) = components.next() else {
            return;
        };
        let mut node = self;
        let mut name = name.as_bytes().to_vec();
        for next in components {
            let entry = node
                .children
                .entry(name)
                .or_insert_with(|| Some(KeepNode::default()));
            match entry {
                Some(child) => node = child,
                // A path above is kept already, and this one with it.
                None => return,
            }
            name = next.as_bytes().to_vec();
        }
        // Whatever was to be kept below is kept with it.
        node.children.insert(name, None);
    }
}

/// All kept paths of a run, as a tree of names.
#[derive(Debug, Clone, Default)]
pub struct KeepSet {
    root: KeepNode,
}

impl KeepSet {
    /// Collects paths; one below another is swallowed by it.
    pub fn new<'a>(paths: impl IntoIterator<Item = &'a KeepPath>) -> Self {
        paths.into_iter().cloned().collect()
    }

    /// Adds a path that no keep list may name, such as reroot's own directory.
    pub fn with_internal(mut self, path: &str) -> Result<Self, KeepPathError> {
        self.root.insert(KeepPath::internal(path)?.components());
        Ok(self)
    }

    /// The root directory, from which a walker descends.
    pub fn root(&self) -> &KeepNode {
        &self.root
    }

    /// Is there nothing to keep?
    pub fn is_empty(&self) -> bool {
        self.root.children.is_empty()
    }

    /// What becomes of the path made of these names. The root itself is an ancestor.
    pub fn fate<'a>(&self, components: impl IntoIterator<Item = &'a [u8]>) -> Fate<'_> {
        let mut node = &self.root;
        for name in components {
            match node.child(name) {
                Fate::Ancestor(child) => node = child,
                fate => return fate,
            }
        }
        Fate::Ancestor(node)
    }
}

impl FromIterator<KeepPath> for KeepSet {
    fn from_iter<T: IntoIterator<Item = KeepPath>>(paths: T) -> Self {
        let mut set = Self::default();
        for path in paths {
            set.root.insert(path.components());
        }
        set
    }
}

/// Is a path another one, or below it?
pub fn is_below(path: impl AsRef<[u8]>, above: impl AsRef<[u8]>) -> bool {
    let mut above = above.as_ref();
    while let Some(shorter) = above.strip_suffix(b"/") {
        above = shorter;
    }
    let rest = path.as_ref().strip_prefix(above);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// Where the filesystem is mounted that a path is on: the deepest of `targets` above it, `/` without one. A
/// target is on its own filesystem.
pub fn filesystem_of<'t>(path: &str, targets: &[&'t str]) -> &'t str {
    let above = targets.iter().filter(|target| is_below(path, target));
    above.max_by_key(|target| target.len()).unwrap_or(&"/")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn accepts_paths_in_their_shortest_spelling() {
        let cases = [
            ("/srv", "/srv"),
            ("/srv/", "/srv"),
            ("//srv///shop//", "/srv/shop"),
            ("/etc/letsencrypt", "/etc/letsencrypt"),
            ("/usr/local/x", "/usr/local/x"),
            ("/var/lib/mysql", "/var/lib/mysql"),
            ("/var/lib/dpkg-cross", "/var/lib/dpkg-cross"),
            ("/var/log", "/var/log"),
            ("/bootstrap", "/bootstrap"),
            ("/home/ü\n x", "/home/ü\n x"),
            ("/...", "/..."),
        ];
        for (text, path) in cases {
            assert_eq!(KeepPath::parse(text).unwrap().as_str(), path, "{text:?}");
        }
    }

    #[test]
    fn a_path_is_on_the_deepest_filesystem_above_it() {
        let targets = ["/var", "/var/log", "/opt"];
        for (path, target, within) in [
            ("/srv", "/", Some("/srv")),
            ("/var/lib/mysql", "/var", Some("/lib/mysql")),
            ("/var/log/shop", "/var/log", Some("/shop")),
            ("/var/logs", "/var", Some("/logs")),
            ("/variant", "/", Some("/variant")),
            ("/opt", "/opt", None),
        ] {
            assert_eq!(filesystem_of(path, &targets), target, "{path}");
            let found = KeepPath::internal(path).unwrap().within(target);
            assert_eq!(found.as_ref().map(KeepPath::as_str), within, "{path}");
        }
    }

    #[test]
    fn refuses_what_is_no_plain_absolute_path() {
        let long_name = format!("/{}", "x".repeat(256));
        let long_path = "/xxxxxxx".repeat(512);
        let cases = [
            ("", "is empty"),
            ("srv", "not absolute"),
            ("./srv", "not absolute"),
            ("/", "nothing to reinstall"),
            ("///", "nothing to reinstall"),
            ("/srv/../etc", "contains \"..\""),
            ("/..", "contains \"..\""),
            ("/srv/./x", "contains \".\""),
            ("/srv\0", "NUL"),
            (&long_name, "a name in it is longer than 255 bytes"),
            (&long_path, "it is longer than 4095 bytes"),
        ];
        for (text, reason) in cases {
            let error = KeepPath::parse(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text:?}: {error}");
        }
    }

    #[test]
    fn refuses_what_belongs_to_the_os() {
        let below = [
            "/boot",
            "/dev",
            "/proc",
            "/sys",
            "/run",
            "/tmp",
            "/var/tmp",
            "/.reroot",
            "/var/log/reroot",
        ];
        for path in below.into_iter().chain(["/var/lib/dpkg", "/var/lib/apt"]) {
            for text in [path.to_owned(), format!("/{path}/"), format!("{path}/x/y")] {
                let error = KeepPath::parse(&text).unwrap_err().to_string();
                assert!(
                    error.contains(path) && error.contains("reserved"),
                    "{text:?}: {error}"
                );
            }
            KeepPath::parse(&format!("{path}2")).unwrap();
        }
        let exactly = [
            "/etc", "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32",
        ];
        for path in exactly.into_iter().chain(["/var", "/var/lib"]) {
            let error = KeepPath::parse(path).unwrap_err().to_string();
            assert!(error.contains("belongs to the OS"), "{path:?}: {error}");
            KeepPath::parse(&format!("{path}/x")).unwrap();
        }
    }

    #[test]
    fn a_path_read_from_json_is_checked() {
        let path: KeepPath = serde_json::from_str("\"/srv/\"").unwrap();
        assert_eq!(serde_json::to_string(&path).unwrap(), "\"/srv\"");
        serde_json::from_str::<KeepPath>("\"/etc\"").unwrap_err();
        serde_json::from_str::<KeepPath>("\"/srv/../etc\"").unwrap_err();
    }

    fn set(paths: &[&str]) -> KeepSet {
        paths
            .iter()
            .map(|path| KeepPath::parse(path).unwrap())
            .collect()
    }

    #[test]
    fn a_path_below_a_kept_path_is_swallowed_in_any_order() {
        for paths in [["/srv/shop/images", "/srv"], ["/srv", "/srv/shop/images"]] {
            let set = set(&paths);
            assert!(matches!(set.root().child(b"srv"), Fate::Kept));
            assert_eq!(set.root().children().count(), 1);
        }
    }

    #[test]
    fn an_internal_path_may_be_reserved_but_not_malformed() {
        let set = set(&["/srv"]).with_internal("/.reroot").unwrap();
        assert!(matches!(set.fate([b".reroot".as_slice()]), Fate::Kept));
        KeepSet::default().with_internal("/../x").unwrap_err();
        KeepSet::default().with_internal("/").unwrap_err();
    }

    #[test]
    fn nothing_is_kept_by_an_empty_set() {
        assert!(KeepSet::default().is_empty());
        assert!(matches!(
            KeepSet::default().fate([b"srv".as_slice()]),
            Fate::Gone
        ));
    }

    /// Paths of few names, so that one is often above another.
    fn paths() -> impl Strategy<Value = Vec<Vec<String>>> {
        let name = prop_oneof!["a", "b", "c"].prop_map(|name: String| name);
        prop::collection::vec(prop::collection::vec(name, 1..5), 0..8)
    }

    proptest! {
        #[test]
        fn parsing_is_idempotent_and_never_panics(text in "[/.a\\PC]{0,40}") {
            if let Ok(path) = KeepPath::parse(&text) {
                prop_assert_eq!(KeepPath::parse(path.as_str()).unwrap(), path.clone());
                prop_assert!(path.components().all(|name| !["", ".", ".."].contains(&name)));
            }
        }

        #[test]
        fn the_set_agrees_with_comparing_every_path(kept in paths(), asked in paths()) {
            let set: KeepSet = kept
                .iter()
                .map(|path| KeepPath::parse(&format!("/{}", path.join("/"))).unwrap())
                .collect();
            for path in asked {
                let fate = set.fate(path.iter().map(String::as_bytes));
                let is_kept = kept.iter().any(|kept| path.starts_with(kept));
                let is_ancestor = kept.iter().any(|kept| kept.starts_with(&path));
                prop_assert_eq!(matches!(fate, Fate::Kept), is_kept);
                prop_assert_eq!(matches!(fate, Fate::Ancestor(_)), is_ancestor && !is_kept);
            }
        }
    }
}
