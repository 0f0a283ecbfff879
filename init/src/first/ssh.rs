//! The ssh server in PID 1's hands: started once it is wanted, and again when it ends. That it does not
//! start, or crashes, is told and changes nothing else.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{kill_process_group, Pid, Signal};

use crate::ram::reachable::{self, Network};

/// The first pause after it has ended; it grows by as much each time.
const PAUSE: Duration = Duration::from_secs(5);
/// And is never longer.
const LONGEST: Duration = Duration::from_mins(1);
/// How often its end is told.
const TOLD: u32 = 5;

/// What the run is doing, for the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// It goes on, and nothing may disturb it.
    Run,
    /// It holds, and is worked at.
    Hold,
}

impl Moment {
    fn word(self) -> &'static str {
        match self {
            Moment::Run => "run",
            Moment::Hold => "hold",
        }
    }
}

/// The server.
pub struct SshServer {
    child: Option<Child>,
    ended: u32,
    next: Instant,
    /// There is none to be had.
    none: bool,
}

impl SshServer {
    /// Not started yet.
    pub fn new() -> SshServer {
        SshServer {
            child: None,
            ended: 0,
            next: Instant::now(),
            none: false,
        }
    }

    /// The others were ended, it among them: what holds has another one.
    pub fn begin_anew(&mut self) {
        *self = SshServer {
            none: self.none,
            ..SshServer::new()
        };
    }

    /// Starts it where it is due. Never waits. A run that holds wants one whether its steps came so far
    /// or not.
    pub fn look_after(&mut self, moment: Moment) {
        if self.none {
            return;
        }
        let network = match (reachable::wanted(), moment) {
            (Some(network), _) => network,
            (None, Moment::Hold) => Network::Down,
            (None, Moment::Run) => return,
        };
        match self.child.as_mut().map(Child::try_wait) {
            Some(Ok(None)) => return,
            Some(Ok(Some(status))) if status.success() => {
                self.none = true;
                return;
            }
            // Waited for by somebody else: it has ended.
            Some(Ok(Some(_)) | Err(_)) => self.note_end(),
            None => {}
        }
        if Instant::now() >= self.next {
            self.start(network, moment);
        }
    }

    fn note_end(&mut self) {
        let Some(child) = self.child.take() else {
            return;
        };
        // What it has started would still listen.
        let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
        self.ended += 1;
        let pause = PAUSE.saturating_mul(self.ended).min(LONGEST);
        self.next = Instant::now() + pause;
        if self.ended <= TOLD {
            log::warn!(
                "ssh: the server has ended; the run goes on, and it is started again in {} s",
                pause.as_secs()
            );
        }
    }

    fn start(&mut self, network: Network, moment: Moment) {
        let child = Command::new("/proc/self/exe")
            .args(["reach", network.word(), moment.word()])
            .process_group(0)
            .stdin(Stdio::null())
            .spawn();
        match child {
            Ok(child) => self.child = Some(child),
            Err(e) => {
                log::warn!("ssh: start the server: {e}");
                self.next = Instant::now() + LONGEST;
            }
        }
    }
}
