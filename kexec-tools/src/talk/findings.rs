//! What the checks found, as people and programs read it: meaning without colour.

use std::fmt::Write;

use crate::survey::finding::{Finding, Verdict};
use crate::survey::take::Survey;

/// All findings and, below them, what they come to.
pub fn text(survey: &Survey) -> String {
    let mut text = String::new();
    let facts = &survey.facts;
    let _ = writeln!(
        text,
        "{}: {} on Linux {}, {}",
        facts.hostname, facts.os.pretty_name, facts.kernel, facts.architecture
    );
    for finding in &survey.findings {
        let mark = match finding.verdict {
            Verdict::Pass => "ok",
            Verdict::Note => "note",
            Verdict::Refuse => "REFUSED",
            Verdict::Forced => "forced",
        };
        let _ = writeln!(text, "  {mark:8} {:16} {}", finding.code, finding.question);
        if let Some(found) = &finding.found {
            let _ = writeln!(text, "  {:8} {:16} found: {found}", "", "");
        }
        if let Some(remedy) = &finding.remedy {
            let _ = writeln!(text, "  {:8} {:16} remedy: {remedy}", "", "");
        }
    }
    let refused = survey.findings.iter().filter(|f| f.refuses()).count();
    let _ = if refused == 0 {
        writeln!(
            text,
            "This machine may be reinstalled. Nothing was changed."
        )
    } else {
        writeln!(
            text,
            "{refused} of {} checks refuse. Nothing was changed.",
            survey.findings.len()
        )
    };
    text
}

/// The findings as a JSON array.
pub fn json(findings: &[Finding]) -> String {
    serde_json::to_string_pretty(findings).unwrap_or_else(|e| format!("{{\"error\": \"{e}\"}}"))
}
