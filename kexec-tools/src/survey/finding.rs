//! What a check found: the built-in ones and the operator's own give the same.

use std::borrow::Cow;

use formats::printable::Page;
use serde::Serialize;

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The check's code.
    pub code: Cow<'static, str>,
    /// What the check asks.
    pub question: Cow<'static, str>,
    /// Where it looks.
    pub reads: Cow<'static, str>,
    /// Its verdict.
    pub verdict: Verdict,
    /// What was found, where it does not just pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<Cow<'static, str>>,
}

/// The verdict of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nothing against it.
    Pass,
    /// Nothing against it, and something to know.
    Note,
    /// It refuses.
    Refuse,
    /// It refuses, and the operator forces it.
    Forced,
}

impl Finding {
    /// Whether this alone keeps the machine from being reinstalled.
    pub fn refuses(&self) -> bool {
        self.verdict == Verdict::Refuse
    }
}

/// The findings that do not just pass, in lines: the session shows them, and a run that is refused
/// has them as its error.
pub fn refusals(findings: &[Finding]) -> String {
    let mut text = Page::default();
    for finding in findings.iter().filter(|f| f.verdict != Verdict::Pass) {
        let word = match finding.verdict {
            Verdict::Pass | Verdict::Note => "note by",
            Verdict::Refuse => "refused by",
            Verdict::Forced => "forced by",
        };
        writeln!(
            text,
            "{word} {}: {}",
            finding.code,
            finding.found.as_deref().unwrap_or_default()
        );
        if let Some(remedy) = &finding.remedy {
            writeln!(text, "  remedy: {remedy}");
        }
    }
    text.into_text()
}
