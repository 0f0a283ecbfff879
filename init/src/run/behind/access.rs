//! What was written about who gets in, read by the new OS's own programs: a server that does not take
//! its configuration does not start, and then nobody gets in.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, Result};
use formats::access::{Promise, Setting};
use formats::keep::is_below;
use formats::plan::Plan;
use identity::access::compared::{self, Differences};
use identity::access::written::{ASIDE, BESIDE, OTHER, SETTINGS, SUDOERS};
use identity::access::{addresses, closed, in_force};
use identity::ssh_access::MAIN;
use tree::{Gate, TreeError};

use crate::root::target;
use crate::run::behind::chroot;

/// The server's directory for its children; where it is not there it reads nothing.
const RUN: &str = "/run/sshd";
const SERVER: &str = "/usr/sbin/sshd";
const VISUDO: &str = "/usr/sbin/visudo";

/// How the names of files end that are read beside the main one.
const READ: &str = ".conf";

/// The folder of [`OTHER`].
const OTHER_FOLDER: &str = "/etc/reroot";
/// Tells the server of that, in the place of a main file that is kept and that it does not take.
const OF_ANOTHER: &str = "\
# Written by reroot: this server does not take the kept /etc/ssh/sshd_config (`sshd -t` says why). Mend that file,
# and remove this one.
[Service]
ExecStartPre=
ExecStart=
ExecStart=/usr/sbin/sshd -D -f /etc/reroot/sshd_config
ExecReload=
ExecReload=/bin/kill -HUP $MAINPID
";

/// What is not understood goes, or is put in a form that lets nobody in who could not become root by it: what
/// took something away from people must not be lost with it. The first boot's comparison says that it is not
/// what was planned. The kernel's filesystems are mounted in the new OS.
pub fn prove(plan: &Plan, gate: &Gate) -> Result<()> {
    let there = |program: &str| target::at(program).exists();
    if there(SERVER) {
        fs::create_dir_all(target::at(RUN)).with_context(|| format!("make {RUN}"))?;
        prove_server(plan, gate)?;
    }
    if written(plan, SUDOERS).is_some() && there(VISUDO) {
        match asked(plan, VISUDO, &["-c", "-q", "-f", SUDOERS]) {
            Ok(()) => log::info!("{SUDOERS} is understood"),
            Err(e) => {
                log::warn!("{e:#}; {SUDOERS} is taken back, and the image's own rules hold");
                gate.remove(SUDOERS)
                    .with_context(|| format!("take {SUDOERS} back"))?;
            }
        }
    }
    Ok(())
}

fn asked(plan: &Plan, program: &str, arguments: &[&str]) -> Result<()> {
    let root = Path::new(target::TARGET);
    chroot::run(root, &plan.keep, program, arguments, b"").map(drop)
}

/// A file that the run writes, with its mode.
fn written<'p>(plan: &'p Plan, path: &str) -> Option<(&'p str, u32)> {
    let file = plan.identity.files.iter().find(|file| file.path == path);
    file.and_then(|file| Some((file.text()?, file.mode)))
}

/// Whatever the server was given, by the image, the run or the old OS: it has to take it.
fn prove_server(plan: &Plan, gate: &Gate) -> Result<()> {
    let server = Server::open(plan, gate);
    let given = server.given();
    let names = plan.identity.ways.1.iter().map(|way| way.user.as_str());
    let mut ask = |form: &Form| -> Result<Differences> {
        server.put(form)?;
        server.ask(form)?;
        Ok(server.compare(form))
    };
    let settled = settle(&given, names, &mut ask);
    match &settled {
        Settled::AsPlanned => {
            log::info!("the ssh server understands its configuration, and says what was promised");
        }
        Settled::ShutOut(form, why) => {
            log::warn!("{why}; nothing that the run can write lets them in, and nobody else is to lose by it");
            server.finish(form)?;
        }
        Settled::Unread(why) => {
            log::warn!(
                "{why}; what the ssh server is told stays as it is, for that is not its fault"
            );
            server.put(&Form::default())?;
        }
        Settled::Aside(form, why) => {
            log::warn!("{why}; {}", server.told(form).join("; "));
            server.finish(form)?;
        }
        Settled::Closed(form, why) => {
            let mut told = server.told(form);
            told.push("only those who become root are let in".to_owned());
            log::warn!("{why}; {}", told.join("; "));
            server.finish(form)?;
        }
    }
    Ok(())
}

/// What a server is told, as it is asked about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Form {
    /// In the place of what was written for it, or of the configuration that came along.
    text: Option<String>,
    /// Files that came along and are set aside.
    aside: Vec<String>,
}

/// What there is to choose from.
#[derive(Default)]
struct Given<'p> {
    /// The settings that are written beside the image's own.
    written: Option<&'p str>,
    /// Those that stand in for the old server's own configuration, where that comes along.
    reserve: Option<&'p str>,
    /// What came along beside the main file and is read with it.
    carried: Vec<String>,
}

