//! Telling on stderr what is being done: bars on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// One long part of the work.
pub struct Step {
    bar: Option<ProgressBar>,
    name: String,
    began: Instant,
}

/// Begins a part of which nobody knows how long it takes.
pub fn step(name: &str) -> Step {
    begin(name, None)
}

/// Begins a part that handles `total` bytes.
pub fn step_of_bytes(name: &str, total: u64) -> Step {
    begin(name, Some(total))
}

fn begin(name: &str, total: Option<u64>) -> Step {
    let began = Instant::now();
    if !std::io::stderr().is_terminal() {
        eprintln!("{name} …");
        return Step {
            bar: None,
            name: name.to_owned(),
            began,
        };
    }
    let (bar, template) = match total {
        Some(total) => (
            ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr()),
            "{msg} {wide_bar} {bytes}/{total_bytes}, {eta} left",
        ),
        None => (
            ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()),
            "{msg} {spinner} {elapsed} {wide_msg}",
        ),
    };
    let template = template.replace("{msg}", name);
    bar.set_style(
        ProgressStyle::with_template(&template)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("█▉▊▋▌▍▎▏ "),
    );
    bar.enable_steady_tick(Duration::from_millis(150));
    Step {
        bar: Some(bar),
        name: name.to_owned(),
        began,
    }
}

impl Step {
    /// So many bytes more are done.
    pub fn add(&self, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.inc(bytes);
        }
    }

    /// What is going on within the part; seen on a terminal only.
    pub fn detail(&self, text: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(text.to_owned());
        }
    }

    /// Ends the part and says what came of it.
    pub fn done(self, result: &str) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        eprintln!(
            "{}: {result} ({:.1} s)",
            self.name,
            self.began.elapsed().as_secs_f64()
        );
    }
}

impl Drop for Step {
    /// A part that failed leaves no half bar above the error.
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// A size for people, in MiB with one digit.
pub fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
