//! What the RAM environment is given, staged in the run's directory: from there any entry takes it.

mod carried;
pub mod initrd;
mod on_disk;
