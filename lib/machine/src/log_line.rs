//! How a line of the log looks, and the kernel's log as one of the places it goes to.

use std::fs::OpenOptions;
use std::io::Write;

use formats::printable;
use log::{Level, Record};

/// The text of a record, one line: who speaks, a mark where it is more than information, the
/// message with what would steer a terminal escaped.
pub fn text(record: &Record) -> String {
    let mark = match record.level() {
        Level::Error => "ERROR: ",
        Level::Warn => "warning: ",
        _ => "",
    };
    let said = record.args().to_string();
    format!("reroot: {mark}{}", printable::line(&said))
}

/// Writes a text to the kernel's log, one record a write, as information (`<6>`): with the usual
/// console level the kernel does not print it on its consoles, where the callers write themselves.
///
/// A log that does not take it is passed over; it is one of several places.
pub fn to_kernel_log(text: &str) {
    if let Ok(mut kmsg) = OpenOptions::new().write(true).open("/dev/kmsg") {
        let _ = kmsg.write_all(format!("<6>{text}").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_line_whatever_is_named_in_it() {
        let name = "x\u{1b}[1A\r\nreroot: all well\u{202e}";
        let line = |level| {
            let arguments = format_args!("root: {name} holds it").to_string();
            text(
                &Record::builder()
                    .level(level)
                    .args(format_args!("{arguments}"))
                    .build(),
            )
        };
        let shown = "root: x\\u{1b}[1A\\r\\nreroot: all well\\u{202e} holds it";
        assert_eq!(line(Level::Info), format!("reroot: {shown}"));
        assert_eq!(line(Level::Error), format!("reroot: ERROR: {shown}"));
    }
}
