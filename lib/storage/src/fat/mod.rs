//! FAT16 and FAT32 as EFI system partitions have them: found, read, and changed by planned writes.
//!
//! Everything is planned on what was read and given as writes in an order; whoever has the disk makes
//! them. There is no mounting and no driver, so that the one sector that matters is written when it is
//! to be, and nothing else with it. Follows Microsoft's FAT specification of 2005 (the one that the
//! UEFI specification, 13.3, names). FAT12 is refused: partitions that small are no system partitions of
//! ours; so is FAT32 with one active table among several.

mod directory;
mod edit;
mod volume;

pub use directory::Entry;
pub use edit::{Edit, Write};
pub use volume::{FatError, Reader, Volume};

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
