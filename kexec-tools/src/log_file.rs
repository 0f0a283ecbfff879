//! The worker's log: `/.reroot/RUN/launch.log`, the kernel's log and the console.
//!
//! The file is opened for each line and closed again: a log held open for writing would itself
//! keep the root from becoming read-only.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use log::{LevelFilter, Log, Metadata, Record};
use machine::log_line;

/// The file's name in the run's directory.
pub const NAME: &str = "launch.log";

struct LogFile {
    path: PathBuf,
}

/// Sends the `log` macros to the run's log.
pub fn start(run: &std::path::Path) {
    if log::set_boxed_logger(Box::new(LogFile {
        path: run.join(NAME),
    }))
    .is_ok()
    {
        log::set_max_level(LevelFilter::Info);
    }
}

impl Log for LogFile {
    fn enabled(&self, _: &Metadata) -> bool {
        true
    }

    fn log(&self, record: &Record) {
        let text = log_line::text(record);
        let line = format!("{text}\n");
        // Each place is written to by itself: the file is read-only for the last lines, and a
        // console may be dead. Whoever can still take the line has it.
        if let Ok(mut file) = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&self.path)
        {
            let _ = file.write_all(line.as_bytes());
        }
        log_line::to_kernel_log(&text);
        let quiet = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
        let console = OpenOptions::new()
            .write(true)
            .custom_flags(quiet.bits() as i32)
            .open("/dev/console");
        if let Ok(mut console) = console {
            let _ = console.write_all(line.replace('\n', "\r\n").as_bytes());
        }
    }

    fn flush(&self) {}
}
