//! Running the program under test, and what it is to answer.

use std::process::{Command, Output};

/// Stops a test that needs root, saying how to run it.
pub fn require_root() {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test makes files of other owners; run it as root: \
         sudo env PATH=\"$PATH\" cargo test -p reroot --test command"
    );
}

/// The least that is a static x86-64 program to one who reads headers.
pub fn elf(machine: u8) -> Vec<u8> {
    let mut bytes = vec![0; 64];
    bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
    bytes[18] = machine;
    bytes
}

/// The program under test.
pub fn reroot(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reroot"));
    command.args(arguments);
    command
}

/// Runs a command that has to succeed; returns what it printed.
pub fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?}: {}\n{errors}",
        output.status
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a command that has to be refused, with exit code 1, saying all of `parts` on stderr, what
/// is intact and what to do next.
pub fn refused(command: &mut Command, parts: &[&str]) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let errors = String::from_utf8_lossy(&stderr);
    assert_eq!(status.code(), Some(1), "{command:?}: {errors}");
    assert_eq!(stdout, b"", "{command:?}");
    for part in parts.iter().chain(&["\nintact: ", "\nnext: "]) {
        assert!(errors.contains(part), "{part} is not in: {errors}");
    }
}
