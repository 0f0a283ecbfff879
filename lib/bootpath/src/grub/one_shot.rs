//! Putting the block of [`super::once`] into a machine's grub.cfg, arming it, and taking it out
//! again so that nothing differs: the file that stood there is kept as it is, under a second name,
//! and gets its first name back.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::{environment, once};
use storage::replace::{prepare, Access, Prepared};
use storage::{extents, freeze};

/// Where GRUB's configuration is, by distribution.
pub(crate) const DIRECTORIES: [&str; 2] = ["boot/grub", "boot/grub2"];
pub(crate) const CONFIG: &str = "grub.cfg";
const ENVIRONMENT: &str = "grubenv";
/// Added to a file's name for the one that stood there before.
const BEFORE: &str = ".before";

/// What a run's directory holds of this, beside others.
pub const SAVED: [&str; 2] = ["grub.cfg.before", "grubenv.before"];

/// Why GRUB cannot be made to start something else once.
#[derive(Debug, thiserror::Error)]
pub enum OneShotError {
    /// Reading or writing failed.
    #[error("{what}")]
    File {
        /// What was attempted.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The machine's GRUB is not one that this knows.
    #[error("{0}")]
    Unsuitable(String),
}

fn doing<T>(what: impl FnOnce() -> String, result: io::Result<T>) -> Result<T, OneShotError> {
    result.map_err(|source| OneShotError::File {
        what: what(),
        source,
    })
}

/// The directory of the one grub.cfg below `root`. It must be a plain file on the root filesystem:
/// what is elsewhere is not saved and settled with it.
pub fn find(root: &Path) -> Result<PathBuf, OneShotError> {
    let unsuitable = |why: String| Err(OneShotError::Unsuitable(why));
    let found: Vec<PathBuf> = DIRECTORIES
        .iter()
        .map(|directory| root.join(directory))
        .filter(|directory| directory.join(CONFIG).symlink_metadata().is_ok())
        .collect();
    let [directory] = &found[..] else {
        return unsuitable(match found.len() {
            0 => "there is no /boot/grub/grub.cfg, so the boot loader is not GRUB 2".to_owned(),
            _ => "there are two grub.cfg, and GRUB reads one of them".to_owned(),
        });
    };
    let device = doing(|| format!("look at {}", root.display()), root.metadata())?.dev();
    for name in [CONFIG, ENVIRONMENT] {
        let path = directory.join(name);
        match path.symlink_metadata() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return doing(|| format!("look at {}", path.display()), Err(e)),
            Ok(file) if !file.is_file() => {
                return unsuitable(format!("{} is not a plain file", path.display()));
            }
            Ok(file) if file.dev() != device => {
                return unsuitable(format!("{} is not on the root filesystem", path.display()));
            }
            Ok(_) => {}
        }
    }
    Ok(directory.clone())
}

/// Puts the block in, not armed: GRUB passes over it. `run_directory` is where the old files stay.
pub fn install(root: &Path, run_directory: &Path, block: &str) -> Result<(), OneShotError> {
    let directory = find(root)?;
    let config = directory.join(CONFIG);
    let old = doing(|| format!("read {}", config.display()), fs::read(&config))?;
    let environment = directory.join(ENVIRONMENT);
    let variables = match fs::read(&environment) {
        Ok(block) => block,
        Err(e) if e.kind() == io::ErrorKind::NotFound => environment::empty(),
        Err(e) => return doing(|| format!("read {}", environment.display()), Err(e)),
    };
    // GRUB refuses a file that is no block, and would never take the name out of it.
    let variables = environment::with(&variables, once::VARIABLE, "")
        .or_else(|_| environment::with(&environment::empty(), once::VARIABLE, ""))
        .map_err(|e| OneShotError::Unsuitable(format!("{}: {e}", environment.display())))?;
    let prepare = |path: &Path, bytes: &[u8]| {
        doing(
            || format!("replace {}", path.display()),
            save_and_prepare(path, run_directory, bytes),
        )
    };
    let settle = || {
        doing(
            || format!("freeze and thaw {}", root.display()),
            freeze::settle(root),
        )
    };
    let prepared = [
        prepare(&environment, &variables)?,
        prepare(&config, &once::with_block(&old, block))?,
    ];
    // GRUB replays no journal: it would come by the directory's new block, which may be in its place before
    // the inode is that it leads to.
    settle()?;
    for file in prepared {
        doing(
            || format!("rename a file in {}", directory.display()),
            file.put(),
        )?;
    }
    // GRUB overwrites it in place, so its bytes must be plain sectors.
    let placed = File::open(&environment)
        .map_err(extents::NotOneRun::Read)
        .and_then(|file| extents::place(&file));
    if let Err(e) = placed {
        return Err(OneShotError::Unsuitable(format!(
            "GRUB cannot overwrite {}: {e}",
            environment.display()
        )));
    }
    settle()
}

