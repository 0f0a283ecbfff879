//! The new OS's own initrd, looked into: it must have the drivers that the root hangs on, all that
//! they need, and the root's filesystem, and the same of `/usr` where that is on a filesystem of its own. What is asked is the kernel that the machine will boot, by the
//! lists in its own directory of modules.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::{bail, ensure, Context, Result};
use formats::tools::{LVM, MDADM};
use identity::mounts::MOUNTED_BY_INITRD;
use machine::initrd::{self, Contents, InitrdError};
use machine::modules;
use plan::put_together;
use storage::block;

use crate::run::data::{Run, System};

/// Where a bzImage has the offset of its version, less 0x200 (Linux boot protocol 2.00).
const VERSION_AT: usize = 0x20e;
/// As much of a kernel as holds the version: the part that runs in real mode.
pub const KERNEL_HEAD: usize = 0x8200;

/// Refuses initrds with which the kernel would not find the root. `head` is the kernel's.
pub fn inspect(
    run: &Run,
    head: &[u8],
    initrds: &[PathBuf],
    resolve: &dyn Fn(&str) -> Result<PathBuf>,
) -> Result<()> {
    let release = release(head).context("the kernel does not say its release")?;
    let Some(contents) = look_into(initrds)? else {
        return Ok(());
    };
    ensure!(
        contents.has_init,
        "the new OS's initrd has no /init, which the kernel starts"
    );
    let directory = resolve(&format!("/lib/modules/{release}"))?;
    let device = run.root.device.file_name().unwrap_or_default();
    let device = block::by_name(&device.to_string_lossy()).context("look up the root's device")?;
    let drivers = block::driver_modules(&device);
    let filesystem = run.plan.root.filesystem.name();
    let lacks = lacks(&contents, &release, &directory, filesystem, &drivers)?;
    ensure!(
        lacks.is_empty(),
        "the new OS's initrd lacks what its kernel {release} needs to find the root: {}",
        lacks.join(", ")
    );
    ensure!(
        run.plan.root.array.is_none() || contents.programs.contains(MDADM),
        "the new OS's initrd has no {MDADM}, which puts its root's mirror together"
    );
    ensure!(
        run.plan.root.logical.is_none() || contents.programs.contains(LVM),
        "the new OS's initrd has no {LVM}, which puts its root's logical volume together"
    );
    if let Some(usr) = run
        .systems
        .iter()
        .find(|system| system.target == MOUNTED_BY_INITRD)
    {
        inspect_usr(run, usr, &contents, &release, &directory)?;
    }
    log::info!(
        "check: its initrd has {filesystem} and the root's drivers: {}",
        drivers.join(", ")
    );
    Ok(())
}

/// It mounts that as well, before anything of the new OS runs.
fn inspect_usr(
    run: &Run,
    usr: &System,
    contents: &Contents,
    release: &str,
    directory: &Path,
) -> Result<()> {
    let device = usr.device.file_name().unwrap_or_default();
    let device = block::by_name(&device.to_string_lossy())
        .with_context(|| format!("look up the device of {MOUNTED_BY_INITRD}"))?;
    let drivers = block::driver_modules(&device);
    let lacks = lacks(
        contents,
        release,
        directory,
        usr.filesystem.name(),
        &drivers,
    )?;
    ensure!(
        lacks.is_empty(),
        "the new OS's initrd lacks what its kernel {release} needs to find {MOUNTED_BY_INITRD}: {}",
        lacks.join(", ")
    );
    let mut systems = run.plan.systems();
    let identity = systems.find(|(target, _)| *target == MOUNTED_BY_INITRD);
    for program in identity
        .map(|(_, identity)| put_together::programs(identity))
        .into_iter()
        .flatten()
    {
        ensure!(
            contents.programs.contains(program) && contents.for_all_mounts.contains(program),
            "the new OS's initrd has nothing that calls {program}, which puts together what {MOUNTED_BY_INITRD} is on"
        );
    }
    log::info!(
        "check: its initrd finds {MOUNTED_BY_INITRD}, with {}",
        drivers.join(", ")
    );
    Ok(())
}

/// What all of them have together, as the loader puts them one behind the other. Nothing where one is
/// packed as only the kernel can read it: then nobody knows, which is no reason to hold here.
fn look_into(initrds: &[PathBuf]) -> Result<Option<Contents>> {
    let mut all = Contents::default();
    for path in initrds {
        let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
        match initrd::read(BufReader::with_capacity(1 << 17, file)) {
            Ok(found) => {
                all.has_init |= found.has_init;
                all.programs.extend(found.programs);
                all.for_all_mounts.extend(found.for_all_mounts);
                for (release, names) in found.modules {
                    all.modules.entry(release).or_default().extend(names);
                }
            }
            Err(e @ InitrdError::Compression(_)) => {
                log::warn!("check: {} is not looked into: {e}", path.display());
                return Ok(None);
            }
            Err(e) => {
                return Err(e).with_context(|| format!("look into {}", path.display()));
            }
        }
    }
    Ok(Some(all))
}

