//! Virtual disks: made from a tree, layered for a test, looked into afterwards.
//!
//! A disk is MBR with one ext4 partition at 1 MiB, written part by part at its offset: neither
//! loop partitions nor a device mapper is needed. Follows the MBR layout and GRUB's i386-pc
//! images (boot.img's first 440 bytes in sector 0, core.img from sector 1).

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{bail, Context, Result};

use crate::by_hand::{into_qcow2, BOOT_CODE, DRIVE_CHECK};
use crate::command::run;

/// Where the one partition begins.
pub const PARTITION_OFFSET: u64 = 1 << 20;
const SECTOR: u64 = 512;
const DISK_SIZE: u64 = 4 << 30;
const DISK_SIGNATURE: u32 = 0x7265_726f;
/// What Debian 11's mke2fs makes, spelled out, since the defaults of newer ones differ.
const FEATURES: &str = "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,\
flex_bg,sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum";

/// Makes a bootable disk at `to` from the tree, whose `/boot/grub/i386-pc` holds boot.img and core.img.
pub fn make(tree: &Path, root_uuid: &str, to: &Path) -> Result<()> {
    let raw = to.with_extension("raw");
    let file = File::create_new(&raw).with_context(|| format!("create {}", raw.display()))?;
    file.set_len(DISK_SIZE).context("size the disk")?;

    let partition_size = DISK_SIZE - PARTITION_OFFSET;
    run(Command::new("mkfs.ext4")
        .args([
            "-q", "-F", "-O", FEATURES, "-I", "256", "-i", "16384", "-U", root_uuid,
        ])
        .args([
            "-E",
            &format!("hash_seed={root_uuid},offset={PARTITION_OFFSET},lazy_itable_init=0"),
        ])
        .arg("-d")
        .arg(tree)
        .arg(&raw)
        .arg(format!("{}k", partition_size / 1024)))?;

    let grub = tree.join("boot/grub/i386-pc");
    let boot = fs::read(grub.join("boot.img")).context("read GRUB's boot.img")?;
    let core = fs::read(grub.join("core.img")).context("read GRUB's core.img")?;
    if core.len() as u64 > PARTITION_OFFSET - SECTOR {
        bail!(
            "GRUB's core.img of {} bytes does not fit before the partition",
            core.len()
        );
    }
    let mut sector = [0; SECTOR as usize];
    sector[..BOOT_CODE].copy_from_slice(&boot[..BOOT_CODE]);
    sector[DRIVE_CHECK..DRIVE_CHECK + 2].copy_from_slice(&[0x90, 0x90]);
    sector[BOOT_CODE..BOOT_CODE + 4].copy_from_slice(&DISK_SIGNATURE.to_le_bytes());
    sector[446..462].copy_from_slice(&partition_entry(partition_size));
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    file.write_all_at(&sector, 0).context("write the MBR")?;
    file.write_all_at(&core, SECTOR)
        .context("write GRUB's core.img")?;
    drop(file);

    into_qcow2(&raw, to)
}

/// One active Linux partition; its cylinders, heads and sectors say "use the sector numbers".
fn partition_entry(size: u64) -> [u8; 16] {
    let mut entry = [0; 16];
    entry[0] = 0x80;
    entry[1..4].copy_from_slice(&[0xfe, 0xff, 0xff]);
    entry[4] = 0x83;
    entry[5..8].copy_from_slice(&[0xfe, 0xff, 0xff]);
    entry[8..12].copy_from_slice(&((PARTITION_OFFSET / SECTOR) as u32).to_le_bytes());
    entry[12..].copy_from_slice(&((size / SECTOR) as u32).to_le_bytes());
    entry
}

/// A disk of one machine: what it writes goes to a file of its own over a base that stays as it is.
#[derive(Debug, Clone)]
pub struct Disk {
    path: PathBuf,
}

impl Disk {
    /// A new layer at `path` over the qcow2 file `base`.
    pub fn over(base: &Path, path: &Path) -> Result<Self> {
        run(Command::new("qemu-img")
            .args(["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b"])
            .arg(base)
            .arg(path))?;
        Ok(Self {
            path: path.to_path_buf(),
        })
    }

    /// An empty disk of `size` bytes.
    pub fn empty(path: &Path, size: u64) -> Result<Self> {
        run(Command::new("qemu-img")
            .args(["create", "-q", "-f", "qcow2"])
            .arg(path)
            .arg(size.to_string()))?;
        Ok(Self {
            path: path.to_path_buf(),
        })
    }

    /// Gives it another place; for disks that no machine uses.
    pub fn moved_to(self, path: &Path) -> Result<Self> {
        fs::rename(&self.path, path)
            .with_context(|| format!("move {} to {}", self.path.display(), path.display()))?;
        Ok(Self {
            path: path.to_path_buf(),
        })
    }

    /// Another disk, of this name in the same directory.
    #[must_use]
    pub fn beside(&self, name: &str) -> Disk {
        Disk {
            path: self.path.with_file_name(name),
        }
    }

    /// The qcow2 file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Mounts the root filesystem of a disk that no machine uses. It is a copy that is mounted, so
    /// that the journal can be replayed and the disk still boots as the machine left it.
    pub fn look_into(&self) -> Result<Mounted> {
        let raw = self.path.with_extension("look.raw");
        let at = self.path.with_extension("mnt");
        run(Command::new("qemu-img")
            .args(["convert", "-O", "raw"])
            .arg(&self.path)
            .arg(&raw))?;
        fs::create_dir_all(&at).with_context(|| format!("create {}", at.display()))?;
        run(Command::new("mount")
            .args([
                "-t",
                "ext4",
                "-o",
                &format!("loop,noatime,offset={PARTITION_OFFSET}"),
            ])
            .arg(&raw)
            .arg(&at))?;
        Ok(Mounted { raw, at })
    }
}

/// A disk's root filesystem, mounted on this machine until dropped.
#[derive(Debug)]
pub struct Mounted {
    raw: PathBuf,
    at: PathBuf,
}

impl Mounted {
    /// The path on this machine of the absolute path `path` on the disk. Nothing follows the
    /// disk's own links for the caller: one to an absolute path would lead to this machine's files.
    pub fn path(&self, path: &str) -> PathBuf {
        self.at.join(path.trim_start_matches('/'))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // A drop cannot fail; what stays mounted is said, and its directory stays with it.
        if let Err(error) = run(Command::new("umount").arg(&self.at)) {
            eprintln!("harness: {error:#}");
            return;
        }
        let _ = fs::remove_dir(&self.at);
        let _ = fs::remove_file(&self.raw);
    }
}
