//! Setup headers of real kernels, for tests: the fields from 0x1f1 on, as they stand in the files.

use super::bzimage::{HEAD, SETUP_HEADER};

/// A recorded kernel, and what is known about it from elsewhere.
pub struct Recorded {
    /// Where it is from.
    pub name: &'static str,
    /// Bytes of its file.
    pub length: u64,
    /// Where its protected-mode code begins in the file.
    pub code_start: u64,
    /// Its boot protocol.
    pub protocol: u16,
    /// Its `init_size`.
    pub init_size: u64,
    /// The setup header.
    pub header: &'static str,
}

/// The kernels.
pub const KERNELS: &[Recorded] = &[
    Recorded {
        name: "Debian 11, 5.10.0-32",
        length: 7_073_376,
        code_start: 15872,
        protocol: 0x20f,
        init_size: 0x03b7_a000,
        header: "1e0100aaba06000000ffff000055aaeb6a486472530f02000000000010c0380001008000001000000000000000000000000000e051000000000000ffffff7f0000200001153f00ff0700000000000000000000000000005c040000407a6a000000000000000000000000010000000000a0b703900100003c996b00",
    },
    Recorded {
        name: "Debian 13, 6.12.117",
        length: 12_171_200,
        code_start: 20480,
        protocol: 0x20f,
        init_size: 0x037e_f000,
        header: "27010020960b000000ffff000055aaeb6a486472530f0200000000001000430001008000001000000000000000000000000000005c000000000000ffffff7f0000200001157f00ff070000000000000000000000000000cc020000b8ebb5000000000000000000000000010000000000f07e03e031b8001c33b900",
    },
];

/// The head of such a kernel's file, with zeros for all that is not its setup header.
pub fn head(recorded: &Recorded) -> Vec<u8> {
    let mut bytes = vec![0; HEAD];
    let digits = recorded.header.as_bytes();
    for (i, pair) in digits.chunks_exact(2).enumerate() {
        let text = std::str::from_utf8(pair).unwrap();
        bytes[SETUP_HEADER + i] = u8::from_str_radix(text, 16).unwrap();
    }
    bytes
}
