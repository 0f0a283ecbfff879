//! `reroot watch`: a run, seen from the operator's own machine through every OS that it passes.
//!
//! A run cannot show itself to its end: whatever shows it on the machine is ended with the rest, and the
//! connection with it. So this asks from outside, again and again, and needs nothing but ssh: in the old
//! OS, in the RAM environment where that lets people in, and in the new OS. It never changes anything;
//! only a command that the operator gave it is run, once, before the watching.
//!
//! [`remote`] asks, [`seen`] says what came of it, [`story`] decides what is told, [`screen`] tells it.

mod remote;
mod screen;
mod seen;
mod story;

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use plan::run_state::TIME_IS_OVER;

use crate::cli::Watch;
use crate::failure::refusal;
use remote::Remote;
use screen::Screen;
use seen::{Seen, SSH_FAILED};
use story::{Ask, Story};

/// Between two questions to a machine that answers. An answer may take long on a busy one: it is then left
/// alone for twice that time.
const PAUSE: Duration = Duration::from_secs(3);
/// Between two questions to one that does not.
const SILENT_PAUSE: Duration = Duration::from_secs(5);

/// Watches, and gives the exit status: that of the run.
pub fn watch(arguments: &Watch) -> Result<u8> {
    let remote = Remote::new(&arguments.host, &arguments.option)?;
    let mut ask = arguments
        .run
        .as_ref()
        .map_or(Ask::Newest, |run| Ask::Run(run.as_str().to_owned()));
    let mut let_in = false;
    if !arguments.command.is_empty() {
        let before = newest(&first_answer(&remote)?);
        let_in = true;
        match remote.run(&arguments.command)? {
            0 => {}
            SSH_FAILED => {
                eprintln!("The connection was lost. Whether the command began a run is asked now.");
                if ask == Ask::Newest {
                    ask = Ask::NewerThan(before);
                }
            }
            // What the launcher says is said already.
            status => return Ok(u8::try_from(status).unwrap_or(1)),
        }
    }
    let story = Story::new(remote.name(), ask, let_in);
    follow(&remote, story, arguments.timeout.map(Duration::from_secs))
}

/// The newest run of a machine that answers.
fn newest(seen: &Seen) -> Option<String> {
    match seen {
        Seen::Answer(status) => status.newest.clone(),
        _ => None,
    }
}

/// What is about to be started must be known from what was there before.
fn first_answer(remote: &Remote) -> Result<Seen> {
    match remote.ask()? {
        Seen::Silent(why) | Seen::Refused(why) => Err(refusal(
            format!("{} does not let this program in: {why}", remote.name()),
            "the command was not run. Try `ssh` with the same host and options; it has to get in by a key, \
             without a question",
        )),
        seen => Ok(seen),
    }
}

fn follow(remote: &Remote, mut story: Story, limit: Option<Duration>) -> Result<u8> {
    let begun = Instant::now();
    let mut screen = Screen::new();
    loop {
        let asked = Instant::now();
        let seen = remote.ask()?;
        let took = asked.elapsed();
        let told = story.see(&seen, begun.elapsed());
        screen.tell(&told.lines);
        if let Some(end) = told.end {
            screen.end(&end);
            return Ok(end.exit);
        }
        screen.now(&story.now(begun.elapsed()));
        let pause = match seen {
            Seen::Answer(_) => PAUSE.max(took * 2),
            _ => SILENT_PAUSE,
        };
        let left = limit.map_or(pause, |limit| limit.saturating_sub(begun.elapsed()));
        if left.is_zero() {
            screen.end(&story.time_is_over());
            return Ok(TIME_IS_OVER);
        }
        thread::sleep(pause.min(left));
    }
}
