//! The memory map that the next kernel is told: which physical memory is RAM, and which is not.
//!
//! It comes from `/sys/firmware/memmap` (Documentation/ABI/testing/sysfs-firmware-memmap), which
//! says what the firmware said, or from `/proc/iomem`, which says what the running kernel made of
//! it. Kinds are those of the e820 map. What is not known is taken as reserved: memory that is
//! wrongly left alone costs nothing.

use super::address::{PhysAddr, Span};

/// What a region of memory is, with its number in an e820 map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum Kind {
    /// Usable.
    Ram = 1,
    /// Not to be touched.
    Reserved = 2,
    /// Tables of ACPI.
    AcpiTables = 3,
    /// ACPI's storage over sleep.
    AcpiNvs = 4,
    /// Broken memory.
    Unusable = 5,
    /// Persistent memory.
    Persistent = 7,
    /// Persistent memory by the number that came before the standard's.
    PersistentLegacy = 12,
    /// Set aside for a special purpose.
    SoftReserved = 0xefff_ffff,
}

/// The kernel's names, in `/sys/firmware/memmap/*/type` and at the beginning of lines in
/// `/proc/iomem`. Linux before 4.12 writes `reserved`.
const KINDS: &[(&str, Kind)] = &[
    ("System RAM", Kind::Ram),
    ("Reserved", Kind::Reserved),
    ("reserved", Kind::Reserved),
    ("ACPI Tables", Kind::AcpiTables),
    ("ACPI Non-volatile Storage", Kind::AcpiNvs),
    ("Unusable memory", Kind::Unusable),
    ("Persistent Memory", Kind::Persistent),
    ("Persistent Memory (legacy)", Kind::PersistentLegacy),
    ("Soft Reserved", Kind::SoftReserved),
    ("Unknown E820 type", Kind::Reserved),
    ("device reserved", Kind::Reserved),
];

/// The crash kernel's memory, as `/proc/iomem` names it.
const CRASH_KERNEL: &str = "Crash kernel";

/// More regions than this no machine has; its map is damaged.
pub(crate) const REGIONS_MOST: usize = 4096;

/// A region of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Where.
    pub span: Span,
    /// What.
    pub kind: Kind,
}

/// A memory map: sorted, no region over another, neighbours of one kind made one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryMap(Vec<Region>);

/// Why a memory map cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MemoryMapError {
    /// Not a number, or an end before its start.
    #[error("`{0}` is no range of addresses")]
    Range(String),
    /// Every address is zero.
    #[error("the kernel hides the addresses (CAP_SYS_ADMIN is missing)")]
    Hidden,
    /// Nothing is RAM.
    #[error("it has no RAM in it")]
    NoRam,
    /// Too many regions.
    #[error("it has {0} regions, more than {REGIONS_MOST}")]
    TooLong(usize),
}

/// What `/proc/iomem` tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Iomem {
    /// The regions.
    pub map: MemoryMap,
    /// Memory that belongs to a crash kernel.
    pub crash_kernel: Vec<Span>,
}

impl MemoryMap {
    /// A map of regions in any order. Where several lie over each other the one with the highest
    /// number wins, as in the kernel: RAM never.
    pub fn new(regions: &[Region]) -> Result<MemoryMap, MemoryMapError> {
        if regions.len() > REGIONS_MOST {
            return Err(MemoryMapError::TooLong(regions.len()));
        }
        let map = MemoryMap(flatten(regions));
        if map.ram().next().is_none() {
            return Err(MemoryMapError::NoRam);
        }
        Ok(map)
    }

    /// The regions, from low to high.
    pub fn regions(&self) -> &[Region] {
        &self.0
    }

    /// The spans of RAM, from low to high.
    pub fn ram(&self) -> impl Iterator<Item = Span> + '_ {
        let ram = self.0.iter().filter(|r| r.kind == Kind::Ram);
        ram.map(|r| r.span)
    }
}

