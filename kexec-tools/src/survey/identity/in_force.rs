//! The ssh server's settings as they are in force: how the one that listens was started, where systemd listens
//! for it, and what its own program says, asked by a child that is left behind if it does not answer. Where nobody can be asked, files
//! are all that is known.

use std::fs;
use std::process::{Command, Stdio};

use formats::access::{Doors, Keys, Session, Setting};
use formats::accounts::{Accounts, User};
use identity::access::in_force::{self, Started};
use identity::access::matching::{self, Connection};
use identity::access::{server, socket};
use machine::answers::{self, Answer};
use machine::processes;

/// People who are asked about: a server with more of those who may log in has a directory of them.
const MOST: usize = 24;

/// A server that can be asked.
#[derive(Clone, Debug, Default)]
pub struct Running {
    /// How it was started.
    pub started: Started,
    /// What it says that holds for everybody. Empty where it does not answer, and where a `Match` is about its
    /// own port: of that it says nothing without a connection.
    pub said: Vec<Setting>,
    /// Where systemd listens for it, if it does.
    pub socket: Vec<Setting>,
    /// It answers.
    answers: bool,
    /// The command that asks.
    command: Vec<String>,
}

/// Asks the server of this machine.
pub fn running(programs: &[&str]) -> Running {
    let program = programs
        .iter()
        .find(|program| fs::metadata(program).is_ok());
    let started = listener().unwrap_or_default();
    let command = program.iter().map(|program| (**program).to_owned());
    Running {
        socket: socket(),
        ..ask_everybody(command.collect(), started)
    }
}

/// Where systemd listens for the server. Without systemd there is nobody to say so.
fn socket() -> Vec<Setting> {
    let mut child = Command::new("systemctl");
    child
        .args(["show", "-p", socket::PROPERTIES])
        .args(socket::UNITS)
        .stderr(Stdio::null());
    match answers::ask(child) {
        Ok(Answer::Said(bytes)) => socket::settings(&String::from_utf8_lossy(&bytes)),
        _ => Vec::new(),
    }
}

/// The title of the process that listens, where one does.
fn listener() -> Option<Started> {
    let all = processes::all().ok()?.into_iter();
    let mut servers = all.filter(|process| process.name == "sshd");
    servers.find_map(|process| {
        let title = fs::read(format!("/proc/{}/cmdline", process.pid)).ok()?;
        in_force::started(&String::from_utf8_lossy(&title).replace('\0', " "))
    })
}

fn ask_everybody(program: Vec<String>, started: Started) -> Running {
    let command = [program, started.arguments.clone()].concat();
    let said = ask(&command, None).unwrap_or_default();
    let answers = !said.is_empty() || ask(&command, Some(("root", None))).is_some();
    Running {
        started,
        said,
        socket: Vec::new(),
        answers,
        command,
    }
}

/// Asks about everybody who may log in, as they would come the way that the operator came. What it says goes
/// before what its files say; where these differ, that is noted.
pub fn ask_about(
    running: &Running,
    doors: &mut Doors,
    accounts: &Accounts,
    (keys, session): (&[Keys], Option<&Session>),
    notes: &mut Vec<String>,
) {
    if !running.answers {
        return;
    }
    let may =
        |user: &&User| user.uid == 0 || user.password || keys.iter().any(|k| k.user == user.name);
    for user in accounts.users.iter().filter(may).take(MOST) {
        let Some(said) = ask(&running.command, Some((&user.name, session))) else {
            continue;
        };
        let connection = Connection {
            user: &user.name,
            groups: server::groups_of(&user.name, accounts),
            session,
        };
        let by_files = matching::by_files(doors, &connection);
        let of_server = Doors {
            settings: said.clone(),
            ..doors.clone()
        };
        let different = in_force::differences(&by_files, &of_server);
        if !different.is_empty() {
            notes.push(format!(
                "the ssh server says for {}: {}, as its files seem to; what it says is taken, and the new server \
                 gets what its files say",
                user.name,
                different.join("; ")
            ));
        }
        doors.in_force.push((user.name.clone(), said));
    }
}

/// What it says: of everybody, or of a user who comes as the operator did. Servers before OpenSSH 6.2 know
/// fewer words of a connection.
fn ask(command: &[String], of: Option<(&str, Option<&Session>)>) -> Option<Vec<Setting>> {
    let Some((user, session)) = of else {
        return said(command, &[]);
    };
    let from = session.map_or("127.0.0.1", |session| session.client.as_str());
    let short = format!("user={user},host={from},addr={from}");
    let (to, port) = session.map_or(("127.0.0.1", server::PORT), |s| {
        (s.address.as_str(), s.port)
    });
    let long = format!("{short},laddr={to},lport={port}");
    said(command, &["-C", &long]).or_else(|| said(command, &["-C", &short]))
}

fn said(command: &[String], arguments: &[&str]) -> Option<Vec<Setting>> {
    let (program, rest) = command.split_first()?;
    let mut child = Command::new(program);
    child
        .args(rest)
        .arg("-T")
        .args(arguments)
        .stderr(Stdio::null());
    match answers::ask(child) {
        Ok(Answer::Said(bytes)) => {
            let found = in_force::parse(&String::from_utf8_lossy(&bytes));
            (!found.is_empty()).then_some(found)
        }
        _ => None,
    }
}

#[cfg(test)]
#[path = "in_force_tests.rs"]
mod tests;
