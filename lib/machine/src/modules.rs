//! Kernel modules as `depmod` describes them: what a module needs, which hardware it drives.
//!
//! Everything here works on text that somebody else read, so that the builder can ask about a
//! kernel in a tree and the init about the one that runs. It loads nothing. The files are those
//! of modules.dep(5) and modprobe.d(5).
//!
//! The kernel takes `-` and `_` in a module's name for the same letter. Names are kept with `_`.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

/// A module's name with `_` for `-`.
pub fn normalise(name: &str) -> String {
    name.replace('-', "_")
}

/// The name of the module in a file: its last component up to the first dot, normalised.
///
/// `kernel/drivers/nvme/host/nvme-core.ko.xz` is `nvme_core`.
pub fn name_of(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    normalise(file.split('.').next().unwrap_or(file))
}

/// One line of `modules.dep`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// Its file, relative to `/lib/modules/RELEASE`.
    pub path: String,
    /// The names of the modules that it needs.
    pub needs: Vec<String>,
}

/// All modules of a kernel by name, from `modules.dep`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dependencies {
    modules: BTreeMap<String, Module>,
}

/// Why `modules.dep` cannot be used, or a module not be loaded.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ModulesError {
    /// A line without a colon.
    #[error("line {0} of modules.dep has no colon behind the module's file")]
    Line(usize),
    /// A module needs one that is not listed.
    #[error("the module {module} needs {needs}, which modules.dep does not list")]
    Missing {
        /// The module.
        module: String,
        /// What it needs.
        needs: String,
    },
    /// Modules that need each other cannot be loaded.
    #[error("the module {0} needs itself, through others")]
    Circle(String),
}

/// Reads `modules.dep`: `FILE: FILE FILE …`, a module on each line.
pub fn parse_dep(text: &str) -> Result<Dependencies, ModulesError> {
    let mut modules = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let (path, needs) = line.split_once(':').ok_or(ModulesError::Line(number + 1))?;
        let module = Module {
            path: path.trim().to_owned(),
            needs: needs.split_whitespace().map(name_of).collect(),
        };
        modules.insert(name_of(&module.path), module);
    }
    Ok(Dependencies { modules })
}

impl Dependencies {
    /// The module of a normalised name.
    pub fn get(&self, name: &str) -> Option<&Module> {
        self.modules.get(name)
    }

    /// Every module, in the order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Module)> {
        self.modules
            .iter()
            .map(|(name, module)| (name.as_str(), module))
    }

    /// The modules of these names and all that they need, each once, in an order in which they
    /// can be loaded. A name that is not listed is passed over: it may be built into the kernel.
    pub fn closure<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<String>, ModulesError> {
        let mut visit = Visit {
            all: self,
            done: BTreeSet::new(),
            order: Vec::new(),
        };
        for name in names {
            let name = normalise(name);
            if self.modules.contains_key(&name) {
                visit.module(&name, &mut Vec::new())?;
            }
        }
        Ok(visit.order)
    }

    /// `modules.dep` of these modules alone, with the file names that `rename` makes.
    pub fn to_text(&self, names: &BTreeSet<String>, rename: impl Fn(&str) -> String) -> String {
        let mut text = String::new();
        for (_, module) in self.iter().filter(|(name, _)| names.contains(*name)) {
            text.push_str(&rename(&module.path));
            text.push(':');
            for path in module
                .needs
                .iter()
                .filter_map(|need| self.get(need))
                .map(|m| &m.path)
            {
                text.push(' ');
                text.push_str(&rename(path));
            }
            text.push('\n');
        }
        text
    }
}

struct Visit<'a> {
    all: &'a Dependencies,
    done: BTreeSet<String>,
    order: Vec<String>,
}

impl Visit<'_> {
    /// Appends a module behind what it needs; `above` are the modules that are waiting for it.
    fn module(&mut self, name: &str, above: &mut Vec<String>) -> Result<(), ModulesError> {
        if self.done.contains(name) {
            return Ok(());
        }
        if above.iter().any(|waiting| waiting == name) {
            return Err(ModulesError::Circle(name.to_owned()));
        }
        let module = self
            .all
            .modules
            .get(name)
            .ok_or_else(|| ModulesError::Missing {
                module: above.last().cloned().unwrap_or_default(),
                needs: name.to_owned(),
            })?;
        above.push(name.to_owned());
        for need in &module.needs {
            self.module(need, above)?;
        }
        above.pop();
        self.done.insert(name.to_owned());
        self.order.push(name.to_owned());
        Ok(())
    }
}

