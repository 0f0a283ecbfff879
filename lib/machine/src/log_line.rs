//! How a line of the log looks, and the kernel's log as one of the places it goes to.

use std::fs::OpenOptions;
use std::io::Write;

use log::{Level, Record};

/// The text of a record: who speaks, a mark where it is more than information, the message.
pub fn text(record: &Record) -> String {
    let mark = match record.level() {
        Level::Error => "ERROR: ",
        Level::Warn => "warning: ",
        _ => "",
    };
    format!("reroot: {mark}{}", record.args())
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
