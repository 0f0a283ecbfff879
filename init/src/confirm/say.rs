//! What is told at the first boot: to the journal, by standard output, and to the console. One that
//! does not take it is no reason to stop, and is not waited for.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use formats::printable;

/// Tells the journal. A journal that does not take it is no reason to stop.
pub fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{}", printable::text(text.trim_end()));
}

/// Shows a text on the console. One that does not take it must not be waited for.
pub fn to_console(text: &str) {
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    let console = fs::OpenOptions::new()
        .write(true)
        .custom_flags(flags.bits() as i32)
        .open("/dev/console");
    if let Ok(mut console) = console {
        for line in printable::text(text).lines() {
            // A full or dead console loses the line; the journal has it.
            let _ = console.write_all(format!("{line}\r\n").as_bytes());
        }
    }
}
