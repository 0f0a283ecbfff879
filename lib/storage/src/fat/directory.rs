//! Directories: entries of 32 bytes, some of which together hold a long name.

use super::volume::{le16, le32, FatError, Volume, Width};

/// Bytes of an entry.
pub(super) const SLOT: usize = 32;
/// First byte of one that was removed.
pub(super) const REMOVED: u8 = 0xe5;
/// Attributes of a piece of a long name.
const LONG_NAME: u8 = 0x0f;
const VOLUME_LABEL: u8 = 0x08;
const DIRECTORY: u8 = 0x10;

/// A file or directory, as its directory has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where its 32 bytes are, from the partition's start.
    pub at: u64,
    pub(super) slot: [u8; SLOT],
}

impl Entry {
    /// Its first cluster; 0 where it has none.
    pub fn cluster(&self) -> u32 {
        (le16(&self.slot, 0x14) as u32) << 16 | le16(&self.slot, 0x1a) as u32
    }

    /// Bytes of a file.
    pub fn size(&self) -> u32 {
        le32(&self.slot, 0x1c)
    }

    /// Its short name, as a directory has it: eight and three characters, padded by spaces.
    pub fn name(&self) -> [u8; 11] {
        let mut name = [0; 11];
        name.copy_from_slice(&self.slot[..11]);
        name
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        self.slot[0x0b] & DIRECTORY != 0
    }
}

impl Volume<'_> {
    /// The entry at this path (names between slashes, in whatever case).
    pub fn find(&self, path: &str) -> Result<Option<Entry>, FatError> {
        let mut names = path.split('/').filter(|name| !name.is_empty()).peekable();
        let mut directory = None;
        while let Some(name) = names.next() {
            let found = self.entry(directory, name)?;
            match (found, names.peek()) {
                (Some(entry), None) => return Ok(Some(entry)),
                (Some(entry), Some(_)) if entry.is_directory() => {
                    directory = Some(entry.cluster());
                }
                _ => return Ok(None),
            }
        }
        Ok(None)
    }

    /// The whole of a file.
    pub fn contents(&self, file: &Entry) -> Result<Vec<u8>, FatError> {
        let size = file.size() as usize;
        let mut bytes = Vec::new();
        for cluster in self.chain(file.cluster())? {
            if bytes.len() >= size {
                break;
            }
            let (at, length) = (self.place(cluster), self.geometry.cluster as usize);
            bytes.extend(self.at(at, length)?);
        }
        if bytes.len() < size {
            return Err(FatError::Unsound(format!(
                "a file of {size} bytes has clusters for {}",
                bytes.len()
            )));
        }
        bytes.truncate(size);
        Ok(bytes)
    }

    /// Every slot of a directory up to its end, and that one; `None` is the root.
    pub(super) fn slots(&self, directory: Option<u32>) -> Result<Vec<Entry>, FatError> {
        let g = &self.geometry;
        let runs = match (directory.filter(|&cluster| cluster != 0), g.width) {
            (None, Width::Fat16) => vec![(g.root_start, g.root_bytes)],
            (cluster, _) => self
                .chain(cluster.unwrap_or(g.root_cluster))?
                .into_iter()
                .map(|cluster| (self.place(cluster), g.cluster))
                .collect(),
        };
        let mut slots = Vec::new();
        for (start, length) in runs {
            let bytes = self.at(start, length as usize)?;
            for (n, slot) in bytes.as_chunks::<SLOT>().0.iter().enumerate() {
                slots.push(Entry {
                    at: start + (n * SLOT) as u64,
                    slot: *slot,
                });
            }
        }
        Ok(slots)
    }

    /// The entry of this name in a directory.
    pub(super) fn entry(
        &self,
        directory: Option<u32>,
        name: &str,
    ) -> Result<Option<Entry>, FatError> {
        let mut long = String::new();
        for entry in self.slots(directory)? {
            let slot = &entry.slot;
            match (slot[0], slot[0x0b]) {
                (0, _) => break,
                (REMOVED, _) => long.clear(),
                (_, attributes) if attributes & LONG_NAME == LONG_NAME => {
                    long = piece(slot) + &long;
                }
                (_, attributes) if attributes & VOLUME_LABEL != 0 => long.clear(),
                _ => {
                    if long.eq_ignore_ascii_case(name) || short(slot).eq_ignore_ascii_case(name) {
                        return Ok(Some(entry));
                    }
                    long.clear();
                }
            }
        }
        Ok(None)
    }
}

/// A short name as it is written: `GRUBX64.EFI`.
fn short(slot: &[u8; SLOT]) -> String {
    let part = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    let (name, ending) = (part(&slot[..8]), part(&slot[8..11]));
    if ending.is_empty() {
        name
    } else {
        format!("{name}.{ending}")
    }
}

/// The thirteen characters that a piece of a long name has, fewer in the last.
fn piece(slot: &[u8; SLOT]) -> String {
    let units = [1..11, 14..26, 28..32]
        .into_iter()
        .flat_map(|part| slot[part].as_chunks::<2>().0.iter())
        .map(|unit| u16::from_le_bytes(*unit))
        .take_while(|&unit| unit != 0);
    char::decode_utf16(units)
        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}
