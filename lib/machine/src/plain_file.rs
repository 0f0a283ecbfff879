//! Opening a file that somebody else may have put there.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// Opens a regular file for reading, links followed, and nothing else: a pipe without a writer is not
/// waited for, a terminal does not become this process's, a device is not read.
///
/// # Errors
/// The kernel's, or that it is no regular file.
pub fn open(path: &Path) -> io::Result<File> {
    // Before it is opened, since opening a device may do something; behind it, since the name may be
    // another file's by then.
    let plain = |is_file: bool| {
        let why = || io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file");
        is_file.then_some(()).ok_or_else(why)
    };
    plain(path.metadata()?.is_file())?;
    let quiet = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(quiet.bits() as i32)
        .open(path)?;
    plain(file.metadata()?.is_file())?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_are_opened_and_nothing_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        for path in [&pipe, Path::new("/dev/zero"), directory.path()] {
            let error = open(path).expect_err(&path.display().to_string());
            assert_eq!(
                error.kind(),
                io::ErrorKind::InvalidInput,
                "{}",
                path.display()
            );
        }
        let file = directory.path().join("file");
        std::fs::write(&file, "x").unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink("file", &link).unwrap();
        assert_eq!(io::read_to_string(open(&link).unwrap()).unwrap(), "x");
    }
}
