//! Reading a Linux kernel for x86-64 as a boot loader does: its setup header says where it may lie
//! and how much memory it needs there.
//!
//! Offsets, versions and meanings are those of Documentation/arch/x86/boot.rst in the kernel's
//! source. A kernel that says that it has a 64-bit entry is entered there, one that is too old to say
//! so at its 32-bit entry, which all have; one that says that it has none is a 32-bit kernel and is
//! refused, and so is everything whose sizes do not fit together. Only the head of the file is looked
//! at.

use std::ops::Range;

use super::address::{ByteSize, PhysAddr, PAGE};

/// Bytes at the head of a kernel's file that [`Kernel::parse`] wants to see, or the whole file where
/// it is shorter.
pub const HEAD: usize = 4096;

/// Fields of the setup header by their place in the file.
mod at {
    pub(crate) const SETUP_SECTS: usize = 0x1f1;
    pub(crate) const SYSSIZE: usize = 0x1f4;
    pub(crate) const BOOT_FLAG: usize = 0x1fe;
    pub(crate) const JUMP: usize = 0x201;
    pub const HEADER: usize = 0x202;
    pub const VERSION: usize = 0x206;
    pub(crate) const LOADFLAGS: usize = 0x211;
    pub(crate) const INITRD_ADDR_MAX: usize = 0x22c;
    pub(crate) const KERNEL_ALIGNMENT: usize = 0x230;
    pub(crate) const RELOCATABLE: usize = 0x234;
    pub(crate) const XLOADFLAGS: usize = 0x236;
    pub(crate) const CMDLINE_SIZE: usize = 0x238;
    pub(crate) const PAYLOAD_OFFSET: usize = 0x248;
    pub(crate) const PAYLOAD_LENGTH: usize = 0x24c;
    pub(crate) const PREF_ADDRESS: usize = 0x258;
    pub(crate) const INIT_SIZE: usize = 0x260;
    /// The last field that is read ends here.
    pub const END: usize = 0x264;
    /// The last field of the oldest protocol ends here.
    pub(crate) const OLDEST_END: usize = 0x23c;
    /// In `boot_params` something else begins here; no setup header reaches farther.
    pub const LIMIT: usize = 0x290;
}

/// Where the setup header begins, in the file and in `boot_params`.
pub const SETUP_HEADER: usize = at::SETUP_SECTS;

/// Protocols before this one have no length for the command line (2.06, Linux 2.6.22).
const OLDEST_PROTOCOL: u16 = 0x206;
/// The first protocol that says where the compressed kernel lies (2.08, Linux 2.6.26).
const PAYLOAD_PROTOCOL: u16 = 0x208;
/// The first protocol with `pref_address` and `init_size` (2.10, Linux 2.6.31).
const INIT_SIZE_PROTOCOL: u16 = 0x20a;
/// The first protocol with `xloadflags`, by which a kernel says that it has a 64-bit entry (2.12,
/// Linux 3.8).
const XLOADFLAGS_PROTOCOL: u16 = 0x20c;

/// `loadflags`: the protected-mode code goes to 1 MiB or higher.
const LOADED_HIGH: u8 = 1;
/// `xloadflags`: there is a 64-bit entry at [`ENTRY_64`].
const XLF_KERNEL_64: u16 = 1;
/// `xloadflags`: it takes EFI's runtime services as they were mapped by the kernel before.
const XLF_EFI_KEXEC: u16 = 1 << 4;
/// `xloadflags`: it can be entered with five levels of page tables.
const XLF_5LEVEL: u16 = 1 << 5;
/// Where the 64-bit entry lies in the protected-mode code.
pub const ENTRY_64: ByteSize = ByteSize(0x200);

/// Sectors of setup code where the header says 0.
const SETUP_SECTS_DEFAULT: u64 = 4;
/// More setup code than this never was: it had to fit below 0x9000 in real mode.
const SETUP_SECTS_MOST: u64 = 64;
const SECTOR: u64 = 512;
/// `syszize` counts these; a file may lack the last, incomplete one.
const PARAGRAPH: u64 = 16;
/// Where kernels begin that do not say where they want to.
const USUAL_ADDRESS: PhysAddr = PhysAddr(1 << 20);
/// Kernels that do not say how much memory they need unpack themselves at up to 16 MiB, to at most so
/// many times their size.
const UNPACKED_AT_MOST: u64 = 16 << 20;
const UNPACKED_FACTOR: u64 = 8;
/// Kernels are a few dozen MiB. A header that asks for more than this is nonsense.
const INIT_SIZE_MOST: u64 = 1 << 30;
/// 2 MiB on x86-64, up to 16 MiB by configuration.
const ALIGNMENT_MOST: u64 = 16 << 20;

