//! The comparison for people: at most 80 columns, the first line says how it went, and what falls
//! short comes first.

use std::fmt::Write;

use formats::confirm::{Confirm, Finding, Verdict};
use formats::plan::Plan;
use formats::printable;

const COLUMNS: usize = 80;
/// Where the text of a finding begins.
const INDENT: usize = 20;

/// The summary, with a final newline.
pub fn summary(plan: &Plan, confirm: &Confirm) -> String {
    let mut out = String::new();
    put(&mut out, "", 2, &headline(confirm));
    let change = format!(
        "run {}: {} became {}",
        plan.run, plan.old_os.pretty_name, plan.new_os.pretty_name
    );
    put(&mut out, "", 2, &change);
    out.push('\n');
    let mut findings: Vec<&Finding> = confirm.findings.iter().collect();
    findings.sort_by_key(|f| f.verdict);
    for finding in findings {
        let mark = match finding.verdict {
            Verdict::Short => "SHORT",
            Verdict::Unknown => "unknown",
            Verdict::Note => "note",
            Verdict::Pass => "pass",
        };
        let head = format!("{mark:<8} {:<10} ", finding.code.word());
        put(&mut out, &head, INDENT, &finding.question);
        if let Some(found) = &finding.found {
            put(
                &mut out,
                &" ".repeat(INDENT),
                INDENT,
                &format!("found: {found}"),
            );
        }
    }
    if !confirm.passed {
        out.push('\n');
        let next = format!(
            "next: mend what falls short, then `systemctl start reroot-confirm` or a reboot \
             compares again. {} stays until nothing falls short.",
            plan.run_directory()
        );
        put(&mut out, "", 2, &next);
    }
    out
}

fn headline(confirm: &Confirm) -> String {
    let count = |verdict| {
        let of = |f: &&Finding| f.verdict == verdict;
        confirm.findings.iter().filter(of).count()
    };
    let (short, unknown) = (count(Verdict::Short), count(Verdict::Unknown));
    let all = confirm.findings.len();
    if confirm.passed {
        let notes = count(Verdict::Note);
        let mut rest = String::new();
        for (n, what) in [(unknown, "cannot be told"), (notes, "to know of")] {
            if n > 0 {
                let _ = write!(rest, ", {n} {what}");
            }
        }
        return format!(
            "reroot: all well: {} of {all} checks pass{rest}",
            all - unknown - notes
        );
    }
    let mut words: Vec<&str> = Vec::new();
    for finding in &confirm.findings {
        let word = finding.code.word();
        if finding.verdict == Verdict::Short && !words.contains(&word) {
            words.push(word);
        }
    }
    let words = words.join(", ");
    format!("reroot: falls short in {short} of {all} checks: {words}")
}

/// Adds a text behind a head, broken at spaces where there are some, and in words where not.
fn put(out: &mut String, head: &str, indent: usize, text: &str) {
    let mut line = head.to_owned();
    let mut used = head.chars().count();
    let mut empty = true;
    for word in text.split(' ') {
        // Names and messages come from files and programs; a terminal must not obey them.
        let mut letters: Vec<char> = printable::line(word).chars().collect();
        if !empty && used + 1 + letters.len() > COLUMNS {
            out.push_str(line.trim_end());
            out.push('\n');
            line = " ".repeat(indent);
            used = indent;
            empty = true;
        }
        if !empty {
            line.push(' ');
            used += 1;
        }
        while used + letters.len() > COLUMNS {
            let rest = letters.split_off(COLUMNS - used);
            line.extend(letters);
            out.push_str(&line);
            out.push('\n');
            line = " ".repeat(indent);
            used = indent;
            letters = rest;
        }
        used += letters.len();
        line.extend(letters);
        empty = false;
    }
    out.push_str(line.trim_end());
    out.push('\n');
}
