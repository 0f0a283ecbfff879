//! The machine's root filesystem as the RAM environment sees it: mounted at [`TARGET`].

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use anyhow::{ensure, Context, Result};
use formats::plan::Plan;
use rustix::fs::{Mode, OFlags};
use storage::mounts::{self, Mount};
use tree::{Gate, Roots};

use crate::root::place;

/// Where the machine's root filesystem is mounted.
pub const TARGET: &str = "/target";

/// A handle on its root directory.
pub fn directory() -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    rustix::fs::open(TARGET, flags, Mode::empty())
        .with_context(|| format!("open directory {TARGET}"))
}

/// The one way to write to it, beside wiping and unpacking: what the plan keeps is refused.
pub fn gate(plan: &Plan) -> Result<Gate> {
    Ok(place::gate(Path::new(TARGET), plan)?)
}

/// Where the RAM environment sees a path of the machine.
pub fn at(path: &str) -> PathBuf {
    place::at(Path::new(TARGET), path)
}

/// Handles on the tops of all filesystems of the machine's tree.
pub struct Tops<'p> {
    root: OwnedFd,
    apart: Vec<(&'p str, OwnedFd)>,
}

impl Tops<'_> {
    /// As the walkers of trees take them.
    pub fn roots(&self) -> Roots<'_> {
        let root = Roots::from(self.root.as_fd());
        let apart = self.apart.iter();
        apart.fold(root, |roots, (target, top)| roots.with(target, top.as_fd()))
    }

    /// Each of them with where it is mounted, the root first.
    pub fn each(&self) -> impl Iterator<Item = (&str, BorrowedFd<'_>)> {
        let apart = self
            .apart
            .iter()
            .map(|(target, top)| (*target, top.as_fd()));
        std::iter::once(("/", self.root.as_fd())).chain(apart)
    }
}

/// The tops of the root and of what is mounted below it.
pub fn tops(plan: &Plan) -> Result<Tops<'_>> {
    let (root, apart) = (directory()?, place::tops(Path::new(TARGET), plan));
    ensure!(
        apart.len() == plan.systems().count(),
        "a filesystem that is wiped with the root has no directory to be mounted at"
    );
    Ok(Tops { root, apart })
}

/// What is mounted below the machine's root, the last one first; nothing where that cannot be read.
pub fn mounted_below() -> Vec<PathBuf> {
    let all = mounts::read().unwrap_or_default().into_iter().rev();
    let places = all.map(|mount| mount.target);
    places
        .filter(|place| place.starts_with(TARGET) && place != Path::new(TARGET))
        .collect()
}

/// Writes everything to the disks; what was not reported as written does not count.
pub fn sync() -> Result<()> {
    rustix::fs::syncfs(&directory()?).context("write the root filesystem to disk (syncfs)")?;
    let all = mounts::read().context("read /proc/self/mountinfo")?;
    let below = |m: &&Mount| m.target.starts_with(TARGET) && m.contents().is_missed();
    for mount in all.iter().filter(below) {
        let place = &mount.target;
        File::open(place)
            .and_then(|top| Ok(rustix::fs::syncfs(top)?))
            .with_context(|| format!("write {} to disk (syncfs)", place.display()))?;
    }
    Ok(())
}