/// Arms the block: GRUB starts `run` the next time, once. Overwrites the environment block in place,
/// as GRUB does.
pub fn arm(root: &Path, run: &str) -> Result<(), OneShotError> {
    let path = find(root)?.join(ENVIRONMENT);
    let write = || -> io::Result<()> {
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        let block = fs::read(&path)?;
        let armed = environment::with(&block, once::VARIABLE, run).map_err(io::Error::other)?;
        file.write_all_at(&armed, 0)?;
        file.sync_all()
    };
    doing(|| format!("name the run in {}", path.display()), write())
}

/// Takes out whatever a run left in GRUB's configuration below `root`; `false` where there was
/// nothing. What has become of the files meanwhile is not undone.
pub fn remove(root: &Path) -> Result<bool, OneShotError> {
    let mut changed = false;
    for directory in DIRECTORIES.map(|directory| root.join(directory)) {
        let taken_out = remove_from(root, &directory, &|| freeze::settle(root));
        changed |= doing(
            || format!("take reroot's entry out of {}", directory.display()),
            taken_out,
        )?;
    }
    if changed {
        doing(
            || format!("freeze and thaw {}", root.display()),
            freeze::settle(root),
        )?;
    }
    Ok(changed)
}

/// Whether a run left its block in GRUB's configuration below `root`.
pub fn is_installed(root: &Path) -> bool {
    DIRECTORIES.iter().any(|directory| {
        fs::read(root.join(directory).join(CONFIG))
            .is_ok_and(|config| once::without_block(&config).is_some())
    })
}

type Settle<'a> = &'a dyn Fn() -> io::Result<()>;

