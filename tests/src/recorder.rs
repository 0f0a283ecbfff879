//! A machine whose root disk is behind QEMU's blklogwrites; `power.rs` reads what that writes.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

/// QEMU's options for a disk behind a recorder, as a node of this name.
pub(crate) fn nodes(name: &str, disk: &Path, log: &Path) -> [String; 4] {
    [
        "-blockdev".to_owned(),
        format!(
            "driver=qcow2,node-name=recorded-{name},file.driver=file,file.filename={}",
            disk.display()
        ),
        "-blockdev".to_owned(),
        format!(
            "driver=blklogwrites,node-name={name},file=recorded-{name},log.driver=file,log.filename={}",
            log.display()
        ),
    ]
}

/// QEMU's command line with the root disk behind a recorder.
pub(crate) fn recorded(command: &Command, disk: &Path, log: &Path) -> Command {
    let mut recorded = Command::new(command.get_program());
    let mut arguments: Vec<OsString> = command.get_args().map(OsString::from).collect();
    let root = arguments.iter().position(|argument| {
        argument
            .to_str()
            .is_some_and(|text| text.contains("if=none,id=root,"))
    });
    if let Some(at) = root {
        let nodes = nodes("root", disk, log).map(OsString::from);
        arguments.splice(at - 1..=at, nodes);
    }
    recorded.args(arguments);
    recorded
}
