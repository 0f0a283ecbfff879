//! What the RAM environment is given, staged in the run's directory.

mod carried;
pub mod initrd;
mod on_disk;
