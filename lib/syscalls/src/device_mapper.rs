//! The device-mapper's calls of `linux/dm-ioctl.h`, version 4 (every kernel since Linux 2.6): what a device is
//! made of, and making one of parts. All of them go to `/dev/mapper/control`.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// The version whose structures these are; kernels take every later one of the same first number.
const VERSION: [u32; 3] = [4, 0, 0];
const NAME: usize = 128;
const UUID: usize = 129;
/// `DM_STATUS_TABLE_FLAG`: the parameters that were loaded, and not what became of them.
const STATUS_TABLE: u32 = 1 << 4;
/// `DM_BUFFER_FULL_FLAG`: there is more than the buffer holds.
const BUFFER_FULL: u32 = 1 << 8;
/// Room for what a call gives back: some hundred segments.
const BUFFER: usize = 64 << 10;

const DEV_CREATE: u8 = 3;
const DEV_REMOVE: u8 = 4;
/// Suspends a device; without the flag for that it resumes it, with the table that was loaded.
const DEV_SUSPEND: u8 = 6;
const TABLE_LOAD: u8 = 9;
const TABLE_STATUS: u8 = 12;

/// `struct dm_ioctl`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Header {
    version: [u32; 3],
    data_size: u32,
    data_start: u32,
    target_count: u32,
    open_count: i32,
    flags: u32,
    event_number: u32,
    padding: u32,
    device: u64,
    name: [u8; NAME],
    uuid: [u8; UUID],
    data: [u8; 7],
}

const HEADER: usize = size_of::<Header>();

/// `struct dm_target_spec`, which parameters stand behind.
#[repr(C)]
#[derive(Clone, Copy)]
struct Spec {
    start: u64,
    sectors: u64,
    status: i32,
    next: u32,
    kind: [u8; 16],
}

const SPEC: usize = size_of::<Spec>();

/// A part of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its first sector (512 bytes) of the device.
    pub start: u64,
    /// How many.
    pub sectors: u64,
    /// What they are mapped by: `linear`, `thin`…
    pub kind: String,
    /// In the words of that; for `linear` a device and its sector, `254:3 2048`.
    pub parameters: String,
}

/// What a device is made of, by its identifier.
pub fn table(control: BorrowedFd, uuid: &str) -> io::Result<Vec<Target>> {
    let mut header = header("", uuid)?;
    header.flags = STATUS_TABLE;
    let (header, data) = call(control, TABLE_STATUS, header, &[])?;
    parse(&data, header.target_count)
}

/// Makes a device of these parts, which is there when this comes back, under a name and an identifier that
/// no other one has.
pub fn make(control: BorrowedFd, name: &str, uuid: &str, targets: &[Target]) -> io::Result<()> {
    call(control, DEV_CREATE, header(name, uuid)?, &[])?;
    let loaded = load(control, name, targets);
    if loaded.is_err() {
        // Half of it is of no use to anybody; the first error is the one to be told.
        let _ = header(name, "").and_then(|header| call(control, DEV_REMOVE, header, &[]));
    }
    loaded
}

fn load(control: BorrowedFd, name: &str, targets: &[Target]) -> io::Result<()> {
    let mut request = header(name, "")?;
    request.target_count = u32::try_from(targets.len()).map_err(|_| invalid())?;
    call(control, TABLE_LOAD, request, &specs(targets)?)?;
    call(control, DEV_SUSPEND, header(name, "")?, &[])?;
    Ok(())
}

fn invalid() -> io::Error {
    io::Error::from(io::ErrorKind::InvalidInput)
}

fn header(name: &str, uuid: &str) -> io::Result<Header> {
    let mut header = Header {
        version: VERSION,
        data_size: 0,
        data_start: u32::try_from(HEADER).map_err(|_| invalid())?,
        target_count: 0,
        open_count: 0,
        flags: 0,
        event_number: 0,
        padding: 0,
        device: 0,
        name: [0; NAME],
        uuid: [0; UUID],
        data: [0; 7],
    };
    put(&mut header.name, name)?;
    put(&mut header.uuid, uuid)?;
    Ok(header)
}

/// A text with a zero behind it.
fn put(into: &mut [u8], text: &str) -> io::Result<()> {
    if text.len() >= into.len() {
        return Err(invalid());
    }
    into[..text.len()].copy_from_slice(text.as_bytes());
    Ok(())
}

