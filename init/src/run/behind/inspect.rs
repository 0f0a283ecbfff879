//! Checking the result as a firmware, a loader and a kernel would follow it: master boot record →
//! core image → configuration → kernel → initrd → root → fstab → init. Then the kept tree.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{ensure, Context, Result};
use bootpath::grub::config;
use bootpath::grub::config::BootEntry;
use formats::confirm::HookOutcome;
use formats::facts::Subvolume;
use formats::measure::Measure;
use identity::mounts;
use tree::in_root;

use crate::root::target::{self, TARGET};
use crate::run::behind::fstab;
use crate::run::behind::new_initrd;
use crate::run::behind::new_loader::NewLoader;
use crate::run::behind::unpack::Counts;
use crate::run::boot_paths::AllBeside;
use crate::run::data::Run;
use crate::run::kept;

/// Proof that the new OS is whole and will be booted. Only this may reboot normally.
pub struct BootableRoot {
    pub(in crate::run) run: Run,
    pub(in crate::run) counts: Counts,
    /// Every kept path as it is now: as it was before the wipe.
    pub(in crate::run) after: Vec<Measure>,
    /// The boot loader: it is in its place, and nothing that starts it yet.
    pub(in crate::run) loader: AllBeside,
    /// What of the carried files and the overlay was left out, and why.
    pub(in crate::run) obstructed: Vec<String>,
    /// What became of the programs that were called in the new OS's root.
    pub(in crate::run) called: Vec<HookOutcome>,
}

/// Checks everything; returns the kept paths' measures.
pub fn inspect(run: &Run, loader: &AllBeside) -> Result<Vec<Measure>> {
    loader.inspect(&NewLoader)?;
    let path = target::at("/boot/grub/grub.cfg");
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let path = target::at("/boot/grub/grubenv");
    // GRUB goes on without one, and so does this.
    let environment = fs::read(&path).unwrap_or_default();
    let entry =
        config::default_entry(&text, &environment).context("follow grub.cfg to what GRUB boots")?;
    inspect_entry(run, &entry)?;
    inspect_fstab(run)?;
    inspect_init()?;
    let after = kept::measure(&run.plan)?;
    for ((kept, before), after) in run.plan.keep.iter().zip(&run.before).zip(&after) {
        ensure!(
            before.is_same_tree(after),
            "{} is not as it was: before {before:?}, after {after:?}",
            kept.path
        );
    }
    Ok(after)
}

fn inspect_entry(run: &Run, entry: &BootEntry) -> Result<()> {
    let subvolume = run.plan.root.subvolume.as_ref();
    let resolve = |path: &str| match subvolume.map(Subvolume::prefix) {
        None | Some("") => resolve_in_root(path),
        Some(prefix) => {
            let inner = path
                .strip_prefix(prefix)
                .filter(|inner| inner.starts_with('/'));
            resolve_in_root(inner.with_context(|| {
                format!("GRUB looks for {path}, which is not in the root's subvolume {prefix}")
            })?)
        }
    };
    let kernel = read_start(&resolve(&entry.kernel)?, new_initrd::KERNEL_HEAD)?;
    ensure!(
        kernel.get(0x202..0x206) == Some(b"HdrS"),
        "{} is not a Linux kernel",
        entry.kernel
    );
    ensure!(
        !entry.initrds.is_empty(),
        "the entry that GRUB boots loads no initrd"
    );
    let initrds = entry
        .initrds
        .iter()
        .map(|path| resolve(path))
        .collect::<Result<Vec<_>>>()?;
    new_initrd::inspect(run, &kernel, &initrds, &resolve_in_root)?;
    let expected = match &run.plan.root.logical {
        Some(volume) => format!("/dev/mapper/{}", volume.name),
        None => format!("UUID={}", run.plan.root.fs_uuid),
    };
    ensure!(
        entry.root() == Some(expected.as_str()),
        "GRUB boots root {:?}, expected {expected}",
        entry.root()
    );
    if let Some(prefix) = subvolume.map(Subvolume::prefix).filter(|p| !p.is_empty()) {
        let flags = entry
            .parameters
            .iter()
            .rev()
            .find_map(|p| p.strip_prefix("rootflags="));
        let named = flags.into_iter().flat_map(|flags| flags.split(','));
        let named = named.rev().find_map(|flag| flag.strip_prefix("subvol="));
        ensure!(
            named.map(|path| path.trim_matches('/')) == Some(prefix.trim_matches('/')),
            "GRUB boots with rootflags {flags:?}, which do not name the subvolume {prefix}"
        );
    }
    log::info!("check: GRUB boots {} with root {expected}", entry.kernel);
    Ok(())
}

fn inspect_fstab(run: &Run) -> Result<()> {
    let path = target::at("/etc/fstab");
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let expected = format!("UUID={}", run.plan.root.fs_uuid);
    ensure!(
        fstab::root_device(&text).as_ref() == Some(&expected),
        "fstab does not mount {expected} at /"
    );
    for (target, identity) in run.plan.systems() {
        let expected = mounts::source_of(target, identity);
        let line = fstab::line_of(&text, target);
        let found = line.as_ref().map(|line| &line.source);
        let same = found.is_some_and(|found| mounts::is_same_source(&expected, found));
        ensure!(
            same,
            "fstab mounts {found:?} at {target}, expected {expected}"
        );
        let options = line.iter().flat_map(|line| &line.options);
        if let Some(subvolume) = &identity.subvolume {
            ensure!(
                subvolume.is_named_by(options.map(String::as_str)),
                "fstab does not name {} for {target}",
                subvolume.words()
            );
        }
    }
    Ok(())
}

fn inspect_init() -> Result<()> {
    let path = resolve_in_root("/sbin/init")?;
    let start = read_start(&path, 20)?;
    ensure!(start.starts_with(b"\x7fELF"), "/sbin/init is not a program");
    let mode = fs::metadata(&path)
        .context("look at /sbin/init")?
        .permissions()
        .mode();
    ensure!(mode & 0o111 != 0, "/sbin/init may not be executed");
    Ok(())
}

fn read_start(path: &Path, length: usize) -> Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|f| f.take(length as u64).read_to_end(&mut bytes))
        .with_context(|| format!("read {}", path.display()))?;
    Ok(bytes)
}

/// Follows a path as the new OS will: links lead from the machine's root, not from ours.
fn resolve_in_root(path: &str) -> Result<PathBuf> {
    in_root::find(Path::new(TARGET), Path::new(path))
        .with_context(|| format!("follow {path} in the new OS"))
}
