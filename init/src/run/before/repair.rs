//! Mending the root filesystem of a run that is taken up, before it is mounted: a power cut, or a
//! disk that failed for a moment, may have left it with its journal unplayed or with errors, and no
//! old OS is there to do it. The payload's own e2fsck does it, as far as it does by itself (`-p`). This is
//! ext4's part; what XFS needs is in `replay`.
//!
//! Exit statuses are those of e2fsck(8). It refuses to answer a question that e2fsck would ask a
//! person: kept data may hang on it.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use anyhow::{bail, Context, Result};
use storage::ext4;

use crate::ram::current_step;

/// Where the RAM environment has it.
const PROGRAM: &str = "/sbin/e2fsck";
/// How long a whole check may take: some minutes for a terabyte, more on slow disks.
const WHOLE_CHECK_S: u64 = 6 * 3600;

/// What an exit status comes to.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// It is whole.
    Whole,
    /// It is not, and only a person may go on.
    Errors,
    /// It was not checked, and is as it was.
    NotChecked,
}

/// Mends the filesystem on a device that is not mounted, if its superblock says that it needs it.
pub fn repair(device: &Path) -> Result<()> {
    repair_by(Path::new(PROGRAM), device)
}

fn repair_by(program: &Path, device: &Path) -> Result<()> {
    let superblock = superblock(device)?;
    let Some(seconds) = time_for(&superblock) else {
        return Ok(());
    };
    current_step::tell("repair", seconds);
    log::info!("e2fsck: mending {}", device.display());
    let output = match Command::new(program).arg("-p").arg(device).output() {
        Ok(output) => output,
        Err(e) if e.kind() == ErrorKind::NotFound => {
            log::warn!("{} is not here; going on without", program.display());
            return Ok(());
        }
        Err(e) => return Err(e).with_context(|| format!("start {}", program.display())),
    };
    for bytes in [&output.stdout, &output.stderr] {
        for line in String::from_utf8_lossy(bytes).lines() {
            log::info!("e2fsck: {line}");
        }
    }
    let device = device.display();
    match outcome(output.status.code()) {
        Outcome::Whole => Ok(()),
        Outcome::NotChecked => {
            // Mounting replays the journal as well, and says so if it cannot.
            log::warn!("e2fsck: {}: not checked; going on as it is", output.status);
            Ok(())
        }
        Outcome::Errors => bail!(
            "{device} has errors that e2fsck does not mend by itself; nothing was mounted. Look with \
             `e2fsck -n {device}`, mend with `e2fsck {device}`, which asks before each change; then `/init run`"
        ),
    }
}

/// How long mending may take; `None` where there is nothing to mend. Where only the journal is to be played it may
/// be a whole check all the same: errors are noted in there, and one may be due by the number of mounts.
fn time_for(superblock: &ext4::Superblock) -> Option<u64> {
    (superblock.has_errors || superblock.needs_recovery).then_some(WHOLE_CHECK_S)
}

fn outcome(status: Option<i32>) -> Outcome {
    match status {
        // Corrected (1), and corrected so that a mounted root would need a reboot (2): this is none.
        Some(0..=3) => Outcome::Whole,
        // Left uncorrected (4), be it together with others.
        Some(status) if status < 64 && status & 4 != 0 => Outcome::Errors,
        // An operational error (8), usage (16), cancelled (32), a library is missing (127, 128), a signal.
        _ => Outcome::NotChecked,
    }
}

fn superblock(device: &Path) -> Result<ext4::Superblock> {
    let what = || format!("read the superblock of {}", device.display());
    let mut bytes = vec![0; ext4::SUPERBLOCK_SIZE];
    File::open(device)
        .and_then(|file| file.read_exact_at(&mut bytes, ext4::SUPERBLOCK_AT))
        .with_context(what)?;
    ext4::parse(&bytes).with_context(|| format!("{} has no superblock of ext4", device.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fixtures::program::run;

    /// A filesystem with something done to it by debugfs.
    fn damaged(requests: &[&str]) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fs");
        File::create(&path).unwrap().set_len(32 << 20).unwrap();
        let at = path.to_str().unwrap();
        run("mke2fs", &["-q", "-F", "-t", "ext4", at]);
        for request in requests {
            run("debugfs", &["-w", "-R", request, at]);
        }
        (dir, path)
    }

    fn by_this_machine(device: &Path) -> Result<()> {
        repair_by(Path::new("e2fsck"), device)
    }

    #[test]
    fn recorded_errors_and_an_unplayed_journal_are_mended() {
        for request in ["ssv state 2", "feature needs_recovery"] {
            let (_dir, device) = damaged(&[request]);
            let before = superblock(&device).unwrap();
            assert!(before.has_errors || before.needs_recovery, "{request}");
            by_this_machine(&device).unwrap();
            let after = superblock(&device).unwrap();
            assert!(!after.has_errors && !after.needs_recovery, "{request}");
        }
    }

    /// Whatever makes it a whole check, the step has the time of one.
    #[test]
    fn a_check_that_is_due_by_mounts_has_its_time() {
        let due = [
            "ssv max_mnt_count 1",
            "ssv mnt_count 9",
            "feature needs_recovery",
        ];
        let (_dir, device) = damaged(&due);
        assert!(superblock(&device).unwrap().needs_recovery);
        assert_eq!(time_for(&superblock(&device).unwrap()), Some(WHOLE_CHECK_S));
        by_this_machine(&device).unwrap();
        assert_eq!(time_for(&superblock(&device).unwrap()), None);
    }

    #[test]
    fn what_only_a_person_may_mend_is_left_as_it_is() {
        let (_dir, device) = damaged(&["clri <2>", "ssv state 2"]);
        let error = by_this_machine(&device).unwrap_err().to_string();
        assert!(error.contains("does not mend by itself"), "{error}");
        assert!(superblock(&device).unwrap().has_errors);
    }

    #[test]
    fn a_clean_filesystem_and_one_without_a_checker_are_gone_on_with() {
        let (_dir, device) = damaged(&[]);
        repair_by(Path::new("/nonexistent/e2fsck"), &device).unwrap();
        let (_dir, device) = damaged(&["ssv state 2"]);
        repair_by(Path::new("/nonexistent/e2fsck"), &device).unwrap();
    }

    #[test]
    fn statuses_mean_what_the_manual_says() {
        for whole in [0, 1, 2, 3] {
            assert_eq!(outcome(Some(whole)), Outcome::Whole);
        }
        for errors in [4, 5, 12] {
            assert_eq!(outcome(Some(errors)), Outcome::Errors);
        }
        for not_checked in [Some(8), Some(16), Some(32), Some(127), Some(128), None] {
            assert_eq!(outcome(not_checked), Outcome::NotChecked, "{not_checked:?}");
        }
    }
}
