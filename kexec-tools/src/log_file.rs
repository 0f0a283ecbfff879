//! The worker's log: `/.reroot/RUN/launch.log`, the kernel's log and the console.
//!
//! The file is opened for each line and closed again: a log held open for writing would itself
//! keep the root from becoming read-only.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use log::{LevelFilter, Log, Metadata, Record};
use machine::log_line;

/// The file's name in the run's directory.
pub const NAME: &str = "launch.log";

struct LogFile {
    path: PathBuf,
    /// Lines that came while the root was read-only. Where a run is undone it becomes writable again,
    /// and these are the lines that tell why.
    waiting: Mutex<Vec<u8>>,
}

impl LogFile {
    fn append(&self, line: &str) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.extend_from_slice(line.as_bytes());
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&self.path);
        let Ok(mut file) = file else {
            return;
        };
        // A disk that fills up may take the beginning.
        while let Ok(written @ 1..) = file.write(&waiting) {
            waiting.drain(..written);
        }
    }
}

/// Sends the `log` macros to the run's log.
pub fn start(run: &std::path::Path) {
    if log::set_boxed_logger(Box::new(LogFile {
        path: run.join(NAME),
        waiting: Mutex::default(),
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
        self.append(&line);
        log_line::to_kernel_log(&text);
        let quiet = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
        let console = OpenOptions::new()
            .write(true)
            .custom_flags(quiet.bits() as i32)
            .open("/dev/console");
        if let Ok(mut console) = console {
            let _ = console.write_all(format!("{text}\r\n").as_bytes());
        }
    }

    fn flush(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_cannot_be_written_come_with_the_next_one_that_can() {
        let directory = tempfile::tempdir().unwrap();
        let run = directory.path().join("run");
        let log = LogFile {
            path: run.join(NAME),
            waiting: Mutex::default(),
        };
        log.append("one\n");
        log.append("two\n");
        std::fs::create_dir(&run).unwrap();
        log.append("three\n");
        log.append("four\n");
        let text = std::fs::read_to_string(run.join(NAME)).unwrap();
        assert_eq!(text, "one\ntwo\nthree\nfour\n");
    }
}
