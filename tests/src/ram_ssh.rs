//! The ssh server of the RAM environment, asked from outside by a client that knows the machine's host key
//! and accepts no other.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{ensure, Context, Result};
use identity::access::ram_files::GREETING;

use crate::command::run;
use crate::old_server;
use crate::ssh::Answer;
use crate::vm::Machine;

/// Whoever asks.
#[derive(Debug)]
pub struct Caller {
    port: u16,
    known: PathBuf,
    key: PathBuf,
}

impl Caller {
    /// One who knows the host key that the machine has now, in its old OS.
    pub fn of(machine: &Machine) -> Result<Caller> {
        let key = machine.expect("cat /etc/ssh/ssh_host_ed25519_key.pub")?;
        let port = machine.ssh_port();
        let known = machine.file("known_hosts");
        fs::write(&known, format!("[127.0.0.1]:{port} {key}")).context("write the known hosts")?;
        Ok(Caller {
            port,
            known,
            key: old_server::ssh_key()?,
        })
    }

    /// The same with a key of nobody's.
    pub fn foreign(&self, machine: &Machine) -> Result<Caller> {
        let key = machine.file("foreign");
        run(Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(&key))?;
        Ok(Caller {
            port: self.port,
            known: self.known.clone(),
            key,
        })
    }

    /// Waits until the RAM environment answers, or somebody else does not any more.
    pub fn wait(&self, limit: Duration) -> Result<()> {
        let end = Instant::now() + limit;
        while !self.greeted() {
            ensure!(Instant::now() < end, "the RAM environment does not answer");
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(())
    }

    /// Whether it is the RAM environment that answers.
    pub fn greeted(&self) -> bool {
        crate::ssh::greeting(self.port, Duration::from_secs(10))
            .is_some_and(|line| line.contains(GREETING))
    }

    /// Asks as a user. What is typed is `input`.
    pub fn ask(&self, user: &str, options: &[&str], command: &str, input: &str) -> Result<Answer> {
        let mut child = self.start(user, options, command)?;
        if let Some(mut stdin) = child.stdin.take() {
            std::io::Write::write_all(&mut stdin, input.as_bytes()).context("type")?;
        }
        let output = child.wait_with_output().context("wait for ssh")?;
        Ok(Answer {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Starts to ask.
    pub fn start(&self, user: &str, options: &[&str], command: &str) -> Result<Child> {
        let mut ssh = Command::new("timeout");
        ssh.args([
            "300",
            "ssh",
            "-F",
            "/dev/null",
            "-p",
            &self.port.to_string(),
        ]);
        ssh.arg("-i").arg(&self.key).arg("-o");
        ssh.arg(format!("UserKnownHostsFile={}", known(&self.known)));
        for option in [
            "BatchMode=yes",
            "IdentitiesOnly=yes",
            "StrictHostKeyChecking=yes",
            "HostKeyAlgorithms=ssh-ed25519",
            "ConnectTimeout=60",
            "LogLevel=ERROR",
        ]
        .iter()
        .chain(options)
        {
            ssh.args(["-o", option]);
        }
        ssh.arg(format!("{user}@127.0.0.1"));
        if !command.is_empty() {
            ssh.args(["--", command]);
        }
        ssh.stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("start ssh")
    }
}

fn known(path: &Path) -> String {
    path.display().to_string()
}
