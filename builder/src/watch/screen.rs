//! Showing what is told: lines that stay on standard output, and below them, on a terminal, one that is
//! written over. What a machine says is shown as text; it cannot steer the terminal.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use formats::printable;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use machine::moment;

use super::story::{End, Now};

/// The operator's terminal, or a file.
pub struct Screen {
    bar: Option<ProgressBar>,
}

impl Screen {
    /// With a bar on a terminal.
    pub fn new() -> Screen {
        Screen {
            bar: (io::stderr().is_terminal() && io::stdout().is_terminal()).then(bar),
        }
    }

    /// Tells lines that stay, each with the time.
    pub fn tell(&mut self, lines: &[String]) {
        for line in lines {
            self.say(&format!("{} {}", time(), printable::line(line)));
        }
    }

    /// Shows how it stands until the next answer.
    pub fn now(&mut self, now: &Now) {
        if let Some(bar) = &self.bar {
            bar.set_length(now.of as u64);
            bar.set_position(now.done as u64);
            bar.set_message(printable::line(&now.text).into_owned());
        }
    }

    /// Tells the end.
    pub fn end(&mut self, end: &End) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        for line in &end.lines {
            self.say(&printable::line(line));
        }
    }

    fn say(&self, line: &str) {
        let write = || {
            // Whoever does not read it any more is told by the exit status.
            let _ = writeln!(io::stdout(), "{line}");
        };
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{elapsed} [{bar:24}] {pos}/{len} {wide_msg}");
    bar.set_style(
        style
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("#>-"),
    );
    bar.enable_steady_tick(Duration::from_secs(1));
    bar
}

/// This moment, `HH:MM:SSZ`.
fn time() -> String {
    let text = moment::now();
    format!("{}:{}:{}Z", &text[9..11], &text[11..13], &text[13..15])
}
