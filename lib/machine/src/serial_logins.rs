//! Serial lines at which people log in although no kernel parameter names them: a program waits there for a
//! name, or somebody has given theirs.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use formats::identity::SerialLogin;
use rustix::fs::OFlags;
use rustix::termios;

use crate::processes::Process;

/// Where the kernel tells of terminals.
const SYSFS: &str = "/sys/class/tty";

/// Programs that ask for a name, and the one that they become.
const ASK: [&str; 7] = [
    "agetty", "fgetty", "getty", "login", "mgetty", "mingetty", "uugetty",
];

/// How the names of lines begin that are there at every start, with the same name.
const LINES: [&str; 2] = ["ttyS", "hvc"];

/// The speed of a line that was never given one.
const NO_SPEED: u32 = 0;

/// The lines at which people log in, by name, without these consoles, where whoever starts the machine asks for a
/// login by itself.
#[must_use]
pub fn read(processes: &[Process], consoles: &[String]) -> Vec<SerialLogin> {
    lines(processes, terminals())
        .into_iter()
        .filter(|line| !consoles.contains(line))
        .map(|line| SerialLogin {
            speed: speed(&line),
            line,
        })
        .collect()
}

/// Every terminal that the kernel has, by name, with its number as /proc/pid/stat has it.
fn terminals() -> impl Iterator<Item = (String, u32)> {
    let entries = fs::read_dir(SYSFS).into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let number = fs::read_to_string(Path::new(SYSFS).join(&name).join("dev")).ok()?;
        Some((name, number_in_stat(number.trim())?))
    })
}

/// `4:65` as one number: the major one in bits 8 to 15, the minor one around it, see proc(5).
fn number_in_stat(text: &str) -> Option<u32> {
    let (major, minor) = text.split_once(':')?;
    let (major, minor): (u32, u32) = (major.parse().ok()?, minor.parse().ok()?);
    Some((minor & 0xff) | (major << 8) | ((minor & !0xff) << 12))
}

fn lines(processes: &[Process], terminals: impl Iterator<Item = (String, u32)>) -> Vec<String> {
    let asks = |number: u32| {
        let on = processes.iter().filter(|p| p.terminal == number);
        on.clone().any(|p| ASK.contains(&p.name.as_str()))
    };
    let is_line = |name: &str| LINES.iter().any(|start| name.starts_with(start));
    let mut lines: Vec<String> = terminals
        .filter(|(name, number)| is_line(name) && asks(*number))
        .map(|(name, _)| name)
        .collect();
    lines.sort();
    lines
}

/// How fast a line is now. It is in use, so that to open it changes nothing; nobody is waited for.
fn speed(line: &str) -> Option<u32> {
    if !line.starts_with("ttyS") {
        return None;
    }
    let flags = OFlags::NOCTTY | OFlags::NONBLOCK;
    let file: File = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(Path::new("/dev").join(line))
        .ok()?;
    let speed = termios::tcgetattr(&file).ok()?.output_speed();
    (speed != NO_SPEED).then_some(speed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(name: &str, terminal: u32) -> Process {
        Process {
            pid: 7,
            name: name.into(),
            kernel: false,
            terminal,
        }
    }

    #[test]
    fn a_line_is_one_where_somebody_is_asked_for_a_name() {
        let there = [
            ("tty1", "4:1"),
            ("ttyS1", "4:65"),
            ("ttyS0", "4:64"),
            ("ttyS2", "4:66"),
            ("ttyUSB0", "188:0"),
            ("hvc0", "229:0"),
        ];
        let terminals = there
            .into_iter()
            .map(|(name, number)| (name.to_owned(), number_in_stat(number).unwrap()));
        let processes = [
            process("agetty", 1025),
            process("getty", 1089),
            process("login", 1088),
            // A daemon that was started from there.
            process("gpsd", 1090),
            process("mgetty", 48128),
            process("agetty", 58624),
            process("cron", 0),
        ];
        assert_eq!(lines(&processes, terminals), ["hvc0", "ttyS0", "ttyS1"]);
    }

    #[test]
    fn terminals_are_numbered_as_the_kernel_prints_them() {
        for (text, expected) in [
            ("4:65", Some(1089)),
            ("136:0", Some(34816)),
            // The minor number's upper bits are behind the major one.
            ("136:256", Some(0x10_8800)),
            ("4", None),
            ("a:1", None),
        ] {
            assert_eq!(number_in_stat(text), expected, "{text}");
        }
    }
}
