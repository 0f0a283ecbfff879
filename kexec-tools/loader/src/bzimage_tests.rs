//! Headers of real kernels, what is refused, and that nothing does harm.

use proptest::prelude::*;

use super::super::recorded::{head, KERNELS};
use super::*;

#[test]
fn real_kernels_are_read() {
    for recorded in KERNELS {
        let kernel = Kernel::parse(&head(recorded), recorded.length).unwrap();
        assert_eq!(kernel.protocol, recorded.protocol, "{}", recorded.name);
        assert_eq!(kernel.entry, Entry::Bits64);
        assert!(kernel.five_levels && kernel.takes_efi);
        assert_eq!(
            kernel.place,
            Place::Relocatable {
                alignment: 2 << 20,
                preferred: PhysAddr(16 << 20)
            }
        );
        assert_eq!(kernel.init_size, ByteSize(recorded.init_size));
        assert_eq!(kernel.initrd_addr_max, PhysAddr(0x7fff_ffff));
        assert_eq!(kernel.cmdline_size, 2047);
        assert_eq!(kernel.code, recorded.code_start..recorded.length);
        assert_eq!(kernel.setup_header[0x202 - SETUP_HEADER..][..4], *b"HdrS");
    }
}

/// Parses the first recorded kernel's head with some bytes written over it.
fn changed(changes: &[(usize, &[u8])]) -> Result<Kernel, BzImageError> {
    let mut bytes = head(&KERNELS[0]);
    for (at, new) in changes {
        bytes[*at..at + new.len()].copy_from_slice(new);
    }
    Kernel::parse(&bytes, KERNELS[0].length)
}

#[test]
fn what_is_no_kernel_for_this_loader_is_refused_with_the_reason() {
    use BzImageError::{LoadedLow, No64BitEntry, NoKernel, OldProtocol};
    for (at, new, expected) in [
        (at::HEADER, &b"hdrs"[..], NoKernel),
        (at::BOOT_FLAG, &[0, 0], NoKernel),
        (at::VERSION, &[5, 2], OldProtocol(0x205)),
        (at::XLOADFLAGS, &[0x3e, 0], No64BitEntry),
        (at::LOADFLAGS, &[0], LoadedLow),
    ] {
        assert_eq!(changed(&[(at, new)]), Err(expected));
    }
}

#[test]
fn sizes_that_do_not_fit_together_are_refused() {
    for (field, at, new) in [
        ("setup_sects", at::SETUP_SECTS, &[65][..]),
        ("syssize", at::SYSSIZE, &[0; 4]),
        ("syssize", at::SYSSIZE, &[32, 0, 0, 0]),
        ("payload_length", at::PAYLOAD_LENGTH, &[0xff; 4]),
        ("payload_length", at::PAYLOAD_OFFSET, &[0xff; 4]),
        ("jump", at::JUMP, &[0]),
        ("jump", at::JUMP, &[0xff]),
        ("pref_address", at::PREF_ADDRESS, &[0; 8]),
        ("pref_address", at::PREF_ADDRESS, &[0xff; 8]),
        ("pref_address", at::PREF_ADDRESS, &[1]),
        ("kernel_alignment", at::KERNEL_ALIGNMENT, &[0; 4]),
        ("kernel_alignment", at::KERNEL_ALIGNMENT, &[1, 0, 0x20]),
        ("kernel_alignment", at::KERNEL_ALIGNMENT, &[0, 0, 0, 0x80]),
        ("init_size", at::INIT_SIZE, &[0; 4]),
        ("init_size", at::INIT_SIZE, &[0xff; 4]),
        ("cmdline_size", at::CMDLINE_SIZE, &[0; 4]),
        ("cmdline_size", at::CMDLINE_SIZE, &[0xff; 4]),
    ] {
        match changed(&[(at, new)]) {
            Err(BzImageError::Nonsense { field: found, .. }) => assert_eq!(found, field),
            other => panic!("{field}: {other:?}"),
        }
    }
}

