//! PID 1, stopped and held by ptrace(2). While it is held it neither starts nor reaps anything, and
//! it can be made to call the kernel. Dropping it lets it go on as if nothing had been.
//!
//! ptrace belongs to the thread that attached: everything here is done by the worker's main thread.

use std::fs;
use std::io;
use std::marker::PhantomData;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use anyhow::{bail, ensure, Context, Result};
use machine::patience::Patience;
use nix::errno::Errno;
use nix::libc::user_regs_struct as Registers;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use rustix::process::WaitOptions;

use super::registers::{self, Block, Call};
use super::stops::{self, Stop};

/// How long it may take to stop. It is in the kernel for a moment only, unless a disk hangs.
const PATIENCE: Duration = Duration::from_secs(10);
/// `__WALL`: wait for tracees of every kind.
const WALL: WaitOptions = WaitOptions::from_bits_retain(0x4000_0000);
/// `getpid(2)`, `execve(2)`.
const GETPID: u64 = 39;
const EXECVE: u64 = 59;

/// How long a process may go on to be found in a call, where nothing else shows an instruction that calls
/// the kernel: an init waits nearly always.
const IN_A_CALL: Duration = Duration::from_secs(1);
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// Start, end and permissions of a mapping.
type Mapping = (u64, u64, String);

/// PID 1, held.
pub struct FirstProcess {
    pid: Pid,
    how: How,
    /// Gives its memory map. A hardened kernel shows one of zeros, so nothing relies on it that
    /// the registers tell as well.
    maps: fn(Pid) -> Result<Vec<Mapping>>,
    stopped: Registers,
    /// It has made a call since, so that its registers must be put back.
    disturbed: bool,
    /// Signals that came meanwhile, for it to be given again.
    signals: Vec<Signal>,
    /// It has become another program: nothing is put back.
    replaced: bool,
    /// Not to be sent to another thread.
    _thread: PhantomData<*const ()>,
}

/// How a process is attached to and stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// `PTRACE_SEIZE` and `PTRACE_INTERRUPT`, Linux 3.4.
    Seize,
    /// `PTRACE_ATTACH` and SIGSTOP.
    Attach,
}

impl How {
    /// Asks an attached process to stop.
    fn request_stop(self, pid: Pid) -> Result<()> {
        match self {
            How::Seize => ptrace::interrupt(pid).context("ask it to stop (PTRACE_INTERRUPT)"),
            How::Attach => signal::kill(pid, Signal::SIGSTOP).context("send it SIGSTOP"),
        }
    }

    /// The stop that this leads to.
    fn stop(self) -> Stop {
        match self {
            How::Seize => Stop::Asked,
            How::Attach => Stop::Signal(Signal::SIGSTOP as i32),
        }
    }
}

impl FirstProcess {
    /// Stops PID 1.
    pub fn hold() -> Result<FirstProcess> {
        let pid = Pid::from_raw(1);
        let held = match Self::hold_process(pid, How::Seize) {
            // Linux before 3.4.
            Err(e) if matches!(e.downcast_ref(), Some(Errno::EIO | Errno::EINVAL)) => {
                Self::hold_process(pid, How::Attach)
            }
            other => other,
        };
        held.context("stop PID 1 by ptrace")
    }

    fn hold_process(pid: Pid, how: How) -> Result<FirstProcess> {
        Self::hold_process_by(pid, how, mappings)
    }

    /// The same, with the memory map from elsewhere.
    fn hold_process_by(
        pid: Pid,
        how: How,
        maps: fn(Pid) -> Result<Vec<Mapping>>,
    ) -> Result<FirstProcess> {
        attach(pid, how)?;
        let stopped = ptrace::getregs(pid).context("read its registers");
        let mut held = match stopped {
            Ok(stopped) => FirstProcess {
                pid,
                how,
                maps,
                stopped,
                disturbed: false,
                signals: Vec::new(),
                replaced: false,
                _thread: PhantomData,
            },
            Err(e) => {
                let _ = ptrace::detach(pid, None);
                return Err(e);
            }
        };
        ensure!(
            held.stopped.cs == registers::WIDE_CODE,
            "it is not a 64-bit program"
        );
        held.find_in_call()?;
        Ok(held)
    }

