//! Loading another kernel by `kexec_load(2)` with a loader of our own, for x86-64.
//!
//! [`bzimage`] reads the kernel, [`memory_map`] the machine's memory, `placement` finds room,
//! [`boot_params`](mod@boot_params) and `trampoline` make what the kernel is started with, and
//! [`layout`](mod@layout) puts it together. All of that is bytes in, values out. [`running`] reads
//! the machine, [`load`](mod@load) hands the result to the running kernel. A kernel for a crash is
//! not loaded here, nor one for another architecture. It may import formats and syscalls.

pub mod address;
pub mod boot_params;
pub mod bzimage;
pub mod efi;
pub mod errors;
pub mod initrd;
pub mod layout;
pub mod load;
pub mod memory_map;
mod placement;
#[cfg(test)]
mod recorded;
pub mod running;
mod trampoline;