#[test]
fn kernels_of_before_the_flag_are_entered_in_32_bits() {
    let code = KERNELS[0].length - KERNELS[0].code_start;
    let told = ByteSize(KERNELS[0].init_size);
    let guessed = ByteSize((16 << 20) + 8 * code);
    for (minor, preferred, init_size) in [
        (6, 1 << 20, guessed),
        (9, 1 << 20, guessed),
        (10, 16 << 20, told),
        (11, 16 << 20, told),
    ] {
        // What is a field later was nothing then, and may hold anything.
        let version = [minor, 2];
        let mut changes = vec![(at::VERSION, &version[..]), (at::XLOADFLAGS, &[0xff; 2])];
        if minor < 8 {
            changes.push((at::PAYLOAD_LENGTH, &[0xff; 4]));
        }
        if minor < 10 {
            changes.push((at::JUMP, &[(at::OLDEST_END - at::HEADER) as u8]));
            changes.push((at::PREF_ADDRESS, &[0xff; 12]));
        }
        let kernel = changed(&changes).unwrap();
        assert_eq!(kernel.entry, Entry::Bits32);
        assert!(!kernel.five_levels && !kernel.takes_efi);
        let place = Place::Relocatable {
            alignment: 2 << 20,
            preferred: PhysAddr(preferred),
        };
        assert_eq!((kernel.place, kernel.init_size), (place, init_size));
    }
    let short = (at::OLDEST_END - at::HEADER) as u8;
    for (minor, jump) in [(6, short - 1), (10, short)] {
        let cut = changed(&[(at::VERSION, &[minor, 2]), (at::JUMP, &[jump])]);
        assert!(matches!(
            cut,
            Err(BzImageError::Nonsense { field: "jump", .. })
        ));
    }
}

#[test]
fn a_file_that_is_cut_short_is_refused() {
    let recorded = &KERNELS[0];
    let bytes = head(recorded);
    let promised = recorded.code_start + u64::from(Fields(&bytes).u32(at::SYSSIZE)) * PARAGRAPH;
    assert!(Kernel::parse(&bytes, promised).is_ok());
    // The last paragraph may be incomplete, as some linkers leave it.
    assert!(Kernel::parse(&bytes, promised - 15).is_ok());
    assert_eq!(
        Kernel::parse(&bytes, promised - 16),
        Err(BzImageError::Truncated {
            there: promised - 16,
            promised
        })
    );
    for length in 0..at::END {
        let refused = Kernel::parse(&bytes[..length], length as u64);
        assert!(matches!(
            refused,
            Err(BzImageError::TooShort(_) | BzImageError::NoKernel)
        ));
    }
}

#[test]
fn a_kernel_that_is_not_relocatable_has_one_place() {
    let kernel = changed(&[(at::RELOCATABLE, &[0])]).unwrap();
    assert_eq!(kernel.place, Place::Fixed(PhysAddr(16 << 20)));
}

#[test]
fn four_sectors_are_meant_by_none() {
    let kernel = changed(&[(at::SETUP_SECTS, &[0])]).unwrap();
    assert_eq!(kernel.code.start, 5 * SECTOR);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever is written over a real header: a kernel that is taken can be laid out by its fields.
    #[test]
    fn changed_headers_are_refused_or_sane(
        which in 0..KERNELS.len(),
        changes in prop::collection::vec((SETUP_HEADER..at::LIMIT, any::<u8>()), 1..12),
        length in prop_oneof![Just(None), any::<u32>().prop_map(Some)],
    ) {
        let mut bytes = head(&KERNELS[which]);
        for (at, new) in changes {
            bytes[at] = new;
        }
        let length = length.map_or(KERNELS[which].length, u64::from);
        if let Ok(kernel) = Kernel::parse(&bytes, length) {
            prop_assert!(kernel.code.start < kernel.code.end && kernel.code.end <= length);
            prop_assert!(kernel.code.end - kernel.code.start <= kernel.init_size.0);
            prop_assert!(kernel.setup_header.len() <= at::LIMIT - SETUP_HEADER);
            if let Place::Relocatable { alignment, .. } = kernel.place {
                prop_assert!(alignment.is_power_of_two());
            }
        }
    }

    #[test]
    fn any_bytes_do_no_harm(
        bytes in prop::collection::vec(any::<u8>(), 0..1200),
        length in any::<u64>(),
    ) {
        let _ = Kernel::parse(&bytes, length);
    }
}
