//! People who come to a machine by ssh from outside, each by one means, with clients that know the machine's
//! host key, or the authority that vouches for it, and accept no other.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::command::{explain, run, stdout_of};
use crate::ssh::{give_password, Answer, BY_PASSWORD};

/// How long one may take that an emulated machine answers.
const SECONDS: &str = "120";

/// By what somebody comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Means {
    /// The private half of a key.
    Key(PathBuf),
    /// The private half of a key, and a certificate for it.
    Certificate(PathBuf, PathBuf),
    /// A password; no key is shown.
    Password(&'static str),
}

/// Whoever comes, through a port of 127.0.0.1.
#[derive(Debug)]
pub struct Client<'a> {
    /// The port.
    pub port: u16,
    /// As whom.
    pub user: &'a str,
    /// By what.
    pub means: &'a Means,
    /// The lines of `known_hosts` that this client goes by.
    pub known: &'a Path,
    /// The type of host key that it wants to see.
    pub host_key: &'a str,
}

impl Client<'_> {
    /// Has the machine run a command line.
    pub fn ask(&self, line: &str) -> Result<Answer> {
        let target = format!("{}@127.0.0.1", self.user);
        self.run("ssh", "-p", &[&target, "--", line], "")
    }

    /// What is at the other end of a connection that is forwarded to `to`, `HOST:PORT`, from there.
    pub fn forward(&self, to: &str) -> Result<Answer> {
        let target = format!("{}@127.0.0.1", self.user);
        self.run("ssh", "-p", &["-W", to, &target], "")
    }

    /// Has sftp do what is in `batch`.
    pub fn transfer(&self, batch: &str) -> Result<Answer> {
        let target = format!("{}@127.0.0.1", self.user);
        self.run("sftp", "-P", &["-b", "-", &target], batch)
    }

    fn run(&self, program: &str, port: &str, words: &[&str], input: &str) -> Result<Answer> {
        let mut command = Command::new("timeout");
        command.args([
            SECONDS,
            program,
            "-F",
            "/dev/null",
            port,
            &self.port.to_string(),
        ]);
        let mut options = vec![
            format!("UserKnownHostsFile={}", self.known.display()),
            format!("HostKeyAlgorithms={}", self.host_key),
            "HostKeyAlias=the-machine".to_owned(),
        ];
        match self.means {
            Means::Key(key) => options.push(format!("IdentityFile={}", key.display())),
            Means::Certificate(key, certificate) => options.extend([
                format!("IdentityFile={}", key.display()),
                format!("CertificateFile={}", certificate.display()),
            ]),
            Means::Password(password) => {
                options.extend(BY_PASSWORD.map(str::to_owned));
                command
                    .env("SSH_ASKPASS", self.password_program()?)
                    .env("SSH_ASKPASS_REQUIRE", "force")
                    .env("REROOT_PASSWORD", password);
            }
        }
        options.extend(
            [
                "BatchMode=yes",
                "IdentitiesOnly=yes",
                "StrictHostKeyChecking=yes",
                "ConnectTimeout=60",
                "LogLevel=INFO",
            ]
            .map(str::to_owned),
        );
        for option in &options {
            command.args(["-o", option]);
        }
        command
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| explain(&command, error))?;
        if let Some(mut stdin) = child.stdin.take() {
            // Whoever was refused reads nothing.
            let _ = stdin.write_all(input.as_bytes());
        }
        let output = child.wait_with_output().context("wait for the client")?;
        Ok(Answer {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    fn password_program(&self) -> Result<PathBuf> {
        let program = self.known.with_file_name("give-password");
        give_password(&program)?;
        Ok(program)
    }
}

/// Makes a key at `path` and gives its public half.
pub fn make_key(path: &Path) -> Result<String> {
    run(Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
        .arg(path))?;
    let public = path.with_extension("pub");
    fs::read_to_string(&public).with_context(|| format!("read {}", public.display()))
}

/// Has an authority sign the public key at `public`, for names, and gives the certificate's path. `kind` is what
/// else ssh-keygen is told: `-h` for a host.
pub fn sign(authority: &Path, kind: &[&str], names: &str, public: &Path) -> Result<PathBuf> {
    stdout_of(
        Command::new("ssh-keygen")
            .args(["-q", "-s"])
            .arg(authority)
            .args(kind)
            .args(["-I", "of-the-tests", "-n", names])
            .arg(public),
    )?;
    let stem = public.with_extension("");
    Ok(PathBuf::from(format!("{}-cert.pub", stem.display())))
}
