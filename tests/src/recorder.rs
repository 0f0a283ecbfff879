//! A machine whose root disk is behind QEMU's blklogwrites; `power.rs` reads what that writes.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

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
        arguments.splice(
            at - 1..=at,
            [
                "-blockdev".into(),
                format!(
                    "driver=qcow2,node-name=recorded,file.driver=file,file.filename={}",
                    disk.display()
                )
                .into(),
                "-blockdev".into(),
                format!(
                    "driver=blklogwrites,node-name=root,file=recorded,log.driver=file,log.filename={}",
                    log.display()
                )
                .into(),
            ],
        );
    }
    recorded.args(arguments);
    recorded
}
