//! The graph of a plan's steps as an SVG picture: a lane for each system, an arrow for each need, the
//! commit point as a line, and where each failure leads. With outcomes it is the same picture with
//! times and ends. Shapes and words tell everything; colours only help.

use std::fmt::Write;

use crate::steps::COMMIT;
use formats::outcomes::{StepOutcome, StepResult};
use formats::plan::Plan;
use formats::steps::{Mode, OnFailure, Place, Step};

/// Lengths in user units; the font has a fixed width, so that text fits where it was counted.
const BOX_WIDTH: usize = 300;
const LINE: usize = 14;
const GAP: usize = 20;
const TOP: usize = 100;
const LANES: [(Place, usize, &str); 3] = [
    (Place::OldOs, 90, "old OS"),
    (Place::Ram, 440, "RAM environment"),
    (Place::NewOs, 820, "new OS"),
];
/// Where the bars are that failures lead to.
const BACK: usize = 24;
const HOLD: usize = 770;
const BAR_WIDTH: usize = 22;
/// Characters of 11 units' size that fit into a box.
const COLUMNS: usize = 43;

/// A step and its place in the picture.
struct Cell<'a> {
    step: &'a Step,
    outcome: Option<&'a StepOutcome>,
    x: usize,
    y: usize,
    /// Other steps are between this one and one that needs it.
    row: usize,
}

/// Draws the steps of a plan, with what became of them where `outcomes` tells.
pub fn graph(plan: &Plan, outcomes: &[StepOutcome]) -> String {
    // Name, two lines of what it does, what undoes or repeats it; and how it ended.
    let lines = if outcomes.is_empty() { 4 } else { 5 };
    let height = lines * LINE + 10;
    let cells = place(plan, outcomes, height);
    let rows = cells.last().map_or(0, |c| c.row + 1);
    let failure = first_error(outcomes);
    let bottom = TOP + rows * (height + GAP) + commit_space(plan);
    let total = bottom + 56 + failure.len() * LINE;
    let width = if plan.mode == Mode::Rehearse {
        LANES[1].1 + BOX_WIDTH + 50
    } else {
        LANES[2].1 + BOX_WIDTH + 20
    };
    let mut out = String::new();
    head(&mut out, plan, width, total, !outcomes.is_empty());
    lanes(&mut out, plan, width, bottom);
    bars(&mut out, &cells, height);
    needs(&mut out, &cells, height);
    for (i, cell) in cells.iter().enumerate() {
        draw(&mut out, cell, i + 1, height);
    }
    commit_line(&mut out, &cells, width, height);
    legend(&mut out, bottom, &failure, !outcomes.is_empty());
    out.push_str("</svg>\n");
    out
}

/// Time goes down; a step in another lane begins beside the one before it.
fn place<'a>(plan: &'a Plan, outcomes: &'a [StepOutcome], height: usize) -> Vec<Cell<'a>> {
    let mut cells: Vec<Cell> = Vec::new();
    let mut below_commit = 0;
    for step in &plan.steps {
        let x = LANES
            .iter()
            .find(|l| l.0 == step.place)
            .map_or(LANES[0].1, |l| l.1);
        let row = match cells.last() {
            None => 0,
            Some(last) if last.step.place != step.place => last.row,
            Some(last) => last.row + 1,
        };
        cells.push(Cell {
            step,
            outcome: outcomes.iter().find(|o| o.name == step.name),
            x,
            y: TOP + row * (height + GAP) + below_commit,
            row,
        });
        if step.name == COMMIT {
            below_commit = COMMIT_SPACE;
        }
    }
    cells
}

/// Room for the line and its words.
const COMMIT_SPACE: usize = 26;

fn commit_space(plan: &Plan) -> usize {
    if plan.step(COMMIT).is_some() {
        COMMIT_SPACE
    } else {
        0
    }
}

