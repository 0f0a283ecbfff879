//! PID 1 of the RAM environment.
//!
//! Started by the kernel, or put in the place of an old OS's PID 1, it becomes the supervisor, which mounts what a system needs, starts a
//! worker, and waits. The worker does the run. It may fail, be killed or run out of memory: the
//! supervisor stays, and decides between booting the old OS again, booting the new one, and
//! holding the machine with a rescue shell. Nothing here is ever run by the old OS.
//!
//! A copy stays in the new OS until its first boot is confirmed ([`confirm`]).

mod back;
mod boot_sectors;
mod carry;
mod checks_again;
mod chroot;
mod commit;
mod confirm;
mod console;
mod drivers;
mod early;
mod find;
mod finish;
mod flags_cleared;
mod fstab;
mod hold;
mod host_keys;
mod inspect;
mod journal_file;
mod loader;
mod locales;
mod network;
mod progress;
mod recorder;
mod rehearse;
mod resume;
mod run;
mod stage_loader;
mod supervisor;
mod takeover;
mod target;
mod unpack;
mod verify;
mod watch;
mod wipe;

use std::process::ExitCode;

const USAGE: &str =
    "reroot-init is PID 1 of reroot's RAM environment and is started by its kernel.\n\
    From the rescue shell: `/init run` tries the run again.\n\
    In the new OS: `confirm DIR` compares the machine with the plan in the run's directory.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match &words[..] {
        // The launcher made PID 1 of the old OS become this.
        ["takeover", room] if std::process::id() == 1 => {
            supervisor::supervise(|| takeover::settle(room))
        }
        // The kernel hands parameters that it does not know to PID 1.
        _ if std::process::id() == 1 => supervisor::supervise(|| Ok(early::prepare())),
        ["run"] => run::main(),
        ["leave", why] => back::main(why),
        ["confirm", "kept", directory] => confirm::kept(directory),
        ["confirm", directory] => confirm::main(directory),
        ["in-root", root, program, rest @ ..] => chroot::enter(root, program, rest),
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}