/// One line of `modules.alias`: a module answers to every name that the pattern matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// A pattern for [`alias_matches`].
    pub pattern: String,
    /// The module's normalised name.
    pub module: String,
}

/// Reads `modules.alias`: `alias PATTERN MODULE`. Comments and other lines are passed over.
pub fn parse_alias(text: &str) -> Vec<Alias> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.strip_prefix("alias ")?.split_whitespace();
            let pattern = words.next()?.to_owned();
            let module = normalise(words.next()?);
            Some(Alias { pattern, module })
        })
        .collect()
}

/// The modules that answer to a name, which may be a module's own, an alias such as
/// `crypto-crc32c`, or what a device says of itself in its `modalias` file.
pub fn modules_for<'a>(
    name: &str,
    dependencies: &'a Dependencies,
    aliases: &'a [Alias],
) -> BTreeSet<&'a str> {
    let mut found: BTreeSet<&str> = aliases
        .iter()
        .filter(|alias| alias_matches(&alias.pattern, name))
        .map(|alias| alias.module.as_str())
        .collect();
    found.retain(|module| dependencies.get(module).is_some());
    if let Some((own, _)) = dependencies.modules.get_key_value(&normalise(name)) {
        found.insert(own);
    }
    found
}

/// Reads `modules.builtin`: a file on each line. Returns the names of the drivers that are part
/// of the kernel.
pub fn parse_builtin(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| name_of(line.trim()))
        .collect()
}

/// Reads `modules.softdep`: `softdep MODULE [pre:] NAME … [post:] NAME …`. Returns, by normalised
/// module, the names that are to be loaded with it; they may be aliases.
pub fn parse_softdep(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        if words.next() != Some("softdep") {
            continue;
        }
        let Some(module) = words.next() else { continue };
        let names = words
            .filter(|word| !matches!(*word, "pre:" | "post:"))
            .map(str::to_owned);
        found.entry(normalise(module)).or_default().extend(names);
    }
    found
}

/// Whether `text` matches the pattern of an alias: `*`, `?` and `[…]` as in fnmatch(3) without
/// flags, `-` and `_` being the same letter.
pub fn alias_matches(pattern: &str, text: &str) -> bool {
    matches(pattern.as_bytes(), text.as_bytes())
}

/// Goes back to the last `*` only: a longer match for an earlier one never helps, so that no
/// pattern takes more than length times length.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p + 1, t));
            p += 1;
            continue;
        }
        if let Some(length) = one(&pattern[p..], text[t]) {
            p += length;
            t += 1;
            continue;
        }
        let Some((after, from)) = star else {
            return false;
        };
        star = Some((after, from + 1));
        p = after;
        t = from + 1;
    }
    pattern[p..].iter().all(|&b| b == b'*')
}

/// How many bytes of the pattern match this one byte of the text, if it does.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern.first()? {
        b'?' => Some(1),
        b'[' => match set(pattern, byte) {
            Some((length, hit)) => hit.then_some(length),
            // Without its closing bracket the opening one is a letter like any other.
            None => (byte == b'[').then_some(1),
        },
        &literal => (letter(literal) == letter(byte)).then_some(1),
    }
}

fn letter(byte: u8) -> u8 {
    if byte == b'-' {
        b'_'
    } else {
        byte
    }
}

