//! `prctl(PR_SET_SECCOMP)`: a filter for the system calls of this thread and all it starts.

use std::io;

/// An instruction of classic BPF, `struct sock_filter` of `linux/filter.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// What it does.
    pub code: u16,
    /// How many instructions are passed over if its comparison holds.
    pub if_true: u8,
    /// The same if it does not.
    pub if_false: u8,
    /// Its operand.
    pub operand: u32,
}

/// Installs a filter. Without `CAP_SYS_ADMIN` the kernel refuses.
pub fn filter(program: &[Instruction]) -> io::Result<()> {
    let length = u16::try_from(program.len()).map_err(io::Error::other)?;
    let program = libc::sock_fprog {
        len: length,
        filter: program.as_ptr().cast_mut().cast(),
    };
    // SAFETY: `Instruction` has the layout of `sock_filter`; the kernel copies `len` of them from the
    // slice, which is borrowed for the length of the call, and checks the program.
    let result = unsafe {
        libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            &raw const program,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
