//! A running virtual machine: boot it, talk to it, pull its plug, look at what is left.
//!
//! Dropping a [`Machine`] kills its QEMU. The files of a machine are in a directory of its own
//! under `target/vm/`, removed with it unless a test is failing.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{bail, Context, Result};
use machine::patience;
use serde_json::json;
use tempfile::TempDir;

use crate::accelerator::{accelerator, Accelerator};
use crate::additions::{Additions, SECOND_LINE};
use crate::command::{explain, last_lines, readable};
use crate::devices::Devices;
use crate::disk::Disk;
use crate::lock::{self, Lock};
use crate::old_server::OldServer;
use crate::outside::Outside;
use crate::qmp::Qmp;
use crate::ssh::{Answer, Comer, Running, Ssh};
use crate::{devices, paths, recorder, uefi};

/// How many times longer a limit gets on a host that is busy.
const BUSY_MOST: f64 = 3.0;
/// How much of the console an error shows.
const CONSOLE_TAIL: usize = 25;

/// How long an ssh server may take for its banner where nobody may be there, so that it is asked
/// again soon.
const BANNER: Duration = Duration::from_secs(2);

/// The same where it is known to be there.
const BANNER_OF_A_BUSY_MACHINE: Duration = Duration::from_secs(20);

/// A user of the old server with a password.
const CUSTOMER: &str = "alice";

/// Their password.
const PASSWORD: &str = "wonderland";

/// What the machine itself sees of it.
const SEEN_FROM_INSIDE: &str = "date; ip -s address; grep virtio /proc/interrupts; \
    ps -eo pid,etime,stat,args | grep -v '\\['; cat /var/lib/dhcp/*; \
    systemctl --no-pager status 'ifup@*' networking";

/// The kernel may say as much behind the console's question for a login.
const LINES_BEHIND_LOGIN: usize = 8;

/// Memory of a machine where a test does not say otherwise, in MiB.
pub const USUAL_MEMORY_MIB: u32 = 1024;

/// How a machine comes to life.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Start<'a> {
    /// From its firmware.
    Boot,
    /// From the memory of a machine with the same devices, saved in this file.
    Saved(&'a Path),
}

/// A running virtual machine.
#[derive(Debug)]
pub struct Machine {
    process: Child,
    qmp: Qmp,
    ssh: Ssh,
    disk: Disk,
    accelerator: Accelerator,
    additions: Additions,
    /// Removed last, and not at all when a test fails; see [`Machine::drop`].
    directory: Option<TempDir>,
    /// Of sockets alone: a socket's path has room for 107 bytes, and a checkout may lie deep.
    sockets: TempDir,
    _place: Arc<Lock>,
    _base: Lock,
}

impl Machine {
    /// Boots the old server from its firmware, with a disk layered over the one that is kept.
    pub fn boot(server: &OldServer, name: &str, memory_mib: u32) -> Result<Self> {
        Self::boot_with(server, name, memory_mib, Additions::default())
    }

    /// The same with other hardware.
    pub fn boot_with(
        server: &OldServer,
        name: &str,
        memory_mib: u32,
        additions: Additions,
    ) -> Result<Self> {
        let directory = directory(name)?;
        let disk = Disk::over(&server.disk, &directory.path().join("disk.qcow2"))?;
        Self::start(server, directory, disk, memory_mib, Start::Boot, additions)
    }

