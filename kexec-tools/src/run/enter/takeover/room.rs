//! The RAM environment as a directory: the initramfs unpacked into a tmpfs of its own. /run and /tmp
//! of the old OS may forbid programs, and are unmounted with it.
//!
//! The drivers stay out: they are for the image's kernel, and the running one goes on. A body that
//! is cut short is found, since every file must have the length that its header names.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use anyhow::{bail, ensure, Context, Result};
use cpio::newc;
use flate2::read::MultiGzDecoder;
use formats::plan::{PayloadAt, Plan};
use formats::staged;
use formats::trailer::PartKind;
use formats::Digest;
use plan::needs::{self, SshPart};
use rustix::fs::{makedev, mknodat, FileType, Mode, CWD};
use rustix::mount::{
    mount, mount_change, unmount, MountFlags, MountPropagationFlags, UnmountFlags,
};
use storage::mounts;

use crate::image::Image;
use crate::run::stage::initrd;
use crate::run_directory;

/// The directory in the run's directory.
const NAME: &str = "ram";
/// What the mount names as its source, by which it is found again.
const SOURCE: &str = "reroot-ram";
/// In the RAM environment: it was entered by a takeover, so the kernel is a foreign one.
const MARK: &str = "reroot/taken-over";
/// Beside the unpacked files: their directories, and what the RAM environment writes itself.
const SPARE: u64 = 8 << 20;
/// What the running kernel cannot use.
const LEFT_OUT: &str = "lib/modules";

/// Where it is.
pub fn of(directory: &Path) -> PathBuf {
    directory.join(NAME)
}

/// Makes it. What an earlier attempt left is taken away first.
pub fn make(plan: &Plan, image: &Image, directory: &Path) -> Result<PathBuf> {
    let room = of(directory);
    remove();
    fs::create_dir_all(&room).with_context(|| format!("make {}", room.display()))?;
    let size = size(plan, image, directory)?;
    let options = std::ffi::CString::new(format!("mode=0755,size={size}")).unwrap_or_default();
    mount(
        SOURCE,
        &room,
        "tmpfs",
        MountFlags::NOSUID,
        Some(options.as_c_str()),
    )
    .with_context(|| format!("mount a tmpfs of {} MiB at {}", size >> 20, room.display()))?;
    let filled = fill(plan, image, directory, &room);
    if filled.is_err() {
        remove();
    }
    filled.map(|()| room)
}

/// Takes it away, whichever run it is of.
pub fn remove() {
    let Ok(mounts) = mounts::read() else {
        return;
    };
    for room in mounts
        .iter()
        .filter(|m| m.source == SOURCE && m.target.starts_with(run_directory::BASE))
    {
        // Nobody has a file open in there but by accident; then it goes when he is done.
        let removed = unmount(&room.target, UnmountFlags::DETACH)
            .map_err(io::Error::from)
            .and_then(|()| fs::remove_dir(&room.target));
        if let Err(e) = removed {
            log::warn!("remove {}: {e}", room.target.display());
        }
    }
}

/// Bytes that everything takes, as an upper bound.
fn size(plan: &Plan, image: &Image, directory: &Path) -> Result<u64> {
    let staged = directory.join(staged::INITRAMFS);
    let order = fs::metadata(&staged)
        .with_context(|| format!("look at {}", staged.display()))?
        .len()
        .saturating_sub(initrd::base_bytes(plan, image)?);
    let payload = match plan.payload_at {
        PayloadAt::Ram => image.part(PartKind::Payload).length,
        PayloadAt::Disk => 0,
    };
    let base = needs::unpacked_bytes(&image.manifest()?, SshPart::from(&plan.ram_ssh));
    Ok(base + order + payload + SPARE)
}

fn fill(plan: &Plan, image: &Image, directory: &Path, room: &Path) -> Result<()> {
    // Another mount namespace must not keep it, and pivot_root(2) takes none that is shared.
    mount_change(room, MountPropagationFlags::PRIVATE)
        .with_context(|| format!("make the mount at {} private", room.display()))?;
    let part = image.part(PartKind::Initramfs);
    let whole = image.bytes(PartKind::Initramfs)?;
    ensure!(
        Digest::of(&whole) == part.digest,
        "the image's initramfs changed while it was being read"
    );
    let without = needs::initramfs_bytes(&image.manifest()?, part.length, SshPart::Out);
    let taken = initrd::base_bytes(plan, image)?;
    let (base, ssh) = whole.split_at(whole.len().min(without as usize));
    unpack(&mut MultiGzDecoder::new(base), room).context("unpack the image's initramfs")?;
    if taken > without {
        unpack(&mut MultiGzDecoder::new(ssh), room).context("unpack the ssh server")?;
    }
    drop(whole);
    let staged = directory.join(staged::INITRAMFS);
    let mut order = File::open(&staged).with_context(|| format!("open {}", staged.display()))?;
    order
        .seek(SeekFrom::Start(taken.next_multiple_of(initrd::ALIGNMENT)))
        .with_context(|| format!("read {}", staged.display()))?;
    unpack(&mut order, room).context("unpack plan and carried files")?;
    fs::write(room.join(MARK), "").context("mark the RAM environment")?;
    if plan.payload_at == PayloadAt::Ram {
        let path = room.join("reroot/payload");
        let mut file = File::create(&path).with_context(|| format!("write {}", path.display()))?;
        image.copy_to(PartKind::Payload, &mut file)?;
    }
    Ok(())
}

