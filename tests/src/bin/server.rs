//! An old server to try things on by hand: boots one and waits until told to end it.
//!
//! `server [MIB] [static | sysvinit]`: with its memory, and with the static server's network cards
//! and disks, or with sysvinit and the system calls of Linux 3.2.

use std::path::PathBuf;

use anyhow::{bail, ensure, Context, Result};
use reroot_tests::old_server::ssh_key;
use reroot_tests::snapshot::running_old_server;
use reroot_tests::static_server::running_static_server;
use reroot_tests::sysvinit_server::running_sysvinit_server;
use reroot_tests::vm::USUAL_MEMORY_MIB;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1).peekable();
    let memory = arguments.next_if(|argument| argument.starts_with(|c: char| c.is_ascii_digit()));
    let memory_mib = match memory {
        Some(argument) => argument.parse().context("memory in MiB")?,
        None => USUAL_MEMORY_MIB,
    };
    let machine = match arguments.next().as_deref() {
        Some("static") => running_static_server("server", memory_mib)?,
        Some("sysvinit") => running_sysvinit_server("server", memory_mib, &floor()?)?,
        Some(other) => bail!("{other}: it may be `static` or `sysvinit`"),
        None => running_old_server("server", memory_mib)?,
    };
    if let Ok(outside) = machine.outside() {
        println!("outside: ip netns exec {} sh", outside.name());
    }
    println!(
        "log in:  ssh -i {} -p {} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
         root@127.0.0.1\nconsole: tail -f {}\nPress Return to end it.",
        ssh_key()?.display(),
        machine.ssh_port(),
        machine.console_log().display()
    );
    std::io::stdin().read_line(&mut String::new())?;
    Ok(())
}

/// The program beside this one.
fn floor() -> Result<PathBuf> {
    let here = std::env::current_exe().context("this program's path")?;
    let floor = here.with_file_name("floor");
    ensure!(floor.exists(), "{} is not built", floor.display());
    Ok(floor)
}
