//! The guest that makes disks: other tests' disks are only as good as it is.

use std::fs::File;

use anyhow::{ensure, Result};
use reroot_tests::tiny::maker::maker;

/// What installers do with two disks: a mirror of each of two partitions, and a logical volume.
const SCRIPT: &str = r"
for disk in vdb vdc; do
    printf 'label: gpt\nsize=32M\nsize=64M\n' | sfdisk -q /dev/$disk
done
mdadm --create /dev/md0 --run --level=1 --metadata=1.2 --raid-devices=2 /dev/vdb1 /dev/vdc1
mkfs.ext4 -q /dev/md0
pvcreate -q /dev/vdb2 /dev/vdc2
vgcreate -q vg0 /dev/vdb2 /dev/vdc2
lvcreate -q -n root -l 20 vg0
mkfs.ext4 -q /dev/vg0/root
mount /dev/vg0/root /mnt
tar -xpf /dev/vdd -C /mnt
umount /mnt
lvs --noheadings -o lv_name,segtype,devices vg0
vgchange -an vg0
mdadm --stop /dev/md0
";

#[test]
#[ignore = "the rows that it makes say so too: make prove"]
fn the_guest_that_makes_disks_has_lvm_and_md() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let at = |name: &str| directory.path().join(name);
    for name in ["a", "b"] {
        File::create(at(name))?.set_len(128 << 20)?;
    }
    std::fs::write(at("tree.tar"), vec![0; 10240])?;
    let (a, b, tree) = (at("a"), at("b"), at("tree.tar"));
    let disks = [a.as_path(), &b, &tree];
    let maker = maker()?;
    let said = maker.run(SCRIPT, &disks)?;
    ensure!(said.contains("linear /dev/vdb2(0)"), "{said}");
    // What it has made is on the disks, and seen by a guest that starts anew.
    let found = maker.run(
        "mdadm --assemble --scan --run; vgchange -ay; blkid; cat /proc/mdstat",
        &disks,
    )?;
    for part in [
        "TYPE=\"LVM2_member\"",
        "TYPE=\"linux_raid_member\"",
        "/dev/mapper/vg0-root: UUID=",
        "raid1 vdb1[0] vdc1[1]",
        "[UU]",
    ] {
        ensure!(found.contains(part), "no {part}: {found}");
    }
    let error = maker.run("echo why; false", &disks).unwrap_err();
    ensure!(format!("{error:#}").contains("why"), "{error:#}");
    Ok(())
}
