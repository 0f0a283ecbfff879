//! Following a run in the old OS by its log, as long as that can be read.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use formats::printable;
use formats::steps::Mode;

use crate::exit::Exit;
use crate::{log_file, run_directory};

/// Shows the worker's log until it fails or begins to stop services; from then on the console is
/// the place to look. If this session ends first, the run goes on. `ended` says whether the worker has,
/// and how.
pub fn follow(
    directory: &Path,
    mode: Mode,
    ended: &mut dyn FnMut() -> Result<Option<Exit>>,
) -> Result<Exit> {
    let log = directory.join(log_file::NAME);
    eprintln!(
        "\nThe run goes on by itself from here, also if this session ends. Its log: {}",
        log.display()
    );
    let mut shown = 0;
    loop {
        let ended = ended()?;
        let handed_over = directory.join(run_directory::HANDED_OVER).exists();
        shown = show_from(&log, shown);
        if let Some(exit) = ended {
            return Ok(exit);
        }
        if handed_over {
            eprintln!(
                "Services stop now, and so does the network. `reroot watch`, on a machine of yours, shows how it \
                 goes on; so does the machine's console.\n{}",
                match mode {
                    Mode::Reinstall =>
                        "If the run is undone, the old OS boots again, and `status` says why; if it \
                         succeeds, the new OS has its records in /var/log/reroot.",
                    Mode::Rehearse => "The old OS boots again; then `status` says what was found.",
                }
            );
            return Ok(Exit::Done);
        }
        std::thread::sleep(Duration::from_millis(100));
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
