//! Asking a machine by ssh. One connection for each question: a machine that is being reinstalled loses
//! every connection several times, and one that is lost must not be waited for.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::seen::{Seen, NOTHING_TELLS, SSH_FAILED};
use crate::failure::{missing_tool, refusal};

/// Options of every question. Nobody is asked; a connection that is shared would outlive its machine; one
/// whose machine has gone ends soon.
const OPTIONS: [&str; 7] = [
    "BatchMode=yes",
    "ControlMaster=no",
    "ControlPath=none",
    "ConnectTimeout=10",
    "ServerAliveInterval=5",
    "ServerAliveCountMax=3",
    "LogLevel=ERROR",
];
/// A question that takes longer has no answer: a machine that swaps takes its time for a login.
const LIMIT: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(50);

/// A machine, and how ssh gets there.
pub struct Remote {
    host: String,
    options: Vec<String>,
}

impl Remote {
    /// `host` is what ssh takes: a name of its configuration, `USER@HOST`, or an `ssh://` URI.
    pub fn new(host: &str, options: &[String]) -> Result<Remote> {
        if host.is_empty() || host.starts_with('-') {
            return Err(refusal(
                format!("{host:?} is not a host"),
                "name it as you would for ssh: HOST or USER@HOST",
            ));
        }
        Ok(Remote {
            host: host.to_owned(),
            options: options.to_vec(),
        })
    }

    /// The machine as the operator named it.
    pub fn name(&self) -> &str {
        &self.host
    }

    /// Asks how its runs stand.
    pub fn ask(&self) -> Result<Seen> {
        let mut ssh = self.ssh();
        ssh.args(OPTIONS.iter().flat_map(|option| ["-o", option]));
        ssh.args(["-T", "--", &self.host]).arg(question());
        let child = ssh
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        answer(started(child)?)
    }

    /// Runs a command there with this terminal, and gives its exit status.
    pub fn run(&self, command: &[OsString]) -> Result<i32> {
        let mut ssh = self.ssh();
        // A terminal is asked for where there is one: `go` asks for the machine's name.
        let child = ssh.args(["-t", "--", &self.host]).args(command).spawn();
        let status = started(child)?.wait().context("wait for ssh")?;
        Ok(status.code().unwrap_or(SSH_FAILED))
    }

    fn ssh(&self) -> Command {
        let mut ssh = Command::new("ssh");
        // The first word for an option holds: the operator's come first.
        ssh.args(self.options.iter().flat_map(|option| ["-o", option]));
        ssh
    }
}

fn started(child: std::io::Result<Child>) -> Result<Child> {
    child.map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => missing_tool("ssh", "openssh-client"),
        _ => anyhow::Error::new(e).context("start ssh"),
    })
}

/// Both outputs are read while it runs: one that nobody reads would stop it.
fn answer(mut child: Child) -> Result<Seen> {
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let out = thread::spawn(move || read(out));
    let err = thread::spawn(move || read(err));
    let begun = Instant::now();
    let status = loop {
        match child.try_wait().context("wait for ssh")? {
            Some(status) => break status.code(),
            None if begun.elapsed() > LIMIT => {
                // Gone meanwhile, perhaps.
                let _ = child.kill();
                child.wait().context("wait for ssh")?;
                break None;
            }
            None => thread::sleep(PAUSE),
        }
    };
    let out = out.join().unwrap_or_default();
    let err = err.join().unwrap_or_default();
    Ok(Seen::of(status, &out, &String::from_utf8_lossy(&err)))
}

/// What cannot be read is no answer.
fn read(from: Option<impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(mut from) = from {
        let _ = from.read_to_end(&mut bytes);
    }
    bytes
}

/// What the machine is asked, in words of every shell. What tells of runs is in their directories, which
/// root alone may enter; the newest knows the most. The last words are all that the RAM environment looks
/// at: nothing but such questions is answered there.
fn question() -> OsString {
    let find = format!(
        "for p in /var/log/reroot/*/reroot /.reroot/*/reroot; do if [ -x \"$p\" ]; then q=$p; fi; done; \
         if [ -n \"$q\" ]; then exec \"$q\" \"$@\"; fi; \
         echo nothing tells of a run >&2; exit {NOTHING_TELLS}"
    );
    let as_root = format!(
        "f={}; if [ \"$(id -u)\" = 0 ]; then set -- sh -c \"$f\" reroot \"$@\"; \
         else set -- sudo -n sh -c \"$f\" reroot \"$@\"; fi; exec \"$@\"",
        quoted(&find)
    );
    OsStr::new(&format!(
        "exec sh -c {} reroot status --json",
        quoted(&as_root)
    ))
    .to_owned()
}

/// One word, as every shell reads it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_is_one_line_that_ends_with_what_is_asked() {
        let question = question().into_string().unwrap();
        assert!(question.ends_with(" status --json"), "{question}");
        assert!(!question.contains('\n'));
    }

    #[test]
    fn what_a_shell_is_given_comes_back_as_it_was() {
        for text in ["", "a b", "it's", "''", "\"$x\" `y` \\ *", "a'\\''b"] {
            let out = Command::new("sh")
                .args(["-c", &format!("printf %s {}", quoted(text))])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(out.stdout).unwrap(), text);
        }
    }

    /// As the machine's shell does it: by root, for whom no `sudo` is needed.
    #[test]
    fn a_machine_without_runs_says_so() {
        if std::path::Path::new("/.reroot").exists() || !rustix::process::geteuid().is_root() {
            return;
        }
        let out = Command::new("sh").arg("-c").arg(question()).output();
        assert_eq!(out.unwrap().status.code(), Some(NOTHING_TELLS));
    }

    #[test]
    fn a_host_cannot_be_an_option() {
        assert!(Remote::new("-oProxyCommand=x", &[]).is_err());
        assert!(Remote::new("", &[]).is_err());
        assert!(Remote::new("root@shop1", &[]).is_ok());
    }
}
