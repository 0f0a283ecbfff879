//! Where things are: the workspace, its target directory, the programs under test.
//!
//! The target directory holds everything the harness makes: base trees and disks in `base/`, built
//! images in `images/`, one directory a running machine in `vm/`. Nothing is written elsewhere.

use std::path::{Path, PathBuf};

/// The target that all programs are built for (`.cargo/config.toml`).
pub const TRIPLE: &str = "x86_64-unknown-linux-gnu";

/// The workspace's root directory.
pub fn workspace() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests)
}

/// Cargo's target directory.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| workspace().join("target"), |dir| workspace().join(dir))
}

/// A program of this workspace as `cargo build --release` leaves it.
pub fn program(name: &str) -> PathBuf {
    target().join(TRIPLE).join("release").join(name)
}

/// The directory of base trees, disks and snapshots.
pub fn base() -> PathBuf {
    target().join("base")
}