    /// Lets it go on and stops it again until it is in a call, where its memory map does not show
    /// what it may execute. Without success it stays as it is, and the trial fails.
    fn find_in_call(&mut self) -> Result<()> {
        let mut patience = Patience::new(IN_A_CALL);
        while !patience.is_over() {
            let shown = (self.maps)(self.pid).unwrap_or_default();
            let shows_text = shown
                .iter()
                .any(|(from, to, may)| to > from && may.contains('x'));
            if shows_text || self.instruction_in_use().is_some() {
                return Ok(());
            }
            ptrace::cont(self.pid, None).context("let it go on")?;
            std::thread::sleep(BETWEEN_LOOKS);
            self.how.request_stop(self.pid)?;
            wait_until_stopped(self.pid, self.how)?;
            self.stopped = ptrace::getregs(self.pid).context("read its registers")?;
        }
        Ok(())
    }

    /// Does all that [`execute`](Self::execute) does, for a program without a name: the kernel
    /// answers that there is none, and everything is put back.
    pub fn try_everything(&mut self, argv: &[&str], envp: &[&str]) -> Result<()> {
        self.try_call()?;
        let nameless: Vec<&str> = std::iter::once("")
            .chain(argv.iter().skip(1).copied())
            .collect();
        let Err(error) = self.try_execute(&nameless, envp) else {
            // It cannot be: execve(2) of an empty path is ENOENT on every Linux.
            self.replaced = true;
            bail!("PID 1 executed a program that has no name");
        };
        let answer = error.downcast_ref::<io::Error>().map(io::Error::kind);
        if answer == Some(io::ErrorKind::NotFound) {
            return Ok(());
        }
        Err(error.context("try to make PID 1 execute a program that is not there"))
    }

    /// Has it ask for its own number, as a trial: the answer shows that it can be made to call.
    pub fn try_call(&mut self) -> Result<()> {
        let answer = self.call(Call {
            number: GETPID,
            arguments: [0; 3],
        })?;
        match answer {
            Answer::Returned(number) if number == i64::from(self.pid.as_raw()) => Ok(()),
            other => bail!("PID 1 was made to ask for its number, and got {other:?}"),
        }
    }

    /// Makes it execute a program. On success it is that program, and is let go when this is
    /// dropped. On failure it is as it was, and still held.
    pub fn execute(&mut self, argv: &[&str], envp: &[&str]) -> Result<()> {
        self.try_execute(argv, envp)?;
        self.replaced = true;
        Ok(())
    }

    fn try_execute(&mut self, argv: &[&str], envp: &[&str]) -> Result<()> {
        let stack = self.stopped.rsp;
        let block = registers::lay_out(stack, argv, envp);
        ensure!(
            block.bytes.len() <= registers::PAGE as usize,
            "the names for PID 1's new program are longer than a page"
        );
        let before = self.exchange(&block)?;
        let call = Call {
            number: EXECVE,
            arguments: block.arguments,
        };
        let answer = self.call(call);
        let error = match answer {
            Ok(Answer::Replaced) => return Ok(()),
            Ok(Answer::Returned(code)) => {
                let errno = io::Error::from_raw_os_error(-code as i32);
                anyhow::Error::new(errno).context(format!("PID 1 was made to execute {}", argv[0]))
            }
            Err(e) => e,
        };
        self.exchange(&before)
            .context("put PID 1's stack back as it was")?;
        Err(error)
    }

