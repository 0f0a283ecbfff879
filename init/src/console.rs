//! What the operator sees: every line goes to the kernel's log, to every active console, and to
//! a file in memory that ends up among the run's records.
//!
//! A console may exist and never take a byte (a serial line without a cable): nothing here ever
//! waits for one.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Mutex;

use log::{LevelFilter, Log, Metadata, Record};
use machine::log_line;

use crate::early::STATE;

/// The log file of the RAM environment.
pub fn log_path() -> PathBuf {
    PathBuf::from(STATE).join("log")
}

/// Device nodes of the active consoles, in the kernel's order: the last is /dev/console.
pub fn active() -> Vec<PathBuf> {
    std::fs::read_to_string("/sys/class/tty/console/active")
        .unwrap_or_default()
        .split_whitespace()
        .map(|name| PathBuf::from("/dev").join(name))
        .collect()
}

struct Consoles {
    files: Mutex<Vec<File>>,
}

/// Sends the `log` macros to consoles, kernel log and log file. Called once by each process.
pub fn start() {
    let nonblocking = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    let mut files: Vec<File> = active()
        .into_iter()
        .filter_map(|path| {
            let flags = nonblocking.bits() as i32;
            OpenOptions::new()
                .write(true)
                .custom_flags(flags)
                .open(path)
                .ok()
        })
        .collect();
    files.extend(
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(log_path()),
    );
    let logger = Box::new(Consoles {
        files: Mutex::new(files),
    });
    if log::set_boxed_logger(logger).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
}

impl Log for Consoles {
    fn enabled(&self, _: &Metadata) -> bool {
        true
    }

    fn log(&self, record: &Record) {
        let text = log_line::text(record);
        log_line::to_kernel_log(&text);
        let line = format!("{}\r\n", text.replace('\n', "\r\n"));
        let mut files = self
            .files
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        for file in files.iter_mut() {
            // A full or dead console loses the line; the others have it.
            let _ = file.write_all(line.as_bytes());
        }
    }

    fn flush(&self) {}
}
