//! Changes, as writes in an order. After each group of them the filesystem is one that a check finds
//! nothing wrong with, but for clusters that nothing leads to where a group is the last one made.

use std::collections::BTreeMap;

use super::directory::{Entry, REMOVED, SLOT};
use super::volume::{le32, FatError, Volume, Width};

/// What a disk writes whole, whatever the filesystem calls a sector: bytes.
const ATOMIC: u64 = 512;

/// Bytes to be written, a whole number of 512.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Where, from the partition's start.
    pub at: u64,
    /// What.
    pub bytes: Vec<u8>,
}

/// Writes in groups: all of one are flushed before the next begins.
pub type Edit = Vec<Vec<Write>>;

impl Volume<'_> {
    /// Plans a new file in the directory of `beside`, with its entry in the very sector in which that
    /// one has its own, so that both can change in one write. `name` is as a directory has it: eight and
    /// three capitals, padded by spaces. First its bytes, then the tables, then the entry.
    pub fn put_beside(
        &self,
        beside: &Entry,
        name: &[u8; 11],
        bytes: &[u8],
    ) -> Result<Edit, FatError> {
        let (at, mut sector) = self.sector_of(beside)?;
        let slot = *unused(&sector).first().ok_or_else(|| {
            FatError::NoRoom("the file's directory has no free entry beside it".to_owned())
        })?;
        let behind = (slot + 1) * SLOT;
        if sector[slot * SLOT] == 0 {
            sector[behind] = 0;
        }
        let clusters: Vec<u32> = self
            .free()
            .take(bytes.len().div_ceil(self.geometry.cluster as usize))
            .collect();
        let room = clusters.len() * self.geometry.cluster as usize;
        if room < bytes.len() || bytes.is_empty() {
            return Err(FatError::NoRoom(format!(
                "{room} bytes are free, {} are needed",
                bytes.len()
            )));
        }
        let size = u32::try_from(bytes.len())
            .map_err(|_| FatError::NoRoom("files are smaller than 4 GiB".to_owned()))?;
        let data = clusters
            .iter()
            .zip(bytes.chunks(self.geometry.cluster as usize));
        let data = data.map(|(&cluster, chunk)| {
            let mut bytes = chunk.to_vec();
            bytes.resize(self.geometry.cluster as usize, 0);
            Write {
                at: self.place(cluster),
                bytes,
            }
        });
        let next = clusters.iter().skip(1).copied().chain([u32::MAX]);
        let changes = clusters.iter().copied().zip(next).collect();

        let entry = &mut sector[slot * SLOT..behind];
        entry.fill(0);
        entry[..11].copy_from_slice(name);
        // An ordinary file, of 1 January 1980: nobody knows the time here.
        entry[0x0b] = 0x20;
        for date in [0x10, 0x12, 0x18] {
            entry[date..date + 2].copy_from_slice(&0x21u16.to_le_bytes());
        }
        set(entry, clusters[0], size);
        Ok(vec![
            joined(data.collect()),
            self.tables(&changes)?,
            vec![Write { at, bytes: sector }],
        ])
    }

    /// How many entries are unused in the sector that has this one, and where that is.
    pub fn unused_beside(&self, entry: &Entry) -> Result<(u64, usize), FatError> {
        let (at, sector) = self.sector_of(entry)?;
        Ok((at, unused(&sector).len()))
    }

    /// Plans the exchange of what two files of one directory hold, in one sector: each keeps its name and
    /// gets the other's bytes.
    pub fn exchange(&self, one: &Entry, other: &Entry) -> Result<Write, FatError> {
        let (at, mut sector) = self.sector_of(one)?;
        if self.sector_of(other)?.0 != at || one.is_directory() || other.is_directory() {
            return Err(FatError::Unsound(
                "two files that are to be exchanged have entries in different sectors".to_owned(),
            ));
        }
        for (to, from) in [(one, other), (other, one)] {
            let slot = (to.at - at) as usize;
            let entry = &mut sector[slot..slot + SLOT];
            if entry != to.slot {
                return Err(FatError::Unsound(
                    "an entry has changed meanwhile".to_owned(),
                ));
            }
            set(entry, from.cluster(), from.size());
        }
        Ok(Write { at, bytes: sector })
    }

    /// Plans the removal of a file: its entry first, then its clusters.
    pub fn remove(&self, file: &Entry) -> Result<Edit, FatError> {
        if file.is_directory() {
            return Err(FatError::Unsound("a directory is not removed".to_owned()));
        }
        let (at, mut sector) = self.sector_of(file)?;
        sector[(file.at - at) as usize] = REMOVED;
        let chain = self.chain(file.cluster())?;
        let changes = chain.into_iter().map(|cluster| (cluster, 0)).collect();
        Ok(vec![
            vec![Write { at, bytes: sector }],
            self.tables(&changes)?,
        ])
    }

    /// The sector of the disk that an entry is in: where it is, and its bytes.
    fn sector_of(&self, entry: &Entry) -> Result<(u64, Vec<u8>), FatError> {
        let at = entry.at / ATOMIC * ATOMIC;
        Ok((at, self.at(at, ATOMIC as usize)?))
    }

    /// Bytes of the clusters that a file has.
    pub fn occupied(&self, file: &Entry) -> Result<u64, FatError> {
        Ok(self.chain(file.cluster())?.len() as u64 * self.geometry.cluster)
    }

    /// Writes to every copy of the table; `u32::MAX` ends a chain. The count of free clusters becomes
    /// unknown, which it may be.
    fn tables(&self, changes: &BTreeMap<u32, u32>) -> Result<Vec<Write>, FatError> {
        let g = &self.geometry;
        let mut sectors: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
        for (&cluster, &value) in changes {
            let (at, width) = match g.width {
                Width::Fat16 => (u64::from(cluster) * 2, 2),
                Width::Fat32 => (u64::from(cluster) * 4, 4),
            };
            let start = at / g.sector * g.sector;
            let sector = sectors.entry(start).or_insert_with(|| {
                self.table[start as usize..(start + g.sector) as usize].to_vec()
            });
            let at = (at - start) as usize;
            // FAT32's upper four bits are nobody's and stay.
            let value = match g.width {
                Width::Fat16 => value,
                Width::Fat32 => value & 0x0fff_ffff | le32(sector, at) & 0xf000_0000,
            };
            sector[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
        }
        let mut writes = Vec::new();
        if let Some(at) = g.info {
            let mut bytes = self.at(at, g.sector as usize)?;
            if bytes.starts_with(b"RRaA") && bytes[0x1e8..0x1ec] != [0xff; 4] {
                bytes[0x1e8..0x1ec].fill(0xff);
                writes.push(Write { at, bytes });
            }
        }
        for copy in 0..g.tables {
            let start = g.table_start + copy * g.table_bytes;
            let of_copy = sectors.iter().map(|(at, bytes)| Write {
                at: start + at,
                bytes: bytes.clone(),
            });
            writes.extend(joined(of_copy.collect()));
        }
        Ok(writes)
    }
}

/// The slots of a sector that a new entry may have. What ends a directory must end it behind the new entry
/// too, and the next sector is not changed with this one.
fn unused(sector: &[u8]) -> Vec<usize> {
    let slots = sector.as_chunks::<SLOT>().0;
    let is_free = |&n: &usize| slots[n][0] == REMOVED || (slots[n][0] == 0 && n + 1 < slots.len());
    (0..slots.len()).filter(is_free).collect()
}

fn set(entry: &mut [u8], cluster: u32, size: u32) {
    let cluster = cluster.to_le_bytes();
    entry[0x14..0x16].copy_from_slice(&cluster[2..]);
    entry[0x1a..0x1c].copy_from_slice(&cluster[..2]);
    entry[0x1c..0x20].copy_from_slice(&size.to_le_bytes());
}

/// Writes that follow each other on the disk, as one.
fn joined(writes: Vec<Write>) -> Vec<Write> {
    let mut joined: Vec<Write> = Vec::new();
    for write in writes {
        match joined.last_mut() {
            Some(last) if last.at + last.bytes.len() as u64 == write.at => {
                last.bytes.extend(write.bytes);
            }
            _ => joined.push(write),
        }
    }
    joined
}
