//! The first instructions after kexec: from the state in which the old kernel jumps to the state
//! that the 64-bit boot protocol asks for.
//!
//! The old kernel jumps in 64-bit mode, with interrupts off and memory mapped as it is, but with an
//! empty descriptor table and segments of its own. The protocol (Documentation/arch/x86/boot.rst,
//! "64-bit Boot Protocol") wants `__BOOT_CS` and `__BOOT_DS`, both flat, loaded from a table that
//! is there, and RSI at `boot_params`. The code is relative to itself but for two addresses, so it
//! runs wherever it is put; it is kept as bytes, for it is thirty instructions long and never
//! changes.

use super::address::PhysAddr;

/// Bytes of code, table and stack: a page.
pub const SIZE: usize = 4096;

/// Where the address of `boot_params` goes: the operand of `mov rsi, imm64`.
const BOOT_PARAMS_AT: usize = 0x24;
/// Where the kernel's entry goes: the operand of `mov rax, imm64`.
const ENTRY_AT: usize = 0x2e;
/// The operand of `lgdt`: limit and, patched in, the address of the table.
const GDTR_AT: usize = 0x60;
/// The descriptor table.
const GDT_AT: usize = 0x70;

/// Displacements count from the end of their instruction.
#[rustfmt::skip]
const CODE: [u8; 0x52] = [
    0xfa,                                           // 00 cli
    0xfc,                                           // 01 cld
    0x48, 0x8d, 0x25, 0xf7, 0x0f, 0x00, 0x00,       // 02 lea  rsp, [rip + 0xff7]: the page's end
    0x0f, 0x01, 0x15, 0x50, 0x00, 0x00, 0x00,       // 09 lgdt [rip + 0x50]: GDTR_AT
    0x6a, 0x10,                                     // 10 push 0x10: __BOOT_CS
    0x48, 0x8d, 0x05, 0x03, 0x00, 0x00, 0x00,       // 12 lea  rax, [rip + 3]: 1c
    0x50,                                           // 19 push rax
    0x48, 0xcb,                                     // 1a retfq: loads CS, goes on below
    0x6a, 0x18,                                     // 1c push 0x18: __BOOT_DS
    0x58,                                           // 1e pop  rax
    0x8e, 0xd8,                                     // 1f mov  ds, eax
    0x90,                                           // 21 nop
    0x48, 0xbe, 0, 0, 0, 0, 0, 0, 0, 0,             // 22 mov  rsi, BOOT_PARAMS_AT
    0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0,             // 2c mov  rax, ENTRY_AT
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
];

/// Descriptors by their selector: nothing at 0 and 8, `__BOOT_CS` at 0x10 (64-bit code, execute and
/// read), `__BOOT_DS` at 0x18 (data, read and write). Both reach over all of memory.
const GDT: [u64; 4] = [0, 0, 0x00af_9a00_0000_ffff, 0x00cf_9200_0000_ffff];

/// The trampoline, made to lie at `at`.
pub fn trampoline(at: PhysAddr, boot_params: PhysAddr, entry: PhysAddr) -> [u8; SIZE] {
    let mut page = [0; SIZE];
    let mut put = |offset: usize, bytes: &[u8]| {
        page[offset..offset + bytes.len()].copy_from_slice(bytes);
    };
    put(0, &CODE);
    put(BOOT_PARAMS_AT, &boot_params.0.to_le_bytes());
    put(ENTRY_AT, &entry.0.to_le_bytes());
    put(GDTR_AT, &(size_of_val(&GDT) as u16 - 1).to_le_bytes());
    put(GDTR_AT + 2, &(at.0 + GDT_AT as u64).to_le_bytes());
    for (i, descriptor) in GDT.iter().enumerate() {
        put(GDT_AT + 8 * i, &descriptor.to_le_bytes());
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let page = trampoline(
            PhysAddr(0x1234_5000),
            PhysAddr(0x77_6000),
            PhysAddr(0x100_0200),
        );
        // The opcodes before the operands, and what they lead to.
        assert_eq!(page[2..5], [0x48, 0x8d, 0x25]);
        assert_eq!(points_to(&page, 5), SIZE);
        assert_eq!(page[9..12], [0x0f, 0x01, 0x15]);
        assert_eq!(points_to(&page, 12), GDTR_AT);
        assert_eq!(page[0x12..0x15], [0x48, 0x8d, 0x05]);
        assert_eq!(points_to(&page, 0x15), 0x1c);
        assert_eq!(page[BOOT_PARAMS_AT - 2..BOOT_PARAMS_AT], [0x48, 0xbe]);
        assert_eq!(u64_at(&page, BOOT_PARAMS_AT), 0x77_6000);
        assert_eq!(page[ENTRY_AT - 2..ENTRY_AT], [0x48, 0xb8]);
        assert_eq!(u64_at(&page, ENTRY_AT), 0x100_0200);
        assert_eq!(page[GDTR_AT..GDTR_AT + 2], 31_u16.to_le_bytes());
        assert_eq!(u64_at(&page, GDTR_AT + 2), 0x1234_5000 + GDT_AT as u64);
    }

    #[test]
    fn the_descriptors_are_flat_and_of_the_protocols_kinds() {
        let page = trampoline(PhysAddr(0), PhysAddr(0), PhysAddr(0));
        let descriptor = |selector: usize| u64_at(&page, GDT_AT + selector);
        assert_eq!((descriptor(0), descriptor(8)), (0, 0));
        for (selector, kind, long) in [(0x10, 0x9a, 1), (0x18, 0x92, 0)] {
            let d = descriptor(selector);
            let limit = (d & 0xffff) | (d >> 32 & 0xf_0000);
            let base = (d >> 16 & 0xff_ffff) | (d >> 32 & 0xff00_0000);
            assert_eq!((base, limit), (0, 0xf_ffff));
            assert_eq!(d >> 40 & 0xff, kind, "present, ring 0, and what it allows");
            assert_eq!(d >> 53 & 1, long, "64-bit code");
            assert_eq!(d >> 55 & 1, 1, "the limit counts pages");
        }
    }

    #[test]
    fn code_table_and_stack_do_not_lie_over_each_other() {
        assert!(CODE.len() <= GDTR_AT && GDTR_AT + 10 <= GDT_AT);
        assert!(
            GDT_AT + size_of_val(&GDT) + 1024 <= SIZE,
            "room for the stack"
        );
    }
}
