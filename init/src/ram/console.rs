//! What the operator sees: every line goes to the kernel's log, to every active console, and to
//! a file in memory that ends up among the run's records.
//!
//! A console may exist and never take a byte (a serial line without a cable): nothing here ever
//! waits for one.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use log::{LevelFilter, Log, Metadata, Record};
use machine::{consoles, log_line};
use rustix::fs::OFlags;
use rustix::termios;

use crate::ram::state;

/// The log file of the RAM environment.
pub fn log_path() -> PathBuf {
    state::at("log")
}

struct Consoles {
    files: Mutex<Vec<File>>,
}

/// Sends the `log` macros to consoles, kernel log and log file. Called once by each process.
pub fn start() {
    let mut files: Vec<File> = consoles::all()
        .iter()
        .filter_map(|path| open(path).ok())
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

/// Opens a console for reading and writing, without ever waiting for the other side.
pub fn open(path: &Path) -> std::io::Result<File> {
    let nonblocking = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(nonblocking.bits() as i32)
        .open(path)?;
    if !consoles::active().iter().any(|active| active == path) {
        set_speed(&file);
    }
    Ok(file)
}

/// A line that no parameter named has the kernel's 9600 baud; what looks at servers expects this.
/// What has no speed, a screen, refuses, and nothing is lost by that.
fn set_speed(file: &File) {
    if let Ok(mut settings) = termios::tcgetattr(file) {
        if settings.set_speed(SPEED).is_ok() {
            let _ = termios::tcsetattr(file, termios::OptionalActions::Now, &settings);
        }
    }
}

/// Bits a second.
const SPEED: u32 = 115_200;

impl Log for Consoles {
    fn enabled(&self, _: &Metadata) -> bool {
        true
    }

    fn log(&self, record: &Record) {
        let text = log_line::text(record);
        log_line::to_kernel_log(&text);
        let line = format!("{text}\r\n");
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
