//! All the ways in which a firmware starts the root's disk: a loader put beside the one in use on each of
//! them, and the order in which they are switched. docs/boot-paths.md says why every order is safe.

use anyhow::{Context, Result};
use formats::boot_path::BootPath as Kind;
use formats::plan::Plan;

use crate::run::boot_path::{Beside, BootPath, Loader, OnDisk};
use crate::run::boot_sectors::BootSectors;
use crate::run::data::MountedRoot;
use crate::run::efi_file::EfiFileOnDisk;
use crate::run::staged_file;

/// The paths of a plan on every disk that is there; the one in use is the first.
pub fn of(plan: &Plan, root: &MountedRoot) -> Result<Vec<Box<dyn BootPath>>> {
    let mut paths = Vec::new();
    for disk in 0..root.disks.len() {
        paths.extend(on_disk(plan, root, disk)?);
    }
    Ok(paths)
}

/// Those of one of the plan's disks; none where it is not there.
fn on_disk(plan: &Plan, root: &MountedRoot, disk: usize) -> Result<Vec<Box<dyn BootPath>>> {
    // A plan without any is of a launcher that knew of no others.
    let bios = [Kind::BiosGap];
    let kinds = match disk {
        0 if plan.boot_paths.is_empty() => &bios[..],
        0 => &plan.boot_paths[..],
        further => plan
            .copies
            .get(further - 1)
            .map_or(&[][..], |copy| &copy.boot_paths[..]),
    };
    let Some(node) = root.disks.get(disk).and_then(Option::as_ref) else {
        return Ok(Vec::new());
    };
    let place = OnDisk {
        disk,
        node: node.clone(),
    };
    let apart = staged_file::loader_apart(plan)?;
    kinds
        .iter()
        .map(|kind| -> Result<Box<dyn BootPath>> {
            Ok(match kind {
                Kind::BiosGap | Kind::BiosPartition => {
                    Box::new(BootSectors::open(place.clone(), apart.clone())?)
                }
                Kind::Uefi(file) => Box::new(EfiFileOnDisk::open(place.clone(), file)?),
            })
        })
        .collect()
}

/// The one in use, or the one that stands for it: which of a mirror's disks a firmware has started not everything
/// says, and the first decides. `None` where that is not there.
pub fn in_use(plan: &Plan, root: &MountedRoot) -> Result<Option<Box<dyn BootPath>>> {
    Ok(on_disk(plan, root, 0)?.into_iter().next())
}

/// Loaders beside those in use, one for each path.
pub struct AllBeside {
    paths: Vec<(Box<dyn BootPath>, Beside)>,
}

impl AllBeside {
    /// Puts a loader beside the one in use on every path. Where one fails the others are taken back.
    pub fn put(paths: Vec<Box<dyn BootPath>>, loader: &dyn Loader) -> Result<AllBeside> {
        let mut all = AllBeside { paths: Vec::new() };
        for path in paths {
            let name = path.name();
            match path.put_beside(loader) {
                Ok(beside) => all.paths.push((path, beside)),
                Err(e) => {
                    // None of them is switched to: what stays beside is of no effect.
                    all.take_back();
                    return Err(e).with_context(|| format!("put a loader beside {name}"));
                }
            }
        }
        Ok(all)
    }

    /// Takes them back, also where they were switched to: what was in use goes on. Whether all of them are; what is not,
    /// is told.
    pub fn take_back(&self) -> bool {
        let mut all = true;
        for (path, beside) in &self.paths {
            if let Err(e) = path.take_back(beside) {
                log::warn!("take back the loader beside {}: {e:#}", path.name());
                all = false;
            }
        }
        all
    }

    /// Switches every path but the one in use: nothing is decided by them.
    pub fn switch_others(&self) -> Result<()> {
        let others = self.paths.iter().skip(1);
        others
            .rev()
            .try_for_each(|(path, beside)| switch(&**path, beside))
    }

    /// Switches the path in use, which decides.
    pub fn switch_in_use(&self) -> Result<()> {
        let in_use = self.paths.iter().take(1);
        in_use
            .into_iter()
            .try_for_each(|(path, beside)| switch(&**path, beside))
    }

    /// Switches to an OS that is whole: the path in use last.
    pub fn switch(&self) -> Result<()> {
        self.switch_others().and_then(|()| self.switch_in_use())
    }

