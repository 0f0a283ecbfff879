//! What a virtual machine is made of, as QEMU's command line.
//!
//! A saved machine can only be taken up by one with the same devices, so this file is part of what
//! saved machines are keyed by; it refuses nothing and starts nothing.

use std::path::Path;
use std::process::Command;

use crate::accelerator::{Accelerator, PROCESSOR};

/// The choices that differ from machine to machine.
pub(crate) struct Devices<'a> {
    pub accelerator: Accelerator,
    pub memory_mib: u32,
    /// The qcow2 file of the root disk.
    pub disk: &'a Path,
    /// The port of 127.0.0.1 that leads to the machine's ssh.
    pub ssh_port: u16,
    /// Where the sockets `console` and `qmp` are made.
    pub sockets: &'a Path,
    /// Where everything that the serial console shows is written to.
    pub console_log: &'a Path,
}

/// QEMU with these devices, not started yet.
pub(crate) fn qemu(devices: &Devices) -> Command {
    // setpriv: a test that is killed takes its machine with it.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "qemu-system-x86_64", "-nodefaults"]);
    command.args(devices.accelerator.options());
    let port = devices.ssh_port;
    let disk = devices.disk.display();
    let sockets = devices.sockets.display();
    let log = devices.console_log.display();
    for (option, value) in [
        ("-machine", "pc".to_owned()),
        ("-cpu", PROCESSOR.to_owned()),
        ("-m", devices.memory_mib.to_string()),
        ("-display", "none".to_owned()),
        ("-vga", "std".to_owned()),
        ("-device", "virtio-rng-pci,addr=5".to_owned()),
        (
            "-netdev",
            format!("user,id=net,hostfwd=tcp:127.0.0.1:{port}-:22"),
        ),
        // The address on the bus gives the interface its name, ens3.
        (
            "-device",
            "virtio-net-pci,netdev=net,addr=3,romfile=".to_owned(),
        ),
        (
            "-drive",
            format!("file={disk},if=none,id=root,format=qcow2"),
        ),
        (
            "-device",
            "virtio-blk-pci,drive=root,addr=4,bootindex=0".to_owned(),
        ),
        (
            "-chardev",
            format!("socket,id=console,path={sockets}/console,server=on,wait=off,logfile={log}"),
        ),
        ("-serial", "chardev:console".to_owned()),
        ("-qmp", format!("unix:{sockets}/qmp,server=on,wait=off")),
    ] {
        command.args([option.to_owned(), value]);
    }
    command
}
