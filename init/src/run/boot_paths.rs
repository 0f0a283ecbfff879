//! All the ways in which a firmware starts the root's disk: a loader put beside the one in use on each of
//! them, and the order in which they are switched. docs/boot-paths.md says why every order is safe.

use anyhow::{Context, Result};
use formats::boot_path::BootPath as Kind;
use formats::plan::Plan;

use crate::run::boot_path::{Beside, BootPath, Loader};
use crate::run::boot_sectors::BootSectors;
use crate::run::data::MountedRoot;
use crate::run::efi_file::EfiFileOnDisk;
use crate::run::staged_file;

/// The paths of a plan; the one in use is the first.
pub fn of(plan: &Plan, root: &MountedRoot) -> Result<Vec<Box<dyn BootPath>>> {
    // A plan without any is of a launcher that knew of no others.
    let bios = [Kind::BiosGap];
    let kinds = if plan.boot_paths.is_empty() {
        &bios[..]
    } else {
        &plan.boot_paths[..]
    };
    let apart = staged_file::loader_apart(plan)?;
    kinds
        .iter()
        .map(|kind| -> Result<Box<dyn BootPath>> {
            Ok(match kind {
                Kind::BiosGap | Kind::BiosPartition => {
                    Box::new(BootSectors::open(root, apart.clone())?)
                }
                Kind::Uefi(file) => Box::new(EfiFileOnDisk::open(root, file)?),
            })
        })
        .collect()
}

/// The one in use.
pub fn in_use(plan: &Plan, root: &MountedRoot) -> Result<Box<dyn BootPath>> {
    let first = of(plan, root)?.into_iter().next();
    first.context("the plan has no boot path")
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
                    all.take_back();
                    return Err(e).with_context(|| format!("put a loader beside {name}"));
                }
            }
        }
        Ok(all)
    }

    /// Takes them back, also where they were switched to: what was in use goes on. What stays is of no effect, so failing is told and no
    /// more.
    pub fn take_back(&self) {
        for (path, beside) in &self.paths {
            if let Err(e) = path.take_back(beside) {
                log::warn!("take back the loader beside {}: {e:#}", path.name());
            }
        }
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

    /// Record and room of a BIOS's path as they were, for people.
    pub fn sectors_before(&self) -> Option<Vec<u8>> {
        self.paths.iter().find_map(|(_, beside)| match beside {
            Beside::Sectors { own, .. } => Some(own.image()),
            Beside::File(_) => None,
        })
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
        fn bios(&self) -> Result<(Vec<u8>, Vec<u8>)> {
            Ok((vec![], vec![]))
        }
        fn uefi(&self) -> Result<Vec<u8>> {
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