/// What becomes of the server's settings.
#[derive(Debug, PartialEq, Eq)]
enum Settled {
    AsPlanned,
    /// The server does not answer whatever they are; why.
    Unread(String),
    /// It does not let in all who were promised, and no other form does.
    ShutOut(Form, String),
    /// Without files that it does not take; why.
    Aside(Form, String),
    /// Only those who become root get in; why.
    Closed(Form, String),
}

/// The first form that the server takes and by which it says what was promised: each says less of what was planned than
/// the one before. Where none does, nobody gets in but those who become root, unless all that is wrong is that
/// somebody is shut out, and they would be by that as well: that would take from others and give nobody anything.
fn settle<'a>(
    given: &Given,
    admins: impl Iterator<Item = &'a str>,
    ask: &mut dyn FnMut(&Form) -> Result<Differences>,
) -> Settled {
    let planned = ask(&Form::default());
    let why = match &planned {
        Ok(differences) if differences.is_empty() => return Settled::AsPlanned,
        Ok(differences) => format!("the ssh server is not as promised: it {differences}"),
        Err(why) => format!("{why:#}"),
    };
    // The first that lets in nobody who was not promised to get in.
    let mut shut_out = None;
    let mut lets_in_no_more = |form: &Form, differences: &Differences| {
        if differences.weaker.is_empty() && shut_out.is_none() {
            shut_out = Some(form.clone());
        }
    };
    if let Ok(differences) = &planned {
        lets_in_no_more(&Form::default(), differences);
    }
    let without = |aside: &[String]| Form {
        text: given.reserve.map(str::to_owned),
        aside: aside.to_vec(),
    };
    // A main file that came along is replaced whole, with what it includes.
    let all = if given.reserve.is_some() {
        &[][..]
    } else {
        &given.carried[..]
    };
    let mut forms: Vec<Form> = all.chunks(1).map(without).collect();
    if forms.len() != 1 {
        forms.push(without(all));
    }
    forms.retain(|form| *form != Form::default());
    for form in forms {
        match ask(&form) {
            Ok(differences) if differences.is_empty() => return Settled::Aside(form, why),
            Ok(differences) => lets_in_no_more(&form, &differences),
            Err(_) => {}
        }
    }
    let with = |text: &str, aside: &[String]| Form {
        text: Some(text.to_owned()),
        aside: aside.to_vec(),
    };
    let Some(text) = given.written.or(given.reserve) else {
        return Settled::Unread(why);
    };
    let mut admins = Some(admins);
    for aside in [&[][..], all] {
        // A server that has no host keys, or gets no random numbers, says nothing about them.
        if ask(&with("", aside)).is_err() {
            continue;
        }
        let Some(admins) = admins.take() else { break };
        let mut forms = closed::forms(text, admins);
        // The last has nothing that a server might not know.
        let last = forms.pop().unwrap_or_default();
        let forms = forms.into_iter().map(|form| with(&form, aside));
        let mut taken =
            forms.filter_map(|form| ask(&form).ok().map(|differences| (form, differences)));
        let (form, differences) = taken
            .next()
            .unwrap_or_else(|| (with(&last, aside), Differences::default()));
        return match shut_out {
            Some(planned) if !differences.shut_out.is_empty() => Settled::ShutOut(planned, why),
            _ => Settled::Closed(form, why),
        };
    }
    match shut_out {
        Some(form) => Settled::ShutOut(form, why),
        None => Settled::Unread(why),
    }
}

/// The new OS's server, and the files that it is told by.
struct Server<'p> {
    plan: &'p Plan,
    gate: &'p Gate,
    /// What came along, as it was: the main file, where the old one's own did, and those beside it.
    carried: Vec<(String, Original)>,
}

/// A file before it was set aside.
#[derive(PartialEq, Eq)]
enum Original {
    File(Vec<u8>, u32),
    Link(String),
}

impl Original {
    fn read(path: &Path) -> Option<Original> {
        let found = fs::symlink_metadata(path).ok()?;
        if found.is_symlink() {
            let to = fs::read_link(path).ok()?;
            return Some(Original::Link(to.to_str()?.to_owned()));
        }
        let bytes = fs::read(path).ok().filter(|_| found.is_file())?;
        Some(Original::File(bytes, found.mode() & 0o7777))
    }

    fn write(&self, gate: &Gate, path: &str) -> Result<(), TreeError> {
        match self {
            Original::File(bytes, mode) => gate.write(path, bytes, *mode),
            Original::Link(to) => gate.link(path, to),
        }
    }
}

