//! kexec: load, and later enter. By `kexec_load(2)` with a loader of our own, or by
//! `kexec_file_load(2)`, as the plan says.

use std::ffi::CString;
use std::fs::File;
use std::path::Path;

use anyhow::{ensure, Context, Result};
use formats::entry::CallPlan;
use formats::entry::{EntryPlan, KexecCall};
use formats::plan::{PayloadAt, Plan};
use formats::staged;
use kexec_loader::errors;
use kexec_loader::load;
use kexec_loader::load::LoadError;
use kexec_loader::running;
use machine::bus_masters::{self, Stopped};
use machine::meminfo;
use plan::entry::CLEARS_BUS_MASTERING;
use plan::needs::{memory_peak, PartSizes, SshPart};
use plan::version::Version;
use rustix::system::RebootCommand;

use crate::image::Image;
use crate::run::stage::initrd;
use crate::survey::earlier;

/// Loads kernel and initramfs from the run's directory, by the plan's call, and by its fallback
/// where the running kernel does not support the first after all.
pub fn load(plan: &Plan, image: &Image, directory: &Path) -> Result<()> {
    let call = plan.entry.call.as_ref();
    let call = call.context("the plan does not say how the kernel is loaded")?;
    let first = by(call.call, plan, image, directory);
    let (Err(error), Some(fallback)) = (&first, call.fallback) else {
        return first;
    };
    let refused = error.downcast_ref::<LoadError>();
    if !refused.is_some_and(|error| error.other_may_do(call.call)) {
        return first;
    }
    if let Err(short) = room_for(fallback, plan, image, directory) {
        return first.context(short);
    }
    log::warn!("load: {error:#}; trying {}", fallback.name());
    by(fallback, plan, image, directory)
}

/// Whether there is memory for a call that was not planned with: services run, and none of them may
/// lose its memory to an attempt.
fn room_for(call: KexecCall, plan: &Plan, image: &Image, directory: &Path) -> Result<()> {
    let entry = EntryPlan {
        call: Some(CallPlan::wished(call)),
        ..plan.entry.clone()
    };
    let ssh = SshPart::from(&plan.ram_ssh);
    // As large as it was staged: carried files and the overlay are in it.
    let initramfs = directory.join(staged::INITRAMFS);
    let length = std::fs::metadata(&initramfs)
        .with_context(|| format!("look at {}", initramfs.display()))?
        .len();
    let sizes = PartSizes {
        handed: length.saturating_sub(initrd::base_bytes(plan, image)?),
        ..image.sizes()
    };
    let peak = memory_peak(&image.manifest()?, sizes, plan.payload_at, &entry, ssh);
    let text = std::fs::read_to_string("/proc/meminfo").context("read /proc/meminfo")?;
    let memory = meminfo::parse(&text).context("understand /proc/meminfo")?;
    ensure!(
        peak.load <= memory.available,
        "{} is not tried instead: it takes {} MiB of memory, {} MiB are available; try --payload disk",
        call.name(),
        peak.load >> 20,
        memory.available >> 20
    );
    Ok(())
}

fn by(call: KexecCall, plan: &Plan, image: &Image, directory: &Path) -> Result<()> {
    log::info!("load: handing kernel and initramfs to {}", call.name());
    let loaded = match call {
        KexecCall::KexecLoad => by_own_loader(plan, image, directory)?,
        KexecCall::KexecFileLoad => by_file(plan, image, directory)?,
    };
    loaded.map_err(|error| explained(call, error))?;
    log::info!("load: done");
    Ok(())
}

/// Nothing is copied: the files stay where they are, in the page cache, until the kernel takes them.
fn by_own_loader(plan: &Plan, image: &Image, directory: &Path) -> Result<Result<(), LoadError>> {
    let kernel = open(&directory.join(staged::KERNEL))?;
    let parts = initrd::parts(plan.payload_at, image, directory)?;
    let loaded = running::read()
        .map_err(LoadError::from)
        .and_then(|machine| load::load(&kernel, &parts, plan.cmdline.as_bytes(), &machine));
    if let Ok(layout) = &loaded {
        for segment in &layout.segments {
            log::debug!("load: segment at {}", segment.memory);
        }
    }
    Ok(loaded.map(|_| ()))
}