/// One entry of `/sys/firmware/memmap`: the texts of its files `start`, `end` and `type`.
/// Nothing where the region reaches to the very end of addresses, where nobody has memory.
pub fn firmware_entry(
    start: &str,
    end: &str,
    kind: &str,
) -> Result<Option<Region>, MemoryMapError> {
    let kind = kind_of(kind).unwrap_or(Kind::Reserved);
    Ok(span(start, end)?.map(|span| Region { span, kind }))
}

/// Reads `/proc/iomem`.
pub fn iomem(text: &str) -> Result<Iomem, MemoryMapError> {
    let mut regions = Vec::new();
    let mut crash_kernel = Vec::new();
    let mut hidden = true;
    for line in text.lines() {
        let Some((range, name)) = line.split_once(" : ") else {
            continue;
        };
        let Some((start, end)) = range.trim_start().split_once('-') else {
            return Err(MemoryMapError::Range(range.to_owned()));
        };
        let inner = range.starts_with(' ');
        hidden &= [start, end].iter().all(|t| t.bytes().all(|b| b == b'0'));
        if name.trim_end() == CRASH_KERNEL {
            crash_kernel.extend(span(start, end)?);
        } else if let (false, Some(kind)) = (inner, kind_of(name)) {
            regions.extend(span(start, end)?.map(|span| Region { span, kind }));
        }
    }
    if hidden && !text.trim().is_empty() {
        return Err(MemoryMapError::Hidden);
    }
    Ok(Iomem {
        map: MemoryMap::new(&regions)?,
        crash_kernel,
    })
}

fn kind_of(name: &str) -> Option<Kind> {
    let name = name.trim();
    let known = KINDS.iter().find(|(known, _)| *known == name);
    known.map(|(_, kind)| *kind)
}

/// First and last address, in hexadecimal with or without `0x`.
fn span(start: &str, end: &str) -> Result<Option<Span>, MemoryMapError> {
    let number = |text: &str| {
        let text = text.trim();
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let plain = digits.bytes().all(|b| b.is_ascii_hexdigit());
        plain.then(|| u64::from_str_radix(digits, 16).ok())?
    };
    match (number(start), number(end)) {
        (Some(first), Some(last)) if first <= last => Ok(last
            .checked_add(1)
            .and_then(|end| Span::between(PhysAddr(first), PhysAddr(end)))),
        _ => Err(MemoryMapError::Range(format!(
            "{}-{}",
            start.trim(),
            end.trim()
        ))),
    }
}

/// Cuts regions into pieces that do not lie over each other.
fn flatten(regions: &[Region]) -> Vec<Region> {
    let mut sorted = regions.to_vec();
    sorted.sort_unstable_by_key(|r| r.span);
    let mut cuts: Vec<PhysAddr> = regions
        .iter()
        .flat_map(|r| [r.span.start(), r.span.end()])
        .collect();
    cuts.sort_unstable();
    cuts.dedup();
    let mut flat: Vec<Region> = Vec::new();
    let mut open: Vec<Region> = Vec::new();
    let mut coming = sorted.into_iter().peekable();
    for pair in cuts.windows(2) {
        let Some(piece) = Span::between(pair[0], pair[1]) else {
            continue;
        };
        open.retain(|r| r.span.end() > piece.start());
        while let Some(r) = coming.next_if(|r| r.span.start() <= piece.start()) {
            open.push(r);
        }
        let Some(kind) = open.iter().map(|r| r.kind).max() else {
            continue;
        };
        match flat.last_mut() {
            Some(last) if last.kind == kind && last.span.end() == piece.start() => {
                if let Some(longer) = Span::between(last.span.start(), piece.end()) {
                    last.span = longer;
                }
            }
            _ => flat.push(Region { span: piece, kind }),
        }
    }
    flat
}

#[cfg(test)]
#[path = "memory_map_tests.rs"]
mod tests;
