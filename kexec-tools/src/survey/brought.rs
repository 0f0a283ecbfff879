//! What the operator brings for this machine beside the image: a list of paths to be carried, an overlay,
//! programs that the run calls. Only reads; whether it can be is for the checks to say.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::path::Path;

use anyhow::{bail, ensure, Context, Result};
use formats::accounts::AccountPlan;
use formats::hooks::{Hooks, AFTER_UNPACK, BEFORE_STOP, FIRST_BOOT};
use formats::overlay::Overlay;
use formats::printable;
use machine::own_programs::{self, OwnProgram};
use tree::Numbers;

use crate::survey::identity::plain;

/// The largest list: no person edits a longer one.
const LARGEST_LIST: u64 = 1 << 20;
/// The most paths that are carried by name; each is shown.
const MOST_PATHS: usize = 10_000;

/// A path to be carried, as it is written: absolute, without `.` and `..`, on one line.
///
/// # Errors
/// What is wrong with it.
pub fn carry_path(text: &str) -> Result<String, String> {
    let path = text.trim_end_matches('/');
    if !plain(path) {
        return Err(format!("{text:?} is no absolute path of plain names"));
    }
    if path.contains('\t') || printable::line(path) != path {
        return Err(format!("{text:?} has characters that do not print"));
    }
    Ok(path.to_owned())
}

/// Reads a list of paths: one a line; a line that begins with `#` is a comment, and so is what comes behind
/// a tabulator.
pub fn carry_list(file: &Path) -> Result<Vec<String>> {
    let what = || format!("read the list of paths to carry {}", file.display());
    let mut text = String::new();
    File::open(file)
        .and_then(|file| file.take(LARGEST_LIST + 1).read_to_string(&mut text))
        .with_context(what)?;
    ensure!(
        text.len() as u64 <= LARGEST_LIST,
        "{} is larger than 1 MiB: carry folders whole, or keep them",
        file.display()
    );
    parse_list(&text).with_context(what)
}

fn parse_list(text: &str) -> Result<Vec<String>> {
    let mut paths = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.split('\t').next().unwrap_or_default();
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        match carry_path(line) {
            Ok(path) => paths.push(path),
            Err(why) => bail!("line {}: {why}", number + 1),
        }
    }
    ensure!(
        paths.len() <= MOST_PATHS,
        "it has more than {MOST_PATHS} paths: carry folders whole, or keep them"
    );
    Ok(paths)
}

/// Reads an overlay: a directory, or a tar archive.
pub fn overlay(path: &Path) -> Result<(Overlay, tree::Overlay)> {
    let what = || format!("--overlay {}", path.display());
    let source = path.canonicalize().with_context(what)?;
    let name = source
        .to_str()
        .with_context(|| format!("{}: the name of an overlay has to be UTF-8", what()))?;
    // A pipe would be waited for.
    let kind = fs::metadata(&source).with_context(what)?;
    ensure!(
        kind.is_dir() || kind.is_file(),
        "{}: it is neither a directory nor a file",
        what()
    );
    let file = File::open(&source).with_context(what)?;
    let read = if kind.is_dir() {
        tree::Overlay::of_directory(file.as_fd())
    } else {
        tree::Overlay::of_tar(&file)
    };
    let read = read.with_context(what)?;
    let (directories, files) = read.paths();
    ensure!(
        !(files.is_empty() && directories.is_empty()),
        "{}: there is nothing in it",
        what()
    );
    let (users, groups) = read.owners();
    let overlay = Overlay {
        source: name.to_owned(),
        digest: read.digest(),
        bytes: read.bytes(),
        files,
        directories,
        users,
        groups,
    };
    Ok((overlay, read))
}

/// The overlay once more, as an archive with the numbers that its owners have in the new OS; it has to be what
/// the plan was made for.
pub fn overlay_again(planned: &Overlay, accounts: &AccountPlan) -> Result<Vec<u8>> {
    let (now, read) = overlay(Path::new(&planned.source))?;
    ensure!(
        now.digest == planned.digest,
        "the overlay {} has changed since the plan was made; run `go` again",
        planned.source
    );
    Ok(read.to_tar(&New(accounts))?)
}

/// Numbers of the new OS.
struct New<'a>(&'a AccountPlan);

