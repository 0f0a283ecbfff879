//! The running machine: its processes, memory, consoles, modules and watchdogs, and the condition
//! that it is in.
//!
//! Parsers take bytes and are pure; thin readers feed them from /proc and /sys. Nothing here writes
//! to a disk, but for the record of a run's steps and who holds the lock of runs, or decides what becomes of the machine. It may import
//! [`storage`] and [`bootpath`] beside it, and the floors below.

pub mod accounts;
pub mod answers;
pub mod bus_masters;
pub mod condition;
pub mod consoles;
pub mod held;
pub mod initrd;
pub mod listening;
pub mod log_line;
pub mod meminfo;
pub mod modinfo;
pub mod modules;
pub mod moment;
pub mod open_files;
pub mod os_release;
pub mod outside;
pub mod own_programs;
pub mod patience;
pub mod plain_file;
pub mod processes;
pub mod runs;
pub mod serial_logins;
pub mod step_record;
pub mod sysrq;
pub mod turns;
pub mod watchdog;
