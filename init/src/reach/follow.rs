//! The run's log as it grows, to whoever looks on.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Seek, SeekFrom, Write};

use rustix::event::{poll, PollFd, PollFlags, Timespec};

use crate::ram::console;
use crate::ram::ended::{self, Ended};
use crate::reach::told::in_a_word;

/// How often the log is looked at, in nanoseconds.
const EVERY: i64 = 200_000_000;
/// How much of the end of the log is shown to somebody who has just come, in bytes.
const BEFORE: u64 = 1500;

/// From where the log is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// All of it.
    Beginning,
    /// Its last lines.
    End,
}

/// The whole log.
pub fn all(out: &mut impl Write) -> io::Result<()> {
    let mut text = Vec::new();
    File::open(console::log_path())?.read_to_end(&mut text)?;
    out.write_all(&plain(&text))?;
    out.flush()
}

/// Shows the log until the run has ended, and says how. A terminal has a line below it with how far the run
/// is.
pub fn follow(from: From) -> io::Result<Ended> {
    let mut out = io::stdout();
    let mut log = File::open(console::log_path())?;
    let mut line = StatusLine {
        shown: out.is_terminal().then(String::new),
    };
    if from == From::End {
        let length = log.metadata()?.len();
        log.seek(SeekFrom::Start(length.saturating_sub(BEFORE)))?;
        if length > BEFORE {
            skip_line(&mut log)?;
        }
    }
    loop {
        // First: what the run says at its end is in the log by then.
        let ended = ended::read();
        let mut new = Vec::new();
        log.read_to_end(&mut new)?;
        if !new.is_empty() {
            line.clear(&mut out)?;
            out.write_all(&plain(&new))?;
        }
        if let Some(ended) = ended {
            line.clear(&mut out)?;
            out.flush()?;
            return Ok(ended);
        }
        line.show(&mut out)?;
        out.flush()?;
        wait(&out)?;
    }
}

/// The log has the line ends of terminals; a session's own makes them itself.
fn plain(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(|byte| *byte != b'\r').collect()
}

/// Passes over what is left of a line.
fn skip_line(log: &mut File) -> io::Result<()> {
    let mut byte = [0];
    while log.read(&mut byte)? == 1 && byte != *b"\n" {}
    Ok(())
}

/// Waits a little; an error where nobody listens any more.
fn wait(out: &io::Stdout) -> io::Result<()> {
    let mut ends = [PollFd::new(out, PollFlags::empty())];
    let time = Timespec {
        tv_sec: 0,
        tv_nsec: EVERY,
    };
    poll(&mut ends, Some(&time))?;
    let gone = PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL;
    if ends[0].revents().intersects(gone) {
        return Err(io::ErrorKind::BrokenPipe.into());
    }
    Ok(())
}

/// The line below the log, where there is a terminal.
struct StatusLine {
    /// What it says now.
    shown: Option<String>,
}

impl StatusLine {
    fn clear(&mut self, out: &mut impl Write) -> io::Result<()> {
        match &mut self.shown {
            Some(shown) if !shown.is_empty() => {
                shown.clear();
                out.write_all(b"\r\x1b[K")
            }
            _ => Ok(()),
        }
    }

    fn show(&mut self, out: &mut impl Write) -> io::Result<()> {
        let Some(shown) = &mut self.shown else {
            return Ok(());
        };
        let now = format!("reroot: {}", in_a_word());
        if *shown != now {
            write!(out, "\r\x1b[K{now}")?;
            *shown = now;
        }
        Ok(())
    }
}
