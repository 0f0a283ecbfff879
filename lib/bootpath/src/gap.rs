//! The gap: a disk's sectors between the master boot record and the first partition, where a PC's
//! boot loader is embedded.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use storage::mbr;
use storage::mbr::MBR_SIZE;

/// At most this much of it is looked at, in sectors; partitions begin at sector 63 or 2048.
const SECTORS_MAX: u64 = 4096;

/// Reads the master boot record and the gap behind it. A disk without such a record, or with one
/// that only guards a GUID partition table, is an error of kind `InvalidData`.
pub fn read(disk: &File) -> io::Result<Vec<u8>> {
    let mut record = [0; MBR_SIZE];
    disk.read_exact_at(&mut record, 0)?;
    let table = mbr::parse(&record)
        .filter(|table| !table.is_protective())
        .ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "the disk has no master boot record of its own",
            )
        })?;
    let sectors = (table.gap_sectors() + 1).min(SECTORS_MAX);
    let mut gap = vec![0; sectors as usize * MBR_SIZE];
    disk.read_exact_at(&mut gap, 0)?;
    Ok(gap)
}