    /// Writes a block into its memory; gives what was there.
    fn exchange(&self, block: &Block) -> Result<Block> {
        let mut before = Vec::with_capacity(block.bytes.len());
        for (at, word) in (block.address..)
            .step_by(8)
            .zip(block.bytes.chunks_exact(8))
        {
            let old = ptrace::read(self.pid, at as ptrace::AddressType)
                .with_context(|| format!("read PID 1's memory at {at:#x}"))?;
            before.extend(old.to_le_bytes());
            let new = i64::from_le_bytes(word.try_into().unwrap_or_default());
            ptrace::write(self.pid, at as ptrace::AddressType, new)
                .with_context(|| format!("write PID 1's memory at {at:#x}"))?;
        }
        Ok(Block {
            bytes: before,
            ..block.clone()
        })
    }

    /// Makes it call the kernel once.
    fn call(&mut self, call: Call) -> Result<Answer> {
        let at = self.instruction()?;
        ptrace::setregs(self.pid, registers::calling(&self.stopped, at, call))
            .context("set PID 1's registers")?;
        self.disturbed = true;
        let mut entered = false;
        loop {
            ptrace::syscall(self.pid, None).context("let PID 1 go on to its next call")?;
            match wait(self.pid)? {
                Stop::Call if entered => {
                    let registers = ptrace::getregs(self.pid).context("read PID 1's registers")?;
                    return Ok(Answer::Returned(registers.rax as i64));
                }
                Stop::Call => entered = true,
                Stop::Exec => return Ok(Answer::Replaced),
                Stop::Asked => {}
                // Given to it when it goes on: a handler must not run on these registers. The
                // wrapper knows no real-time signals; one of those is lost.
                Stop::Signal(number) => self.signals.extend(Signal::try_from(number)),
                Stop::Ended => bail!("PID 1 ended while it was held"),
            }
        }
    }

    /// The instruction by which it is in a call. There is none behind a program's first step, although
    /// the registers still tell of execve(2).
    fn instruction_in_use(&self) -> Option<u64> {
        let length = registers::SYSCALL.len() as u64;
        let at = self.stopped.rip.wrapping_sub(length);
        let word = ptrace::read(self.pid, at as ptrace::AddressType).ok()?;
        let is_call = registers::is_in_call(&self.stopped)
            && word.to_le_bytes().starts_with(&registers::SYSCALL);
        is_call.then_some(at)
    }

    /// Where in its memory a `syscall` instruction is: right behind it if it is in a call, else
    /// anywhere in what it may execute.
    fn instruction(&self) -> Result<u64> {
        if let Some(at) = self.instruction_in_use() {
            return Ok(at);
        }
        let memory =
            fs::File::open(format!("/proc/{}/mem", self.pid)).context("open PID 1's memory")?;
        for (start, end, may) in (self.maps)(self.pid)? {
            if !may.contains('x') {
                continue;
            }
            let mut text = vec![0; (end - start) as usize];
            // Some of the kernel's own pages cannot be read; there are others.
            let Ok(read) = memory.read_at(&mut text, start) else {
                continue;
            };
            let found = text[..read]
                .windows(registers::SYSCALL.len())
                .position(|w| w == registers::SYSCALL);
            if let Some(found) = found {
                return Ok(start + found as u64);
            }
        }
        bail!("PID 1's program has no system call instruction")
    }
}

impl FirstProcess {
    /// Puts it back into the very stop that it was found in. Only on the way out of such a stop the
    /// kernel goes on with a call that was interrupted, or ends it because of a signal.
    fn put_back(&mut self) -> Result<()> {
        self.how.request_stop(self.pid)?;
        ptrace::cont(self.pid, None).context("let it go on to its next stop")?;
        loop {
            match wait(self.pid)? {
                stop if stop == self.how.stop() => break,
                Stop::Ended => bail!("it ended"),
                stop => {
                    if let Stop::Signal(number) = stop {
                        self.signals.extend(Signal::try_from(number));
                    }
                    // Any other stop makes the kernel forget that it was asked to.
                    if self.how == How::Seize {
                        self.how.request_stop(self.pid)?;
                    }
                    ptrace::cont(self.pid, None).context("let it go on to its next stop")?;
                }
            }
        }
        ptrace::setregs(self.pid, self.stopped).context("set its registers")
    }
}

