//! `kexec_load(2)`, and `kexec_file_load(2)` of Linux 3.17 and later.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::mapping::Mapping;

/// Remove the loaded kernel (`KEXEC_FILE_UNLOAD`).
const UNLOAD: libc::c_ulong = 1;

/// Loads a kernel and an initramfs, to be entered by `reboot(LINUX_REBOOT_CMD_KEXEC)`.
///
/// Both files must be open for reading, and nobody may have them open for writing.
pub fn file_load(kernel: BorrowedFd, initramfs: BorrowedFd, cmdline: &CStr) -> io::Result<()> {
    // SAFETY: both descriptors are open for the length of the call; the command line is
    // NUL-terminated, and its length is given with the NUL, as the call requires.
    let result = unsafe {
        libc::syscall(
            libc::SYS_kexec_file_load,
            kernel.as_raw_fd(),
            initramfs.as_raw_fd(),
            cmdline.to_bytes_with_nul().len(),
            cmdline.as_ptr(),
            0 as libc::c_ulong,
        )
    };
    outcome(result)
}

/// `KEXEC_ARCH_X86_64`: a kernel of another architecture refuses.
const ARCH_X86_64: libc::c_ulong = 62 << 16;

/// Bytes for [`load`], from memory or from a mapped file.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// From memory.
    Bytes(&'a [u8]),
    /// This many bytes of a mapped file, from an offset on.
    File(&'a Mapping, usize, usize),
}

/// Bytes and the physical memory they go to.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// The bytes.
    pub source: Source<'a>,
    /// Where they go.
    pub at: u64,
    /// Size of that memory; what the bytes do not fill is zero.
    pub size: u64,
}

/// `struct kexec_segment`.
#[repr(C)]
struct RawSegment {
    buf: *const libc::c_void,
    bufsz: libc::size_t,
    mem: *const libc::c_void,
    memsz: libc::size_t,
}

/// Loads segments, to be entered at `entry` by `reboot(LINUX_REBOOT_CMD_KEXEC)`. They take the
/// place of what was loaded before, if that works.
pub fn load(entry: u64, segments: &[Segment]) -> io::Result<()> {
    let raw = segments.iter().map(raw_segment);
    let raw: Vec<RawSegment> = raw
        .collect::<Option<_>>()
        .ok_or(io::ErrorKind::InvalidInput)?;
    // SAFETY: every entry of the table holds the address and the length of bytes that stay where
    // they are for the length of the call, which only reads them. Where those of a mapping cannot
    // be read (the file was cut meanwhile) the kernel answers EFAULT. The addresses in `mem` are
    // not of this process, and not used before this kernel ends.
    let result = unsafe {
        libc::syscall(
            libc::SYS_kexec_load,
            entry,
            raw.len(),
            raw.as_ptr(),
            ARCH_X86_64,
        )
    };
    outcome(result)
}

fn raw_segment(segment: &Segment) -> Option<RawSegment> {
    let (buf, bufsz) = match segment.source {
        Source::Bytes(bytes) => (bytes.as_ptr().cast(), bytes.len()),
        Source::File(mapping, offset, length) => (mapping.at(offset, length)?, length),
    };
    Some(RawSegment {
        buf,
        bufsz,
        mem: std::ptr::without_provenance(usize::try_from(segment.at).ok()?),
        memsz: usize::try_from(segment.size).ok()?,
    })
}

/// Removes the loaded kernel by `kexec_load(2)`, whichever call had loaded it.
pub fn unload_by_load() -> io::Result<()> {
    load_nothing(ARCH_X86_64)
}

/// `kexec_load(2)` without segments: with flags that are right, what was loaded is removed.
fn load_nothing(flags: libc::c_ulong) -> io::Result<()> {
    // SAFETY: no segments are passed, so nothing is read, and nothing can be loaded.
    let result = unsafe {
        libc::syscall(
            libc::SYS_kexec_load,
            0_usize,
            0_usize,
            std::ptr::null::<u8>(),
            flags,
        )
    };
    outcome(result)
}

/// Removes the loaded kernel by `kexec_file_load(2)`, whichever call had loaded it.
pub fn unload_by_file_load() -> io::Result<()> {
    // SAFETY: with KEXEC_FILE_UNLOAD the kernel reads no other argument.
    let result = unsafe {
        libc::syscall(
            libc::SYS_kexec_file_load,
            -1,
            -1,
            0_usize,
            std::ptr::null::<u8>(),
            UNLOAD,
        )
    };
    outcome(result)
}

/// Whether the running kernel has the call. Asks with descriptors that cannot be right: a kernel
/// that has it answers `EBADF` or `EPERM`, never `ENOSYS`.
#[must_use]
pub fn file_load_exists() -> bool {
    // SAFETY: no memory is passed; the descriptors are invalid, so nothing can be loaded.
    let result = unsafe {
        libc::syscall(
            libc::SYS_kexec_file_load,
            -1,
            -1,
            1_usize,
            c"".as_ptr(),
            0 as libc::c_ulong,
        )
    };
    !matches!(outcome(result), Err(e) if e.raw_os_error() == Some(libc::ENOSYS))
}

/// Whether the running kernel has `kexec_load(2)`. Asks with flags that cannot be right: a kernel
/// that has it answers `EINVAL` or `EPERM`, never `ENOSYS`.
#[must_use]
pub fn load_exists() -> bool {
    let result = load_nothing(libc::c_ulong::from(u32::MAX));
    !matches!(result, Err(e) if e.raw_os_error() == Some(libc::ENOSYS))
}

fn outcome(result: libc::c_long) -> io::Result<()> {
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