    pub(crate) fn start(
        server: &OldServer,
        directory: TempDir,
        disk: Disk,
        memory_mib: u32,
        start: Start,
        additions: Additions,
    ) -> Result<Self> {
        let accelerator = accelerator(&server.kernel)?;
        let place = match &additions.place {
            Some(place) => Arc::clone(place),
            None => Arc::new(lock::machine_slot()?),
        };
        let base = lock::base_in_use()?;
        let port = free_port()?;
        let at = |name: &str| directory.path().join(name);
        let sockets = tempfile::Builder::new()
            .prefix("reroot-")
            .tempdir()
            .context("create a directory for a machine's sockets")?;
        let mut command = devices::qemu(&Devices {
            accelerator,
            memory_mib,
            disk: disk.path(),
            ssh_port: port,
            sockets: sockets.path(),
            console_log: &at("console.log"),
        });
        command.args(uefi::options(server.firmware, directory.path())?);
        command.args(additions.options(directory.path()));
        if let Some(log) = &additions.recording {
            command = recorder::recorded(&command, disk.path(), log);
        }
        if let Start::Saved(state) = start {
            command
                .arg("-incoming")
                .arg(format!("exec:cat '{}'", state.display()));
        }
        let log = fs::File::create(at("qemu.log")).context("create QEMU's log")?;
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let process = command.spawn().map_err(|error| explain(&command, error))?;
        let qmp = Qmp::connect(&sockets.path().join("qmp")).with_context(|| {
            format!(
                "QEMU: {}",
                fs::read_to_string(at("qemu.log")).unwrap_or_default()
            )
        });
        let ssh = Ssh::new(port, sockets.path())?;
        let mut machine = match qmp {
            Ok(qmp) => Self {
                process,
                qmp,
                ssh,
                disk,
                accelerator,
                additions,
                directory: Some(directory),
                sockets,
                _place: place,
                _base: base,
            },
            Err(error) => {
                kill(process);
                return Err(error);
            }
        };
        if let Start::Saved(_) = start {
            machine.resume()?;
        }
        Ok(machine)
    }

    /// Waits until the saved memory has arrived, then lets the machine go on.
    fn resume(&mut self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_mins(4);
        loop {
            let status = self.qmp.execute("query-status", &json!({}))?;
            match status["status"].as_str() {
                Some("inmigrate") if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                Some("running") => return Ok(()),
                Some("paused" | "postmigrate") => {
                    self.qmp.execute("cont", &json!({}))?;
                    return Ok(());
                }
                _ => bail!("a machine's saved state was not taken up: {status}"),
            }
        }
    }

    /// Stops the machine and writes its memory to a file; the machine is not to be used after.
    pub(crate) fn save(&mut self, to: &Path) -> Result<()> {
        self.ssh.close();
        self.qmp.execute("stop", &json!({}))?;
        self.qmp.execute(
            "migrate-set-parameters",
            &json!({"max-bandwidth": 10_u64 << 30}),
        )?;
        let uri = format!("exec:cat > '{}'", to.display());
        self.qmp.execute("migrate", &json!({ "uri": uri }))?;
        let deadline = Instant::now() + Duration::from_mins(8);
        loop {
            let state = self.qmp.execute("query-migrate", &json!({}))?;
            match state["status"].as_str() {
                Some("completed") => break,
                Some("failed" | "cancelled") => bail!("saving a machine's memory failed: {state}"),
                _ if Instant::now() > deadline => bail!("saving a machine's memory hangs: {state}"),
                _ => std::thread::sleep(Duration::from_millis(50)),
            }
        }
        self.qmp.execute("quit", &json!({}))?;
        self.process.wait().context("wait for QEMU to end")?;
        Ok(())
    }