fn by_file(plan: &Plan, image: &Image, directory: &Path) -> Result<Result<(), LoadError>> {
    let kernel = open(&directory.join(staged::KERNEL))?;
    let initramfs = match plan.payload_at {
        PayloadAt::Disk => open(&directory.join(staged::INITRAMFS))?,
        PayloadAt::Ram => {
            initrd::compose_with_payload(image, directory)?;
            open(&directory.join(staged::WITH_PAYLOAD))?
        }
    };
    let cmdline = CString::new(plan.cmdline.as_str()).context("the command line holds a NUL")?;
    Ok(load::file_load(&kernel, &initramfs, &cmdline))
}

fn open(path: &Path) -> Result<File> {
    File::open(path).with_context(|| format!("open {}", path.display()))
}

/// The error with what it means; the error itself stays in the chain.
fn explained(call: KexecCall, error: LoadError) -> anyhow::Error {
    let row = error.answer().and_then(|e| errors::explain(call, e));
    let text = match row {
        Some(row) if row.then == errors::Then::Final => format!("{}; this is final", row.text),
        Some(row) => row.text.to_owned(),
        None => format!("load the RAM environment by {}", call.name()),
    };
    anyhow::Error::new(error).context(text)
}

/// Takes the loaded kernel back.
pub fn unload() {
    if let Err(e) = load::unload() {
        log::error!(
            "unload the RAM environment: {e}; THE NEXT REBOOT MAY ENTER IT: run `kexec -u`, or cut the power instead of rebooting"
        );
    }
}

/// Enters the loaded kernel. Returns the reason if that failed.
pub fn enter() -> anyhow::Error {
    if !earlier::kexec_loaded() {
        return anyhow::anyhow!("no kernel is loaded any more: somebody has unloaded it");
    }
    // Nothing behind this may need the network, and nothing behind this may fail but the jump.
    if let Err(e) = stop_bus_masters() {
        return e;
    }
    match rustix::system::reboot(RebootCommand::Kexec) {
        Ok(()) => anyhow::anyhow!("kexec returned although it succeeded"),
        Err(e) => anyhow::Error::new(e)
            .context("enter the RAM environment (reboot with LINUX_REBOOT_CMD_KEXEC)"),
    }
}

/// Stops what would go on writing to memory that is the next kernel's in a moment.
fn stop_bus_masters() -> Result<()> {
    let masters = bus_masters::find(Path::new("/sys"));
    let mut going_on = Vec::new();
    for (master, stopped) in masters.iter().zip(bus_masters::stop(&masters)) {
        let name = &master.name;
        match stopped {
            Stopped::Unbound if master.has_driver() => {
                log::warn!("enter: {name}: its driver said that it lets go, and still has it");
                going_on.push(name.as_str());
            }
            Stopped::Unbound => log::info!("enter: {name} is stopped: no driver has it any more"),
            Stopped::Silenced(why) => {
                log::info!(
                    "enter: {name}: bus mastering is off; its driver was not unbound: {why}"
                );
            }
            Stopped::No(why) => {
                log::warn!(
                    "enter: {name} may go on writing to memory, which is the next kernel's now: {why}"
                );
                going_on.push(name.as_str());
            }
        }
    }
    let release = rustix::system::uname();
    let release = release.release().to_string_lossy();
    may_enter(&going_on, &release)
}

/// Where no kernel takes bus mastering from a device that could not be stopped, nobody does: the next
/// kernel's own memory would be written to, and no digest is compared there.
fn may_enter(going_on: &[&str], release: &str) -> Result<()> {
    let stops_them = Version::parse(release).is_some_and(|version| version >= CLEARS_BUS_MASTERING);
    ensure!(
        going_on.is_empty() || stops_them,
        "{} could not be stopped, and Linux {release} does not stop it at kexec; nothing was entered. Try \
         `go --entry boot` or `--entry takeover`",
        going_on.join(" and ")
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_that_leaves_devices_writing_is_not_left_by_kexec() {
        for (going_on, release, enters) in [
            (&[][..], "3.2.0-23-generic", true),
            (&["eth0 (virtio0)"], "3.2.0-23-generic", false),
            (&["eth0 (virtio0)"], "3.5.0", true),
            (&["eth0 (virtio0)"], "6.12.1+deb13-amd64", true),
            (&["eth0 (virtio0)"], "2.6.32-431.el6", false),
            (&["eth0 (virtio0)"], "unknown", false),
        ] {
            let entered = may_enter(going_on, release);
            assert_eq!(entered.is_ok(), enters, "{going_on:?} {release}");
        }
    }
}
