//! The way onto a machine: ssh as root, or as somebody who becomes it, through a port of the loopback interface.
//!
//! A login costs an emulated machine a second or more, so one connection is opened a boot and the
//! commands share it. Nothing here believes an exit status that ssh itself could have made up: 255
//! is an error, not an answer.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{bail, Context, Result};
use identity::access::ram_files::GREETING;

use crate::command::{explain, shown};
use crate::old_server;

/// A login on an emulated machine that is busy booting takes some seconds.
const LOGIN_SECONDS: &str = "90";

/// This machine as a machine sees it: QEMU's user network leads from there to the loopback interface.
pub(crate) const HOST: &str = "10.0.2.2";

/// With what a machine's shell ends that cannot open a connection to this one.
const NO_WAY: i32 = 9;

/// The first line of whichever ssh server answers, within `limit`.
pub fn greeting(port: u16, limit: Duration) -> Option<String> {
    let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
    let mut stream = TcpStream::connect_timeout(&address.into(), limit).ok()?;
    stream.set_read_timeout(Some(limit)).ok()?;
    let mut text = [0; 255];
    let read = stream.read(&mut text).ok()?;
    let line = String::from_utf8_lossy(&text[..read]).trim_end().to_owned();
    line.starts_with("SSH-2.0-").then_some(line)
}

/// What a command on the machine said, and its exit status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The exit status.
    pub status: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Answer {
    /// The standard output of a command that must have succeeded.
    pub fn expect_success(self) -> Result<String> {
        if self.status != 0 {
            bail!(
                "exit status {}\n{}{}",
                self.status,
                self.stdout,
                self.stderr
            );
        }
        Ok(self.stdout)
    }
}

/// The exit status by which ssh says that the connection is gone.
pub const CONNECTION_LOST: i32 = 255;

/// A command that runs on the machine meanwhile. What it says goes to a file.
#[derive(Debug)]
pub struct Running {
    process: Child,
    said: PathBuf,
}

impl Running {
    /// Its exit status, once it has ended.
    pub fn ended(&mut self) -> Result<Option<i32>> {
        let status = self.process.try_wait().context("ask after ssh")?;
        Ok(status.map(|status| status.code().unwrap_or(CONNECTION_LOST)))
    }

