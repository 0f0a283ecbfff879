//! What is written beside what is kept, on the root filesystem and on those that are wiped with it: files that programs have open, places
//! where people and services put their things, homes.
//!
//! It reads a live machine, with millions of files and customers at work: every look is bounded, no
//! link of anybody's is followed, and no other filesystem is entered or asked for anything. Whether
//! something that is found matters is for [`plan::gone`] to say.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use formats::accounts::Accounts;
use formats::facts::{Home, OpenDirectory, Place, Written};
use machine::open_files;
use machine::processes::Process;
use plan::gone;
use storage::mounts::Mount;
use tree::{in_root, LeftOut, Limit, Roots};

/// How long places are looked at, all of them together. What is not counted by then is "at least".
const PATIENCE: Duration = Duration::from_secs(20);
/// How many entries of one place are counted.
const ENTRIES: u64 = 200_000;
/// The same once the time is over: enough to tell that there is something.
const ENTRIES_LATE: u64 = 500;
/// How long every place is looked at once the time is over.
const PATIENCE_LATE: Duration = Duration::from_millis(200);
/// A directory with more in it is one place, not many.
const MOST_CHILDREN: usize = 200;
/// Names that are read of a directory that is only listed.
const MOST_NAMES: usize = 10_000;
/// Homes that are looked for.
const MOST_HOMES: usize = 20_000;

/// Reads it. `stays` are paths that are kept or carried, `systems` where filesystems are mounted that are wiped
/// as the root is.
pub fn read(
    stays: &[&str],
    systems: &[String],
    accounts: &Result<Accounts, String>,
    processes: &[Process],
    mounts: &[Mount],
) -> Written {
    let mounted = mounts.iter().map(|m| m.target.clone());
    let is_system = |target: &Path| systems.iter().any(|system| Path::new(system) == target);
    let foreign = mounted.filter(|target| target != Path::new("/") && !is_system(target));
    let mounted: BTreeSet<PathBuf> = foreign.collect();
    let homes = homes(accounts, &mounted);
    let left_out: LeftOut = stays.iter().map(PathBuf::from).chain(mounted).collect();
    let tops = || -> rustix::io::Result<Vec<OwnedFd>> {
        let places = std::iter::once("/").chain(systems.iter().map(String::as_str));
        places.map(open_directory).collect()
    };
    let places = match tops() {
        Ok(tops) => {
            let mut roots = Roots::from(tops[0].as_fd());
            for (system, top) in systems.iter().zip(&tops[1..]) {
                roots = roots.with(system, top.as_fd());
            }
            let also = homes.iter().filter_map(|home| home.leads_to.clone());
            weighed(&roots, candidates(&roots, also, &left_out), &left_out)
        }
        Err(e) => {
            log::warn!("open /: {e}; what is written below it is not told");
            Vec::new()
        }
    };
    Written {
        open: open(processes, mounts, systems),
        places,
        homes,
    }
}

/// The part that may be read again in a moment.
pub fn open(processes: &[Process], mounts: &[Mount], systems: &[String]) -> Vec<OpenDirectory> {
    let mut open = open_files::read(processes, mounts, systems);
    for directory in &mut open {
        // A program may call itself whatever it likes; these go to a terminal.
        directory.path = printable(Path::new(&directory.path));
        for writer in &mut directory.writers {
            *writer = writer.replace(char::is_control, "?");
        }
    }
    open
}

fn printable(path: &Path) -> String {
    tree::printable(path.as_os_str().as_bytes())
}

