//! The floor: a Linux 3.2 as far as system calls go. Every call that came later answers ENOSYS, by
//! a seccomp filter made from a table. Filters stay through fork and exec, so whatever a program
//! under the filter starts is under it too.
//!
//! Numbers are those of x86-64 (the kernel's `syscall_64.tbl`); versions are from the
//! tables of the manual page syscalls(2).

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result};
use syscalls::seccomp::{self, Instruction};

/// A system call that came after Linux 3.2: number, name, version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Newer(pub u32, pub &'static str, pub &'static str);

/// All of them.
#[rustfmt::skip]
pub const NEWER: [Newer; 67] = [
    Newer(312, "kcmp", "3.5"),
    Newer(313, "finit_module", "3.8"),
    Newer(314, "sched_setattr", "3.14"),
    Newer(315, "sched_getattr", "3.14"),
    Newer(316, "renameat2", "3.15"),
    Newer(317, "seccomp", "3.17"),
    Newer(318, "getrandom", "3.17"),
    Newer(319, "memfd_create", "3.17"),
    Newer(320, "kexec_file_load", "3.17"),
    Newer(321, "bpf", "3.18"),
    Newer(322, "execveat", "3.19"),
    Newer(323, "userfaultfd", "4.3"),
    Newer(324, "membarrier", "4.3"),
    Newer(325, "mlock2", "4.4"),
    Newer(326, "copy_file_range", "4.5"),
    Newer(327, "preadv2", "4.6"),
    Newer(328, "pwritev2", "4.6"),
    Newer(329, "pkey_mprotect", "4.9"),
    Newer(330, "pkey_alloc", "4.9"),
    Newer(331, "pkey_free", "4.9"),
    Newer(332, "statx", "4.11"),
    Newer(333, "io_pgetevents", "4.18"),
    Newer(334, "rseq", "4.18"),
    Newer(424, "pidfd_send_signal", "5.1"),
    Newer(425, "io_uring_setup", "5.1"),
    Newer(426, "io_uring_enter", "5.1"),
    Newer(427, "io_uring_register", "5.1"),
    Newer(428, "open_tree", "5.2"),
    Newer(429, "move_mount", "5.2"),
    Newer(430, "fsopen", "5.2"),
    Newer(431, "fsconfig", "5.2"),
    Newer(432, "fsmount", "5.2"),
    Newer(433, "fspick", "5.2"),
    Newer(434, "pidfd_open", "5.3"),
    Newer(435, "clone3", "5.3"),
    Newer(436, "close_range", "5.9"),
    Newer(437, "openat2", "5.6"),
    Newer(438, "pidfd_getfd", "5.6"),
    Newer(439, "faccessat2", "5.8"),
    Newer(440, "process_madvise", "5.10"),
    Newer(441, "epoll_pwait2", "5.11"),
    Newer(442, "mount_setattr", "5.12"),
    Newer(443, "quotactl_fd", "5.14"),
    Newer(444, "landlock_create_ruleset", "5.13"),
    Newer(445, "landlock_add_rule", "5.13"),
    Newer(446, "landlock_restrict_self", "5.13"),
    Newer(447, "memfd_secret", "5.14"),
    Newer(448, "process_mrelease", "5.15"),
    Newer(449, "futex_waitv", "5.16"),
    Newer(450, "set_mempolicy_home_node", "5.17"),
    Newer(451, "cachestat", "6.5"),
    Newer(452, "fchmodat2", "6.6"),
    Newer(453, "map_shadow_stack", "6.6"),
    Newer(454, "futex_wake", "6.7"),
    Newer(455, "futex_wait", "6.7"),
    Newer(456, "futex_requeue", "6.7"),
    Newer(457, "statmount", "6.8"),
    Newer(458, "listmount", "6.8"),
    Newer(459, "lsm_get_self_attr", "6.8"),
    Newer(460, "lsm_set_self_attr", "6.8"),
    Newer(461, "lsm_list_modules", "6.8"),
    Newer(462, "mseal", "6.10"),
    Newer(463, "setxattrat", "6.13"),
    Newer(464, "getxattrat", "6.13"),
    Newer(465, "listxattrat", "6.13"),
    Newer(466, "removexattrat", "6.13"),
    Newer(467, "open_tree_attr", "6.15"),
];

/// The last call of Linux 3.2 is `process_vm_writev`.
pub const LAST_OF_THE_FLOOR: u32 = 311;

// `BPF_LD | BPF_W | BPF_ABS`, `BPF_JMP | BPF_JEQ | BPF_K`, `BPF_RET | BPF_K`.
const LOAD: u16 = 0x20;
const JUMP_IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
/// `AUDIT_ARCH_X86_64`.
const X86_64: u32 = 0xc000_003e;
/// `SECCOMP_RET_ALLOW`, and `SECCOMP_RET_ERRNO` with ENOSYS.
const ALLOW: u32 = 0x7fff_0000;
const NO_SUCH_CALL: u32 = 0x0005_0000 | 0x26;

/// The filter: calls of the table answer ENOSYS, all others are made.
pub fn filter() -> Vec<Instruction> {
    let instruction = |code, if_true, if_false, operand| Instruction {
        code,
        if_true,
        if_false,
        operand,
    };
    let mut program = vec![
        instruction(LOAD, 0, 0, ARCHITECTURE),
        // 32-bit programs have other numbers; there are none on these machines.
        instruction(JUMP_IF_EQUAL, 1, 0, X86_64),
        instruction(RETURN, 0, 0, ALLOW),
        instruction(LOAD, 0, 0, NUMBER),
    ];
    for Newer(number, ..) in NEWER {
        program.push(instruction(JUMP_IF_EQUAL, 0, 1, number));
        program.push(instruction(RETURN, 0, 0, NO_SUCH_CALL));
    }
    program.push(instruction(RETURN, 0, 0, ALLOW));
    program
}

/// Becomes the program that the words name, under the filter. Returns only if that failed.
pub fn execute(words: &[String]) -> Result<()> {
    let (program, arguments) = words.split_first().context("a program to run")?;
    seccomp::filter(&filter()).context("install the filter")?;
    let error = Command::new(program).args(arguments).exec();
    Err(error).with_context(|| format!("execute {program}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_holds_only_what_came_after_the_floor_and_each_once() {
        for pair in NEWER.windows(2) {
            assert!(pair[0].0 < pair[1].0, "{pair:?}");
        }
        assert!(NEWER.iter().all(|n| n.0 > LAST_OF_THE_FLOOR));
    }

    /// What the filter answers, by the rules of classic BPF.
    fn answer(architecture: u32, number: u32) -> u32 {
        let program = filter();
        let (mut at, mut value) = (0, 0);
        loop {
            let i = program[at];
            at += 1;
            match i.code {
                LOAD => value = [number, architecture][i.operand as usize / 4],
                JUMP_IF_EQUAL if value == i.operand => at += usize::from(i.if_true),
                JUMP_IF_EQUAL => at += usize::from(i.if_false),
                _ => return i.operand,
            }
        }
    }

    #[test]
    fn newer_calls_are_not_there_and_older_ones_are() {
        for number in 0..=LAST_OF_THE_FLOOR {
            assert_eq!(answer(X86_64, number), ALLOW);
        }
        for Newer(number, name, _) in NEWER {
            assert_eq!(answer(X86_64, number), NO_SUCH_CALL, "{name}");
        }
        assert_eq!(answer(0x4000_0003, 318), ALLOW, "another architecture");
    }
}
