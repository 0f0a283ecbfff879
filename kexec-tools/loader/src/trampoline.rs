//! The first instructions after kexec: from the state in which the old kernel jumps to the state
//! that the boot protocol asks for.
//!
//! The old kernel jumps in 64-bit mode, with interrupts off and memory mapped as it is, but with an
//! empty descriptor table and segments of its own. Both protocols (Documentation/arch/x86/boot.rst,
//! "64-bit Boot Protocol" and "32-bit Boot Protocol") want `__BOOT_CS` and `__BOOT_DS`, both flat,
//! loaded from a table that is there, and RSI or ESI at `boot_params`; the 32-bit one wants paging off
//! as well, and so the way to it leads out of 64-bit mode. The code is relative to itself but for two
//! addresses, so it runs wherever it is put; it is kept as bytes, for it is thirty instructions long
//! and never changes.

use super::address::PhysAddr;
use super::bzimage::Entry;

/// Bytes of code, table and stack: a page.
pub const SIZE: usize = 4096;

/// The operand of `lgdt`: limit and, patched in, the address of the table.
const GDTR_AT: usize = 0x60;
/// The descriptor table.
const GDT_AT: usize = 0x70;

/// What every way begins with: the stack, the table and `__BOOT_CS`. Displacements count from the end
/// of their instruction.
#[rustfmt::skip]
const HEAD: [u8; 0x1c] = [
    0xfa,                                           // 00 cli
    0xfc,                                           // 01 cld
    0x48, 0x8d, 0x25, 0xf7, 0x0f, 0x00, 0x00,       // 02 lea  rsp, [rip + 0xff7]: the page's end
    0x0f, 0x01, 0x15, 0x50, 0x00, 0x00, 0x00,       // 09 lgdt [rip + 0x50]: GDTR_AT
    0x6a, 0x10,                                     // 10 push 0x10: __BOOT_CS
    0x48, 0x8d, 0x05, 0x03, 0x00, 0x00, 0x00,       // 12 lea  rax, [rip + 3]: 1c
    0x50,                                           // 19 push rax
    0x48, 0xcb,                                     // 1a retfq: loads CS, goes on below
];

/// One way into a kernel.
struct Way {
    /// What follows [`HEAD`].
    code: &'static [u8],
    /// Where the address of `boot_params` goes: the operand of `mov rsi` or `mov esi`.
    boot_params_at: usize,
    /// Where the kernel's entry goes: the operand of `mov rax` or `mov eax`.
    entry_at: usize,
    /// Bytes of these operands.
    address: usize,
    /// `__BOOT_CS`.
    code_descriptor: u64,
}

#[rustfmt::skip]
const BITS_64: Way = Way {
    boot_params_at: 0x24,
    entry_at: 0x2e,
    address: 8,
    // 64-bit code, execute and read.
    code_descriptor: 0x00af_9a00_0000_ffff,
    code: &[
    0x6a, 0x18,                                     // 1c push 0x18: __BOOT_DS
    0x58,                                           // 1e pop  rax
    0x8e, 0xd8,                                     // 1f mov  ds, eax
    0x90,                                           // 21 nop
    0x48, 0xbe, 0, 0, 0, 0, 0, 0, 0, 0,             // 22 mov  rsi, boot_params_at
    0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0,             // 2c mov  rax, entry_at
    0x6a, 0x18,                                     // 36 push 0x18
    0x59,                                           // 38 pop  rcx
    0x8e, 0xc1,                                     // 39 mov  es, ecx
    0x8e, 0xd1,                                     // 3b mov  ss, ecx
    0x8e, 0xe1,                                     // 3d mov  fs, ecx
    0x8e, 0xe9,                                     // 3f mov  gs, ecx
    0x31, 0xc9,                                     // 41 xor  ecx, ecx
    0x31, 0xd2,                                     // 43 xor  edx, edx
    0x31, 0xdb,                                     // 45 xor  ebx, ebx
    0x31, 0xed,                                     // 47 xor  ebp, ebp
    0x31, 0xff,                                     // 49 xor  edi, edi
    0x45, 0x31, 0xc0,                               // 4b xor  r8d, r8d
    0xff, 0xe0,                                     // 4e jmp  rax
    0x0f, 0x0b,                                     // 50 ud2: never reached
    ],
};

