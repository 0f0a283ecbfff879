//! A filesystem's parameters and its first table: where things are, and which clusters belong together.

use std::io;

/// Why a filesystem cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum FatError {
    /// Reading failed.
    #[error("read {length} bytes at {at} of the EFI system partition")]
    Read {
        /// Bytes from its start.
        at: u64,
        /// How many.
        length: usize,
        /// Why.
        source: io::Error,
    },
    /// It is another filesystem, or none.
    #[error("it has no FAT filesystem")]
    NotFat,
    /// It is a kind that is not taken.
    #[error("it is no FAT16 or FAT32 that this program takes: {0}")]
    Unknown(&'static str),
    /// What it says cannot be.
    #[error("the filesystem contradicts itself: {0}")]
    Unsound(String),
    /// It does not have the file.
    #[error("it has no {0}")]
    Missing(String),
    /// There is no room for what was asked.
    #[error("it has no room: {0}")]
    NoRoom(String),
}

/// Reads bytes of the partition, from its start.
pub type Reader<'a> = &'a dyn Fn(u64, usize) -> io::Result<Vec<u8>>;

/// Width of a table's entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    Fat16,
    Fat32,
}

/// Where things are, in bytes from the partition's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Geometry {
    pub(super) width: Width,
    pub(super) sector: u64,
    pub(super) cluster: u64,
    pub(super) tables: u64,
    pub(super) table_start: u64,
    pub(super) table_bytes: u64,
    /// Of FAT16: the root directory, which lies apart.
    pub(super) root_start: u64,
    pub(super) root_bytes: u64,
    /// Of FAT32: its first cluster.
    pub(super) root_cluster: u32,
    /// Of FAT32: the sector that counts free clusters.
    pub(super) info: Option<u64>,
    pub(super) data_start: u64,
    /// Clusters, of which the first has number 2.
    pub(super) clusters: u32,
}

/// A filesystem with its first table in memory.
pub struct Volume<'a> {
    pub(super) read: Reader<'a>,
    pub(super) geometry: Geometry,
    pub(super) table: Vec<u8>,
}

/// No partition of this kind has larger tables: a cluster's worth for each of 2^28 would be 1 GiB.
const TABLE_MAX: u64 = 64 << 20;

impl<'a> Volume<'a> {
    /// Reads the parameters and the first table.
    pub fn open(read: Reader<'a>) -> Result<Volume<'a>, FatError> {
        let boot = at(read, 0, 512)?;
        let geometry = geometry(&boot)?;
        let table = at(read, geometry.table_start, geometry.table_bytes as usize)?;
        Ok(Volume {
            read,
            geometry,
            table,
        })
    }

    pub(super) fn at(&self, at: u64, length: usize) -> Result<Vec<u8>, FatError> {
        self::at(self.read, at, length)
    }

    /// Where a cluster is.
    pub(super) fn place(&self, cluster: u32) -> u64 {
        self.geometry.data_start + u64::from(cluster - 2) * self.geometry.cluster
    }

    pub(super) fn is_cluster(&self, cluster: u32) -> bool {
        (2..self.geometry.clusters + 2).contains(&cluster)
    }

    /// What the table says of a cluster: 0 where it is free.
    pub(super) fn next(&self, cluster: u32) -> u32 {
        let at = cluster as usize;
        match self.geometry.width {
            Width::Fat16 => u32::from(u16::from_le_bytes([
                self.table[2 * at],
                self.table[2 * at + 1],
            ])),
            Width::Fat32 => le32(&self.table, 4 * at) & 0x0fff_ffff,
        }
    }

    /// From here on a table's value ends a chain.
    pub(super) fn end_of_chain(&self) -> u32 {
        match self.geometry.width {
            Width::Fat16 => 0xfff8,
            Width::Fat32 => 0x0fff_fff8,
        }
    }

    /// The clusters of a chain, in their order; none of an empty file's.
    pub(super) fn chain(&self, first: u32) -> Result<Vec<u32>, FatError> {
        let mut chain = Vec::new();
        let mut cluster = first;
        while cluster != 0 && cluster < self.end_of_chain() {
            if !self.is_cluster(cluster) || chain.len() > self.geometry.clusters as usize {
                return Err(FatError::Unsound(format!(
                    "the chain from cluster {first} leads to {cluster}"
                )));
            }
            chain.push(cluster);
            cluster = self.next(cluster);
        }
        if cluster == 0 && !chain.is_empty() {
            return Err(FatError::Unsound(format!(
                "the chain from cluster {first} ends in a free one"
            )));
        }
        Ok(chain)
    }

    /// Bytes that are free.
    pub fn free_bytes(&self) -> u64 {
        self.free().count() as u64 * self.geometry.cluster
    }

    pub(super) fn free(&self) -> impl Iterator<Item = u32> + '_ {
        (2..self.geometry.clusters + 2).filter(|&cluster| self.next(cluster) == 0)
    }
}

