//! kexec: load, and later enter. `kexec_file_load(2)` is the only way in so far.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use anyhow::{Context, Result};
use manifest::plan::{PayloadAt, Plan};
use rustix::system::RebootCommand;

use crate::image::Image;
use crate::initrd;

/// What errors of `kexec_file_load` mean to an operator; errno, cause and remedy.
const EXPLANATIONS: &[(i32, &str)] = &[
    (libc_errno::EPERM, "kexec is disabled (kernel.kexec_load_disabled), locked down, or the caller lacks CAP_SYS_BOOT"),
    (libc_errno::ENOMEM, "too little free memory to copy the initramfs; try --payload disk"),
    (libc_errno::ETXTBSY, "somebody has the kernel or the initramfs open for writing"),
    (libc_errno::ENOEXEC, "the running kernel does not take this kernel's format"),
    (libc_errno::EKEYREJECTED, "the running kernel demands a signature that this kernel does not have; this is final"),
    (libc_errno::ENOKEY, "the running kernel does not have the key of this kernel's signature; this is final"),
    (libc_errno::EBADMSG, "this kernel's signature is broken; this is final"),
    (libc_errno::EADDRNOTAVAIL, "no memory range is large enough for the initramfs; try --payload disk"),
    (libc_errno::EBUSY, "another kexec load is in progress"),
];

/// Error numbers of Linux on x86-64, by name.
mod libc_errno {
    use rustix::io::Errno;
    pub const EPERM: i32 = Errno::PERM.raw_os_error();
    pub const ENOMEM: i32 = Errno::NOMEM.raw_os_error();
    pub const ETXTBSY: i32 = Errno::TXTBSY.raw_os_error();
    pub const ENOEXEC: i32 = Errno::NOEXEC.raw_os_error();
    pub const EKEYREJECTED: i32 = Errno::KEYREJECTED.raw_os_error();
    pub const ENOKEY: i32 = Errno::NOKEY.raw_os_error();
    pub const EBADMSG: i32 = Errno::BADMSG.raw_os_error();
    pub const EADDRNOTAVAIL: i32 = Errno::ADDRNOTAVAIL.raw_os_error();
    pub const EBUSY: i32 = Errno::BUSY.raw_os_error();
}

/// Loads kernel and initramfs from the run's directory.
pub fn load(plan: &Plan, image: &Image, directory: &Path) -> Result<()> {
    let open = |name: &str| {
        let path = directory.join(name);
        File::open(&path).with_context(|| format!("open {}", path.display()))
    };
    let kernel = open(initrd::KERNEL)?;
    let initramfs = match plan.payload_at {
        PayloadAt::Disk => open(initrd::NAME)?,
        PayloadAt::Ram => {
            initrd::compose_with_payload(image, directory)?;
            open(initrd::WITH_PAYLOAD)?
        }
    };
    let cmdline = CString::new(plan.cmdline.as_str()).context("the command line holds a NUL")?;
    log::info!("load: handing kernel and initramfs to kexec");
    syscalls::kexec::file_load(kernel.as_fd(), initramfs.as_fd(), &cmdline)
        .map_err(explain)
        .context("load the RAM environment with kexec_file_load")?;
    let loaded = std::fs::read_to_string("/sys/kernel/kexec_loaded").unwrap_or_default();
    anyhow::ensure!(
        loaded.trim() == "1",
        "kexec_file_load succeeded, but /sys/kernel/kexec_loaded says {loaded:?}"
    );
    log::info!("load: done");
    Ok(())
}

fn explain(e: io::Error) -> anyhow::Error {
    let explanation = EXPLANATIONS
        .iter()
        .find(|(errno, _)| e.raw_os_error() == Some(*errno));
    match explanation {
        Some((_, text)) => anyhow::Error::new(e).context(*text),
        None => e.into(),
    }
}

/// Takes the loaded kernel back.
pub fn unload() {
    if std::fs::read_to_string("/sys/kernel/kexec_loaded").is_ok_and(|t| t.trim() == "1") {
        if let Err(e) = syscalls::kexec::unload() {
            log::error!(
                "unload the RAM environment: {e}; THE NEXT REBOOT MAY ENTER IT: run `kexec -u`, or cut the power instead of rebooting"
            );
        }
    }
}

/// Enters the loaded kernel. Returns the reason if that failed.
pub fn enter() -> anyhow::Error {
    match rustix::system::reboot(RebootCommand::Kexec) {
        Ok(()) => anyhow::anyhow!("kexec returned although it succeeded"),
        Err(e) => anyhow::Error::new(e)
            .context("enter the RAM environment (reboot with LINUX_REBOOT_CMD_KEXEC)"),
    }
}