impl Drop for FirstProcess {
    fn drop(&mut self) {
        if !self.replaced {
            if self.disturbed {
                if let Err(e) = self.put_back() {
                    log::error!("put PID 1's registers back: {e:#}");
                }
            }
            for signal in &self.signals {
                // It takes them as it goes on. That it is there still was seen a moment ago.
                let _ = signal::kill(self.pid, *signal);
            }
        }
        if let Err(e) = ptrace::detach(self.pid, None) {
            log::error!("let go of PID 1: {e}");
        }
    }
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// It returned this.
    Returned(i64),
    /// There is another program now.
    Replaced,
}

/// Attaches and waits until the process is stopped between two instructions of its own, or in a
/// call that was interrupted.
fn attach(pid: Pid, how: How) -> Result<()> {
    let options = Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_TRACEEXEC;
    match how {
        How::Seize => {
            ptrace::seize(pid, options).map_err(explain)?;
            how.request_stop(pid)?;
            wait_until_stopped(pid, how)
        }
        How::Attach => {
            ptrace::attach(pid).map_err(explain)?;
            if let Err(e) = wait_until_stopped(pid, how) {
                // A SIGSTOP still on its way would stop it with nobody there to let it go on.
                let _ = signal::kill(pid, Signal::SIGCONT);
                return Err(e);
            }
            ptrace::setoptions(pid, options).context("set the options of ptrace")
        }
    }
}

fn explain(e: Errno) -> anyhow::Error {
    let error = anyhow::Error::new(e);
    match e {
        Errno::EPERM => error.context(
            "ptrace is forbidden: another tracer, kernel.yama.ptrace_scope=3, or a security module",
        ),
        _ => error.context("attach by ptrace"),
    }
}

/// Waits for the stop that was asked for; signals that come before are given to the process.
fn wait_until_stopped(pid: Pid, how: How) -> Result<()> {
    loop {
        let signal = match wait(pid)? {
            stop if stop == how.stop() => return Ok(()),
            Stop::Ended => bail!("it ended"),
            // The trap that execve(2) causes is for tracers only.
            Stop::Signal(number) => Signal::try_from(number)
                .ok()
                .filter(|s| *s != Signal::SIGTRAP),
            _ => None,
        };
        // Any other stop makes the kernel forget that it was asked to.
        if how == How::Seize {
            how.request_stop(pid)?;
        }
        ptrace::cont(pid, signal).context("let it go on to its next stop")?;
    }
}

fn wait(pid: Pid) -> Result<Stop> {
    let mut patience = Patience::new(PATIENCE);
    let number = rustix::process::Pid::from_raw(pid.as_raw());
    loop {
        match rustix::process::waitpid(number, WaitOptions::NOHANG | WALL) {
            Ok(Some((_, status))) => return Ok(stops::parse(status.as_raw())),
            Ok(None) if !patience.is_over() => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Ok(None) => bail!("it did not stop within {} s", PATIENCE.as_secs()),
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e).context("wait for it to stop"),
        }
    }
}

/// Start, end and permissions of every mapping.
fn mappings(pid: Pid) -> Result<Vec<Mapping>> {
    let path = format!("/proc/{pid}/maps");
    let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    Ok(text.lines().filter_map(parse_mapping).collect())
}

fn parse_mapping(line: &str) -> Option<Mapping> {
    let mut words = line.split_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let may = words.next()?.to_owned();
    Some((
        u64::from_str_radix(start, 16).ok()?,
        u64::from_str_radix(end, 16).ok()?,
        may,
    ))
}

#[cfg(test)]
#[path = "first_process_tests.rs"]
mod tests;