    /// Waits until root can log in. Call it again after a reboot.
    pub fn wait_for_ssh(&mut self) -> Result<()> {
        let deadline = Instant::now() + self.patience(Duration::from_secs(40));
        while Instant::now() < deadline {
            if self.log_in_if_possible()? {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        bail!("nobody answers by ssh\n{}", self.way_in())
    }

    /// The same for the old OS. Whether its network comes up is not reroot's affair: a machine that asks
    /// for a login on its console and that nobody can log into is reset once; the terminal says so.
    pub fn wait_for_old_ssh(&mut self) -> Result<()> {
        let Err(error) = self.wait_for_ssh() else {
            return Ok(());
        };
        if !self.asks_for_a_login() {
            return Err(error);
        }
        eprintln!("harness: the old OS is reset and tried again: {error:#}");
        self.qmp.execute("system_reset", &json!({}))?;
        self.wait_for_ssh()
    }

    fn asks_for_a_login(&self) -> bool {
        last_lines(&self.console(), LINES_BEHIND_LOGIN).contains(" login:")
    }

    /// What can be seen of the way to the machine's ssh server from both of its ends, for error
    /// messages.
    fn way_in(&mut self) -> String {
        let banner = Ssh::banner(self.ssh.port(), BANNER_OF_A_BUSY_MACHINE);
        let mut text = format!(
            "its banner: {banner:?}; the last login: {}\n",
            self.ssh.refusal()
        );
        for command in ["info network", "info usernet"] {
            let arguments = json!({"command-line": command});
            let answer = self.qmp.execute("human-monitor-command", &arguments);
            text += &answer.map_or_else(
                |error| format!("{error:#}\n"),
                |answer| answer.as_str().unwrap_or_default().to_owned(),
            );
        }
        let outside = last_lines(&text.replace('\r', ""), CONSOLE_TAIL);
        let boot = self.console_tail();
        let inside = if self.asks_for_a_login() {
            self.asked_on_console(SEEN_FROM_INSIDE)
                .unwrap_or_else(|_| "it does not answer on its console either".to_owned())
        } else {
            "it does not ask for a login".to_owned()
        };
        format!("{outside}\n{boot}\n{inside}")
    }

    /// Logs in on the serial console as the customer of the old server, who is there in the new OS as
    /// well, and gives what a command line says.
    pub fn asked_on_console(&mut self, line: &str) -> Result<String> {
        let limit = self.patience(Duration::from_secs(10));
        let skip = self.console().len();
        self.type_on_console(CUSTOMER)?;
        self.wait_for_line_after(skip, "Password:", limit)?;
        self.type_on_console(PASSWORD)?;
        self.type_on_console(&format!("{line}; echo answered $((6 * 7))"))?;
        self.wait_for_line_after(skip, "answered 42", limit)?;
        Ok(readable(self.console().get(skip..).unwrap_or_default()))
    }

    /// Whether an ssh server answers.
    pub fn answers(&self) -> bool {
        Ssh::banner(self.ssh.port(), BANNER).is_some()
    }

    /// Logs in anew, for the commands to come; false where nobody answers or lets root in yet.
    ///
    /// A machine that asks for a login on its console is asked for its banner more patiently: one
    /// that has too little of the host's processors would be kept busy by questions that nobody
    /// waits for any more.
    pub fn log_in_if_possible(&mut self) -> Result<bool> {
        self.must_run()?;
        let limit = if self.asks_for_a_login() {
            BANNER_OF_A_BUSY_MACHINE
        } else {
            BANNER
        };
        Ok(Ssh::banner(self.ssh.port(), limit).is_some() && self.ssh.open()?)
    }

    /// Runs a shell command line as root; its exit status is for the caller to judge.
    pub fn ssh(&self, line: &str) -> Result<Answer> {
        let limit = self.patience(Duration::from_mins(1));
        self.ssh
            .run(line, limit)
            .with_context(|| self.console_tail())
    }

    /// Runs a shell command line that must succeed, and gives its stdout.
    pub fn expect(&self, line: &str) -> Result<String> {
        self.ssh(line)?
            .expect_success()
            .with_context(|| format!("on the machine: {line}"))
    }

    /// Runs a shell script that must succeed, and gives its stdout.
    pub fn script(&self, script: &str) -> Result<String> {
        self.ssh
            .script(script, self.patience(Duration::from_mins(1)))?
            .expect_success()
            .context("a script on the machine")
    }

    /// Starts a shell command line as root and comes back at once.
    pub fn ssh_meanwhile(&self, line: &str) -> Result<Running> {
        self.ssh.start(line)
    }

    /// Copies a file of this machine to a path on that one, executable.
    pub fn copy_to(&self, from: &Path, to: &str) -> Result<()> {
        self.ssh
            .copy_to(from, to, self.patience(Duration::from_mins(1)))
    }

    /// Comes to the machine as somebody else from the next login on.
    pub fn come_as(&mut self, comer: Comer) -> Result<()> {
        self.ssh.come_as(comer)
    }

    /// A port of 127.0.0.1 that leads to this port of the machine's first card, as long as the machine is there.
    pub fn forward(&mut self, to: u16) -> Result<u16> {
        let port = free_port()?;
        let line = format!("hostfwd_add net tcp:127.0.0.1:{port}-:{to}");
        let arguments = json!({ "command-line": line });
        let said = self.qmp.execute("human-monitor-command", &arguments)?;
        match said.as_str() {
            None | Some("") => Ok(port),
            Some(said) => bail!("QEMU, told `{line}`: {said}"),
        }
    }

    /// The options by which ssh comes to the machine, as root@127.0.0.1.
    pub fn ssh_options(&self) -> Vec<String> {
        self.ssh.way_in()
    }

    /// The port of 127.0.0.1 that leads to the machine's ssh.
    pub fn ssh_port(&self) -> u16 {
        self.ssh.port()
    }

    /// Everything the serial console has shown.
    pub fn console(&self) -> String {
        let bytes = fs::read(self.file("console.log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).replace('\r', "")
    }

    /// Where the serial console's text is kept, for those who follow it.
    pub fn console_log(&self) -> PathBuf {
        self.file("console.log")
    }

    /// Everything the second serial line has shown, where the machine has one.
    pub fn second_line(&self) -> String {
        let bytes = fs::read(self.file(SECOND_LINE)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).replace('\r', "")
    }

    /// Waits for a console line that contains `pattern`, and gives that line.
    pub fn wait_for_line(&mut self, pattern: &str, limit: Duration) -> Result<String> {
        self.wait_for_line_after(0, pattern, limit)
    }

    /// As [`Machine::wait_for_line`], for what the console shows after its first `skip` bytes.
    pub fn wait_for_line_after(
        &mut self,
        skip: usize,
        pattern: &str,
        limit: Duration,
    ) -> Result<String> {
        let deadline = Instant::now() + limit;
        loop {
            let console = self.console();
            let tail = console.get(skip..).unwrap_or_default();
            if let Some(line) = tail.lines().find(|line| line.contains(pattern)) {
                return Ok(line.to_owned());
            }
            self.must_run()?;
            if Instant::now() > deadline {
                bail!(
                    "{} s without `{pattern}`\n{}",
                    limit.as_secs(),
                    self.console_tail()
                );
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Types a line, and Return, on the serial console.
    pub fn type_on_console(&self, line: &str) -> Result<()> {
        self.type_bytes(&[line.as_bytes(), b"\n"].concat())
    }

    pub(crate) fn type_bytes(&self, bytes: &[u8]) -> Result<()> {
        let mut socket =
            UnixStream::connect(self.sockets.path().join("console")).context("open the console")?;
        // A getty or shell that has just begun to read drops what is typed too fast.
        for byte in bytes {
            socket.write_all(&[*byte]).context("type on the console")?;
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    pub(crate) fn qmp(&mut self) -> &mut Qmp {
        &mut self.qmp
    }

    /// Plugs in a further disk, named `name` for [`Machine::unplug`].
    pub fn plug_in(&mut self, disk: &Disk, name: &str) -> Result<()> {
        self.qmp.execute(
            "blockdev-add",
            &json!({
                "driver": "qcow2",
                "node-name": name,
                "file": {"driver": "file", "filename": disk.path()},
            }),
        )?;
        let device = json!({"driver": "virtio-blk-pci", "drive": name, "id": format!("d-{name}")});
        self.qmp.execute("device_add", &device)?;
        Ok(())
    }

    /// Plugs in an `NVMe` disk whose health log has this critical warning.
    pub fn plug_in_nvme(&mut self, disk: &Disk, name: &str, warning: u8) -> Result<()> {
        self.qmp.execute(
            "blockdev-add",
            &json!({
                "driver": "qcow2",
                "node-name": name,
                "file": {"driver": "file", "filename": disk.path()},
            }),
        )?;
        let id = format!("d-{name}");
        let device = json!({"driver": "nvme", "drive": name, "id": id, "serial": name});
        self.qmp.execute("device_add", &device)?;
        self.qmp.execute(
            "qom-set",
            &json!({
                "path": format!("/machine/peripheral/{id}"),
                "property": "smart_critical_warning",
                "value": warning,
            }),
        )?;
        Ok(())
    }

    /// Plugs the cable of the card that every machine has in, or out.
    pub fn plug_cable(&mut self, there: bool) -> Result<()> {
        self.qmp
            .execute("set_link", &json!({"name": "net", "up": there}))?;
        Ok(())
    }

    /// Pulls out a disk that was plugged in; the machine's kernel lets go of it in its own time.
    pub fn unplug(&mut self, name: &str) -> Result<()> {
        self.qmp
            .execute("device_del", &json!({"id": format!("d-{name}")}))?;
        Ok(())
    }

    /// Ends the machine between two instructions, as a power cut does, and gives its disk.
    pub fn cut_power(mut self) -> Result<PoweredOff> {
        self.process.kill().context("kill QEMU")?;
        self.process.wait().context("wait for QEMU to end")?;
        let directory = self.directory.take().context("the machine's directory")?;
        Ok(PoweredOff {
            disk: self.disk.clone(),
            directory,
            _base: lock::base_in_use()?,
        })
    }

    /// What the machine's further network cards are cabled to.
    pub fn outside(&self) -> Result<&Outside> {
        let outside = self.additions.outside.as_ref();
        outside.context("this machine has no further network cards")
    }

    /// A time limit for this machine's speed, and for how busy the host is that emulates it.
    pub fn patience(&self, real: Duration) -> Duration {
        let busy = patience::pressure().min(BUSY_MOST);
        (real * self.accelerator.patience()).mul_f64(busy)
    }

    /// A path in the machine's directory, for further disks.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory
            .as_ref()
            .map_or_else(PathBuf::new, |directory| directory.path().join(name))
    }

    /// The end of the console, for error messages.
    pub fn console_tail(&self) -> String {
        let tail = last_lines(&readable(&self.console()), CONSOLE_TAIL);
        format!("--- the console's last lines:\n{tail}\n---")
    }

    fn must_run(&mut self) -> Result<()> {
        if let Some(status) = self.process.try_wait().context("ask after QEMU")? {
            let log = fs::read_to_string(self.file("qemu.log")).unwrap_or_default();
            bail!(
                "QEMU ended by itself: {status}\n{log}\n{}",
                self.console_tail()
            );
        }
        if self.console().contains("Kernel panic - not syncing") {
            bail!("the machine's kernel panicked\n{}", self.console_tail());
        }
        Ok(())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.ssh.close();
        // It may have ended already; there is nothing else to fail here.
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            if let Some(directory) = self.directory.take() {
                eprintln!(
                    "harness: the machine's files stay in {}",
                    directory.keep().display()
                );
            }
        }
    }
}

/// Boots whatever is on a disk in this directory, as firmware does.
pub(crate) fn boot_disk(
    server: &OldServer,
    directory: TempDir,
    disk: Disk,
    memory_mib: u32,
) -> Result<Machine> {
    let additions = Additions::default();
    Machine::start(server, directory, disk, memory_mib, Start::Boot, additions)
}

/// What is left of a machine whose power was cut.
#[derive(Debug)]
pub struct PoweredOff {
    /// Its disk.
    pub disk: Disk,
    pub(crate) directory: TempDir,
    _base: Lock,
}

impl PoweredOff {
    /// Switches it on again.
    pub fn boot(self, server: &OldServer, memory_mib: u32) -> Result<Machine> {
        self.boot_with(server, memory_mib, Additions::default())
    }

    /// Switches it on again with other hardware.
    pub fn boot_with(
        self,
        server: &OldServer,
        memory_mib: u32,
        additions: Additions,
    ) -> Result<Machine> {
        Machine::start(
            server,
            self.directory,
            self.disk,
            memory_mib,
            Start::Boot,
            additions,
        )
    }
}

/// A directory under `target/vm/`.
pub(crate) fn directory(name: &str) -> Result<TempDir> {
    let parent = paths::target().join("vm");
    fs::create_dir_all(&parent).with_context(|| format!("create {}", parent.display()))?;
    tempfile::Builder::new()
        .prefix(&format!("{name}-"))
        .tempdir_in(&parent)
        .with_context(|| format!("create a directory in {}", parent.display()))
}

/// A port that nobody listens on. Another may take it before QEMU does; QEMU then says so.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("find a free port")?;
    Ok(listener.local_addr().context("read the free port")?.port())
}

fn kill(mut process: Child) {
    // Nothing is lost if it has ended by itself.
    let _ = process.kill();
    let _ = process.wait();
}
