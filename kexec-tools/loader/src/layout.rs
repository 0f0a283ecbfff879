//! The whole of what is loaded, as values: which bytes go where, and where the next kernel is
//! entered. Decides everything and touches nothing.

use std::ops::Range;

use super::address::{ByteSize, PhysAddr, Span, PAGE};
use super::boot_params::{boot_params, Hardware, Start};
use super::bzimage::{Entry, Kernel, Place, ENTRY_64};
use super::memory_map::MemoryMap;
use super::placement::{From, Room, Wanted};
use super::trampoline::{self, trampoline};

/// Everything lies above this: below are the firmware's tables and the kernel's real-mode code.
const LOWEST: PhysAddr = PhysAddr(1 << 20);
/// Everything lies below this: fields of 32 bits hold addresses, and kernels map this much first.
const HIGHEST: PhysAddr = PhysAddr(1 << 32);

/// The most segments that `kexec_load` takes (`KEXEC_SEGMENT_MAX`).
pub(crate) const SEGMENTS_MOST: usize = 16;

/// Memory that may be used, and what is known about the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The memory map for the next kernel.
    pub map: MemoryMap,
    /// RAM that the running kernel uses, where that is known: nothing is put elsewhere.
    pub used: Option<Vec<Span>>,
    /// Memory that is somebody else's: a crash kernel's.
    pub avoid: Vec<Span>,
    /// The running kernel uses five levels of page tables.
    pub five_levels: bool,
    /// The hardware.
    pub hardware: Hardware,
}

/// Where a segment's bytes come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// This range of the kernel's file.
    Kernel(Range<u64>),
    /// All of the initrd's part with this number.
    Initrd(usize),
    /// These bytes.
    Made(Vec<u8>),
}

/// Bytes and the memory they go to; the rest of that memory is zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// What.
    pub source: Source,
    /// Where: whole pages.
    pub memory: Span,
}

/// What is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Where the old kernel jumps to.
    pub entry: PhysAddr,
    /// The segments.
    pub segments: Vec<Segment>,
}

impl Layout {
    /// Memory that the running kernel must find for it.
    pub fn size(&self) -> ByteSize {
        ByteSize(self.segments.iter().map(|s| s.memory.size().0).sum())
    }
}

/// Why there is no layout.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// The command line is longer than the kernel takes.
    #[error("the command line has {length} bytes, this kernel takes {most}")]
    CommandLine {
        /// Its length.
        length: usize,
        /// The most.
        most: u32,
    },
    /// It holds a NUL.
    #[error("the command line holds a NUL")]
    Nul,
    /// More parts than there are segments.
    #[error("the initrd has {0} parts, more than fit into {SEGMENTS_MOST} segments")]
    Parts(usize),
    /// Nowhere is enough memory in one piece.
    #[error("no free memory in one piece for {what}: it takes {size} in {within}, the largest piece has {largest}")]
    NoRoom {
        /// For what.
        what: &'static str,
        /// How much it takes.
        size: ByteSize,
        /// Where it has to lie.
        within: Span,
        /// The largest piece in there.
        largest: ByteSize,
    },
    /// A size that wraps.
    #[error("the sizes of {0} are no sizes")]
    Overflow(&'static str),
}

/// Lays out a kernel, an initrd in parts that follow each other, and a command line. Every part
/// begins at a page; what is left of its last page is zero, which the unpacker of a kernel's
/// initramfs skips between archives and between their members.
pub fn layout(
    kernel: &Kernel,
    initrd: &[ByteSize],
    cmdline: &[u8],
    machine: &Machine,
) -> Result<Layout, LayoutError> {
    if cmdline.len() > kernel.cmdline_size as usize {
        return Err(LayoutError::CommandLine {
            length: cmdline.len(),
            most: kernel.cmdline_size,
        });
    }
    if cmdline.contains(&0) {
        return Err(LayoutError::Nul);
    }
    // Beside the parts: the kernel, and what it is started with.
    if initrd.len() + 2 > SEGMENTS_MOST {
        return Err(LayoutError::Parts(initrd.len()));
    }
    let mut room = room(machine);
    let code = place_kernel(kernel, &mut room)?;
    let (initrd, parts) = place_initrd(kernel, initrd, &mut room)?;
    let start = Start {
        kernel,
        code: code.start(),
        initrd,
        cmdline,
        map: &machine.map,
        hardware: &machine.hardware,
    };
    let way = way_in(kernel, machine);
    let (entry, parameters) = place_parameters(&start, way, &mut room)?;
    let mut segments = vec![Segment {
        source: Source::Kernel(kernel.code.clone()),
        memory: code,
    }];
    segments.extend(parts);
    segments.push(parameters);
    Ok(Layout { entry, segments })
}

