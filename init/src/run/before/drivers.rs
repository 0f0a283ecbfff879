//! Loading the drivers that this machine's hardware asks for, and those that every machine needs.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use formats::facts::RootIdentity;
use formats::Manifest;
use machine::modules::{self, Alias, Dependencies};
use machine::watchdog;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::ram::parts;

/// The modules of the initramfs, and which of them were tried.
pub struct Drivers {
    directory: PathBuf,
    dependencies: Dependencies,
    aliases: Vec<Alias>,
}

impl Drivers {
    /// Loads what the manifest names, the root's filesystem and what that is on, and what the hardware that is
    /// visible now asks for.
    pub fn load(manifest: &Manifest, root: &RootIdentity) -> Result<Drivers> {
        if parts::came_by_takeover() {
            log::info!("drivers: the running kernel has those it needs");
            return Ok(Drivers::none());
        }
        let directory = Path::new("/lib/modules").join(&manifest.kernel.release);
        let read = |name: &str| {
            let path = directory.join(name);
            fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
        };
        let drivers = Drivers {
            dependencies: modules::parse_dep(&read("modules.dep")?).context("read modules.dep")?,
            aliases: modules::parse_alias(&read("modules.alias")?),
            directory: directory.clone(),
        };
        drivers.insert(manifest.kernel.load.iter().map(String::as_str))?;
        drivers.load_for(root)?;
        drivers.load_for_hardware()?;
        if !watchdog::exists() {
            // The kernel's own is better than none: it sees a PID 1 that hangs.
            drivers.load_named(&["softdog"])?;
        }
        Ok(drivers)
    }

    /// Those of a kernel that is not the image's: it has loaded what it needs, and nothing here is
    /// for it.
    fn none() -> Drivers {
        Drivers {
            directory: PathBuf::new(),
            dependencies: Dependencies::default(),
            aliases: Vec::new(),
        }
    }

    /// Loads what the devices that are visible now ask for. A bus driver brings up devices that
    /// ask for more, so callers do this again while they wait for a device.
    pub fn load_for_hardware(&self) -> Result<()> {
        let aliases = modaliases(Path::new("/sys/devices"));
        let wanted: BTreeSet<&str> = aliases
            .iter()
            .flat_map(|alias| modules::modules_for(alias, &self.dependencies, &self.aliases))
            .collect();
        self.insert(wanted.into_iter())
    }

    /// Loads what mounts a filesystem, and what the device that it is on is put together by.
    pub fn load_for(&self, identity: &RootIdentity) -> Result<()> {
        self.load_named(&[identity.filesystem.name()])?;
        if identity.logical.is_some() {
            self.load_named(&["dm_mod"])?;
        }
        if identity.array.is_some() {
            self.load_named(&["raid1"])?;
        }
        Ok(())
    }

    /// Loads modules by name, with what they need.
    pub fn load_named(&self, names: &[&str]) -> Result<()> {
        // Those that are part of the kernel are in no list.
        let known = |name: &&str| self.dependencies.get(name).is_some();
        self.insert(names.iter().copied().filter(known))
    }

    fn insert<'a>(&self, names: impl Iterator<Item = &'a str>) -> Result<()> {
        for name in self
            .dependencies
            .closure(names)
            .context("order the modules")?
        {
            if Path::new("/sys/module").join(&name).exists() {
                continue;
            }
            // One driver that does not work must not keep the root's driver from being loaded; a
            // root that does not appear is found out a moment later, before the commit point.
            if let Err(e) = self.insert_one(&name) {
                log::warn!("load module {name}: {e:#}");
            }
        }
        Ok(())
    }

    fn insert_one(&self, name: &str) -> Result<()> {
        let module = self
            .dependencies
            .get(name)
            .context("it is not in modules.dep")?;
        let path = self.directory.join(&module.path);
        let file = rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .with_context(|| format!("open {}", path.display()))?;
        let result = match rustix::system::finit_module(&file, c"", 0) {
            // Before Linux 3.8 there is only the call that takes the bytes.
            Err(Errno::NOSYS) => {
                let bytes = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
                rustix::system::init_module(&bytes, c"")
            }
            other => other,
        };
        match result {
            // Somebody was faster, or the driver looked and found no hardware of its kind.
            Ok(()) | Err(Errno::EXIST | Errno::NODEV) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }
}

/// What every device below a directory of sysfs says of itself.
fn modaliases(directory: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![directory.to_owned()];
    while let Some(dir) = open.pop() {
        let Ok(entries) = fs::read_dir(&dir) else {
            // Devices come and go while drivers load.
            continue;
        };
        for entry in entries.flatten() {
            if entry.file_type().is_ok_and(|t| t.is_dir()) {
                open.push(entry.path());
            } else if entry.file_name() == "modalias" {
                found.extend(fs::read_to_string(entry.path()).map(|t| t.trim().to_owned()));
            }
        }
    }
    found.remove("");
    found
}
