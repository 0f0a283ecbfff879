//! The consoles of a machine: those that the kernel writes to, and those that people look at
//! although no parameter named them.

use std::fs;
use std::path::{Path, PathBuf};

/// Where the kernel tells of terminals.
const SYSFS: &str = "/sys/class/tty";

/// Device nodes of the active consoles, in the kernel's order: the last is /dev/console.
pub fn active() -> Vec<PathBuf> {
    active_names().iter().map(|name| node(name)).collect()
}

/// The same by name.
pub fn active_names() -> Vec<String> {
    names(&read_active()).map(str::to_owned).collect()
}

fn read_active() -> String {
    fs::read_to_string(Path::new(SYSFS).join("console/active")).unwrap_or_default()
}

/// The active consoles, and where these have no screen or no line to a remote place, the first of
/// that kind that is really there.
pub fn all() -> Vec<PathBuf> {
    let active = read_active();
    let exists = |name: &str| Path::new(SYSFS).join(name).exists();
    // Type 0 stands for a port without a chip behind it.
    let has_chip = |name: &str| {
        fs::read_to_string(Path::new(SYSFS).join(name).join("type"))
            .is_ok_and(|t| t.trim().parse().is_ok_and(|number: u32| number != 0))
    };
    choose(&active, exists, has_chip)
        .into_iter()
        .map(|name| node(&name))
        .collect()
}

/// Lines to a remote place that are no UART, in the order in which they are looked for.
const HYPERVISOR_LINES: [&str; 2] = ["hvc0", "xvc0"];
/// Serial lines, in that order: hosts and their controllers use one of these.
const SERIAL_LINES: [&str; 2] = ["ttyS0", "ttyS1"];

fn choose(
    active: &str,
    exists: impl Fn(&str) -> bool,
    has_chip: impl Fn(&str) -> bool,
) -> Vec<String> {
    let mut chosen: Vec<String> = names(active).map(str::to_owned).collect();
    let screen = |name: &String| is_screen(name);
    if !chosen.iter().any(screen) && exists("tty1") {
        chosen.push("tty1".to_owned());
    }
    if chosen.iter().all(screen) {
        let serial = SERIAL_LINES.into_iter().find(|name| has_chip(name));
        let hypervisor = HYPERVISOR_LINES.into_iter().find(|name| exists(name));
        chosen.extend(serial.or(hypervisor).map(str::to_owned));
    }
    chosen
}

/// Whether a terminal is a virtual one, on a screen: `tty` and a number.
fn is_screen(name: &str) -> bool {
    name.strip_prefix("tty")
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
}

fn names(active: &str) -> impl Iterator<Item = &str> {
    active.split_whitespace()
}

fn node(name: &str) -> PathBuf {
    Path::new("/dev").join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screen_and_a_line_are_always_among_them_where_there_are_any() {
        for (active, there, chips, expected) in [
            (
                "tty0 ttyS0\n",
                &["tty1"][..],
                &["ttyS0"][..],
                &["tty0", "ttyS0"][..],
            ),
            ("ttyS1", &["tty1"], &["ttyS0", "ttyS1"], &["ttyS1", "tty1"]),
            ("tty0", &["tty1"], &["ttyS0"], &["tty0", "ttyS0"]),
            ("tty0", &["tty1"], &["ttyS1"], &["tty0", "ttyS1"]),
            ("tty0", &["tty1", "hvc0"], &[], &["tty0", "hvc0"]),
            ("tty0", &["tty1"], &[], &["tty0"]),
            ("hvc0", &["tty1", "hvc0"], &["ttyS0"], &["hvc0", "tty1"]),
            ("", &["tty1"], &["ttyS0"], &["tty1", "ttyS0"]),
            ("", &[], &[], &[]),
        ] {
            let chosen = choose(active, |n| there.contains(&n), |n| chips.contains(&n));
            assert_eq!(chosen, expected, "{active:?} {there:?} {chips:?}");
        }
    }
}
