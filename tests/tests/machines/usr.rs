//! `/usr` on a volume of its own, as the new OS's initrd alone has to deal with it: Debian 13's kernel and initrd out of an
//! image, disks that the guest for disks makes, fstab as a run writes it, and a program on `/usr` for an init. Minutes
//! for what takes a whole reinstallation an hour; `volumes.rs` has those.

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{ensure, Result};
use reroot_tests::bare::Bare;
use reroot_tests::command::{last_lines, run};
use reroot_tests::images::small_trixie;
use reroot_tests::old_server::only_kernel;
use reroot_tests::paths;
use reroot_tests::tiny::maker::maker;

/// The root is on a partition; the rest of the disk is for `/usr`.
const PARTITIONS: &str = r"
for disk in vdb vdc; do
    printf 'label: gpt\nsize=32M\nsize=64M\n' | sfdisk -q /dev/$disk
done
mkfs.ext4 -q -U 4f3c1a52-93d7-4e0b-8c36-d1f1c6a0be11 /dev/vdb1
";

/// Behind what makes its device and sets `device` and `source`: what is on `/usr`, and fstab.
const FILL: &str = r#"
mkfs.ext4 -q -U 4f3c1a52-93d7-4e0b-8c36-d1f1c6a0be13 "$device"
mount /dev/vdb1 /mnt
mkdir /mnt/dev /mnt/etc /mnt/proc /mnt/root /mnt/run /mnt/sys /mnt/usr
echo "$source /usr ext4 nodev 0 2" >/mnt/etc/fstab
mount "$device" /mnt/usr
mkdir /mnt/usr/bin
cp /bin/busybox /mnt/usr/bin/busybox
cat >/mnt/usr/bin/found <<'FOUND'
#!/usr/bin/busybox sh
/usr/bin/busybox grep ' /usr ' /proc/mounts
/usr/bin/busybox poweroff -f
FOUND
chmod 755 /mnt/usr/bin/found
umount /mnt/usr /mnt
"#;

const PLAIN: &str = "device=/dev/vdb2";

const LOGICAL: &str = "
pvcreate -q /dev/vdb2
vgcreate -q shop-vg /dev/vdb2
lvcreate -q -y -W n -n usr -L 40m shop-vg
device=/dev/shop-vg/usr
";

/// All of the volume is on the first disk.
const GROUP_OF_TWO: &str = "
pvcreate -q /dev/vdb2 /dev/vdc2
vgcreate -q shop-vg /dev/vdb2 /dev/vdc2
lvcreate -q -y -W n -n usr -L 40m shop-vg /dev/vdb2
device=/dev/shop-vg/usr
";

const MIRROR: &str = "
mdadm --create --run --assume-clean --level=1 --raid-devices=2 --metadata=1.2 --homehost=shop1 /dev/md1 /dev/vdb2 /dev/vdc2
device=/dev/md1
";

/// Of `/usr`, in fstab.
const BY_UUID: &str = "source=UUID=4f3c1a52-93d7-4e0b-8c36-d1f1c6a0be13";
const BY_NAME: &str = "source=/dev/mapper/shop--vg-usr";
/// A name that nothing has.
const BY_ANOTHER: &str = "source=/dev/mapper/shop--vg-old";

/// How long a boot may take on real hardware, with the half minute that the initrd waits for a device.
const LIMIT: Duration = Duration::from_mins(1);

/// The image's payload, as far as it starts.
fn boot_files(image: &Path, to: &Path) -> Result<()> {
    let parts = to.join("parts");
    run(Command::new(paths::program("reroot"))
        .arg("unpack")
        .args([image, &parts]))?;
    run(Command::new("tar")
        .args(["--zstd", "--wildcards", "-xf"])
        .arg(parts.join("payload.tar.zst"))
        .arg("-C")
        .arg(to)
        .args(["*boot/vmlinuz-*", "*boot/initrd.img-*"]))?;
    Ok(())
}

/// Boots the initrd with a disk's `/usr` made by these commands, with so many of two disks, and gives what its console says.
fn booted(tree: &Path, make: &[&str], count: usize) -> Result<String> {
    let directory = tempfile::tempdir()?;
    let disks = ["a", "b"].map(|name| directory.path().join(name));
    for disk in &disks {
        File::create(disk)?.set_len(112 << 20)?;
    }
    let script = [&[PARTITIONS], make, &[FILL]].concat().join("\n");
    maker()?.run(&script, &[&disks[0], &disks[1]])?;
    let kernel = only_kernel(tree)?;
    let name = kernel.file_name().unwrap_or_default().to_string_lossy();
    let initrd = name.replace("vmlinuz-", "initrd.img-");
    let drives: Vec<String> = disks[..count]
        .iter()
        .map(|disk| format!("file={},format=raw,if=virtio", disk.display()))
        .collect();
    let more: Vec<&str> = drives.iter().flat_map(|d| ["-drive", d.as_str()]).collect();
    let guest = Bare {
        kernel: &kernel,
        initramfs: &std::fs::read(tree.join("boot").join(initrd))?,
        cmdline: "root=UUID=4f3c1a52-93d7-4e0b-8c36-d1f1c6a0be11 ro init=/usr/bin/found",
        memory_mib: 512,
        board: "pc",
        more: &more,
    };
    guest.run(LIMIT)
}

#[test]
#[ignore = "a whole server says so too, and takes an hour: make prove"]
fn the_new_oss_own_initrd_mounts_usr_from_whatever_it_is_on() -> Result<()> {
    let tree = tempfile::tempdir()?;
    boot_files(&small_trixie()?, tree.path())?;
    for (make, count, mounted) in [
        ([PLAIN, BY_UUID], 2, "/dev/vda2 /usr ext4 "),
        ([LOGICAL, BY_NAME], 2, "/dev/mapper/shop--vg-usr /usr ext4 "),
        ([LOGICAL, BY_UUID], 2, "/dev/mapper/shop--vg-usr /usr ext4 "),
        ([MIRROR, BY_UUID], 2, "/dev/md"),
        // What lacks a disk is started after some twenty seconds.
        ([MIRROR, BY_UUID], 1, "/dev/md"),
    ] {
        let console = booted(tree.path(), &make, count)?;
        let found = console.lines().find(|line| line.contains(" /usr ext4 "));
        println!("{make:?} with {count}: {found:?}");
        ensure!(
            found.is_some_and(|found| found.contains(mounted)),
            "{make:?} with {count}:\n{}",
            last_lines(&console, 40)
        );
    }
    // It is fstab's line that it goes by; and a group that is not whole stays away, which a run refuses.
    for (make, count, lacking) in [
        ([LOGICAL, BY_ANOTHER], 2, "shop--vg-old"),
        ([GROUP_OF_TWO, BY_NAME], 1, "shop--vg-usr"),
    ] {
        let console = booted(tree.path(), &make, count)?;
        println!("{make:?} with {count}: held");
        ensure!(
            console.contains(&format!("{lacking} does not exist")),
            "{}",
            last_lines(&console, 40)
        );
    }
    Ok(())
}
