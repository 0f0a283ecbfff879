//! `floor PROGRAM ARGUMENT...` becomes a program for which Linux has the system calls of 3.2 only.
//! `floor --probe` says for some newer calls whether they are there.

use anyhow::Result;
use reroot_tests::floor;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words == ["--probe"] {
        probe();
        return Ok(());
    }
    floor::execute(&words)
}

/// Asks for calls that do no harm; prints `NAME there` or `NAME not there`.
fn probe() {
    use rustix::fs::{
        openat2, statx, AtFlags, MemfdFlags, Mode, OFlags, ResolveFlags, StatxFlags, CWD,
    };
    use rustix::io::Errno;
    let answers = [
        (
            "memfd_create",
            rustix::fs::memfd_create("probe", MemfdFlags::CLOEXEC).map(drop),
        ),
        (
            "openat2",
            openat2(CWD, "/", OFlags::PATH, Mode::empty(), ResolveFlags::empty()).map(drop),
        ),
        (
            "statx",
            statx(CWD, "/", AtFlags::empty(), StatxFlags::ALL).map(drop),
        ),
    ];
    for (name, answer) in answers {
        let there = answer != Err(Errno::NOSYS);
        println!("{name} {}", if there { "there" } else { "not there" });
    }
}