/// At the 64-bit entry, where there is one that takes the page tables as they are.
fn way_in(kernel: &Kernel, machine: &Machine) -> Entry {
    if machine.five_levels && !kernel.five_levels {
        Entry::Bits32
    } else {
        kernel.entry
    }
}

/// Free memory between 1 MiB and 4 GiB.
fn room(machine: &Machine) -> Room {
    let within = Span::between(LOWEST, HIGHEST);
    let ram = machine.map.ram();
    let mut room = Room::new(ram.filter_map(|span| span.intersection(within?)));
    if let Some(used) = &machine.used {
        room.limit(used);
    }
    for span in &machine.avoid {
        room.exclude(*span);
    }
    room
}

/// Takes all the memory that the kernel needs at its place. Its code fills the first part; the rest
/// belongs to the segment nonetheless, for the running kernel keeps what is in use to the last
/// instruction, the page tables that the next kernel begins with among it, out of segments alone.
fn place_kernel(kernel: &Kernel, room: &mut Room) -> Result<Span, LayoutError> {
    let (from, alignment, to) = match kernel.place {
        Place::Fixed(at) => {
            let size = kernel.init_size.in_pages();
            let end = size.and_then(|size| at.above(size));
            (at, PAGE, end.ok_or(LayoutError::Overflow("the kernel"))?)
        }
        Place::Relocatable {
            alignment,
            preferred,
        } => (preferred, alignment, HIGHEST),
    };
    take(
        room,
        "the kernel",
        from..to,
        kernel.init_size,
        alignment,
        From::Below,
    )
}

/// One piece for all parts, as high as the kernel allows: the kernel keeps the low memory for
/// itself. The span that it is told ends with the last part's last page.
fn place_initrd(
    kernel: &Kernel,
    sizes: &[ByteSize],
    room: &mut Room,
) -> Result<(Option<Span>, Vec<Segment>), LayoutError> {
    const WHAT: &str = "the initrd";
    let overflow = || LayoutError::Overflow(WHAT);
    let pages = sizes.iter().map(|size| size.in_pages());
    let pages: Vec<ByteSize> = pages.collect::<Option<_>>().ok_or_else(overflow)?;
    let total = pages
        .iter()
        .try_fold(0_u64, |sum, size| sum.checked_add(size.0));
    let total = ByteSize(total.ok_or_else(overflow)?);
    if total.0 == 0 {
        return Ok((None, Vec::new()));
    }
    let behind = PhysAddr(kernel.initrd_addr_max.0.saturating_add(1)).min(HIGHEST);
    let whole = take(room, WHAT, LOWEST..behind, total, PAGE, From::Above)?;
    let mut at = whole.start();
    let mut segments = Vec::new();
    for (part, size) in pages.into_iter().enumerate() {
        // A part without bytes is no segment.
        if let Some(memory) = Span::at(at, size) {
            at = memory.end();
            segments.push(Segment {
                source: Source::Initrd(part),
                memory,
            });
        }
    }
    Ok((Some(whole), segments))
}

/// `boot_params` with what it points to, and behind it the trampoline: one segment.
fn place_parameters(
    start: &Start,
    way: Entry,
    room: &mut Room,
) -> Result<(PhysAddr, Segment), LayoutError> {
    const WHAT: &str = "boot_params";
    // How long they are does not depend on where they lie.
    let length = boot_params(start, PhysAddr(0)).len() as u64;
    let pages = ByteSize(length)
        .in_pages()
        .ok_or(LayoutError::Overflow(WHAT))?;
    let size = ByteSize(pages.0 + trampoline::SIZE as u64);
    let memory = take(room, WHAT, LOWEST..HIGHEST, size, PAGE, From::Below)?;
    let mut bytes = boot_params(start, memory.start());
    bytes.resize(pages.0 as usize, 0);
    let entry = PhysAddr(memory.start().0 + pages.0);
    let kernel = match way {
        Entry::Bits32 => start.code,
        Entry::Bits64 => PhysAddr(start.code.0 + ENTRY_64.0),
    };
    bytes.extend_from_slice(&trampoline(entry, memory.start(), way, kernel));
    Ok((
        entry,
        Segment {
            source: Source::Made(bytes),
            memory,
        },
    ))
}

fn take(
    room: &mut Room,
    what: &'static str,
    within: Range<PhysAddr>,
    size: ByteSize,
    alignment: u64,
    from: From,
) -> Result<Span, LayoutError> {
    let within = Span::between(within.start, within.end).ok_or(LayoutError::Overflow(what))?;
    let wanted = Wanted {
        size,
        alignment,
        within,
        from,
    };
    room.take(wanted).ok_or(LayoutError::NoRoom {
        what,
        size,
        within,
        largest: room.largest(within),
    })
}

#[cfg(test)]
#[path = "layout_tests.rs"]
mod tests;