fn open_directory(path: &str) -> rustix::io::Result<OwnedFd> {
    use rustix::fs::{open, Mode, OFlags};
    open(
        path,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
}

/// Places to look at, the known ones first; none is below another.
fn candidates(
    root: &Roots<'_>,
    also: impl Iterator<Item = String>,
    left_out: &LeftOut,
) -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> = gone::whole_places().map(PathBuf::from).collect();
    for parent in gone::places_of_many() {
        let parent = Path::new(parent);
        let (directories, files) = tree::children(root.clone(), parent, left_out, MOST_NAMES);
        if directories.len() + files.len() > MOST_CHILDREN {
            places.push(parent.to_owned());
        } else {
            places.extend(directories);
            places.extend(files);
        }
    }
    for parent in gone::places_of_few() {
        let (directories, files) =
            tree::children(root.clone(), Path::new(parent), left_out, MOST_NAMES);
        let all = directories.into_iter().chain(files);
        places.extend(all.filter(|path| !path.to_str().is_some_and(gone::is_every_os)));
    }
    places.extend(also.map(PathBuf::from));
    let mut taken: Vec<PathBuf> = Vec::new();
    for place in places {
        let counted = |t: &PathBuf| place.starts_with(t) || t.starts_with(&place);
        if !taken.iter().any(counted) && place != Path::new("/") {
            taken.push(place);
        }
    }
    taken
}

fn weighed(root: &Roots<'_>, places: Vec<PathBuf>, left_out: &LeftOut) -> Vec<Place> {
    let until = Instant::now() + PATIENCE;
    places
        .into_iter()
        .filter_map(|path| {
            let now = Instant::now();
            let limit = if now < until {
                Limit {
                    entries: ENTRIES,
                    until,
                }
            } else {
                Limit {
                    entries: ENTRIES_LATE,
                    until: now + PATIENCE_LATE,
                }
            };
            let found = tree::weigh(root.clone(), &path, left_out, limit)?;
            let something = found.files > 0 || !found.whole;
            something.then(|| Place {
                path: printable(&path),
                found,
            })
        })
        .collect()
}

/// Homes of people, root's apart, which is a place of its own.
fn homes(accounts: &Result<Accounts, String>, mounted: &BTreeSet<PathBuf>) -> Vec<Home> {
    let Ok(accounts) = accounts else {
        return Vec::new();
    };
    let (first, last) = accounts.ranges.users;
    let people = accounts
        .users
        .iter()
        .filter(|user| user.uid != 0 && ((first..=last).contains(&user.uid) || user.password));
    people
        .take(MOST_HOMES)
        .map(|user| Home {
            user: user.name.clone(),
            home: user.home.clone(),
            leads_to: leads_to(Path::new(&user.home), mounted),
        })
        .collect()
}

/// The directory of the root filesystem that a path leads to by its links, without asking another
/// filesystem for anything. Nothing where it leads to one, or nowhere.
fn leads_to(path: &Path, mounted: &BTreeSet<PathBuf>) -> Option<String> {
    if !path.is_absolute() {
        return None;
    }
    let is_mounted = |at: &Path| mounted.contains(at);
    let at = in_root::find_unmounted(Path::new("/"), path, &is_mounted).ok()?;
    if !std::fs::symlink_metadata(&at).ok()?.is_dir() {
        return None;
    }
    // A home of `/` or `/root` is no directory of one's own.
    (at != Path::new("/")).then(|| at.to_str().map(str::to_owned))?
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_home_is_where_its_links_lead_and_other_filesystems_are_not_asked() {
        let directory = tempfile::tempdir().unwrap();
        let top = directory.path().canonicalize().unwrap();
        std::fs::create_dir_all(top.join("data/anna")).unwrap();
        std::fs::create_dir_all(top.join("nas/bert")).unwrap();
        symlink("data", top.join("home2")).unwrap();
        symlink(top.join("home2/../home2/anna"), top.join("to-anna")).unwrap();
        symlink("loop", top.join("loop")).unwrap();
        let mounted = BTreeSet::from([top.join("nas")]);
        let at = |path: &str| leads_to(&top.join(path), &mounted);
        let anna = Some(top.join("data/anna").display().to_string());
        assert_eq!(at("home2/anna"), anna);
        assert_eq!(at("to-anna"), anna);
        assert_eq!(at("data/anna/"), anna);
        for nowhere in ["nas/bert", "nas", "data/none", "loop"] {
            assert_eq!(at(nowhere), None, "{nowhere}");
        }
        assert_eq!(leads_to(Path::new("/"), &mounted), None);
        assert_eq!(leads_to(Path::new("relative"), &mounted), None);
    }
}
