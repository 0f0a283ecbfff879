//! What is done to another process's registers and stack to make it call the kernel, as pure
//! functions. x86-64: the number in rax, arguments in rdi, rsi and rdx, the result in rax.

use nix::libc::user_regs_struct as Registers;

/// The instruction `syscall`.
pub const SYSCALL: [u8; 2] = [0x0f, 0x05];
/// `__USER_CS`: the code segment of 64-bit programs.
pub const WIDE_CODE: u64 = 0x33;
/// Below the stack pointer a function may use as many bytes without telling.
const RED_ZONE: u64 = 128;
/// The smallest piece of memory that is there or not.
pub const PAGE: u64 = 4096;
/// A call to be made: its number and arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its number.
    pub number: u64,
    /// Its arguments.
    pub arguments: [u64; 3],
}

/// Whether the process is in a system call.
pub fn is_in_call(registers: &Registers) -> bool {
    registers.orig_rax as i64 >= 0
}

/// Registers with which the process makes `call` by the instruction at `at`.
pub fn calling(stopped: &Registers, at: u64, call: Call) -> Registers {
    Registers {
        rip: at,
        rax: call.number,
        rdi: call.arguments[0],
        rsi: call.arguments[1],
        rdx: call.arguments[2],
        // There is no call to be gone on with: this one must not be rewound.
        orig_rax: u64::MAX,
        ..*stopped
    }
}

/// The arguments of `execve(2)` in another process's memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Where it begins, a multiple of 16.
    pub address: u64,
    /// What is there; a multiple of 8 bytes.
    pub bytes: Vec<u8>,
    /// The addresses of path, argument vector and environment.
    pub arguments: [u64; 3],
}

/// Lays out path, arguments and environment below the stack pointer; where the stack pointer's page
/// has no room there, at the beginning of that page, which is the only one that is certain to be
/// there: the stack may begin with it, and a kernel need not let it grow for a tracer. What was
/// there is put back if the call fails, and the process does not run meanwhile.
pub fn lay_out(stack: u64, argv: &[&str], envp: &[&str]) -> Block {
    let bottom = stack & !(PAGE - 1);
    let strings: Vec<&str> = argv.iter().chain(envp).copied().collect();
    let text: usize = strings.iter().map(|s| s.len() + 1).sum();
    // Two lists with an end each.
    let pointers = (strings.len() + 2) * 8;
    let length = (pointers + text).next_multiple_of(16);
    let below = stack.saturating_sub(RED_ZONE + length as u64) & !15;
    let address = if below < bottom { bottom } else { below };

    let mut lists = Vec::with_capacity(length);
    let mut texts = Vec::with_capacity(text);
    let place = |texts: &Vec<u8>| address + pointers as u64 + texts.len() as u64;
    let path = place(&texts);
    for list in [argv, envp] {
        for string in list {
            lists.extend(place(&texts).to_le_bytes());
            texts.extend(string.as_bytes());
            texts.push(0);
        }
        lists.extend(0_u64.to_le_bytes());
    }
    lists.extend(texts);
    lists.resize(length, 0);
    Block {
        address,
        bytes: lists,
        arguments: [path, address, address + (argv.len() as u64 + 1) * 8],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stopped(orig_rax: i64, rax: i64) -> Registers {
        // Every field a number: all zeros is a set of registers.
        let zero = Registers {
            r15: 0,
            r14: 0,
            r13: 0,
            r12: 0,
            rbp: 0,
            rbx: 0,
            r11: 0,
            r10: 0,
            r9: 0,
            r8: 0,
            rax: 0,
            rcx: 0,
            rdx: 0,
            rsi: 0,
            rdi: 0,
            orig_rax: 0,
            rip: 0,
            cs: WIDE_CODE,
            eflags: 0,
            rsp: 0,
            ss: 0,
            fs_base: 0,
            gs_base: 0,
            ds: 0,
            es: 0,
            fs: 0,
            gs: 0,
        };
        Registers {
            orig_rax: orig_rax as u64,
            rax: rax as u64,
            rip: 1002,
            ..zero
        }
    }

    #[test]
    fn a_call_leaves_the_other_registers() {
        let mut before = stopped(23, -514);
        before.rbx = 7;
        before.rsp = 4096;
        let call = Call {
            number: 39,
            arguments: [1, 2, 3],
        };
        let after = calling(&before, 500, call);
        assert_eq!((after.rip, after.rax, after.rdi), (500, 39, 1));
        assert_eq!((after.rsi, after.rdx), (2, 3));
        assert_eq!((after.rbx, after.rsp), (7, 4096));
        assert!(!is_in_call(&after));
    }

    fn string_at(block: &Block, address: u64) -> String {
        let at = (address - block.address) as usize;
        let end = block.bytes[at..].iter().position(|&b| b == 0).unwrap();
        String::from_utf8(block.bytes[at..at + end].to_vec()).unwrap()
    }

    fn list_at(block: &Block, address: u64) -> Vec<String> {
        let at = (address - block.address) as usize;
        block.bytes[at..]
            .chunks_exact(8)
            .map(|word| u64::from_le_bytes(word.try_into().unwrap()))
            .take_while(|word| *word != 0)
            .map(|word| string_at(block, word))
            .collect()
    }

    #[test]
    fn arguments_lie_below_the_red_zone_or_at_the_bottom() {
        for (stack, bottom, lowest) in [
            (0x7fff_1234, 0x7fff_1000, false),
            (0x7fff_1080, 0x7fff_1000, true),
            (0x7000, 0x7000, true),
            (0x7fff, 0x7000, false),
        ] {
            let block = lay_out(stack, &["/init", "takeover"], &["PATH=/bin"]);
            assert_eq!(block.address & !(PAGE - 1), bottom, "another page");
            let end = block.address + block.bytes.len() as u64;
            assert_eq!(block.address % 16, 0);
            assert_eq!(block.bytes.len() % 8, 0);
            if lowest {
                assert_eq!(block.address, bottom);
            } else {
                assert!(end + RED_ZONE <= stack);
            }
            let [path, argv, envp] = block.arguments;
            assert_eq!(string_at(&block, path), "/init");
            assert_eq!(list_at(&block, argv), ["/init", "takeover"]);
            assert_eq!(list_at(&block, envp), ["PATH=/bin"]);
        }
    }
}
