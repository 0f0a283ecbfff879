//! What GRUB boots by default, by its grub.cfg and its environment block: kernel, parameters and
//! initrds of the entry that is chosen when nobody touches a key. GRUB's `grub-core/normal/menu.c`.

use crate::grub::environment;
use crate::grub::script::{Item, Script};

/// What a menu entry boots. Paths are as GRUB sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootEntry {
    /// The kernel.
    pub kernel: String,
    /// Its parameters.
    pub parameters: Vec<String>,
    /// The initrds, in order.
    pub initrds: Vec<String>,
}

impl BootEntry {
    /// The value of `root=`, the last one if there are several.
    pub fn root(&self) -> Option<&str> {
        self.parameters
            .iter()
            .rev()
            .find_map(|p| p.strip_prefix("root="))
    }
}

/// Why it is not known what GRUB boots.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NoDefault {
    /// There is nothing to boot.
    #[error("the menu is empty")]
    NoEntries,
    /// The entry that is booted starts something else.
    #[error("the entry that GRUB boots, {0:?}, loads no Linux kernel")]
    NoLinux(String),
    /// Menus within menus without an end.
    #[error("the submenus go deeper than {MENUS}")]
    TooDeep,
}

/// How many menus may lie within each other.
const MENUS: usize = 8;

/// The entry that GRUB boots when nobody touches a key: the one that `default` names, by number, by
/// title or by id, through submenus (`1>2`), or else the first. `environment` is the environment
/// block (`grubenv`), or nothing.
pub fn default_entry(text: &str, environment: &[u8]) -> Result<BootEntry, NoDefault> {
    let mut script = Script::new(environment::variables(environment));
    script.run(text);
    let mut default = script.variables.get("default").cloned().unwrap_or_default();
    for _ in 0..MENUS {
        let menu = std::mem::take(&mut script.menu);
        let (at, rest) = choose(&menu, &default);
        let item = menu.get(at).ok_or(NoDefault::NoEntries)?;
        script.run_block(&item.block);
        if item.is_submenu {
            default = rest;
            continue;
        }
        return linux(&script.loads).ok_or_else(|| NoDefault::NoLinux(item.title.clone()));
    }
    Err(NoDefault::TooDeep)
}

/// Which item of a menu, and what is left for the menu below it. What names nothing is the first, as
/// GRUB has it.
fn choose(menu: &[Item], default: &str) -> (usize, String) {
    let (first, rest) = split(default);
    let digits = first.len() - first.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let number = first[digits..]
        .trim()
        .is_empty()
        .then(|| first[..digits].parse().ok());
    let named = || {
        let is = |name: &str| name == first;
        menu.iter()
            .position(|item| is(&item.title) || item.id.as_deref().is_some_and(is))
    };
    let at: Option<usize> = number.flatten().or_else(named);
    (at.filter(|&at| at < menu.len()).unwrap_or(0), rest)
}

/// At the first `>`; a doubled one is a letter of a title.
fn split(default: &str) -> (String, String) {
    let mut first = String::new();
    let mut rest = default.chars().peekable();
    while let Some(c) = rest.next() {
        if c == '>' && rest.next_if_eq(&'>').is_none() {
            return (first, rest.collect());
        }
        first.push(c);
    }
    (first, String::new())
}

/// What the last `linux` of an entry loads, and every initrd.
fn linux(loads: &[Vec<String>]) -> Option<BootEntry> {
    let is = |words: &&Vec<String>, kind: &str| words.first().is_some_and(|w| w.starts_with(kind));
    let mut words = loads.iter().rfind(|w| is(w, "linux"))?.iter().skip(1);
    Some(BootEntry {
        kernel: words.next()?.clone(),
        parameters: words.cloned().collect(),
        initrds: loads
            .iter()
            .filter(|w| is(w, "initrd"))
            .flat_map(|w| w.iter().skip(1).cloned())
            .collect(),
    })
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