fn lacks(
    contents: &Contents,
    release: &str,
    directory: &Path,
    filesystem: &str,
    drivers: &[String],
) -> Result<Vec<String>> {
    let read = |name: &str| {
        let path = directory.join(name);
        fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
    };
    let dependencies = modules::parse_dep(&read("modules.dep")?).context("read modules.dep")?;
    // Kernels before 2.6.33 have no such list.
    let builtin = modules::parse_builtin(&read("modules.builtin").unwrap_or_default());
    let known = |name: &str| dependencies.get(name).is_some() || builtin.contains(name);
    if !known(filesystem) {
        bail!("kernel {release} of the new OS has no {filesystem}");
    }
    // After a takeover they are those of another kernel, which may call them by other names.
    let strange: BTreeSet<&str> = drivers
        .iter()
        .map(String::as_str)
        .filter(|name| !known(name))
        .collect();
    if !strange.is_empty() {
        log::warn!(
            "check: kernel {release} of the new OS has no modules of these names, so that its initrd \
             cannot be asked for them: {}",
            strange.into_iter().collect::<Vec<_>>().join(", ")
        );
    }
    let wanted = drivers.iter().map(String::as_str).chain([filesystem]);
    contents
        .lacks(release, &dependencies, wanted)
        .context("follow modules.dep")
}

/// `uname -r`: the first word of the version in a kernel's head.
fn release(head: &[u8]) -> Option<String> {
    let at = usize::from(*head.get(VERSION_AT)?) | usize::from(*head.get(VERSION_AT + 1)?) << 8;
    let text = head.get(at + 0x200..)?;
    let end = text.iter().position(|&byte| byte == 0 || byte == b' ')?;
    let release = std::str::from_utf8(&text[..end]).ok()?;
    (at != 0 && !release.is_empty()).then(|| release.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names in what mkinitramfs of Debian 13 made on a machine with a virtio disk.
    fn contents(modules: &[&str]) -> Contents {
        Contents {
            modules: [(
                "6.12".to_owned(),
                modules.iter().map(ToString::to_string).collect(),
            )]
            .into(),
            has_init: true,
            ..Contents::default()
        }
    }

    fn modules_directory(builtin: &str) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let dep =
            "kernel/fs/ext4/ext4.ko.xz: kernel/fs/jbd2/jbd2.ko.xz\nkernel/fs/jbd2/jbd2.ko.xz:\n\
            kernel/drivers/ata/ahci.ko.xz: kernel/drivers/ata/libahci.ko.xz\n\
            kernel/drivers/ata/libahci.ko.xz:\nkernel/drivers/block/virtio_blk.ko.xz:\n";
        fs::write(directory.path().join("modules.dep"), dep).unwrap();
        fs::write(directory.path().join("modules.builtin"), builtin).unwrap();
        directory
    }

    #[test]
    fn the_initrd_of_another_machine_is_refused() {
        let directory = modules_directory("kernel/drivers/scsi/sd_mod.ko\n");
        let here = contents(&["ext4", "jbd2", "virtio_blk"]);
        let lacks_of = |contents: &Contents, drivers: &[&str]| {
            let drivers: Vec<_> = drivers.iter().map(ToString::to_string).collect();
            lacks(contents, "6.12", directory.path(), "ext4", &drivers).unwrap()
        };
        assert_eq!(lacks_of(&here, &["virtio_blk"]), [""; 0]);
        assert_eq!(lacks_of(&here, &["ahci", "sd_mod"]), ["libahci", "ahci"]);
        let bare = contents(&["virtio_blk", "ext4"]);
        assert_eq!(lacks_of(&bare, &["virtio_blk"]), ["jbd2"]);
        // Of another kernel's name.
        assert_eq!(lacks_of(&here, &["mpt2sas"]), [""; 0]);
    }

    #[test]
    fn a_kernel_says_its_release() {
        let mut head = vec![0; 0x400];
        head[VERSION_AT] = 0x10;
        head[0x210..0x230].copy_from_slice(b"6.12.118+deb13-amd64 (debian) #1");
        assert_eq!(release(&head).as_deref(), Some("6.12.118+deb13-amd64"));
        for cut in [0x20f, 0x210, 0x218] {
            assert_eq!(release(&head[..cut]), None, "{cut}");
        }
        assert_eq!(release(&[0; 0x400]), None);
    }
}
