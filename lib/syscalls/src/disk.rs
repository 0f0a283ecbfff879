//! Commands to a disk itself: `SG_IO` of `scsi/sg.h`, `NVME_IOCTL_ADMIN_CMD` of
//! `linux/nvme_ioctl.h`. Both only for commands that bring data or nothing; which, the caller says.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

const SG_IO: libc::c_ulong = 0x2285;
const SG_DXFER_NONE: libc::c_int = -1;
const SG_DXFER_FROM_DEV: libc::c_int = -3;
/// `_IOWR('N', 0x41, struct nvme_admin_cmd)`, whose 72 bytes are in the number.
const NVME_IOCTL_ADMIN_CMD: libc::c_ulong = 0xc048_4e41;

/// `struct sg_io_hdr`.
#[repr(C)]
struct SgIoHeader {
    interface_id: libc::c_int,
    dxfer_direction: libc::c_int,
    cmd_len: u8,
    mx_sb_len: u8,
    iovec_count: u16,
    dxfer_len: u32,
    dxferp: *mut libc::c_void,
    cmdp: *const u8,
    sbp: *mut u8,
    timeout: u32,
    flags: u32,
    pack_id: libc::c_int,
    usr_ptr: *mut libc::c_void,
    status: u8,
    masked_status: u8,
    msg_status: u8,
    sb_len_wr: u8,
    host_status: u16,
    driver_status: u16,
    resid: libc::c_int,
    duration: u32,
    info: u32,
}

/// How a SCSI command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScsiAnswer {
    /// The status byte of the device; 0 is GOOD, 2 is CHECK CONDITION.
    pub status: u8,
    /// What went wrong on the way to the device; 0 is nothing.
    pub host_status: u16,
    /// The sense data.
    pub sense: Vec<u8>,
}

/// Sends a SCSI command of 6 to 16 bytes that brings data to `data`, or none where it is empty.
/// `timeout` is in milliseconds.
pub fn scsi_read(
    device: BorrowedFd,
    command: &[u8],
    data: &mut [u8],
    timeout: u32,
) -> io::Result<ScsiAnswer> {
    let mut sense = [0_u8; 64];
    let too_long = |_| io::Error::from(io::ErrorKind::InvalidInput);
    let mut header = SgIoHeader {
        interface_id: libc::c_int::from(b'S'),
        dxfer_direction: if data.is_empty() {
            SG_DXFER_NONE
        } else {
            SG_DXFER_FROM_DEV
        },
        cmd_len: u8::try_from(command.len()).map_err(too_long)?,
        mx_sb_len: 64,
        iovec_count: 0,
        dxfer_len: u32::try_from(data.len()).map_err(too_long)?,
        dxferp: data.as_mut_ptr().cast(),
        cmdp: command.as_ptr(),
        sbp: sense.as_mut_ptr(),
        timeout,
        flags: 0,
        pack_id: 0,
        usr_ptr: std::ptr::null_mut(),
        status: 0,
        masked_status: 0,
        msg_status: 0,
        sb_len_wr: 0,
        host_status: 0,
        driver_status: 0,
        resid: 0,
        duration: 0,
        info: 0,
    };
    // SAFETY: the header is laid out as the kernel's. Its three pointers are to buffers that
    // outlive the call, each with its length beside it: the kernel reads `cmd_len` bytes of the
    // command and writes at most `dxfer_len` and `mx_sb_len` bytes to the other two.
    if unsafe { libc::ioctl(device.as_raw_fd(), SG_IO, &raw mut header) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(ScsiAnswer {
        status: header.status,
        host_status: header.host_status,
        sense: sense[..usize::from(header.sb_len_wr).min(sense.len())].to_vec(),
    })
}

/// `struct nvme_admin_cmd`.
#[repr(C)]
#[derive(Default)]
struct NvmeAdminCommand {
    opcode: u8,
    flags: u8,
    reserved: u16,
    nsid: u32,
    cdw2: u32,
    cdw3: u32,
    metadata: u64,
    addr: u64,
    metadata_len: u32,
    data_len: u32,
    cdw10: u32,
    cdw11: u32,
    cdw12: u32,
    cdw13: u32,
    cdw14: u32,
    cdw15: u32,
    timeout_ms: u32,
    result: u32,
}

/// Reads a log page (`Get Log Page`, opcode 2) of an `NVMe` controller into `data`, whose length is
/// a multiple of four. `timeout` is in milliseconds. A status of the controller's is an error.
pub fn nvme_log_page(
    device: BorrowedFd,
    page: u8,
    data: &mut [u8],
    timeout: u32,
) -> io::Result<()> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidInput);
    if data.is_empty() || !data.len().is_multiple_of(4) {
        return Err(invalid());
    }
    // The number of 32-bit words, less one, in the upper half.
    let words = u16::try_from(data.len() / 4 - 1).map_err(|_| invalid())?;
    let mut command = NvmeAdminCommand {
        opcode: 2,
        nsid: u32::MAX,
        addr: data.as_mut_ptr() as u64,
        data_len: u32::try_from(data.len()).map_err(|_| invalid())?,
        cdw10: u32::from(page) | u32::from(words) << 16,
        timeout_ms: timeout,
        ..NvmeAdminCommand::default()
    };
    // SAFETY: the command is laid out as the kernel's, 72 bytes. It has one address, that of
    // `data`, which outlives the call; opcode 2 only writes to it, at most `data_len` bytes, and
    // the count of words in `cdw10` is the same length.
    let status = unsafe { libc::ioctl(device.as_raw_fd(), NVME_IOCTL_ADMIN_CMD, &raw mut command) };
    match status {
        0 => Ok(()),
        status if status > 0 => Err(io::Error::other(format!(
            "the controller answers status {status:#x}"
        ))),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::mem::size_of;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn structures_have_the_kernels_sizes() {
        assert_eq!(size_of::<SgIoHeader>(), 88);
        assert_eq!(size_of::<NvmeAdminCommand>(), 72);
    }

    #[test]
    fn what_is_no_disk_does_not_answer() {
        let file = File::open("/dev/null").unwrap();
        let mut data = [0; 64];
        assert!(scsi_read(file.as_fd(), &[0; 6], &mut data, 1000).is_err());
        assert!(nvme_log_page(file.as_fd(), 2, &mut data, 1000).is_err());
        assert!(nvme_log_page(file.as_fd(), 2, &mut data[..3], 1000).is_err());
    }
}