/// Where a kernel may be put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At this address and nowhere else.
    Fixed(PhysAddr),
    /// At any multiple of `alignment`, best from `preferred` on: below that it moves itself there.
    Relocatable {
        /// In bytes, a power of two.
        alignment: u64,
        /// The address that the kernel was linked for.
        preferred: PhysAddr,
    },
}

/// How a kernel can be entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// With paging off, at the beginning of its code: every kernel can.
    Bits32,
    /// In 64-bit mode as well, [`ENTRY_64`] behind that.
    Bits64,
}

/// A kernel that can be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// The boot protocol's version, `0x20f` for 2.15.
    pub protocol: u16,
    /// How it can be entered.
    pub entry: Entry,
    /// The setup header, to be copied into `boot_params` at [`SETUP_HEADER`].
    pub setup_header: Vec<u8>,
    /// Where the protected-mode code lies in the file.
    pub code: Range<u64>,
    /// Where it may be put in memory.
    pub place: Place,
    /// Memory that it needs at its place before it has looked at the memory map.
    pub init_size: ByteSize,
    /// The highest address that the initrd's last byte may have.
    pub initrd_addr_max: PhysAddr,
    /// The longest command line that it takes, without the NUL.
    pub cmdline_size: u32,
    /// It takes EFI's runtime services from another kernel's hands; one that does not would map them
    /// anew, which firmware allows once.
    pub takes_efi: bool,
    /// Its 64-bit entry can be taken while five levels of page tables are in use.
    pub five_levels: bool,
}

/// Why a file is not a kernel that can be loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BzImageError {
    /// The file ends before the header does.
    #[error("it has {0} bytes, and a kernel's header does not end there")]
    TooShort(u64),
    /// No boot sector's mark and no `HdrS`.
    #[error("it is no Linux kernel for x86 (bzImage)")]
    NoKernel,
    /// A protocol before 2.06.
    #[error("its boot protocol is {}, this loader takes 2.06 and later", version(*.0))]
    OldProtocol(u16),
    /// It says that it has no 64-bit entry.
    #[error("it is a kernel for 32-bit processors: it says that it has no 64-bit entry")]
    No64BitEntry,
    /// A kernel that wants to lie below 1 MiB.
    #[error("it is a zImage, to be loaded below 1 MiB")]
    LoadedLow,
    /// The file ends before the code does.
    #[error("it is cut short: it has {there} bytes, its header promises {promised}")]
    Truncated {
        /// Bytes of the file.
        there: u64,
        /// Bytes that setup code and protected-mode code have.
        promised: u64,
    },
    /// A field with a value that no kernel has.
    #[error("its header is damaged: {field} is {value:#x}")]
    Nonsense {
        /// The field's name.
        field: &'static str,
        /// What is in it.
        value: u64,
    },
}

/// A protocol's version as people write it.
fn version(protocol: u16) -> String {
    format!("{}.{:02}", protocol >> 8, protocol & 0xff)
}

impl Kernel {
    /// Reads the head of a kernel's file of `length` bytes.
    pub fn parse(head: &[u8], length: u64) -> Result<Kernel, BzImageError> {
        let field = Fields(head);
        if head.len() < at::END || length < head.len() as u64 {
            // A file that is no kernel at all had better be called that.
            return Err(if head.len() >= at::VERSION && !field.is_kernel() {
                BzImageError::NoKernel
            } else {
                BzImageError::TooShort(length)
            });
        }
        if !field.is_kernel() {
            return Err(BzImageError::NoKernel);
        }
        let protocol = field.u16(at::VERSION);
        if protocol < OLDEST_PROTOCOL {
            return Err(BzImageError::OldProtocol(protocol));
        }
        // It was nothing before, and may hold anything.
        let (entry, flags) = if protocol < XLOADFLAGS_PROTOCOL {
            (Entry::Bits32, 0)
        } else {
            (Entry::Bits64, field.u16(at::XLOADFLAGS))
        };
        if entry == Entry::Bits64 && flags & XLF_KERNEL_64 == 0 {
            return Err(BzImageError::No64BitEntry);
        }
        if field.u8(at::LOADFLAGS) & LOADED_HIGH == 0 {
            return Err(BzImageError::LoadedLow);
        }
        let code = code(&field, protocol, length)?;
        Ok(Kernel {
            protocol,
            entry,
            setup_header: setup_header(head, protocol)?,
            place: place(&field, protocol)?,
            init_size: init_size(&field, protocol, code.end - code.start)?,
            code,
            initrd_addr_max: PhysAddr(u64::from(field.u32(at::INITRD_ADDR_MAX))),
            cmdline_size: sensible("cmdline_size", field.u32(at::CMDLINE_SIZE), |v| {
                (255..=1 << 16).contains(&v)
            })?,
            takes_efi: flags & XLF_EFI_KEXEC != 0,
            five_levels: flags & XLF_5LEVEL != 0,
        })
    }
}

