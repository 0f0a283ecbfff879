//! What a tiny machine is seen to be on its disk: the old OS or the new one, whole, with everything in use that is to be,
//! and everything as it was that is left alone.

use anyhow::{ensure, Context, Result};
use reroot_tests::confirmed;
use reroot_tests::evidence::{self, Evidence};
use reroot_tests::shop_data::KEPT;
use reroot_tests::tiny::layouts::{Kind, Layout, Subvolumes, Volume, GROUP};
use reroot_tests::tiny::{self, WHOLE};
use reroot_tests::vm::Machine;

/// What is true of a machine with such a disk, whichever OS it has.
pub fn is_on(layout: &Layout, machine: &Machine, codename: &str) -> Result<()> {
    let os = machine.expect("cat /etc/os-release")?;
    ensure!(os.contains(&format!("VERSION_CODENAME={codename}")), "{os}");
    machine.expect(WHOLE).context("the OS is not whole")?;
    let fstype = layout.root.name();
    for root in layout.of_kind(Kind::Root) {
        machine.expect(&format!(
            "set -e
             grep -q '^/dev/vda{number} / {fstype} rw' /proc/mounts
             test $(cat /sys/class/block/vda{number}/start) = {start}",
            number = root.number,
            start = root.start,
        ))?;
    }
    for volume in layout.volumes {
        is_on_volume(volume, fstype, machine)?;
    }
    for part in layout.of_kind(Kind::Swap) {
        machine.expect(&format!("grep -q ^/dev/vda{} /proc/swaps", part.number))?;
    }
    for (part, at, filesystem, options) in layout.mounted() {
        machine.expect(&format!(
            "grep '^/dev/vda{} {at} {} rw' /proc/mounts | grep -q '{}'",
            part.number,
            filesystem.name(),
            last_option(options),
        ))?;
    }
    for part in layout.of_kind(Kind::Esp) {
        machine.expect(&format!(
            "grep -q '^/dev/vda{} /boot/efi vfat' /proc/mounts",
            part.number
        ))?;
    }
    Ok(())
}

/// The last of a mount's options, as /proc/mounts has it.
fn last_option(options: &str) -> &str {
    let last = options.rsplit(',').next();
    last.filter(|last| *last != "defaults").unwrap_or_default()
}

/// A logical volume is there, of the parts that it was made of, and in use for what it is for.
fn is_on_volume(volume: &Volume, fstype: &str, machine: &Machine) -> Result<()> {
    let name = format!(
        "{}-{}",
        GROUP.replace('-', "--"),
        volume.name.replace('-', "--")
    );
    let used = match volume.kind {
        Kind::Root => format!("^/dev/$device / {fstype} rw /proc/mounts"),
        Kind::Swap => "^/dev/$device /proc/swaps".to_owned(),
        Kind::Mounted(at, filesystem, options) => {
            let option = last_option(options);
            let filesystem = filesystem.name();
            format!("^/dev/$device {at} {filesystem} rw.*{option} /proc/mounts")
        }
        _ => format!("^/dev/$device /home {fstype} rw /proc/mounts"),
    };
    let (pattern, file) = used.rsplit_once(' ').context("a pattern and a file")?;
    machine.expect(&format!(
        "set -e
         device=$(grep -l '^{name}$' /sys/class/block/dm-*/dm/name | cut -d/ -f5)
         test $(cat /sys/class/block/$device/size) = {sectors}
         # By its own name in one OS, and by that of LVM in the other.
         sed \"s,^/dev/mapper/{name} ,/dev/$device ,\" {file} | grep -q \"{pattern}\"
         # Over the seam of two partitions it has one more.
         test $(lvs --noheadings -o seg_count {GROUP}/{lv}) -ge {parts}",
        sectors = volume.mib.iter().sum::<u64>() * 2048,
        lv = volume.name,
        parts = volume.mib.len(),
    ))?;
    Ok(())
}

/// The old OS, whole, with everything that is kept.
pub fn is_old(layout: &Layout, machine: &Machine, before: &[Evidence]) -> Result<()> {
    is_on(layout, machine, tiny::OLD)?;
    assert_eq!(evidence::gather(machine, &KEPT)?, before);
    Ok(())
}

/// What is on the filesystem of `/boot`, where it has one of its own: nothing of it is touched.
pub fn boot_files(layout: &Layout, machine: &Machine) -> Result<Option<String>> {
    let Some(part) = layout.of_kind(Kind::Boot).next() else {
        return Ok(None);
    };
    files_of_boot(machine, &format!("/dev/vda{}", part.number)).map(Some)
}