/// Unpacks one archive. Directories come before what is in them; everything is root's.
fn unpack(archive: &mut impl Read, room: &Path) -> Result<()> {
    loop {
        let mut reader = newc::Reader::new(&mut *archive).context("read a header")?;
        let entry = reader.entry().clone();
        if entry.is_trailer() {
            return Ok(());
        }
        let name = entry.name().to_owned();
        let path = inside(room, &name)?;
        if Path::new(&name).starts_with(LEFT_OUT) {
            reader
                .finish()
                .with_context(|| format!("pass over {name}"))?;
            continue;
        }
        place(&mut reader, &entry, &path).with_context(|| format!("unpack {name}"))?;
        reader
            .finish()
            .with_context(|| format!("read behind {name}"))?;
    }
}

/// The path of a name, which must lead down only.
fn inside(room: &Path, name: &str) -> Result<PathBuf> {
    let plain = Path::new(name)
        .components()
        .all(|c| matches!(c, Component::Normal(_)));
    ensure!(
        plain && !name.is_empty(),
        "the archive has the name {name:?}"
    );
    Ok(room.join(name))
}

fn place<R: Read>(reader: &mut newc::Reader<R>, entry: &newc::Entry, path: &Path) -> Result<()> {
    let mode = entry.mode() & 0o7777;
    let kind = FileType::from_raw_mode(entry.mode());
    match kind {
        FileType::Directory if path.is_dir() => {}
        FileType::Directory => fs::DirBuilder::new().mode(mode).create(path)?,
        FileType::RegularFile => {
            let mut file = fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(mode)
                .open(path)?;
            let length = io::copy(reader, &mut file)?;
            let expected = u64::from(entry.file_size());
            ensure!(
                length == expected,
                "it has {length} bytes, its header says {expected}"
            );
        }
        FileType::Symlink => {
            let mut target = String::new();
            reader.read_to_string(&mut target)?;
            std::os::unix::fs::symlink(target, path)?;
        }
        FileType::CharacterDevice => {
            let device = makedev(entry.rdev_major(), entry.rdev_minor());
            mknodat(CWD, path, kind, Mode::from_raw_mode(mode), device)?;
        }
        other => bail!("an initramfs of reroot has no {other:?}"),
    }
    if kind != FileType::Symlink {
        // The old OS's umask is of no interest.
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn archive(entries: &[(&str, u32, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, mode, bytes) in entries {
            let mut writer = newc::Builder::new(name)
                .mode(*mode)
                .write(&mut out, bytes.len() as u32);
            writer.write_all(bytes).unwrap();
            writer.finish().unwrap();
        }
        newc::trailer(&mut out).unwrap();
        out
    }

    #[test]
    fn everything_but_the_drivers_is_unpacked() {
        let room = tempfile::tempdir().unwrap();
        let bytes = archive(&[
            ("bin", 0o040_755, b""),
            ("bin/sh", 0o120_777, b"busybox"),
            ("init", 0o100_755, b"program"),
            ("lib", 0o040_755, b""),
            ("lib/modules", 0o040_755, b""),
            ("lib/modules/6.1/a.ko", 0o100_644, b"driver"),
        ]);
        unpack(&mut &bytes[..], room.path()).unwrap();
        let at = |name: &str| room.path().join(name);
        assert_eq!(fs::read(at("init")).unwrap(), b"program");
        let mode = fs::metadata(at("init")).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o755);
        assert_eq!(fs::read_link(at("bin/sh")).unwrap(), Path::new("busybox"));
        assert!(at("lib").is_dir() && !at("lib/modules").exists());
        // A second archive adds to the first.
        let second = archive(&[("bin", 0o040_755, b""), ("reroot", 0o040_700, b"")]);
        unpack(&mut &second[..], room.path()).unwrap();
        assert!(at("reroot").is_dir());
    }

    #[test]
    fn cut_or_hostile_archives_are_refused() {
        let room = tempfile::tempdir().unwrap();
        let whole = archive(&[("init", 0o100_755, &[7; 100])]);
        for length in [0, 50, 130, 200, whole.len() - 100] {
            let room = tempfile::tempdir().unwrap();
            let cut = &whole[..length];
            assert!(unpack(&mut &cut[..], room.path()).is_err(), "{length}");
        }
        for name in ["../init", "/init", "a/../../b", "."] {
            let bytes = archive(&[(name, 0o100_755, b"x")]);
            assert!(unpack(&mut &bytes[..], room.path()).is_err(), "{name}");
        }
        let fifo = archive(&[("fifo", 0o010_644, b"")]);
        assert!(unpack(&mut &fifo[..], room.path()).is_err());
    }
}