/// This is 32-bit code. Paging goes before long mode does, and five levels of page tables
/// with both; of CR4 only machine checks stay.
#[rustfmt::skip]
const BITS_32: Way = Way {
    boot_params_at: 0x4d,
    entry_at: 0x52,
    address: 4,
    // 32-bit code, execute and read.
    code_descriptor: 0x00cf_9a00_0000_ffff,
    code: &[
    0xb8, 0x18, 0x00, 0x00, 0x00,                   // 1c mov  eax, 0x18: __BOOT_DS
    0x8e, 0xd8,                                     // 21 mov  ds, eax
    0x8e, 0xc0,                                     // 23 mov  es, eax
    0x8e, 0xd0,                                     // 25 mov  ss, eax
    0x8e, 0xe0,                                     // 27 mov  fs, eax
    0x8e, 0xe8,                                     // 29 mov  gs, eax
    0x0f, 0x20, 0xc0,                               // 2b mov  eax, cr0
    0x25, 0xff, 0xff, 0xff, 0x7f,                   // 2e and  eax, ~PG
    0x0f, 0x22, 0xc0,                               // 33 mov  cr0, eax
    0xb9, 0x80, 0x00, 0x00, 0xc0,                   // 36 mov  ecx, EFER
    0x0f, 0x32,                                     // 3b rdmsr
    0x0f, 0xba, 0xf0, 0x08,                         // 3d btr  eax, LME
    0x0f, 0x30,                                     // 41 wrmsr
    0x0f, 0x20, 0xe0,                               // 43 mov  eax, cr4
    0x83, 0xe0, 0x40,                               // 46 and  eax, MCE
    0x0f, 0x22, 0xe0,                               // 49 mov  cr4, eax
    0xbe, 0, 0, 0, 0,                               // 4c mov  esi, boot_params_at
    0xb8, 0, 0, 0, 0,                               // 51 mov  eax, entry_at
    0x31, 0xdb,                                     // 56 xor  ebx, ebx
    0x31, 0xed,                                     // 58 xor  ebp, ebp
    0x31, 0xff,                                     // 5a xor  edi, edi
    0xff, 0xe0,                                     // 5c jmp  eax
    0x0f, 0x0b,                                     // 5e ud2: never reached
    ],
};

/// `__BOOT_DS`: data, read and write. It reaches over all of memory, as `__BOOT_CS` does.
const DATA_DESCRIPTOR: u64 = 0x00cf_9200_0000_ffff;

impl Way {
    fn of(entry: Entry) -> &'static Way {
        match entry {
            Entry::Bits32 => &BITS_32,
            Entry::Bits64 => &BITS_64,
        }
    }

    /// Descriptors by their selector: nothing at 0 and 8, `__BOOT_CS` at 0x10, `__BOOT_DS` at 0x18.
    fn descriptors(&self) -> [u64; 4] {
        [0, 0, self.code_descriptor, DATA_DESCRIPTOR]
    }
}