fn head(out: &mut String, plan: &Plan, width: usize, height: usize, ran: bool) {
    let what = match plan.mode {
        Mode::Reinstall => "Reinstallation",
        Mode::Rehearse => "Rehearsal",
    };
    let title = format!("{what} of {}, run {}", plan.hostname, plan.run);
    let change = format!(
        "{} to {}, entry {}{}",
        plan.old_os.pretty_name,
        plan.new_os.pretty_name,
        plan.entry.entry.name(),
        if ran { ", as it went" } else { ", as planned" }
    );
    let _ = write!(
        out,
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-labelledby="title desc" font-family="'DejaVu Sans Mono',monospace" font-size="11" fill="#1f2328">
<title id="title">{}</title>
<desc id="desc">{} Steps in order: {}.</desc>
<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="#57606a"/></marker>
<marker id="back" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8" fill="none" stroke="#57606a"/></marker></defs>
<rect width="{width}" height="{height}" fill="#ffffff"/>
<text x="24" y="30" font-size="16" font-weight="bold">{}</text>
<text x="24" y="50">{}</text>
"##,
        escape(&title),
        escape(&change),
        escape(
            &plan
                .steps
                .iter()
                .map(|s| s.name.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        ),
        escape(&title),
        escape(&change),
    );
}

fn lanes(out: &mut String, plan: &Plan, width: usize, bottom: usize) {
    let used = |place| plan.steps.iter().any(|s| s.place == place);
    for (place, x, name) in LANES.iter().filter(|l| used(l.0)) {
        let name = match (place, plan.mode) {
            (Place::OldOs, Mode::Rehearse) => "old OS, before and after",
            _ => name,
        };
        let _ = writeln!(
            out,
            r##"<rect x="{}" y="66" width="{}" height="{}" fill="#f6f8fa" rx="6"/><text x="{}" y="86" font-size="13" font-weight="bold" text-anchor="middle">{name}</text>"##,
            x - 10,
            BOX_WIDTH + 20,
            bottom - 66,
            (x + BOX_WIDTH / 2).min(width)
        );
    }
}

/// The bars at the side, one for each thing that a failure leads to, and an arrow from each step.
fn bars(out: &mut String, cells: &[Cell], height: usize) {
    for (on_failure, x, words) in [
        (OnFailure::Revert, BACK, "old OS goes on"),
        (OnFailure::Reboot, BACK, "old OS boots again"),
        (OnFailure::Hold, HOLD, "holds with a rescue shell"),
    ] {
        let there: Vec<&Cell> = cells
            .iter()
            .filter(|c| c.step.on_failure == on_failure)
            .collect();
        let (Some(first), Some(last)) = (there.first(), there.last()) else {
            continue;
        };
        let (top, bottom) = (first.y, last.y + height);
        let middle = usize::midpoint(top, bottom);
        let (tx, ty) = (x + BAR_WIDTH / 2 + 4, middle);
        let _ = writeln!(
            out,
            r##"<rect x="{x}" y="{top}" width="{BAR_WIDTH}" height="{}" rx="4" fill="#ffffff" stroke="#57606a"/><text x="{tx}" y="{ty}" text-anchor="middle" transform="rotate(-90 {tx} {ty})">{words}</text>"##,
            bottom - top
        );
        for cell in there {
            // A step beside another one leads past it, below.
            let beside = |c: &&Cell| c.row == cell.row && c.x < cell.x;
            if x == BACK && cells.iter().any(|c| beside(&c)) {
                let _ = writeln!(
                    out,
                    r##"<path d="M{} {}h-24V{}H{}" fill="none" stroke="#57606a" stroke-dasharray="4 3" marker-end="url(#back)"/>"##,
                    cell.x,
                    cell.y + height - 10,
                    cell.y + height + GAP / 2,
                    x + BAR_WIDTH + 1
                );
                continue;
            }
            let y = cell.y + height / 2;
            let (from, to) = if x == BACK {
                (cell.x, x + BAR_WIDTH + 1)
            } else {
                (cell.x + BOX_WIDTH, x - 1)
            };
            let _ = writeln!(
                out,
                r##"<path d="M{from} {y}H{to}" fill="none" stroke="#57606a" stroke-dasharray="4 3" marker-end="url(#back)"/>"##
            );
        }
    }
}

/// An arrow from each step to those that need it.
fn needs(out: &mut String, cells: &[Cell], height: usize) {
    let mut bends = 0;
    for cell in cells {
        for need in &cell.step.needs {
            let Some(from) = cells.iter().find(|c| &c.step.name == need) else {
                continue;
            };
            let path = if from.row == cell.row {
                // Another lane, beside it.
                let y = cell.y + height / 4;
                format!("M{} {y}H{}", from.x + BOX_WIDTH, cell.x - 1)
            } else if from.x == cell.x && from.row + 1 == cell.row {
                let x = cell.x + BOX_WIDTH / 2;
                format!("M{x} {}V{}", from.y + height, cell.y - 1)
            } else {
                // Around the steps in between.
                bends += 1;
                let side = from.x + BOX_WIDTH;
                format!(
                    "M{side} {}h{}V{}H{}",
                    from.y + height - 10,
                    8 + 7 * (bends % 2),
                    cell.y + 10,
                    cell.x + BOX_WIDTH + 1
                )
            };
            let _ = writeln!(
                out,
                r##"<path d="{path}" fill="none" stroke="#57606a" stroke-width="1.4" marker-end="url(#arrow)"/>"##
            );
        }
    }
}

/// How a box says by its border and its mark how its step ended: colour, border, shape of the mark.
fn look(outcome: Option<&StepOutcome>) -> (&'static str, &'static str, &'static str) {
    match outcome.map(|o| o.result) {
        None => ("#57606a", "", ""),
        Some(StepResult::Done) => (
            "#1a7f37",
            r#" stroke-width="2""#,
            "M0 4a4 4 0 1 0 8 0a4 4 0 1 0 -8 0",
        ),
        Some(StepResult::Failed) => (
            "#cf222e",
            r#" stroke-width="4""#,
            "M0 1L1 0L4 3L7 0L8 1L5 4L8 7L7 8L4 5L1 8L0 7L3 4z",
        ),
        Some(StepResult::Reverted) => (
            "#9a6700",
            r#" stroke-width="2" stroke-dasharray="8 4""#,
            "M8 0L0 4L8 8z",
        ),
        Some(StepResult::Running) => ("#0969da", r#" stroke-width="2""#, "M0 0L8 4L0 8z"),
    }
}

fn draw(out: &mut String, cell: &Cell, number: usize, height: usize) {
    let (x, y, step) = (cell.x, cell.y, cell.step);
    let (colour, border, mark) = look(cell.outcome);
    let mut about = format!("{}: {}.", step.name, step.does);
    for (word, text) in [("Before", &step.before), ("After", &step.after)] {
        if !text.is_empty() {
            let _ = write!(about, " {word}: {text}.");
        }
    }
    if step.progress {
        about.push_str(" Its time begins anew whenever it gets on.");
    }
    let _ = write!(
        out,
        r##"<g><title>{}</title><rect x="{x}" y="{y}" width="{BOX_WIDTH}" height="{height}" rx="4" fill="#ffffff" stroke="{colour}"{border}/>
<text x="{}" y="{}" font-size="13" font-weight="bold">{number} {}</text><text x="{}" y="{}" text-anchor="end">at most {}</text>
"##,
        escape(&about),
        x + 8,
        y + LINE + 2,
        escape(&step.name),
        x + BOX_WIDTH - 8,
        y + LINE + 2,
        time(step.deadline_s as f64)
    );
    let mut line = 1;
    let mut text = |text: &str, style: &str| {
        line += 1;
        let _ = writeln!(
            out,
            r#"<text x="{}" y="{}"{style}>{}</text>"#,
            x + 8,
            y + line * LINE + 2,
            escape(text)
        );
    };
    let does = wrap(&step.does, COLUMNS, 2);
    text(does.first().map_or("", String::as_str), "");
    text(does.get(1).map_or("", String::as_str), "");
    let then = match (&step.undo, step.retry) {
        (Some(undo), _) => format!("undo: {undo}"),
        (None, Some(retry)) => format!("tried {} times, {} s apart", retry.attempts, retry.pause_s),
        (None, None) => String::new(),
    };
    let then = wrap(&then, COLUMNS, 1);
    text(
        then.first().map_or("", String::as_str),
        r##" fill="#57606a" font-style="italic""##,
    );
    if let Some(outcome) = cell.outcome {
        let style = format!(r#" dx="14" font-weight="bold" fill="{colour}""#);
        text(&ended(outcome), &style);
        let _ = writeln!(
            out,
            r#"<path transform="translate({} {})" d="{mark}" fill="{colour}"/>"#,
            x + 8,
            y + line * LINE - 6
        );
    }
    out.push_str("</g>\n");
}

/// How a step ended, in words.
fn ended(outcome: &StepOutcome) -> String {
    let mut text = outcome.result.name().to_owned();
    if let Some(seconds) = outcome.seconds {
        let _ = write!(text, ", {}", time(seconds));
    }
    if outcome.attempts > 1 {
        let _ = write!(text, ", {} attempts", outcome.attempts);
    }
    text
}

fn commit_line(out: &mut String, cells: &[Cell], width: usize, height: usize) {
    let Some(commit) = cells.iter().find(|c| c.step.name == COMMIT) else {
        return;
    };
    let y = commit.y + height + usize::midpoint(GAP, COMMIT_SPACE);
    let _ = writeln!(
        out,
        r##"<path d="M0 {y}H{width}" stroke="#cf222e" stroke-width="3"/><text x="{}" y="{}" text-anchor="end" font-weight="bold" fill="#cf222e">COMMIT POINT</text><text x="{}" y="{}" font-size="10">above: everything goes back</text><text x="{}" y="{}" font-size="10">below: only forwards</text>"##,
        width - 16,
        y - 6,
        LANES[0].1,
        y - 6,
        LANES[0].1,
        y + 15
    );
}

fn legend(out: &mut String, bottom: usize, failure: &[String], ran: bool) {
    let mut y = bottom + 22;
    let mut text = |text: &str, style: &str| {
        let _ = writeln!(
            out,
            r#"<text x="24" y="{y}"{style}>{}</text>"#,
            escape(text)
        );
        y += LINE;
    };
    text(
        "Solid arrow: must be done before. Dashed arrow: where a failure, or a deadline, leads.",
        "",
    );
    if ran {
        text(
            "Mark: disc done, cross failed, triangle to the left reverted, to the right not ended. No mark: not begun.",
            "",
        );
    }
    for line in failure {
        text(line, r##" font-weight="bold" fill="#cf222e""##);
    }
}

/// The first failure in full, in lines that fit.
fn first_error(outcomes: &[StepOutcome]) -> Vec<String> {
    let failed = outcomes.iter().find(|o| o.result == StepResult::Failed);
    let Some((step, error)) = failed.and_then(|o| Some((&o.name, o.error.as_ref()?))) else {
        return Vec::new();
    };
    wrap(&format!("First failure: {step}: {error}"), 110, 5)
}

/// Breaks a text between words into at most `most` lines; what does not fit is cut, with a mark.
fn wrap(text: &str, columns: usize, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let length = word.chars().count();
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + length <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    let cut = lines.len() > most;
    lines.truncate(most);
    for line in &mut lines {
        if line.chars().count() > columns {
            *line = line.chars().take(columns - 1).chain(['…']).collect();
        }
    }
    if let (true, Some(last)) = (cut, lines.last_mut()) {
        if !last.ends_with('…') {
            *last = last.chars().take(columns - 1).chain(['…']).collect();
        }
    }
    lines
}

/// Seconds for people.
fn time(seconds: f64) -> String {
    if seconds < 10.0 && seconds.fract() != 0.0 {
        format!("{seconds:.1} s")
    } else if seconds < 120.0 {
        format!("{seconds:.0} s")
    } else if seconds < 7200.0 {
        format!("{:.0} min", (seconds / 60.0).ceil())
    } else {
        format!("{:.0} h", (seconds / 3600.0).ceil())
    }
}

/// Text for XML: what has a meaning there is named, what XML does not allow becomes a mark.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' => out.push(' '),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
#[path = "svg_tests.rs"]
mod tests;
