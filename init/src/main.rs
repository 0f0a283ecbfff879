//! PID 1 of the RAM environment.
//!
//! Started by the kernel, or put in the place of an old OS's PID 1, it becomes the supervisor
//! ([`first`]), which mounts what a system needs, starts a worker, and waits. The worker does the run
//! ([`run`]). It may fail, be killed or run out of memory: the supervisor stays, and decides between
//! booting the old OS again, booting the new one, and holding the machine with a rescue shell. Nothing
//! here is ever run by the old OS.
//!
//! Meanwhile people get in by ssh, and are told how it stands ([`reach`]).
//!
//! A copy stays in the new OS until its first boot is confirmed ([`confirm`]), and one among the records,
//! which tells of the run ([`status`]).
//!
//! Below these three rooms are two that they share: [`ram`], the RAM environment, and [`root`], the
//! machine's root filesystem. Files import each other in one direction only.

mod confirm;
mod first;
mod ram;
mod reach;
mod root;
mod run;
mod status;

use std::process::ExitCode;

use first::{early, supervisor, takeover};
use reach::{greet, server};
use run::behind::chroot;
use run::{back, worker};

const USAGE: &str =
    "reroot-init is PID 1 of reroot's RAM environment and is started by its kernel.\n\
    From the rescue shell: `/init run` tries the run again.\n\
    In the new OS: `confirm DIR` compares the machine with the plan in the run's directory.\n\
    Among a run's records:\n  status [RUN] [--json]\n  wait RUN [--json] [--timeout SECONDS]";

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
        ["run"] => worker::main(),
        ["leave", why] => back::main(why),
        ["reach", network, moment] => server::main(network, moment),
        ["greet"] => greet::main(),
        ["confirm", "kept", directory] => confirm::kept(directory),
        ["confirm", directory] => confirm::main(directory),
        ["status", rest @ ..] => status::status(rest),
        ["wait", rest @ ..] => status::wait(rest),
        ["in-root", root, rest @ ..] => chroot::enter(root, rest),
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}
