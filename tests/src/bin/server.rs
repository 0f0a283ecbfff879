//! An old server to try things on by hand: boots one and waits until told to end it.

use anyhow::Result;
use reroot_tests::old_server::ssh_key;
use reroot_tests::vm::{running_old_server, USUAL_MEMORY_MIB};

fn main() -> Result<()> {
    let memory_mib = match std::env::args().nth(1) {
        Some(argument) => argument.parse()?,
        None => USUAL_MEMORY_MIB,
    };
    let machine = running_old_server("server", memory_mib)?;
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
