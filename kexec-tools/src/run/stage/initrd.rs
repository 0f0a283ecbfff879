//! What is handed to the RAM environment: the base initramfs, and behind it plan, manifest and
//! carried identity. The kernel unpacks archives that follow each other.
//!
//! All of it is staged in the run's directory, with the payload beside it. From there any entry
//! takes it, and a run that lost its power takes it up again.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{ensure, Context, Result};
use bootpath::grub::embed;
use formats::accounts::AccountFiles;
use formats::plan::{PayloadAt, Plan};
use formats::staged::{INITRAMFS, KERNEL, LOADER, PAYLOAD, WITH_PAYLOAD};
use formats::trailer::PartKind;
use formats::{Digest, Document};
use kexec_loader::initrd::{member, trailer};
use kexec_loader::load::Part;
use plan::needs::{self, SshPart};
use storage::block;

use crate::image::Image;
use crate::run_directory;
use crate::survey::brought;

use super::{carried, on_disk};

/// newc archives begin at multiples of four bytes.
pub const ALIGNMENT: u64 = 4;

/// Stages the run: kernel, initramfs and payload, each a file of its own in the run's directory,
/// synced. They stay there until the new OS has booted, so that the run can be taken up.
pub fn stage(plan: &Plan, image: &Image, directory: &Path) -> Result<()> {
    let (order, digests) = order(plan, image)?;
    // Before the payload, which no boot loader reads: what is free within the firmware's reach is for these.
    let kernel = directory.join(KERNEL);
    let place = on_disk::Place::of(plan);
    on_disk::write_in_one_run(
        &kernel,
        image.part(PartKind::Kernel).length,
        &place,
        &|out| image.copy_to(PartKind::Kernel, out),
    )?;
    let base = base_bytes(plan, image)?;
    let initramfs = directory.join(INITRAMFS);
    let length = base.next_multiple_of(ALIGNMENT) + order.len() as u64;
    on_disk::write_in_one_run(&initramfs, length, &place, &|out| {
        image.copy_beginning_to(PartKind::Initramfs, base, out)?;
        pad(out, base).context("write the padding")?;
        out.write_all(&order).context("write plan and manifest")
    })?;
    let loader = plan.loader_apart.then(|| directory.join(LOADER));
    if let Some(loader) = &loader {
        let zeros = vec![0; embed::STAGE_SECTORS_MAX as usize * block::SECTOR as usize];
        on_disk::write_in_one_run(loader, zeros.len() as u64, &place, &|out| {
            out.write_all(&zeros).context("write zeros")
        })?;
    }
    write_part(image, PartKind::Payload, &directory.join(PAYLOAD))?;
    let files = on_disk::Files {
        kernel: &kernel,
        initramfs: &initramfs,
        loader: loader.as_deref(),
    };
    on_disk::record(plan, &files, digests)
}

/// Bytes of the image's initramfs that the plan takes: without the ssh server at its end where there is to
/// be none.
pub fn base_bytes(plan: &Plan, image: &Image) -> Result<u64> {
    let whole = image.part(PartKind::Initramfs).length;
    let ssh = SshPart::from(&plan.ram_ssh);
    Ok(needs::initramfs_bytes(&image.manifest()?, whole, ssh))
}

/// The initrd in parts that stay where they are: the staged initramfs, and for a payload in memory
/// the staged payload, made a member by the page in front of it.
pub fn parts(at: PayloadAt, image: &Image, directory: &Path) -> Result<Vec<Part>> {
    let mut parts = vec![map(&directory.join(INITRAMFS))?];
    if at == PayloadAt::Ram {
        let part = image.part(PartKind::Payload);
        let size = payload_size(image)?;
        let path = directory.join(PAYLOAD);
        // What is mapped are the very bytes that are read here: both are the page cache's.
        let staged = File::open(&path).with_context(|| format!("open {}", path.display()))?;
        let found = Digest::of_reader(&mut &staged, &|_| ())
            .with_context(|| format!("read {}", path.display()))?;
        ensure!(
            found == part.digest,
            "{} changed after it was written",
            path.display()
        );
        let header = member(PAYLOAD_MEMBER, size).context("name the payload")?;
        parts.extend([Part::Bytes(header), map(&path)?, Part::Bytes(trailer())]);
    }
    Ok(parts)
}

fn map(path: &Path) -> Result<Part> {
    let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    Part::file(&file).with_context(|| format!("map {}", path.display()))
}

/// The payload as the init finds it.
const PAYLOAD_MEMBER: &str = "reroot/payload";

/// A member of an archive has a size of 32 bits.
fn payload_size(image: &Image) -> Result<u32> {
    u32::try_from(image.part(PartKind::Payload).length)
        .ok()
        .context(
            "the payload is larger than 4 GiB, which an initramfs cannot hold; use --payload disk",
        )
}