impl Numbers for New<'_> {
    fn user(&self, name: &str) -> Option<u32> {
        let row = self.0.users.iter().find(|row| row.name == name);
        row.map(|row| row.number)
    }

    fn group(&self, name: &str) -> Option<u32> {
        let row = self.0.groups.iter().find(|row| row.name == name);
        row.map(|row| row.number)
    }
}

/// The operator's programs by moment, and why those that are called in the old OS would not be.
pub fn hooks() -> (Hooks, Vec<String>) {
    hooks_below(Path::new("/"))
}

fn hooks_below(root: &Path) -> (Hooks, Vec<String>) {
    let mut unfit = Vec::new();
    let mut found = |directory: &str| {
        let at = root.join(directory.trim_start_matches('/'));
        match own_programs::in_directory(&at) {
            Ok(programs) => programs,
            Err(e) if e.kind() == ErrorKind::NotFound => Vec::new(),
            Err(e) => {
                unfit.push(format!("{directory} cannot be read: {e}"));
                Vec::new()
            }
        }
    };
    let paths = |directory: &str, programs: &[OwnProgram]| {
        let path = |program: &OwnProgram| format!("{directory}/{}", program.name);
        programs.iter().map(path).collect::<Vec<_>>()
    };
    let before_stop = found(BEFORE_STOP);
    let hooks = Hooks {
        before_stop: paths(BEFORE_STOP, &before_stop),
        after_unpack: paths(AFTER_UNPACK, &found(AFTER_UNPACK)),
        first_boot: paths(FIRST_BOOT, &found(FIRST_BOOT)),
    };
    unfit.extend(before_stop.into_iter().filter_map(|program| program.unfit));
    (hooks, unfit)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_list_has_a_path_a_line_and_comments() {
        let list =
            "# changed\n/etc/cron.d/shop\t# 1 KiB\n\n#/etc/left out\n/etc/with space/\n/etc/a#b\n";
        assert_eq!(
            parse_list(list).unwrap(),
            ["/etc/cron.d/shop", "/etc/with space", "/etc/a#b"]
        );
        for (bad, line) in [
            ("etc/x\n", "line 1"),
            ("/etc\n/etc/../x\n", "line 2"),
            ("/\n", "line 1"),
            ("/etc/a\u{1b}[31mb\n", "line 1"),
        ] {
            let error = parse_list(bad).unwrap_err().to_string();
            assert!(error.starts_with(line), "{bad:?}: {error}");
        }
    }

    #[test]
    fn an_overlay_that_changed_is_another_one() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("etc/shop")).unwrap();
        fs::write(dir.path().join("etc/shop/conf"), "one").unwrap();
        let (planned, _) = overlay(dir.path()).unwrap();
        assert_eq!(planned.files, ["/etc/shop/conf"]);
        assert_eq!(planned.directories, ["/etc", "/etc/shop"]);
        let accounts = AccountPlan::default();
        overlay_again(&planned, &accounts).unwrap();
        fs::write(dir.path().join("etc/shop/conf"), "two").unwrap();
        let error = overlay_again(&planned, &accounts).unwrap_err().to_string();
        assert!(error.contains("has changed since the plan"), "{error}");
    }

    #[test]
    fn programs_are_found_by_their_moment_and_what_others_may_change_is_named() {
        let root = tempfile::tempdir().unwrap();
        let program = |path: &str, mode| {
            let path = root.path().join(path);
            let directory = path.parent().unwrap();
            fs::create_dir_all(directory).unwrap();
            fs::set_permissions(directory, Permissions::from_mode(0o755)).unwrap();
            fs::write(&path, "#!/bin/sh\n").unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        };
        program("etc/reroot/before-stop.d/drain", 0o755);
        program("etc/reroot/before-stop.d/README", 0o644);
        program("etc/reroot/before-stop.d/open", 0o777);
        program("etc/reroot/first-boot.d/10-x", 0o755);
        let (hooks, unfit) = hooks_below(root.path());
        assert_eq!(
            hooks.before_stop,
            [
                "/etc/reroot/before-stop.d/drain",
                "/etc/reroot/before-stop.d/open"
            ]
        );
        assert_eq!(hooks.first_boot, ["/etc/reroot/first-boot.d/10-x"]);
        assert!(hooks.after_unpack.is_empty());
        assert_eq!(unfit.len(), 1);
        assert!(unfit[0].contains("open is writable"), "{unfit:?}");
    }
}
