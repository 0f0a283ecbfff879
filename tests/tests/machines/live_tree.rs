//! A machine that is used as machines are: a data partition and a bind mount below kept paths, links
//! between kept trees and out of them, a file with many names, options on the root, a customer who
//! makes and removes files in a kept home all the time, and programs that want the processor.
//! Everything that reroot does goes well there.
//!
//! With `REROOT_PROVE` set there are eight of them, and a rehearsal goes first: an emulated machine
//! takes most of an hour for that.

use anyhow::{ensure, Result};
use reroot_tests::confirmed;
use reroot_tests::disk::Disk;
use reroot_tests::evidence;
use reroot_tests::images::small_trixie;
use reroot_tests::reinstall::{start_command, wait, Outcome, IMAGE_ON_MACHINE, KEEP, LIMIT};
use reroot_tests::snapshot::running_old_server;
use reroot_tests::vm::{Machine, USUAL_MEMORY_MIB};

const FURNISH: &str = r"
set -e
for i in $(seq 100); do [ -e /dev/vdb ] && break; sleep 0.1; done
mkfs.ext4 -q -L archive /dev/vdb
mkdir /srv/shop/archive /home/alice/www /var/spool/orders
echo hidden >/srv/shop/archive/hidden-by-the-mount
echo 'LABEL=archive /srv/shop/archive ext4 defaults 0 2' >>/etc/fstab
echo '/srv/shop/www /home/alice/www none bind 0 0' >>/etc/fstab
mount /srv/shop/archive
mount /home/alice/www
echo 2015 >/srv/shop/archive/orders
ln -s /home/alice /srv/shop/alice
ln -s /var/spool/orders /srv/shop/spool
mkdir /srv/backup
cp -a /srv/shop/www /srv/backup/daily.0
for day in 1 2 3 4 5 6 7 8 9; do cp -al /srv/backup/daily.0 /srv/backup/daily.$day; done
touch /srv/backup/daily.0/immutable
ln /srv/backup/daily.0/immutable /opt/outside
chattr +i /srv/backup/daily.0/immutable
sed -i 's/errors=remount-ro/errors=remount-ro,noatime/' /etc/fstab
mount -o remount,noatime /
sync
";

/// A boot ends it.
const BE_BUSY: &str = r"
systemd-run --unit=customer --uid=alice sh -c 'cd /home/alice; while :; do
    mkdir -p t/a/b; touch t/a/b/1 t/2; ln -sf 2 t/3; mv t u; rm -rf u t; done'
for number in $(seq $PROGRAMS); do
    systemd-run --unit=busy-$number sh -c 'while :; do :; done'
done
";

/// How many programs want the processor beside the customer's.
fn programs() -> u32 {
    if is_whole() {
        8
    } else {
        2
    }
}

fn is_whole() -> bool {
    std::env::var_os("REROOT_PROVE").is_some()
}

fn be_busy(machine: &Machine) -> Result<()> {
    machine.script(&format!("set -e\nPROGRAMS={}\n{BE_BUSY}", programs()))?;
    Ok(())
}

#[test]
#[ignore = "ten minutes of a machine that is kept busy: make prove"]
fn a_machine_in_use_with_mounts_below_its_kept_paths_is_reinstalled_and_mounts_them_again(
) -> Result<()> {
    let image = small_trixie()?;
    let mut machine = running_old_server("live-tree", USUAL_MEMORY_MIB)?;
    let data = Disk::empty(&machine.file("archive.qcow2"), 64 << 20)?;
    machine.plug_in(&data, "archive")?;
    machine.script(FURNISH)?;
    machine.copy_to(&image, IMAGE_ON_MACHINE)?;
    be_busy(&machine)?;
    for _ in 0..programs().div_ceil(4) {
        let check = machine.ssh(&format!("{IMAGE_ON_MACHINE} check {KEEP}"))?;
        ensure!(check.status == 0, "{check:?}");
        for (code, part) in [
            ("keep-mounted", "/srv/shop/archive (ext4 on /dev/vdb)"),
            ("keep-mounted", "/home/alice/www"),
            ("keep-symlinks", "/srv/shop/spool → /var/spool/orders"),
            ("keep-hard-links", "1 file has names"),
        ] {
            let is_note = |line: &str| line.trim().starts_with(&format!("note     {code}"));
            let lines: Vec<_> = check.stdout.lines().collect();
            let found = lines
                .windows(2)
                .any(|two| is_note(two[0]) && two[1].contains(part));
            ensure!(found, "{code}, {part}: {}", check.stdout);
        }
        ensure!(
            !check.stdout.contains("/srv/shop/alice"),
            "{}",
            check.stdout
        );
    }
    let plan = machine.expect(&format!("{IMAGE_ON_MACHINE} plan {KEEP}"))?;
    ensure!(plan.contains("mounted again: /srv/shop/archive"), "{plan}");

    let kept = ["/srv/shop", "/home/alice/www"];
    let before = evidence::gather(&machine, &kept)?;
    // Several programs share the processor until services stop.
    let limit = machine.patience(LIMIT) * 2;
    if is_whole() {
        let started = start_command(&machine, "rehearse", "")?;
        let outcome = wait(&mut machine, started, limit, |line| println!("{line}"))?;
        ensure!(outcome == Outcome::Booted, "rehearse: {outcome:?}");
        let status = machine.expect(&format!("{IMAGE_ON_MACHINE} status --json"))?;
        ensure!(status.contains("\"rehearsed\""), "{status}");
        assert_eq!(evidence::gather(&machine, &kept)?, before);
        be_busy(&machine)?;
    }
    let started = start_command(&machine, "go", "")?;
    let outcome = wait(&mut machine, started, limit, |line| println!("{line}"))?;
    ensure!(outcome == Outcome::Booted, "go: {outcome:?}");
    machine.expect("grep trixie /etc/os-release")?;
    confirmed::assert_passed(&machine)?;
    assert_eq!(evidence::gather(&machine, &kept)?, before);
    let mounts = machine
        .expect("findmnt -no SOURCE /srv/shop/archive; findmnt -no FSROOT /home/alice/www")?;
    ensure!(mounts.ends_with("/srv/shop/www\n"), "{mounts}");
    let options = machine.expect("findmnt -no OPTIONS /")?;
    ensure!(
        options.trim().split(',').any(|o| o == "noatime"),
        "{options}"
    );
    machine.expect(
        "test $(stat -c %h /srv/backup/daily.9/index.html) = 10
         lsattr /srv/backup/daily.0/immutable | grep -q '^[^ ]*i'
         umount /srv/shop/archive && grep hidden /srv/shop/archive/hidden-by-the-mount",
    )?;
    Ok(())
}
