//! The checks that are asked a second time in the RAM environment, before the commit point: that
//! kernel has drivers of its own, and the machine has gone on since `check` looked.
//!
//! The launcher's table of checks and the init's are both compared with this list by their tests.

/// Codes, in the order of the launcher's table.
pub const CODES: [&str; 17] = [
    "root",
    "root-degraded",
    "root-type",
    "root-btrfs",
    "root-subvolumes",
    "root-double",
    "root-errors",
    "root-features",
    "root-journal",
    "partition-table",
    "root-driver",
    "separate-mounts",
    "keep-mounts",
    "keep",
    "space",
    "memory",
    "network-gateway",
];