fn at(read: Reader, at: u64, length: usize) -> Result<Vec<u8>, FatError> {
    read(at, length).map_err(|source| FatError::Read { at, length, source })
}

pub(super) fn le16(bytes: &[u8], at: usize) -> u64 {
    u64::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]))
}

pub(super) fn le32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn geometry(boot: &[u8]) -> Result<Geometry, FatError> {
    if boot[510..512] != [0x55, 0xaa] {
        return Err(FatError::NotFat);
    }
    let sector = le16(boot, 0x0b);
    let per_cluster = u64::from(boot[0x0d]);
    let tables = u64::from(boot[0x10]);
    if !matches!(sector, 512 | 1024 | 2048 | 4096)
        || !per_cluster.is_power_of_two()
        || !matches!(tables, 1 | 2)
    {
        return Err(FatError::NotFat);
    }
    let reserved = le16(boot, 0x0e);
    let root_bytes = (le16(boot, 0x11) * 32).next_multiple_of(sector);
    let table_sectors = match le16(boot, 0x16) {
        0 => u64::from(le32(boot, 0x24)),
        sectors => sectors,
    };
    let sectors = match le16(boot, 0x13) {
        0 => u64::from(le32(boot, 0x20)),
        sectors => sectors,
    };
    let table_start = reserved * sector;
    let table_bytes = table_sectors * sector;
    let root_start = table_start + tables * table_bytes;
    let data_start = root_start + root_bytes;
    let cluster = per_cluster * sector;
    let data = (sectors * sector).checked_sub(data_start);
    let clusters = data.and_then(|data| u32::try_from(data / cluster).ok());
    let Some(clusters) = clusters else {
        return Err(FatError::Unknown("it is smaller than its own tables"));
    };
    // The specification tells the kinds apart by the number of clusters alone.
    let width = match clusters {
        0..4085 => return Err(FatError::Unknown("it is FAT12, or empty")),
        4085..65525 => Width::Fat16,
        _ => Width::Fat32,
    };
    let entry = if width == Width::Fat16 { 2 } else { 4 };
    if reserved == 0
        || table_bytes > TABLE_MAX
        || (u64::from(clusters) + 2) * entry > table_bytes
        || (width == Width::Fat16) == (root_bytes == 0)
    {
        return Err(FatError::Unknown("its tables do not fit its size"));
    }
    let fat32 = width == Width::Fat32;
    if fat32 && boot[0x28] & 0x80 != 0 {
        return Err(FatError::Unknown("one of its tables is active alone"));
    }
    let info = le16(boot, 0x30);
    Ok(Geometry {
        width,
        sector,
        cluster,
        tables,
        table_start,
        table_bytes,
        root_start,
        root_bytes,
        root_cluster: if fat32 { le32(boot, 0x2c) } else { 0 },
        info: (fat32 && info != 0 && info < reserved).then_some(info * sector),
        data_start,
        clusters,
    })
}