/// The length of the set that the pattern begins with, and whether the byte is in it.
fn set(pattern: &[u8], byte: u8) -> Option<(usize, bool)> {
    let negated = matches!(pattern.get(1), Some(b'!' | b'^'));
    let first = if negated { 2 } else { 1 };
    let mut at = first;
    let mut hit = false;
    loop {
        let low = *pattern.get(at)?;
        if low == b']' && at > first {
            return Some((at + 1, hit != negated));
        }
        let range = pattern.get(at + 1) == Some(&b'-');
        match pattern.get(at + 2) {
            Some(&high) if range && high != b']' => {
                hit |= (low..=high).contains(&byte);
                at += 3;
            }
            _ => {
                hit |= low == byte;
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEP: &str = "\
kernel/fs/ext4/ext4.ko.xz: kernel/fs/jbd2/jbd2.ko.xz kernel/lib/crc16.ko.xz
kernel/fs/jbd2/jbd2.ko.xz:
kernel/lib/crc16.ko.xz:
kernel/drivers/nvme/host/nvme.ko.xz: kernel/drivers/nvme/host/nvme-core.ko.xz

kernel/drivers/nvme/host/nvme-core.ko.xz: kernel/lib/crc16.ko.xz
";

    #[test]
    fn a_module_is_named_by_its_file() {
        for (path, name) in [
            ("kernel/drivers/nvme/host/nvme-core.ko.xz", "nvme_core"),
            ("ext4.ko", "ext4"),
            ("kernel/x/aes-x86_64.ko.zst", "aes_x86_64"),
            ("", ""),
        ] {
            assert_eq!(name_of(path), name, "{path}");
        }
    }

    #[test]
    fn what_a_module_needs_comes_before_it() {
        let dep = parse_dep(DEP).unwrap();
        assert_eq!(
            dep.closure(["nvme", "ext4", "nvme-core"]).unwrap(),
            ["crc16", "nvme_core", "nvme", "jbd2", "ext4"]
        );
        assert_eq!(dep.closure(["virtio_blk"]).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_broken_list_is_refused() {
        assert_eq!(parse_dep("a.ko: \nb.ko\n"), Err(ModulesError::Line(2)));
        let error = parse_dep("a.ko: b.ko").unwrap().closure(["a"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the module a needs b, which modules.dep does not list"
        );
        let circle = parse_dep("a.ko: b.ko\nb.ko: a.ko\n").unwrap();
        assert_eq!(circle.closure(["a"]), Err(ModulesError::Circle("a".into())));
    }

    #[test]
    fn a_chosen_part_is_written_with_other_file_names() {
        let dep = parse_dep(DEP).unwrap();
        let names = ["ext4", "jbd2", "crc16"].map(str::to_owned).into();
        let text = dep.to_text(&names, |path| path.trim_end_matches(".xz").to_owned());
        assert_eq!(
            text,
            "kernel/lib/crc16.ko:\n\
             kernel/fs/ext4/ext4.ko: kernel/fs/jbd2/jbd2.ko kernel/lib/crc16.ko\n\
             kernel/fs/jbd2/jbd2.ko:\n"
        );
    }

    #[test]
    fn aliases_match_as_the_shell_does() {
        for (pattern, text, expected) in [
            ("virtio:d00000002v*", "virtio:d00000002v00001AF4", true),
            ("virtio:d00000002v*", "virtio:d00000001v00001AF4", false),
            (
                "pci:v00008086d00002922sv*sd*bc*sc*i*",
                "pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01",
                true,
            ),
            (
                "pci:v*d*sv*sd*bc01sc06i01*",
                "pci:v00008086d00001sv1sd1bc01sc06i01",
                true,
            ),
            (
                "pci:v*d*sv*sd*bc01sc06i01*",
                "pci:v00008086d00001sv1sd1bc01sc06i02",
                false,
            ),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("usb:v0[0-9A]*", "usb:v0Ax", true),
            ("usb:v0[0-9A]*", "usb:v0Bx", false),
            ("x[!a]", "xb", true),
            ("x[!a]", "xa", false),
            ("x[]a]", "x]", true),
            ("x[a-]", "x-", true),
            ("x[", "x[", true),
            ("crypto-crc32c", "crypto_crc32c", true),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("**a*", "bba", true),
        ] {
            assert_eq!(alias_matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_pattern_of_many_stars_ends_in_time() {
        let pattern = "*a".repeat(200);
        assert!(!alias_matches(&pattern, &"a".repeat(199)));
        assert!(alias_matches(&pattern, &"a".repeat(2000)));
    }

    #[test]
    fn the_other_lists_are_read() {
        let aliases = parse_alias("# x\nalias crypto-crc32c crc32c-intel\nalias x\nalias a:* b\n");
        assert_eq!(aliases.len(), 2);
        assert_eq!(aliases[0].module, "crc32c_intel");
        let dep = parse_dep("k/crc32c-intel.ko.xz:\n").unwrap();
        assert_eq!(
            modules_for("crypto-crc32c", &dep, &aliases)
                .into_iter()
                .collect::<Vec<_>>(),
            ["crc32c_intel"]
        );
        assert!(modules_for("a:1", &dep, &aliases).is_empty());
        let soft = parse_softdep(
            "# x\nsoftdep ext4 pre: crypto-crc32c\nsoftdep a-b c post: d\nsoftdep a-b e\nsoftdep\n",
        );
        assert_eq!(soft["ext4"], ["crypto-crc32c"]);
        assert_eq!(soft["a_b"], ["c", "d", "e"]);
        let builtin = parse_builtin("kernel/mm/zbud.ko\nkernel/fs/ext4/ext4.ko\n\n");
        assert_eq!(builtin.into_iter().collect::<Vec<_>>(), ["ext4", "zbud"]);
    }
}