/// Specifications with their parameters, each at a multiple of eight; `next` is counted from each one's own start.
fn specs(targets: &[Target]) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    for target in targets {
        let length = (SPEC + target.parameters.len() + 1).next_multiple_of(8);
        let mut kind = [0; 16];
        put(&mut kind, &target.kind)?;
        let end = out.len() + length;
        let next = u32::try_from(length).map_err(|_| invalid())?;
        out.extend_from_slice(&target.start.to_ne_bytes());
        out.extend_from_slice(&target.sectors.to_ne_bytes());
        out.extend_from_slice(&0_i32.to_ne_bytes());
        out.extend_from_slice(&next.to_ne_bytes());
        out.extend_from_slice(&kind);
        out.extend_from_slice(target.parameters.as_bytes());
        out.resize(end, 0);
    }
    Ok(out)
}

/// The same the other way round; what comes back counts `next` from the start of the first.
fn parse(data: &[u8], count: u32) -> io::Result<Vec<Target>> {
    let damaged = || io::Error::from(io::ErrorKind::InvalidData);
    let text = |bytes: &[u8]| {
        let end = bytes.iter().position(|&byte| byte == 0);
        String::from_utf8_lossy(&bytes[..end.unwrap_or(bytes.len())]).into_owned()
    };
    let mut targets = Vec::new();
    let mut at = 0_usize;
    for _ in 0..count {
        let spec = data.get(at..at + SPEC).ok_or_else(damaged)?;
        let number = |at: usize| u64::from_ne_bytes(spec[at..at + 8].try_into().unwrap_or([0; 8]));
        let next = u32::from_ne_bytes(spec[20..24].try_into().unwrap_or([0; 4])) as usize;
        targets.push(Target {
            start: number(0),
            sectors: number(8),
            kind: text(&spec[24..]),
            parameters: text(&data[at + SPEC..]),
        });
        at = next;
    }
    Ok(targets)
}

/// One call: the header, what stands behind it, and what comes back of both.
fn call(
    control: BorrowedFd,
    command: u8,
    mut header: Header,
    data: &[u8],
) -> io::Result<(Header, Vec<u8>)> {
    let length = HEADER + data.len().max(BUFFER);
    header.data_size = u32::try_from(length).map_err(|_| invalid())?;
    // Of numbers of eight bytes, so that it is aligned as the structure has to be.
    let mut buffer = vec![0_u64; length.div_ceil(8)];
    let start = buffer.as_mut_ptr();
    // `_IOWR(0xfd, command, struct dm_ioctl)`.
    let request = 0xc000_fd00 | (HEADER as libc::c_ulong) << 16 | libc::c_ulong::from(command);
    // SAFETY: the buffer has `length` bytes and more, is aligned for the header, and lives for the length of the
    // call, which reads and writes `data_size` bytes of it at most. Neither header nor data overlaps it, and
    // every pattern of bytes is a header.
    let (result, header) = unsafe {
        start.cast::<Header>().write(header);
        std::ptr::copy_nonoverlapping(data.as_ptr(), start.cast::<u8>().add(HEADER), data.len());
        let result = libc::ioctl(control.as_raw_fd(), request, start);
        (result, start.cast::<Header>().read())
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    if header.flags & BUFFER_FULL != 0 {
        return Err(io::Error::from(io::ErrorKind::OutOfMemory));
    }
    let bytes: Vec<u8> = buffer.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let data = bytes.get(header.data_start as usize..length);
    Ok((header, data.unwrap_or_default().to_vec()))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;

    use super::*;

    fn target(start: u64, sectors: u64, kind: &str, parameters: &str) -> Target {
        Target {
            start,
            sectors,
            kind: kind.to_owned(),
            parameters: parameters.to_owned(),
        }
    }

    #[test]
    fn structures_have_the_kernels_sizes() {
        assert_eq!((HEADER, SPEC), (312, 40));
    }

    #[test]
    fn what_is_told_reads_back() {
        let targets = [
            target(0, 8192, "linear", "254:3 2048"),
            target(8192, 64, "thin", "253:1 7"),
        ];
        let mut bytes = specs(&targets).unwrap();
        assert_eq!(bytes.len() % 8, 0);
        // The kernel counts from the first one.
        let second = u32::from_ne_bytes(bytes[20..24].try_into().unwrap());
        let end = u32::try_from(bytes.len()).unwrap();
        bytes[second as usize + 20..second as usize + 24].copy_from_slice(&end.to_ne_bytes());
        assert_eq!(parse(&bytes, 2).unwrap(), targets);
        assert!(parse(&bytes, 3).is_err());
        assert!(specs(&[target(0, 1, "a kind that is too long", "")]).is_err());
    }

    #[test]
    fn what_is_no_control_does_not_answer() {
        let file = File::open("/dev/null").unwrap();
        assert!(table(file.as_fd(), "LVM-x").is_err());
        assert!(make(file.as_fd(), "x", "LVM-x", &[]).is_err());
        assert!(table(file.as_fd(), &"x".repeat(200)).is_err());
    }
}
