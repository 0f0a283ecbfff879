//! Following a run in the old OS by its log, as long as that can be read.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use formats::printable;
use formats::steps::Mode;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::exit::Exit;
use crate::{log_file, run_directory};

/// How long whoever began a run stays with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Until {
    /// Until services stop: behind that, nothing is to be had here.
    #[default]
    ServicesStop,
    /// Until the run has ended, or this program with the old OS.
    Ended,
}

/// Shows the worker's log until it fails or begins to stop services; from then on the console is
/// the place to look. If this session ends first, the run goes on. `ended` says whether the worker has,
/// and how.
pub fn follow(
    directory: &Path,
    (mode, until): (Mode, Until),
    ended: &mut dyn FnMut() -> Result<Option<Exit>>,
) -> Result<Exit> {
    let log = directory.join(log_file::NAME);
    eprintln!(
        "\nThe run goes on by itself from here, also if this session ends. Its log: {}",
        log.display()
    );
    let mut shown = 0;
    let mut farewell = None;
    loop {
        let ended = ended()?;
        let handed_over = directory.join(run_directory::HANDED_OVER).exists();
        shown = show_from(&log, shown);
        if let Some(exit) = ended {
            return Ok(exit);
        }
        if handed_over && farewell.is_none() {
            eprintln!("{}", printable::text(&last_words(mode, until)));
            if until == Until::ServicesStop {
                return Ok(Exit::Done);
            }
            farewell = Some(Farewell::new()?);
        }
        if farewell.as_ref().is_some_and(Farewell::is_there) {
            eprintln!("This session ends with the old OS; the run goes on.");
            return Ok(Exit::TimeIsOver);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// What is said before services stop.
fn last_words(mode: Mode, until: Until) -> String {
    let elsewhere = match until {
        Until::ServicesStop => {
            "Services stop now, and so does the network. `reroot watch`, on a machine of yours, shows how it \
             goes on; so does the machine's console."
        }
        Until::Ended => {
            "Services stop now, then everything that runs here, this session too. `reroot watch root@HOST`, on a \
             machine of yours, goes on from here and ends as the run does; the machine's console shows it as well."
        }
    };
    let then = match mode {
        Mode::Reinstall => {
            "If the run is undone, the old OS boots again, and `status` says why; if it succeeds, the new OS has \
             its records in /var/log/reroot."
        }
        Mode::Rehearse => "The old OS boots again; then `status` says what was found.",
    };
    format!("{elsewhere}\n{then}")
}

/// The signals by which a session is told that it ends, held back so that there is time for a last word and an exit
/// status of one's own.
struct Farewell(SignalFd);

impl Farewell {
    fn new() -> Result<Farewell> {
        let signals: SigSet = [Signal::SIGTERM, Signal::SIGHUP].into_iter().collect();
        signals.thread_block().context("hold signals back")?;
        let held = SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC);
        Ok(Farewell(held.context("listen for signals")?))
    }

    fn is_there(&self) -> bool {
        matches!(self.0.read_signal(), Ok(Some(_)))
    }
}

/// Shows what the log holds behind `from`; returns where it ends now.
fn show_from(log: &Path, from: u64) -> u64 {
    let mut text = Vec::new();
    let read = File::open(log).and_then(|mut file| {
        file.seek(SeekFrom::Start(from))?;
        file.read_to_end(&mut text)
    });
    // A log that cannot be read now is read the next time; a terminal that is gone does not matter.
    let text = printable::text(&String::from_utf8_lossy(&text));
    let _ = io::stderr().write_all(text.as_bytes());
    from + read.unwrap_or(0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn followed(until: Until, ends: &[Option<Exit>]) -> Exit {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(run_directory::HANDED_OVER), "").unwrap();
        let mut ends = ends.iter().copied();
        let mut ended = || Ok(ends.next().flatten());
        follow(directory.path(), (Mode::Reinstall, until), &mut ended).unwrap()
    }

    #[test]
    fn whoever_stays_ends_as_the_run_and_whoever_does_not_when_services_stop() {
        let undone = [None, None, Some(Exit::Reverted)];
        assert_eq!(followed(Until::ServicesStop, &undone), Exit::Done);
        assert_eq!(followed(Until::Ended, &undone), Exit::Reverted);
        assert_eq!(followed(Until::ServicesStop, &undone[2..]), Exit::Reverted);
    }

    /// The signals are this thread's, so that no other test hears them.
    #[test]
    fn whoever_is_ended_with_the_old_os_says_that_the_run_goes_on() {
        let signals: SigSet = [Signal::SIGTERM, Signal::SIGHUP].into_iter().collect();
        signals.thread_block().unwrap();
        let mut asked = 0;
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(run_directory::HANDED_OVER), "").unwrap();
        let mut ended = || {
            asked += 1;
            if asked == 3 {
                nix::sys::signal::raise(Signal::SIGTERM)?;
            }
            Ok((asked > 50).then_some(Exit::NeedsAPerson))
        };
        let until = (Mode::Reinstall, Until::Ended);
        let exit = follow(directory.path(), until, &mut ended).unwrap();
        assert_eq!((exit, asked), (Exit::TimeIsOver, 3));
    }

    #[test]
    fn the_last_words_say_how_to_go_on() {
        for until in [Until::ServicesStop, Until::Ended] {
            let words = last_words(Mode::Reinstall, until);
            assert!(words.contains("`reroot watch"), "{words}");
            assert!(!words.contains("  "), "{words}");
        }
    }
}