impl<'p> Server<'p> {
    fn open(plan: &'p Plan, gate: &'p Gate) -> Server<'p> {
        let copied = &plan.identity.copied;
        let promise = plan.identity.ssh_promise.as_ref();
        let comes_along = |path: &str| {
            let of_old = copied.iter().any(|copied| is_below(path, copied));
            // A program of the operator's may have put it there: the plan did not count with it.
            let strayed =
                promise.is_some_and(|promise| !promise.files.iter().any(|file| file == path));
            let is_one = of_old || strayed && path != MAIN && path.ends_with(READ);
            is_one && path != SETTINGS && !gate.is_kept(path)
        };
        let beside = fs::read_dir(target::at(BESIDE)).into_iter().flatten();
        let names = beside
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok());
        let names = names.filter(|name| !name.ends_with(ASIDE));
        let mut paths: Vec<String> = names.map(|name| format!("{BESIDE}/{name}")).collect();
        paths.sort();
        paths.insert(0, MAIN.to_owned());
        paths.retain(|path| comes_along(path));
        let carried = paths.into_iter().filter_map(|path| {
            let original = Original::read(&target::at(&path))?;
            Some((path, original))
        });
        Server {
            plan,
            gate,
            carried: carried.collect(),
        }
    }

    fn given(&self) -> Given<'p> {
        let beside = self.carried.iter().filter(|(path, _)| path != MAIN);
        Given {
            written: written(self.plan, SETTINGS).map(|(text, _)| text),
            reserve: self.plan.identity.ssh_reserve.as_deref(),
            carried: beside.map(|(path, _)| path.clone()).collect(),
        }
    }

    /// A main file that is kept stays as it is: the server is told of another.
    fn is_told_of_another(&self) -> bool {
        self.plan.identity.ssh_reserve.is_some() && self.gate.is_kept(MAIN)
    }

    fn put(&self, form: &Form) -> Result<()> {
        for (path, original) in &self.carried {
            if form.aside.contains(path) {
                self.gate.remove(path)?;
            } else if path != MAIN || form.text.is_none() {
                // One that nobody touched keeps its owner and its attributes.
                let now = Original::read(&target::at(path));
                if now.as_ref() != Some(original) {
                    original.write(self.gate, path)?;
                }
            }
        }
        let written = written(self.plan, SETTINGS);
        match (&form.text, written) {
            (text, Some((planned, mode))) => {
                let text = text.as_deref().unwrap_or(planned);
                self.gate.write(SETTINGS, text.as_bytes(), mode)?;
            }
            (Some(text), None) if self.is_told_of_another() => {
                self.gate.make_directories(OTHER_FOLDER)?;
                self.gate.write(OTHER, text.as_bytes(), 0o600)?;
            }
            (Some(text), None) => self.gate.write(MAIN, text.as_bytes(), 0o600)?,
            (None, None) => {}
        }
        Ok(())
    }

    fn ask(&self, form: &Form) -> Result<()> {
        if form.text.is_some() && self.is_told_of_another() {
            asked(self.plan, SERVER, &["-t", "-f", OTHER])
        } else {
            asked(self.plan, SERVER, &["-t"])
        }
    }

    /// How what the server says of people differs from what was promised of them. Nothing where it does not say.
    fn compare(&self, form: &Form) -> Differences {
        let mut found = Differences::default();
        let Some(promise) = &self.plan.identity.ssh_promise else {
            return found;
        };
        for promised in &promise.people {
            let said = self.said(form, promise, &promised.user);
            let said = said.unwrap_or_else(|e| {
                log::warn!(
                    "what the ssh server says of {} is not known: {e:#}",
                    promised.user
                );
                Vec::new()
            });
            found.extend(compared::differences(promised, promise.release, &said));
        }
        found
    }

    /// What it says of somebody who comes by the connection that was promised about.
    fn said(&self, form: &Form, promise: &Promise, user: &str) -> Result<Vec<Setting>> {
        let connection = in_force::connection(user, &promise.session);
        let mut arguments = vec!["-T", "-C", &connection];
        if form.text.is_some() && self.is_told_of_another() {
            arguments.extend(["-f", OTHER]);
        }
        let root = Path::new(target::TARGET);
        let said = chroot::run(root, &self.plan.keep, SERVER, &arguments, b"")?;
        Ok(in_force::parse(&String::from_utf8_lossy(&said)))
    }

    /// What a form makes of the files, with what is left of them for a person to look at.
    fn finish(&self, form: &Form) -> Result<()> {
        self.put(form)?;
        for (path, original) in &self.carried {
            let replaced = path == MAIN && form.text.is_some();
            if replaced || form.aside.contains(path) {
                original.write(self.gate, &format!("{path}{ASIDE}"))?;
            }
        }
        if form.text.is_some() && self.is_told_of_another() {
            for unit in addresses::SERVICES {
                let folder = format!("/etc/systemd/system/{unit}.d");
                self.gate.make_directories(&folder)?;
                let path = format!("{folder}/20-reroot.conf");
                self.gate.write(&path, OF_ANOTHER.as_bytes(), 0o644)?;
            }
        }
        Ok(())
    }

    /// The same in words.
    fn told(&self, form: &Form) -> Vec<String> {
        let mut told: Vec<String> = form
            .aside
            .iter()
            .map(|path| format!("{path} was not in the image, and is set aside as {path}{ASIDE}"))
            .collect();
        if form.text.is_some() && self.is_told_of_another() {
            told.push(format!(
                "{MAIN} is kept and stays; the server is told of {OTHER} instead, by its unit"
            ));
        } else if form.text.is_some() && self.plan.identity.ssh_reserve.is_some() {
            told.push(format!(
                "{MAIN} came along, and is set aside as {MAIN}{ASIDE}; in its place is what the plan has of it"
            ));
        }
        told
    }
}

#[cfg(test)]
#[path = "access_tests.rs"]
mod tests;