/// The same of what this device has.
pub fn files_of_boot(machine: &Machine, device: &str) -> Result<String> {
    let found = machine.expect(&format!(
        "set -e
         grep -q ' /boot ' /proc/mounts && at=/boot || {{ at=/mnt; mount -o ro {device} /mnt; }}
         cd $at
         find . -xdev -path ./efi -prune -o -exec stat -c '%n %i %f %u %g %s %Y' {{}} + | sort
         find . -xdev -type f | sort | xargs b2sum
         cd /
         test $at = /boot || umount /mnt"
    ))?;
    ensure!(found.contains("grub.cfg"), "{found}");
    Ok(found)
}

/// The new OS is whole, has what is kept as it was, and has removed what the run staged.
pub fn is_new(layout: &Layout, machine: &Machine, before: &[Evidence]) -> Result<()> {
    is_whole(layout, machine, before)?;
    confirmed::assert_passed(machine)
}

/// The same where a path started it that was not the one in use: what is staged stays until that has.
pub fn is_new_by_another_path(
    layout: &Layout,
    machine: &Machine,
    before: &[Evidence],
) -> Result<()> {
    is_whole(layout, machine, before)?;
    confirmed::assert_agrees(machine)?;
    machine.expect("test -s /.reroot/*/kernel").map(drop)
}

fn is_whole(layout: &Layout, machine: &Machine, before: &[Evidence]) -> Result<()> {
    is_on(layout, machine, tiny::NEW)?;
    machine.expect(&format!(
        "! ls -d /*/{OLD_FILES} /usr/local/{OLD_FILES} 2>/dev/null"
    ))?;
    machine
        .expect("! ls -d /opt/of-the-old-os /var/of-the-old-os /var/log/of-the-old-os /var/lib/machines 2>/dev/null")?;
    let mut volumes = layout.mounted_volumes();
    if layout.mounted().any(|(_, at, ..)| at == "/home")
        || !layout.subvolumes.is_empty()
        || volumes.any(|(_, _, at, ..)| at == "/home")
    {
        machine.expect("grep -q data /home/left-alone")?;
    }
    assert_eq!(evidence::gather(machine, &KEPT)?, before);
    Ok(())
}

/// Where the root is a subvolume: which ones are mounted, and every one beside it that is left alone, with every byte.
/// Nothing of that changes.
pub fn subvolumes_beside(layout: &Layout, machine: &Machine) -> Result<Option<String>> {
    if layout.subvolumes.is_empty() {
        return Ok(None);
    }
    let left = layout.subvolumes.iter().filter(|s| match s.is {
        Subvolumes::Snapshot => true,
        Subvolumes::Mounted(at, _) => !WIPED_SUBVOLUMES.contains(&at),
        _ => false,
    });
    let left: Vec<&str> = left.map(|s| s.path).collect();
    let mounted = layout.mounted_subvolumes();
    let mounted: Vec<String> = mounted
        .map(|(path, at, _)| format!("grep -q ' {at} btrfs .*subvol=/{path}[, ]' /proc/mounts"))
        .collect();
    let found = machine.expect(&format!(
        "set -e
         grep -q ' / btrfs .*subvol={root}[, ]' /proc/mounts
         {mounted}
         sed -n 's/^[^ ]* \\([^ ]*\\) btrfs .*\\(subvolid=.*\\) 0 0$/\\1 \\2/p' /proc/mounts | sort
         mount -t btrfs -o ro,noatime,subvolid=5 /dev/vda{number} /mnt
         cd /mnt
         ls
         for tree in {left}; do
             # Where the copied root had a subvolume there is a directory that the kernel makes up, with that number.
             # What is in other subvolumes is theirs, and so is the directory that each begins with.
             find $tree -xdev ! -inum 2 \\( -path $tree -o ! -inum 256 \\) -printf '%p %i %y %m %n %U %G %s %T@ %C@ %l\\n' |
                 LC_ALL=C sort | b2sum
             find $tree -xdev -type f -print0 | LC_ALL=C sort -z | xargs -0 b2sum -z | b2sum
         done
         cd /
         umount /mnt",
        root = layout.subvolume(),
        mounted = mounted.join("\n"),
        left = left.join(" "),
        number = layout.of_kind(Kind::Root).next().context("a root")?.number,
    ))?;
    ensure!(found.matches("  -").count() == 2 * left.len(), "{found}");
    Ok(Some(found))
}

/// What is the system's where it is a subvolume that is mounted there.
const WIPED_SUBVOLUMES: [&str; 5] = ["/opt", "/root", "/tmp", "/usr/local", "/var"];

/// Puts something of the old OS into each of them.
pub fn fill_subvolumes(layout: &Layout, machine: &Machine) -> Result<()> {
    for (_, at, _) in layout.mounted_subvolumes() {
        if WIPED_SUBVOLUMES.contains(&at) {
            machine.expect(&format!(
                "mkdir {at}/{OLD_FILES} && cd {at}/{OLD_FILES} && seq 50 | xargs touch && sync"
            ))?;
        }
    }
    Ok(())
}

const OLD_FILES: &str = "files-of-the-old-os";