fn remove_from(root: &Path, directory: &Path, settle: Settle) -> io::Result<bool> {
    let path = directory.join(CONFIG);
    let Some((run, config)) = read(&path)?.and_then(|text| once::without_block(&text)) else {
        return Ok(false);
    };
    let of_run = root.join(".reroot").join(&run);
    give_back(&path, &of_run, &config, settle)?;
    let path = directory.join(ENVIRONMENT);
    let variables = read(&path)?.filter(|b| environment::value(b, once::VARIABLE).is_some());
    if let Some(variables) = variables {
        let without = environment::without(&variables, once::VARIABLE).map_err(io::Error::other)?;
        if environment::is_empty(&without) && !saved(&of_run, &path).exists() {
            fs::remove_file(&path)?;
        } else {
            give_back(&path, &of_run, &without, settle)?;
        }
    }
    File::open(directory)?.sync_all()?;
    Ok(true)
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// Where the file that stood at `path` is kept.
fn saved(run_directory: &Path, path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(BEFORE);
    run_directory.join(name)
}

/// Gives the saved file its name back if that is what shall stand there, else writes it.
fn give_back(path: &Path, run_directory: &Path, bytes: &[u8], settle: Settle) -> io::Result<()> {
    let saved = saved(run_directory, path);
    let unchanged = saved.symlink_metadata().is_ok_and(|m| m.is_file())
        && fs::read(&saved).is_ok_and(|old| old == bytes);
    if unchanged {
        // Its inode is where it was all the time.
        return fs::rename(&saved, path);
    }
    let prepared = prepare(path, bytes, Access::AsBefore)?;
    settle()?;
    prepared.put()
}

/// Keeps what stands at `path` under a second name in the run's directory, and prepares new bytes for it.
fn save_and_prepare(path: &Path, run_directory: &Path, bytes: &[u8]) -> io::Result<Prepared> {
    match fs::hard_link(path, saved(run_directory, path)) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    File::open(run_directory)?.sync_all()?;
    prepare(path, bytes, Access::AsBefore)
}

#[cfg(test)]
mod tests {
    use formats::facts::RootType;

    use super::*;

    const OLD: &str = "set default=0\n";

    fn machine() -> (tempfile::TempDir, PathBuf) {
        let root = tempfile::tempdir_in(".").unwrap();
        fs::create_dir_all(root.path().join("boot/grub")).unwrap();
        fs::write(root.path().join("boot/grub/grub.cfg"), OLD).unwrap();
        let run = root.path().join(".reroot/r");
        fs::create_dir_all(&run).unwrap();
        (root, run)
    }

    /// As [`install`], without what needs a filesystem of one's own.
    fn put_in(root: &Path, run: &Path) {
        let block = once::block("r", RootType::Ext4, "u", "/.reroot/r", "quiet").unwrap();
        let text = once::with_block(OLD.as_bytes(), &block);
        save_and_prepare(&root.join("boot/grub/grub.cfg"), run, &text)
            .and_then(Prepared::put)
            .unwrap();
        let old = fs::read(root.join("boot/grub/grubenv")).unwrap_or_else(|_| environment::empty());
        let new = environment::with(&old, once::VARIABLE, "").unwrap();
        save_and_prepare(&root.join("boot/grub/grubenv"), run, &new)
            .and_then(Prepared::put)
            .unwrap();
    }

    #[test]
    fn the_very_files_come_back() {
        let (root, run) = machine();
        let root = root.path();
        let (config, env) = (
            root.join("boot/grub/grub.cfg"),
            root.join("boot/grub/grubenv"),
        );
        let block = environment::with(&environment::empty(), "saved_entry", "2").unwrap();
        fs::write(&env, &block).unwrap();
        let inodes = [&config, &env].map(|p| p.metadata().unwrap().ino());
        put_in(root, &run);
        assert!(is_installed(root));
        arm(root, "r").unwrap();
        let armed = fs::read(&env).unwrap();
        assert_eq!(environment::value(&armed, once::VARIABLE), Some(&b"r"[..]));
        assert!(remove_from(root, &root.join("boot/grub"), &|| Ok(())).unwrap());
        assert_eq!(fs::read_to_string(&config).unwrap(), OLD);
        assert_eq!(fs::read(&env).unwrap(), block);
        assert_eq!([&config, &env].map(|p| p.metadata().unwrap().ino()), inodes);
        assert_eq!(config.metadata().unwrap().nlink(), 1);
        assert!(!remove_from(root, &root.join("boot/grub"), &|| Ok(())).unwrap());
    }

    #[test]
    fn what_was_saved_and_is_lost_is_made_again_and_a_grubenv_of_our_own_goes() {
        let (root, run) = machine();
        let root = root.path();
        put_in(root, &run);
        fs::remove_dir_all(&run).unwrap();
        assert!(remove_from(root, &root.join("boot/grub"), &|| Ok(())).unwrap());
        assert_eq!(
            fs::read_to_string(root.join("boot/grub/grub.cfg")).unwrap(),
            OLD
        );
        assert!(!root.join("boot/grub/grubenv").exists());
    }

    #[test]
    fn only_one_plain_configuration_will_do() {
        let (root, _) = machine();
        let root = root.path();
        assert_eq!(find(root).unwrap(), root.join("boot/grub"));
        fs::create_dir(root.join("boot/grub2")).unwrap();
        std::os::unix::fs::symlink("x", root.join("boot/grub2/grub.cfg")).unwrap();
        assert!(find(root).is_err());
        fs::remove_file(root.join("boot/grub/grub.cfg")).unwrap();
        assert!(find(root)
            .unwrap_err()
            .to_string()
            .contains("not a plain file"));
        fs::remove_file(root.join("boot/grub2/grub.cfg")).unwrap();
        assert!(find(root).unwrap_err().to_string().contains("not GRUB 2"));
    }
}