/// Writes the initramfs with the payload in it, for `kexec_file_load` alone.
pub fn compose_with_payload(image: &Image, directory: &Path) -> Result<()> {
    let path = directory.join(WITH_PAYLOAD);
    let what = || format!("write {}", path.display());
    let mut out = BufWriter::with_capacity(1 << 20, File::create(&path).with_context(what)?);
    let staged = directory.join(INITRAMFS);
    let length = std::io::copy(
        &mut File::open(&staged).with_context(|| format!("open {}", staged.display()))?,
        &mut out,
    )
    .with_context(what)?;
    pad(&mut out, length).with_context(what)?;
    let size = payload_size(image)?;
    let mut payload = entry(PAYLOAD_MEMBER, REGULAR | 0o400).write(&mut out, size);
    image.copy_to(PartKind::Payload, &mut payload)?;
    payload.finish().with_context(what)?;
    cpio::newc::trailer(&mut out).with_context(what)?;
    let file = out
        .into_inner()
        .map_err(std::io::IntoInnerError::into_error)
        .with_context(what)?;
    let length = file.metadata().with_context(what)?.len();
    ensure!(
        length < 1 << 32,
        "the initramfs has {length} bytes; use --payload disk"
    );
    Ok(())
}

/// What the run is told: plan, manifest, carried files and accounts, as an archive for the
/// initramfs, and the digest of each file.
fn order(plan: &Plan, image: &Image) -> Result<(Vec<u8>, BTreeMap<String, Digest>)> {
    let carried = carried::pack(&plan.identity)?;
    let accounts = machine::accounts::read(Path::new("/")).context("read the accounts")?;
    ensure_as_planned(plan, &accounts)?;
    let overlay = plan
        .overlay
        .as_ref()
        .map(|overlay| brought::overlay_again(overlay, &plan.accounts))
        .transpose()?;
    let manifest = image.bytes(PartKind::Manifest)?;
    let plan = plan.to_json().into_bytes();
    let (mut out, mut digests) = (Vec::new(), BTreeMap::new());
    for name in ["reroot", "reroot/accounts"] {
        directory_entry(&mut out, name).context(name)?;
    }
    for (name, bytes) in [
        ("reroot/plan.json", &plan),
        ("reroot/manifest.json", &manifest),
        ("reroot/carried.tar", &carried),
        ("reroot/accounts/passwd", &accounts.passwd),
        ("reroot/accounts/shadow", &accounts.shadow),
        ("reroot/accounts/group", &accounts.group),
        ("reroot/accounts/gshadow", &accounts.gshadow),
        ("reroot/accounts/subuid", &accounts.subuid),
        ("reroot/accounts/subgid", &accounts.subgid),
    ]
    .into_iter()
    .chain(overlay.as_ref().map(|bytes| ("reroot/overlay.tar", bytes)))
    {
        let mut member =
            entry(name, REGULAR | 0o400).write(&mut out, u32::try_from(bytes.len()).context(name)?);
        member
            .write_all(bytes)
            .and_then(|()| member.finish().map(|_| ()))
            .context(name)?;
        digests.insert(name.to_owned(), Digest::of(bytes));
    }
    cpio::newc::trailer(&mut out).context("end the archive")?;
    Ok((out, digests))
}

/// Zeros up to where a newc archive may begin.
fn pad(out: &mut (impl Write + ?Sized), length: u64) -> std::io::Result<()> {
    out.write_all(&vec![
        0;
        (length.next_multiple_of(ALIGNMENT) - length) as usize
    ])
}

/// The accounts are merged behind the commit point, as the plan says; they must be those that it
/// was made for.
fn ensure_as_planned(plan: &Plan, files: &AccountFiles) -> Result<()> {
    let now = identity::accounts::parse(files, &[]).context("read the accounts")?;
    let user = |name: &str| now.users.iter().find(|u| u.name == name).map(|u| u.uid);
    let group = |name: &str| now.groups.iter().find(|g| g.name == name).map(|g| g.gid);
    let users = plan.accounts.users.iter().map(|row| (row, user(&row.name)));
    let groups = plan
        .accounts
        .groups
        .iter()
        .map(|row| (row, group(&row.name)));
    for (row, number) in users.chain(groups) {
        ensure!(
            row.old.is_none() || row.old == number,
            "the account {} has changed since the plan was made; run `go` again",
            row.name
        );
    }
    Ok(())
}

/// Removes what only loading needed.
pub fn remove_loaded(directory: &Path) {
    remove(&[directory.join(WITH_PAYLOAD)]);
}

/// Removes everything that staging and loading have made: the run has failed.
pub fn remove_copies(directory: &Path) {
    remove(&run_directory::copies(directory));
}

fn remove(paths: &[PathBuf]) {
    for path in paths {
        match fs::remove_file(path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                log::warn!("remove {}: {e}", path.display());
            }
            _ => {}
        }
    }
}

const REGULAR: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;

fn entry(name: &str, mode: u32) -> cpio::newc::Builder {
    cpio::newc::Builder::new(name).mode(mode).nlink(1)
}

fn directory_entry(out: &mut impl Write, name: &str) -> std::io::Result<()> {
    entry(name, DIRECTORY | 0o700)
        .nlink(2)
        .write(out, 0)
        .finish()
        .map(|_| ())
}

/// Copies a part into a file of its own, closed for writing afterwards as kexec demands.
fn write_part(image: &Image, kind: PartKind, path: &Path) -> Result<()> {
    let what = || format!("write {}", path.display());
    let mut file = File::create(path).with_context(what)?;
    image.copy_to(kind, &mut file)?;
    file.sync_all().with_context(what)
}