/// The trampoline into a kernel that has its entry of this kind at `target`, made to lie at `at`. All
/// addresses are below 4 GiB.
pub fn trampoline(
    at: PhysAddr,
    boot_params: PhysAddr,
    entry: Entry,
    target: PhysAddr,
) -> [u8; SIZE] {
    let way = Way::of(entry);
    let mut page = [0; SIZE];
    let mut put = |offset: usize, bytes: &[u8]| {
        page[offset..offset + bytes.len()].copy_from_slice(bytes);
    };
    put(0, &HEAD);
    put(HEAD.len(), way.code);
    put(
        way.boot_params_at,
        &boot_params.0.to_le_bytes()[..way.address],
    );
    put(way.entry_at, &target.0.to_le_bytes()[..way.address]);
    let descriptors = way.descriptors();
    put(
        GDTR_AT,
        &(size_of_val(&descriptors) as u16 - 1).to_le_bytes(),
    );
    put(GDTR_AT + 2, &(at.0 + GDT_AT as u64).to_le_bytes());
    for (i, descriptor) in descriptors.iter().enumerate() {
        put(GDT_AT + 8 * i, &descriptor.to_le_bytes());
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRIES: [Entry; 2] = [Entry::Bits32, Entry::Bits64];

    /// Where the operand of an instruction with a displacement of 32 bits points.
    fn points_to(page: &[u8], displacement: usize) -> usize {
        let bytes = page[displacement..].first_chunk().unwrap();
        displacement + 4 + u32::from_le_bytes(*bytes) as usize
    }

    fn u64_at(page: &[u8], at: usize) -> u64 {
        u64::from_le_bytes(*page[at..].first_chunk().unwrap())
    }

    #[test]
    fn every_operand_points_where_it_is_meant_to() {
        for entry in ENTRIES {
            let page = trampoline(
                PhysAddr(0x1234_5000),
                PhysAddr(0x77_6000),
                entry,
                PhysAddr(0x100_0200),
            );
            // The opcodes before the operands, and what they lead to.
            assert_eq!(page[2..5], [0x48, 0x8d, 0x25]);
            assert_eq!(points_to(&page, 5), SIZE);
            assert_eq!(page[9..12], [0x0f, 0x01, 0x15]);
            assert_eq!(points_to(&page, 12), GDTR_AT);
            assert_eq!(page[0x12..0x15], [0x48, 0x8d, 0x05]);
            assert_eq!(points_to(&page, 0x15), 0x1c);
            assert_eq!(page[GDTR_AT..GDTR_AT + 2], 31_u16.to_le_bytes());
            assert_eq!(u64_at(&page, GDTR_AT + 2), 0x1234_5000 + GDT_AT as u64);
        }
    }

    #[test]
    fn the_kernel_is_told_where_its_parameters_are_and_is_entered() {
        let page = |entry| {
            trampoline(
                PhysAddr(0x1234_5000),
                PhysAddr(0x77_6000),
                entry,
                PhysAddr(0x100_0200),
            )
        };
        let long = page(Entry::Bits64);
        assert_eq!(long[0x22..0x24], [0x48, 0xbe], "mov rsi");
        assert_eq!(u64_at(&long, 0x24), 0x77_6000);
        assert_eq!(long[0x2c..0x2e], [0x48, 0xb8], "mov rax");
        assert_eq!(u64_at(&long, 0x2e), 0x100_0200);
        let short = page(Entry::Bits32);
        assert_eq!(short[0x4c..0x51], [0xbe, 0x00, 0x60, 0x77, 0x00], "mov esi");
        assert_eq!(short[0x51..0x56], [0xb8, 0x00, 0x02, 0x00, 0x01], "mov eax");
    }

    #[test]
    fn the_descriptors_are_flat_and_of_the_protocols_kinds() {
        for (entry, long, short) in [(Entry::Bits64, 1, 0), (Entry::Bits32, 0, 1)] {
            let page = trampoline(PhysAddr(0), PhysAddr(0), entry, PhysAddr(0));
            let descriptor = |selector: usize| u64_at(&page, GDT_AT + selector);
            assert_eq!((descriptor(0), descriptor(8)), (0, 0));
            for (selector, kind, long, short) in [(0x10, 0x9a, long, short), (0x18, 0x92, 0, 1)] {
                let d = descriptor(selector);
                let limit = (d & 0xffff) | (d >> 32 & 0xf_0000);
                let base = (d >> 16 & 0xff_ffff) | (d >> 32 & 0xff00_0000);
                assert_eq!((base, limit), (0, 0xf_ffff));
                assert_eq!(d >> 40 & 0xff, kind, "present, ring 0, and what it allows");
                assert_eq!(d >> 53 & 1, long, "64-bit code");
                assert_eq!(d >> 54 & 1, short, "32-bit operands");
                assert_eq!(d >> 55 & 1, 1, "the limit counts pages");
            }
        }
    }

    #[test]
    fn code_table_and_stack_do_not_lie_over_each_other() {
        for entry in ENTRIES {
            let way = Way::of(entry);
            assert!(HEAD.len() + way.code.len() <= GDTR_AT && GDTR_AT + 10 <= GDT_AT);
            assert!(
                GDT_AT + size_of_val(&way.descriptors()) + 1024 <= SIZE,
                "room for the stack"
            );
        }
    }
}