    /// Behind the last switch: nothing of the run's stays beside. What does is of no effect.
    pub fn tidy(&self) {
        for (path, _) in &self.paths {
            if let Err(e) = path.tidy() {
                log::warn!("take away what was beside {}: {e:#}", path.name());
            }
        }
    }

    /// Proves that every path would start this loader once it is switched.
    pub fn inspect(&self, loader: &dyn Loader) -> Result<()> {
        self.paths.iter().try_for_each(|(path, beside)| {
            path.inspect(beside, loader)
                .with_context(|| format!("check the loader beside {}", path.name()))
        })
    }

    /// Record and room of each path by a BIOS as they were, by what they are called among the run's records.
    pub fn sectors_before(&self) -> Vec<(String, Vec<u8>)> {
        let paths = self.paths.iter();
        paths
            .filter_map(|(path, beside)| match beside {
                Beside::Sectors { own, .. } => Some((path.record_name()?, own.image())),
                Beside::File(_) => None,
            })
            .collect()
    }
}

fn switch(path: &dyn BootPath, beside: &Beside) -> Result<()> {
    path.switch(beside)
        .with_context(|| format!("switch {}", path.name()))?;
    log::info!("loader: switched {}", path.name());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;
    use crate::run::data::Start;

    struct Nothing;

    impl Loader for Nothing {
        fn bios(&self, _: usize) -> Result<(Vec<u8>, Vec<u8>)> {
            Ok((vec![], vec![]))
        }
        fn uefi(&self, _: usize) -> Result<Vec<u8>> {
            Ok(vec![])
        }
    }

    /// A path that notes what is done to it.
    struct Noted {
        name: &'static str,
        full: bool,
        done: Rc<RefCell<Vec<String>>>,
    }

    impl Noted {
        fn note(&self, what: &str) {
            self.done.borrow_mut().push(format!("{what} {}", self.name));
        }
    }

    impl BootPath for Noted {
        fn name(&self) -> String {
            self.name.to_owned()
        }
        fn starts(&self, _: &dyn Loader) -> Result<bool> {
            Ok(false)
        }
        fn ensure_room(&self, _: Start) -> Result<()> {
            Ok(())
        }
        fn put_beside(&self, _: &dyn Loader) -> Result<Beside> {
            anyhow::ensure!(!self.full, "full");
            self.note("put");
            Ok(Beside::File(vec![]))
        }
        fn switch(&self, _: &Beside) -> Result<()> {
            self.note("switch");
            Ok(())
        }
        fn take_back(&self, _: &Beside) -> Result<()> {
            self.note("take back");
            Ok(())
        }
        fn switch_back(&self, _: &dyn Loader, _: &dyn Fn(&str) -> Result<Vec<u8>>) -> Result<()> {
            Ok(())
        }
        fn record_name(&self) -> Option<String> {
            None
        }
        fn inspect(&self, _: &Beside, _: &dyn Loader) -> Result<()> {
            Ok(())
        }
        fn tidy(&self) -> Result<()> {
            self.note("tidy");
            Ok(())
        }
    }

    type Done = Rc<RefCell<Vec<String>>>;

    fn paths(full: &str) -> (Vec<Box<dyn BootPath>>, Done) {
        let done = Done::default();
        let paths = ["used", "other", "third"].map(|name| -> Box<dyn BootPath> {
            Box::new(Noted {
                name,
                full: name == full,
                done: done.clone(),
            })
        });
        (paths.into(), done)
    }

    #[test]
    fn every_loader_is_there_before_the_first_switch_and_the_path_in_use_decides() {
        let (all, done) = paths("");
        let all = AllBeside::put(all, &Nothing).unwrap();
        all.switch().unwrap();
        let expected = [
            "put used",
            "put other",
            "put third",
            "switch third",
            "switch other",
            "switch used",
        ];
        assert_eq!(*done.borrow(), expected);
    }

    #[test]
    fn where_one_has_no_room_nothing_stays_and_nothing_is_switched() {
        let (all, done) = paths("third");
        assert!(AllBeside::put(all, &Nothing).is_err());
        let expected = ["put used", "put other", "take back used", "take back other"];
        assert_eq!(*done.borrow(), expected);
    }
}
