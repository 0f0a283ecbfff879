//! All of Debian on disks with logical volumes and mirrors: here its own initramfs, its packages of GRUB, systemd and
//! what that makes of fstab decide whether a server comes back, and whether it does after its updates.

use anyhow::{ensure, Context, Result};
use reroot_tests::debian;
use reroot_tests::evidence;
use reroot_tests::images::small_trixie;
use reroot_tests::moments::Switches;
use reroot_tests::old_server::Firmware;
use reroot_tests::power::recorded;
use reroot_tests::reinstall::{reinstall, start, wait_for_new_os, LIMIT};
use reroot_tests::shop_data::KEPT;
use reroot_tests::vm::{Machine, USUAL_MEMORY_MIB};
use reroot_tests::volume_server::{row, server, VOLUME_DISKS};

use crate::cuts::{DECISION, SWITCHED, TAKEN_UP};
use crate::power_cuts::{expect_new, is_new};

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

/// So many mirrors, each with so many of its disks.
fn has_arrays(machine: &Machine, count: usize, disks: &str) -> Result<()> {
    let found = machine.expect("cat /proc/mdstat")?;
    ensure!(
        found.matches(disks).count() == count,
        "not {count} of {disks}: {found}"
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
    has_arrays(&machine, 2, BOTH)?;
    let before = evidence::gather(&machine, &KEPT)?;
    reinstall(&mut machine, &image, "--entry kexec")?;
    let is_new = |machine: &Machine, disks: &str| -> Result<()> {
        is_new(machine, &before)?;
        is_on(machine, &[("/", "/dev/md")])?;
        machine.expect("grep -q ^/dev/md /proc/swaps")?;
        has_arrays(machine, 2, disks)
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

/// Something of the site's on `/usr`, which is kept.
const ON_USR: &str = "/usr/local/share/shop";

/// That, as it is now.
fn on_usr(machine: &Machine) -> Result<String> {
    machine.expect(&format!(
        "stat -c '%n %i %U %G %a %Y' {ON_USR} {ON_USR}/labels && sha256sum {ON_USR}/labels"
    ))
}

/// Debian 13's own initrd mounts it, by the line of fstab: without it there is no systemd.
#[test]
#[ignore = "all of Debian, as on a tiny machine: make prove"]
fn usr_on_a_partition_of_its_own() -> Result<()> {
    let image = small_trixie()?;
    let server = server(row("usr-apart")?)?;
    let (mut machine, mut recording) =
        recorded(server.server.clone(), "volumes-usr", USUAL_MEMORY_MIB)?;
    let places = [("/", "/dev/vda2"), ("/usr", "/dev/vda3")];
    is_on(&machine, &places)?;
    machine.expect(&format!(
        "mkdir -p {ON_USR} && echo 4711 >{ON_USR}/labels && chown -R shop: {ON_USR} && touch /usr/old && sync"
    ))?;
    let (before, of_usr) = (evidence::gather(&machine, &KEPT)?, on_usr(&machine)?);
    let begun = recording.writes()?.len();
    reinstall(
        &mut machine,
        &image,
        &format!("--entry kexec --keep {ON_USR}"),
    )?;
    let is_whole = |machine: &Machine| -> Result<()> {
        is_new(machine, &before)?;
        is_on(machine, &places)?;
        machine.expect("findmnt -n -o OPTIONS /usr | grep nodev && grep -q ^/dev/vda4 /proc/swaps && ! test -e /usr/old")?;
        ensure!(on_usr(machine)? == of_usr, "{}", on_usr(machine)?);
        Ok(())
    };
    is_whole(&machine)?;
    drop(machine);
    // All but the last switch is on the disk, and for that /usr is not put together.
    let writes = recording.writes()?;
    let at = Switches::of(Firmware::Bios, &recording, &writes, begun)?;
    let cut = recording.disk_after("usr-before-switch", &writes, at.switched, |_| false)?;
    let mut machine = cut.boot(USUAL_MEMORY_MIB)?;
    let patience = machine.patience(DECISION);
    machine.wait_for_line(SWITCHED, patience)?;
    wait_for_new_os(&mut machine)?;
    is_whole(&machine)
}

/// What is on the filesystem of `/boot`, which is mounted at a place.
fn of_boot(machine: &Machine, at: &str) -> Result<String> {
    machine.expect(&format!(
        "cd {at} && find . -xdev -type f -exec b2sum {{}} + | sort | b2sum"
    ))
}

/// Two questions in one machine: a root on a logical volume with `/boot` apart that UEFI starts by a variable, and `/usr` on
/// a logical volume, which Debian 13's initrd mounts by its name.
#[test]
#[ignore = "all of Debian, and a firmware of its own, emulated: make prove"]
fn root_and_usr_on_logical_volumes_that_uefi_starts_by_a_variable() -> Result<()> {
    let image = small_trixie()?;
    let server = server(row("logical-usr")?)?;
    let machine = server.boot("volumes-logical")?;
    machine.expect(
        "efibootmgr --create --disk /dev/vda --part 2 --label debian --loader '\\EFI\\debian\\grubx64.efi' && sync",
    )?;
    let mut machine = server.switched_on_again(machine, &[0])?;
    let started = machine.expect(
        "current=$(efibootmgr | sed -n 's/^BootCurrent: //p') && efibootmgr -v | grep \"^Boot$current\"",
    )?;
    ensure!(started.contains("debian"), "{started}");
    let places = [
        ("/", "/dev/mapper/shop--vg-root"),
        ("/usr", "/dev/mapper/shop--vg-usr"),
    ];
    is_on(&machine, &places)?;
    let (before, boot) = (
        evidence::gather(&machine, &KEPT)?,
        of_boot(&machine, "/boot")?,
    );
    reinstall(&mut machine, &image, "--entry kexec")?;
    let is_whole = |machine: &Machine| -> Result<()> {
        is_new(machine, &before)?;
        is_on(machine, &places)?;
        machine.expect("grep -q '^/dev/mapper/shop--vg-usr /usr ext4 ' /etc/fstab && grep -q ^/dev/dm- /proc/swaps")?;
        // What was /boot is nobody's any more, and as it was.
        machine.expect("! mountpoint /boot && mount -o ro,noload /dev/vda3 /mnt")?;
        let now = of_boot(machine, "/mnt")?;
        machine.expect("umount /mnt")?;
        ensure!(now == boot, "/boot was {boot}, is {now}");
        Ok(())
    };
    is_whole(&machine)?;
    let plan = machine.expect("cat /var/log/reroot/*/plan.json")?;
    ensure!(plan.contains("(debian)"), "{plan}");
    machine.expect("test -d /sys/firmware/efi")?;
    installed_anew(&machine, "grub-pc")?;
    is_started_by_grub_of_the_package(&machine, &["vda"])?;
    // Somebody has GRUB for UEFI installed by its own program, too: under a name and a variable of its own, with the
    // modules that the file in use was not made with.
    let said = machine.expect(
        "grub-install --target=x86_64-efi --efi-directory=/boot/efi --bootloader-id=later --no-nvram 2>&1",
    )?;
    println!("grub-install for UEFI: {said}");
    for firmware in [Firmware::Uefi, Firmware::Bios] {
        println!("started by {firmware:?}");
        machine.expect("sync")?;
        let server = server.clone().started_by(firmware);
        machine = server.switched_on_again(machine, &[0])?;
        let by_uefi = machine.expect("test -d /sys/firmware/efi && echo yes || echo no")?;
        ensure!(
            (by_uefi.trim() == "yes") == (firmware == Firmware::Uefi),
            "{by_uefi}"
        );
        is_whole(&machine)?;
    }
    Ok(())
}

/// By kexec; the power is cut in the wipe, which has three filesystems before it.
#[test]
#[ignore = "all of Debian, as on a tiny machine: make prove"]
fn usr_on_a_mirror_and_a_power_cut_in_the_wipe() -> Result<()> {
    let image = small_trixie()?;
    let server = server(row("mirrored-usr")?)?;
    let mut machine = server.boot("volumes-mirrored-usr")?;
    let places = [("/", "/dev/md"), ("/usr", "/dev/md")];
    is_on(&machine, &places)?;
    has_arrays(&machine, 3, BOTH)?;
    machine.expect("touch /usr/old && sync")?;
    let before = evidence::gather(&machine, &KEPT)?;
    let _started = start(&machine, &image, "--entry kexec")?;
    let patience = machine.patience(LIMIT);
    machine.wait_for_line("reroot: wipe: begins", patience)?;
    let mut machine = server.cut(machine, &[0, 1])?;
    let patience = machine.patience(DECISION);
    machine.wait_for_line(TAKEN_UP, patience)?;
    expect_new(&mut machine, &before)?;
    for (disks, found) in [(&[0, 1][..], BOTH), (&[1], ONE)] {
        println!("disks {disks:?}");
        machine.expect("sync")?;
        machine = server.switched_on_again(machine, disks)?;
        is_new(&machine, &before)?;
        is_on(&machine, &places)?;
        has_arrays(&machine, 3, found)?;
        machine.expect("grep -q ^/dev/md /proc/swaps && ! test -e /usr/old")?;
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