    /// What it has said so far, on either output.
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.said).unwrap_or_default()).into_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already; what it runs on the machine is not its to end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// As whom the harness comes to a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Comer {
    /// root, with the tests' key.
    Root,
    /// A user with the tests' key for whom `sudo -n` works.
    BySudo(&'static str),
    /// root, with a password; no key is shown.
    RootByPassword(&'static str),
}

/// What a client is told that has a password alone. What is said first counts.
pub(crate) const BY_PASSWORD: [&str; 4] = [
    "BatchMode=no",
    "PubkeyAuthentication=no",
    "PreferredAuthentications=password",
    "NumberOfPasswordPrompts=1",
];

/// Writes a program that gives ssh the password that is in `REROOT_PASSWORD`.
pub(crate) fn give_password(program: &Path) -> Result<()> {
    fs::write(program, "#!/bin/sh\necho \"$REROOT_PASSWORD\"\n")
        .and_then(|()| fs::set_permissions(program, Permissions::from_mode(0o700)))
        .with_context(|| format!("write {}", program.display()))
}

/// A machine's ssh, by port.
#[derive(Debug)]
pub struct Ssh {
    port: u16,
    comer: Comer,
    key: PathBuf,
    directory: PathBuf,
    connection: u32,
    refusal: String,
}

impl Ssh {
    /// For the machine behind `port`; sockets are made in `directory`.
    pub fn new(port: u16, directory: &Path) -> Result<Self> {
        let key = old_server::ssh_key()?;
        Ok(Self {
            port,
            comer: Comer::Root,
            key,
            directory: directory.to_path_buf(),
            connection: 0,
            refusal: String::new(),
        })
    }

    /// Comes as somebody else from now on.
    pub fn come_as(&mut self, comer: Comer) -> Result<()> {
        self.close();
        give_password(&self.password_program())?;
        self.comer = comer;
        Ok(())
    }

    fn password_program(&self) -> PathBuf {
        self.directory.join("password")
    }

    fn target(&self) -> String {
        let user = match self.comer {
            Comer::BySudo(user) => user,
            Comer::Root | Comer::RootByPassword(_) => "root",
        };
        format!("{user}@127.0.0.1")
    }

    /// A command line, as whoever comes has it run by root.
    fn as_root(&self, line: &str) -> String {
        match self.comer {
            Comer::BySudo(_) => format!("sudo -n -- sh -c '{}'", line.replace('\'', r"'\''")),
            Comer::Root | Comer::RootByPassword(_) => line.to_owned(),
        }
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The banner of whatever answers, within `limit`. QEMU accepts connections for a machine that
    /// is down, so only the banner shows that somebody is there.
    pub fn banner(port: u16, limit: Duration) -> Option<String> {
        // The RAM environment lets people in, and is not the OS that whoever asks has in mind.
        greeting(port, limit).filter(|line| !line.contains(GREETING))
    }

    /// Opens the connection that later commands share; false where nobody lets us in yet.
    pub fn open(&mut self) -> Result<bool> {
        self.close();
        // A new name each time: a connection to a machine that has rebooted may linger.
        self.connection += 1;
        let ssh = self.command();
        let said = self.directory.join("login");
        let log = File::create(&said).with_context(|| format!("create {}", said.display()))?;
        // A server that is being stopped can accept and then say no more.
        let mut command = Command::new("timeout");
        command
            .arg(LOGIN_SECONDS)
            .arg(ssh.get_program())
            .args(ssh.get_args())
            .args([
                "-o",
                "ControlMaster=yes",
                "-o",
                "ControlPersist=600",
                "-N",
                "-f",
            ])
            .arg(self.target())
            .envs(
                ssh.get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let status = command.status().map_err(|error| explain(&command, error))?;
        if !status.success() {
            let said = fs::read(&said).unwrap_or_default();
            self.refusal = format!("{status}: {}", String::from_utf8_lossy(&said).trim());
        }
        Ok(status.success())
    }

    /// Why the last login that failed did so; empty where nobody answered well enough for one.
    pub fn refusal(&self) -> &str {
        &self.refusal
    }

    /// Closes the shared connection.
    pub fn close(&mut self) {
        if self.connection > 0 {
            // Best effort: the machine may be gone, and the connection with it.
            let _ = self
                .command()
                .args(["-O", "exit", &self.target()])
                .stderr(Stdio::null())
                .stdout(Stdio::null())
                .status();
        }
    }

    /// Runs a shell command line on the machine.
    pub fn run(&self, line: &str, limit: Duration) -> Result<Answer> {
        self.exchange(line, Stdio::null(), limit)
    }

    /// Writes a file of this machine to a path there, with the mode of a program.
    pub fn copy_to(&self, from: &Path, to: &str, limit: Duration) -> Result<()> {
        let what = || format!("copy {} to the machine's {to}", from.display());
        if self.sent(from, to, limit).with_context(what)? {
            return Ok(());
        }
        let file = File::open(from).with_context(|| format!("open {}", from.display()))?;
        let line = format!("cat > '{to}' && chmod 755 '{to}'");
        self.exchange(&line, file.into(), limit)?
            .expect_success()
            .with_context(what)?;
        Ok(())
    }

    /// The same over a connection that the machine opens to this one: an emulated processor takes longer
    /// to decrypt an image than to check it. False where it has no way to do so; what comes cut off is an error.
    fn sent(&self, from: &Path, to: &str, limit: Duration) -> Result<bool> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("listen")?;
        listener.set_nonblocking(true).context("listen")?;
        let port = listener.local_addr().context("read the port")?.port();
        let length = fs::metadata(from)?.len();
        let line = format!(
            "if command -v nc >/dev/null; then nc {HOST} {port}; else bash -c 'cat </dev/tcp/{HOST}/{port}'; fi \
             2>&1 >'{to}' </dev/null || exit {NO_WAY}; \
             found=$(stat -c %s '{to}'); test $found = {length} && chmod 755 '{to}' || {{ echo $found bytes came; exit 1; }}"
        );
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    if let Ok((mut stream, _)) = listener.accept() {
                        // What does not arrive is seen by its length.
                        let _ = stream
                            .set_nonblocking(false)
                            .and_then(|()| io::copy(&mut File::open(from)?, &mut stream));
                        return;
                    }
                    std::thread::sleep(Duration::from_millis(20));
                }
            });
            let answer = self.run(&line, limit);
            over.store(true, Ordering::Relaxed);
            match answer? {
                answer if answer.status == NO_WAY => Ok(false),
                answer => answer.expect_success().map(|_| true),
            }
        })
    }

    /// Runs a shell script, given as text, on the machine.
    pub fn script(&self, script: &str, limit: Duration) -> Result<Answer> {
        let mut file = tempfile::tempfile().context("make a temporary file")?;
        file.write_all(script.as_bytes())
            .context("write the script")?;
        std::io::Seek::rewind(&mut file).context("rewind the script")?;
        self.exchange("sh -s", file.into(), limit)
    }

    /// Starts a shell command line on the machine and comes back at once. It has a connection of
    /// its own, which may well outlive the machine's part of it.
    pub fn start(&self, line: &str) -> Result<Running> {
        let said = self.directory.join("said");
        let file = File::create(&said).with_context(|| format!("create {}", said.display()))?;
        let mut command = self.options();
        command
            .args([&self.target(), "--", &self.as_root(line)])
            .stdin(Stdio::null())
            .stdout(file.try_clone().context("duplicate a file handle")?)
            .stderr(file);
        let process = command.spawn().map_err(|error| explain(&command, error))?;
        Ok(Running { process, said })
    }

    fn exchange(&self, line: &str, input: Stdio, limit: Duration) -> Result<Answer> {
        let ssh = self.command();
        let mut command = Command::new("timeout");
        command.args(["--kill-after=5", &limit.as_secs().max(1).to_string()]);
        command.arg(ssh.get_program()).args(ssh.get_args());
        command
            .args([&self.target(), "--", &self.as_root(line)])
            .stdin(input)
            .envs(
                ssh.get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            );
        let output = command.output().map_err(|error| explain(&command, error))?;
        let answer = Answer {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        match answer.status {
            CONNECTION_LOST => bail!("ssh gave up on `{line}`: {}", answer.stderr.trim_end()),
            124 => bail!(
                "`{line}` took longer than {} s: {}",
                limit.as_secs(),
                shown(&command)
            ),
            _ => Ok(answer),
        }
    }

    /// ssh by the shared connection.
    fn command(&self) -> Command {
        let socket = self.directory.join(format!("c{}", self.connection));
        let mut command = self.options();
        command
            .arg("-o")
            .arg(format!("ControlPath={}", socket.display()));
        command
    }

    fn options(&self) -> Command {
        let mut command = Command::new("ssh");
        command.args(["-F", "/dev/null"]);
        if let Comer::RootByPassword(password) = self.comer {
            command
                .env("SSH_ASKPASS", self.password_program())
                .env("SSH_ASKPASS_REQUIRE", "force")
                .env("REROOT_PASSWORD", password);
            for option in BY_PASSWORD {
                command.args(["-o", option]);
            }
        }
        let of_a_test = [
            "BatchMode=yes",
            "ConnectTimeout=60",
            "LogLevel=ERROR",
            "ServerAliveInterval=10",
            "ServerAliveCountMax=6",
        ];
        for option in of_a_test.map(str::to_owned).iter().chain(&self.way_in()) {
            command.args(["-o", option]);
        }
        command
    }

    /// The options by which ssh comes to this machine, and trusts it.
    pub fn way_in(&self) -> Vec<String> {
        let port = format!("Port={}", self.port);
        let key = format!("IdentityFile={}", self.key.display());
        let others = [
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            // The cheapest for an emulated processor; images are compressed already.
            "Ciphers=aes128-gcm@openssh.com",
            "Compression=no",
        ];
        [port, key]
            .into_iter()
            .chain(others.map(str::to_owned))
            .collect()
    }
}