/// Where the protected-mode code lies: from behind the setup code to the end of the file, a
/// signature included, as every other loader takes it.
fn code(field: &Fields, protocol: u16, length: u64) -> Result<Range<u64>, BzImageError> {
    let sectors = match u64::from(field.u8(at::SETUP_SECTS)) {
        0 => SETUP_SECTS_DEFAULT,
        n => n,
    };
    if sectors > SETUP_SECTS_MOST {
        return nonsense("setup_sects", sectors);
    }
    // The boot sector comes on top.
    let start = (sectors + 1) * SECTOR;
    let size = u64::from(field.u32(at::SYSSIZE)) * PARAGRAPH;
    if size <= ENTRY_64.0 {
        return nonsense("syssize", size / PARAGRAPH);
    }
    if length + PARAGRAPH <= start + size {
        return Err(BzImageError::Truncated {
            there: length,
            promised: start + size,
        });
    }
    let (offset, packed) = (
        u64::from(field.u32(at::PAYLOAD_OFFSET)),
        u64::from(field.u32(at::PAYLOAD_LENGTH)),
    );
    if protocol >= PAYLOAD_PROTOCOL && offset + packed > size {
        return nonsense("payload_length", packed);
    }
    Ok(start..length)
}

/// The header ends as far behind its jump instruction as that jumps.
fn setup_header(head: &[u8], protocol: u16) -> Result<Vec<u8>, BzImageError> {
    let jump = head[at::JUMP];
    let end = at::HEADER + usize::from(jump);
    let least = if protocol < INIT_SIZE_PROTOCOL {
        at::OLDEST_END
    } else {
        at::END
    };
    if !(least..=at::LIMIT).contains(&end) || end > head.len() {
        return nonsense("jump", u64::from(jump));
    }
    Ok(head[SETUP_HEADER..end].to_vec())
}

fn place(field: &Fields, protocol: u16) -> Result<Place, BzImageError> {
    let preferred = if protocol < INIT_SIZE_PROTOCOL {
        USUAL_ADDRESS.0
    } else {
        field.u64(at::PREF_ADDRESS)
    };
    if !(1 << 20..=1 << 32).contains(&preferred) || !preferred.is_multiple_of(PAGE) {
        return nonsense("pref_address", preferred);
    }
    if field.u8(at::RELOCATABLE) == 0 {
        return Ok(Place::Fixed(PhysAddr(preferred)));
    }
    let alignment = u64::from(field.u32(at::KERNEL_ALIGNMENT));
    if !alignment.is_power_of_two() || !(PAGE..=ALIGNMENT_MOST).contains(&alignment) {
        return nonsense("kernel_alignment", alignment);
    }
    Ok(Place::Relocatable {
        alignment,
        preferred: PhysAddr(preferred),
    })
}

fn init_size(field: &Fields, protocol: u16, code: u64) -> Result<ByteSize, BzImageError> {
    let size = if protocol < INIT_SIZE_PROTOCOL {
        UNPACKED_AT_MOST.saturating_add(code.saturating_mul(UNPACKED_FACTOR))
    } else {
        u64::from(field.u32(at::INIT_SIZE))
    };
    if size < ENTRY_64.0 || size.max(code) > INIT_SIZE_MOST {
        return nonsense("init_size", size.max(code));
    }
    Ok(ByteSize(size.max(code)))
}

fn sensible(
    field: &'static str,
    value: u32,
    is: impl Fn(u32) -> bool,
) -> Result<u32, BzImageError> {
    if is(value) {
        Ok(value)
    } else {
        nonsense(field, u64::from(value))
    }
}

fn nonsense<T>(field: &'static str, value: u64) -> Result<T, BzImageError> {
    Err(BzImageError::Nonsense { field, value })
}

/// Little-endian fields of a head that is long enough for them.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn bytes<const N: usize>(&self, at: usize) -> [u8; N] {
        // Callers have compared the length with `at::END`.
        self.0
            .get(at..)
            .and_then(|rest| rest.first_chunk())
            .copied()
            .unwrap_or([0; N])
    }

    fn is_kernel(&self) -> bool {
        self.u16(at::BOOT_FLAG) == 0xaa55 && self.bytes(at::HEADER) == *b"HdrS"
    }

    fn u8(&self, at: usize) -> u8 {
        u8::from_le_bytes(self.bytes(at))
    }

    fn u16(&self, at: usize) -> u16 {
        u16::from_le_bytes(self.bytes(at))
    }

    fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.bytes(at))
    }

    fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.bytes(at))
    }
}

#[cfg(test)]
#[path = "bzimage_tests.rs"]
mod tests;
