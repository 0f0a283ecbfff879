//! All of Debian on disks with logical volumes and mirrors: here its own initramfs, its packages of GRUB, systemd and
//! what that makes of fstab decide whether a server comes back, and whether it does after its updates.

use anyhow::{ensure, Context, Result};
use reroot_tests::debian;
use reroot_tests::evidence;
use reroot_tests::images::small_trixie;
use reroot_tests::reinstall::reinstall;
use reroot_tests::shop_data::KEPT;
use reroot_tests::vm::Machine;
use reroot_tests::volume_server::{row, server, VOLUME_DISKS};

use crate::power_cuts::is_new;

/// Where a filesystem is mounted from, and that nothing has failed on the way.
fn is_on(machine: &Machine, mounts: &[(&str, &str)]) -> Result<()> {
    machine.expect("systemctl is-system-running --wait; true")?;
    for (at, source) in mounts {
        let found = machine.expect(&format!("findmnt -n -o SOURCE {at}"))?;
        ensure!(found.starts_with(source), "{at} is on {found}");
    }
    let failed = machine.expect("systemctl --failed --no-legend --plain")?;
    ensure!(failed.trim().is_empty(), "failed units: {failed}");
    Ok(())
}

/// Both mirrors, with so many of their disks.
fn has_arrays(machine: &Machine, disks: &str) -> Result<()> {
    let found = machine.expect("cat /proc/mdstat")?;
    ensure!(
        found.matches(disks).count() == 2,
        "not two of {disks}: {found}"
    );
    Ok(())
}

const BOTH: &str = "[2/2] [UU]";
const ONE: &str = "[2/1]";

/// The package installs itself anew by apt, as an update does, without a question.
fn installed_anew(machine: &Machine, package: &str) -> Result<()> {
    let version = machine.expect("dpkg-query -W -f '${Version}' grub-common")?;
    let directory = tempfile::tempdir().context("make a directory for a package")?;
    let file = debian::package("trixie", package, version.trim(), directory.path())?;
    machine.copy_to(&file, "/root/package.deb")?;
    let said = machine.expect(
        "DEBIAN_FRONTEND=noninteractive apt-get install -y --reinstall /root/package.deb 2>&1 </dev/null
         rm /root/package.deb
         sync",
    )?;
    println!("{package}: {said}");
    let state = machine.expect(&format!("dpkg-query -W -f '${{Status}}' {package}"))?;
    ensure!(state == "install ok installed", "{package}: {state}");
    Ok(())
}

/// grub-install has been at work on these disks: each has its core image, at the place that its record names.
fn is_started_by_grub_of_the_package(machine: &Machine, disks: &[&str]) -> Result<()> {
    for disk in disks {
        // But for the block list at the end of its first sector.
        machine.expect(&format!(
            "set -e
             test $(od -An -t u8 -j 92 -N 8 /dev/{disk}) = $(cat /sys/class/block/{disk}1/start)
             cmp -i 1024 -n 16384 /dev/{disk}1 /boot/grub/i386-pc/core.img"
        ))?;
    }
    Ok(())
}

#[test]
#[ignore = "all of Debian, as on a tiny machine: make prove"]
fn a_root_on_a_mirror_that_either_disk_starts() -> Result<()> {
    let image = small_trixie()?;
    let server = server(row("mirror")?)?;
    let mut machine = server.boot("volumes-mirror")?;
    is_on(&machine, &[("/", "/dev/md")])?;
    has_arrays(&machine, BOTH)?;
    let before = evidence::gather(&machine, &KEPT)?;
    reinstall(&mut machine, &image, "--entry kexec")?;
    let is_new = |machine: &Machine, disks: &str| -> Result<()> {
        is_new(machine, &before)?;
        is_on(machine, &[("/", "/dev/md")])?;
        machine.expect("grep -q ^/dev/md /proc/swaps")?;
        has_arrays(machine, disks)
    };
    is_new(&machine, BOTH)?;
    installed_anew(&machine, "grub-pc")?;
    is_started_by_grub_of_the_package(&machine, &["vda", "vdb"])?;
    for (disks, found) in [(&[0, 1][..], BOTH), (&[1], ONE), (&[0], ONE)] {
        println!("disks {disks:?}");
        machine.expect("sync")?;
        machine = server.switched_on_again(machine, disks)?;
        is_new(&machine, found)?;
    }
    Ok(())
}

#[test]
fn every_row_of_these_disks_has_a_test() {
    for row in VOLUME_DISKS {
        let name = format!("\"{}\"", row.name);
        assert!(include_str!("volumes.rs").contains(&name), "{name}");
    }
}
