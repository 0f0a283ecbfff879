//! The boot loader for the time in which a machine has neither the old OS nor the new one: GRUB core
//! images that load the staged kernel and initramfs by their sectors.
//!
//! The payload's own GRUB makes them, one for each primary partition that a root can be on, since a
//! core image names its partition. They wait in the initramfs: when they are needed nothing can be
//! made any more. What is in them is fixed; what differs from machine to machine they read from the
//! root partition's boot block (`bootpath::grub::staged`).

use std::fs;
use std::path::Path;

use anyhow::{ensure, Context, Result};
use bootpath::grub::{embed, staged};
use storage::mbr::{MBR_SIZE, PRIMARY_MAX};

use crate::inside::run_inside;
use crate::progress::step;

/// What the core images can do: read the disk, run the boot block's commands, load Linux.
const MODULES: &str = "biosdisk part_msdos configfile linux boot echo sleep reboot";

/// Where they are, in the new root.
const GRUB: &str = "usr/lib/grub/i386-pc";

/// A file of the initramfs: its path and its bytes.
pub type LoaderFile = (String, Vec<u8>);

/// Makes `loader/boot.img` and `loader/stage-N.img` with the GRUB of the new root.
pub fn make(root: &Path) -> Result<Vec<LoaderFile>> {
    let progress = step("making the boot loader for the staged image");
    let work = tempfile::tempdir().context("make a directory for GRUB's images")?;
    let shown = work.path().join("made");
    fs::create_dir(&shown).context("make a directory for GRUB's images")?;
    fs::write(shown.join("stage.cfg"), staged::CORE_CONFIG).context("write GRUB's commands")?;
    let script = work.path().join("script");
    fs::write(&script, script_for(&shown)).context("write the script that makes GRUB's images")?;
    run_inside(root, &script, &[&shown], &progress)
        .context("make GRUB's images with the new root's grub-mkimage")?;
    let boot = root.join(GRUB).join("boot.img");
    let boot = fs::read(&boot).with_context(|| format!("read {}", boot.display()))?;
    let mut files = vec![("loader/boot.img".to_owned(), boot)];
    for partition in 1..=PRIMARY_MAX {
        let name = file_name(partition);
        let core = fs::read(shown.join(&name)).with_context(|| format!("read {name}"))?;
        check(&files[0].1, &core)
            .with_context(|| format!("check {name} of the new root's GRUB"))?;
        files.push((format!("loader/{name}"), core));
    }
    progress.done(&format!(
        "{} sectors each",
        files[1].1.len().div_ceil(MBR_SIZE)
    ));
    Ok(files)
}

fn file_name(partition: u32) -> String {
    format!("stage-{partition}.img")
}

fn script_for(shown: &Path) -> String {
    use std::fmt::Write;
    let mut script = format!(
        "#!/bin/sh\nset -eu\ncd '/run/reroot-shown{}'\n",
        shown.display()
    );
    for partition in 1..=PRIMARY_MAX {
        // A prefix without a disk stands for the one that the firmware started.
        let _ = writeln!(
            script,
            "grub-mkimage -O i386-pc -d /{GRUB} -p '(,msdos{partition})/reroot' -c stage.cfg \
             -o {} {MODULES}",
            file_name(partition)
        );
    }
    script
}

/// What a machine will do with it must work with it; better known here than there.
fn check(boot: &[u8], core: &[u8]) -> Result<()> {
    let sectors = core.len().div_ceil(MBR_SIZE) as u64;
    ensure!(
        sectors <= embed::STAGE_SECTORS_MAX,
        "it takes {sectors} sectors, machines are asked for room for {}",
        embed::STAGE_SECTORS_MAX
    );
    let gap = vec![0; (embed::STAGE_SECTORS_MAX as usize + 1) * MBR_SIZE];
    embed::plan(&gap, boot, core).context("it cannot be embedded")?;
    Ok(())
}
