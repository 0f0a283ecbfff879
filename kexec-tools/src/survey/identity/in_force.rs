//! The ssh server's settings as they are in force: how the one that listens was started, where systemd listens
//! for it, and what its own program says, asked by a child that is left behind if it does not answer. Where nobody can be asked, files
//! are all that is known.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};

use formats::access::{Doors, Keys, Session, Setting};
use formats::accounts::{Accounts, User};
use identity::access::in_force::{self, Started};
use identity::access::matching::{self, Connection};
use identity::access::others::{self, Listening};
use identity::access::{server, socket};
use machine::answers::{self, Answer};
use machine::{listening, processes};

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
    /// Servers that listen and are not read, in words.
    pub unread: Vec<String>,
    /// It runs, or systemd listens for it.
    pub runs: bool,
    /// It answers.
    answers: bool,
    /// The command that asks.
    command: Vec<String>,
}

/// Asks the server of this machine; `port` is where the operator came in.
pub fn running(programs: &[&str], port: Option<u16>) -> Running {
    let program = programs
        .iter()
        .find(|program| fs::metadata(program).is_ok());
    let socket = socket();
    let all = listening(programs);
    let started = others::read(&all, port).and_then(|one| one.started.clone());
    let started = started.or_else(|| by_title(programs));
    let command = program.iter().map(|program| (**program).to_owned());
    let by_socket = socket.as_ref().is_none_or(|places| !places.is_empty());
    Running {
        unread: others::unread(&all, port, by_socket),
        runs: started.is_some() || by_socket,
        socket: socket.unwrap_or_default(),
        ..ask_everybody(command.collect(), started.unwrap_or_default())
    }
}

/// Every process that takes connections of TCP. Nothing where the kernel does not say.
fn listening(programs: &[&str]) -> Vec<Listening> {
    let all = listening::servers().unwrap_or_default().into_iter();
    let one = |server: listening::Server| {
        Some(Listening {
            port: server.port,
            is_asked: runs_one(server.pid, programs),
            started: title(server.pid),
            name: server.name,
            program: program_of(server.pid)?,
        })
    };
    all.filter_map(one).collect()
}

/// The path of the program that a process runs.
fn program_of(pid: i32) -> Option<String> {
    let link = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    // As the kernel says it of a program that has a newer one in its place.
    Some(link.to_str()?.trim_end_matches(" (deleted)").to_owned())
}

/// Whether a process runs one of these very programs, or an older file of that name. A container's has the same
/// name.
fn runs_one(pid: i32, programs: &[&str]) -> bool {
    let file = |path: &str| fs::metadata(path).ok().map(|m| (m.dev(), m.ino()));
    let own = file(&format!("/proc/{pid}/exe"));
    let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/mnt")).ok();
    let is_here = namespace(&pid.to_string()) == namespace("self");
    let path = program_of(pid).filter(|_| is_here);
    programs
        .iter()
        .any(|program| own.is_some() && own == file(program) || path.as_deref() == Some(program))
}

/// Where systemd listens for the server; `None` where it does not say, or is not there to say so.
fn socket() -> Option<Vec<Setting>> {
    let mut child = Command::new("systemctl");
    child
        .args(["show", "-p", socket::PROPERTIES])
        .args(socket::UNITS)
        .stderr(Stdio::null());
    match answers::ask(child) {
        Ok(Answer::Said(bytes)) => Some(socket::settings(&String::from_utf8_lossy(&bytes))),
        _ => None,
    }
}

/// How a process of the server's was started, where it listens in another network than this process is in, or the
/// kernel does not say who listens.
fn by_title(programs: &[&str]) -> Option<Started> {
    let all = processes::all().ok()?.into_iter();
    let mut servers = all.filter(|process| process.name == "sshd");
    servers.find_map(|process| title(process.pid).filter(|_| runs_one(process.pid, programs)))
}

/// The title of a process, where it is a server's.
fn title(pid: i32) -> Option<Started> {
    let title = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    in_force::started(&String::from_utf8_lossy(&title).replace('\0', " "))
}

fn ask_everybody(program: Vec<String>, started: Started) -> Running {
    let command = [program, started.arguments.clone()].concat();
    let said = ask(&command, None).unwrap_or_default();
    let answers = !said.is_empty() || ask(&command, Some(("root", None))).is_some();
    Running {
        started,
        said,
        socket: Vec::new(),
        unread: Vec::new(),
        runs: true,
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
    for user in accounts.users.iter().filter(may).take(in_force::MOST) {
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
    let session = in_force::session_or_local(session, server::PORT);
    said(command, &["-C", &in_force::connection(user, &session)])
        .or_else(|| said(command, &["-C", &in_force::old_connection(user, &session)]))
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
