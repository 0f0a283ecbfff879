//! What the checks found, as people and programs read it: meaning without colour.

use formats::facts::{Facts, Firmware, RootPlace};
use formats::printable::Page;

use crate::survey::finding::{Finding, Verdict};
use crate::survey::take::Survey;

/// All findings and, below them, what they come to.
pub fn text(survey: &Survey) -> String {
    lines(&survey.facts, &survey.findings)
}

fn lines(facts: &Facts, findings: &[Finding]) -> String {
    let mut text = Page::default();
    writeln!(
        text,
        "{}: {} on Linux {}, {}",
        facts.hostname, facts.os.pretty_name, facts.kernel, facts.architecture
    );
    writeln!(text, "{}", place(facts));
    for finding in findings {
        let mark = match finding.verdict {
            Verdict::Pass => "ok",
            Verdict::Note => "note",
            Verdict::Refuse => "REFUSED",
            Verdict::Forced => "forced",
        };
        writeln!(text, "  {mark:8} {:16} {}", finding.code, finding.question);
        if let Some(found) = &finding.found {
            writeln!(text, "  {:8} {:16} found: {found}", "", "");
        }
        if let Some(remedy) = &finding.remedy {
            writeln!(text, "  {:8} {:16} remedy: {remedy}", "", "");
        }
    }
    let refused = findings.iter().filter(|f| f.refuses()).count();
    if refused == 0 {
        writeln!(
            text,
            "This machine may be reinstalled. Nothing was changed."
        );
    } else {
        writeln!(
            text,
            "{refused} of {} {}. Nothing was changed.",
            findings.len(),
            if refused == 1 {
                "checks refuses"
            } else {
                "checks refuse"
            }
        );
    }
    text.into_text()
}

/// What starts the machine, and what its root filesystem is on.
fn place(facts: &Facts) -> String {
    let firmware = match (facts.firmware, &facts.efi.unknown, facts.efi.files.first()) {
        (Firmware::Bios, ..) => "BIOS".to_owned(),
        (Firmware::Uefi, None, Some(file)) => {
            let mirrored = facts.root.as_ref().filter(|root| !root.copies.is_empty());
            let of_disk = mirrored.map_or_else(String::new, |root| format!(" of {}", root.disk));
            format!("UEFI, {file}{of_disk}")
        }
        (Firmware::Uefi, ..) => "UEFI".to_owned(),
    };
    let root = facts.condition.root_place.as_ref();
    let root = root.map_or_else(|| "not known".to_owned(), RootPlace::words);
    let table = match facts.root.as_ref().map(|root| root.table.as_str()) {
        Some("gpt") => ", by a GUID partition table",
        Some("dos") => ", by the table in its master boot record",
        _ => "",
    };
    format!("started by {firmware}; its root is {root}{table}")
}

/// The findings as a JSON array.
pub fn json(findings: &[Finding]) -> String {
    serde_json::to_string_pretty(findings).unwrap_or_else(|e| format!("{{\"error\": \"{e}\"}}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey::finding::refusals;
    use crate::survey::plain_machine::machine;

    /// What a customer may call a process: move up, clear the line, write another verdict.
    const HOSTILE: &str =
        "x\u{1b}[1A\u{1b}[2K\r  ok       stuck\nThis machine may be reinstalled.\u{9b}8m\u{202e}";

    #[test]
    fn a_name_cannot_repaint_a_refusal_and_programs_read_it_exactly() {
        let findings = [Finding {
            code: "stuck".into(),
            question: "Can every process be ended?".into(),
            reads: "/proc".into(),
            verdict: Verdict::Refuse,
            found: Some(format!("{HOSTILE} (4711)")),
            remedy: Some("reboot".into()),
        }];
        let shown = "x\\u{1b}[1A\\u{1b}[2K\\r  ok       stuck\\nThis machine may be reinstalled.\\u{9b}8m\\u{202e} (4711)";
        let mut facts = machine();
        facts.hostname = "shop\u{1b}[8m\n".to_owned();
        facts.condition.root_place = Some(RootPlace {
            fstype: "ext4".to_owned(),
            shows: Some("/@\n".to_owned()),
            volume: None,
        });
        let text = lines(&facts, &findings);
        let text: Vec<&str> = text.lines().collect();
        assert!(text[0].starts_with("shop\\u{1b}[8m\\n: "), "{}", text[0]);
        assert_eq!(
            text[1],
            "started by BIOS; its root is ext4 (/@\\n of it), by the table in its master boot record"
        );
        assert!(text[2].starts_with("  REFUSED  stuck "), "{}", text[2]);
        assert!(
            text[3].ends_with(&format!(" found: {shown}")),
            "{}",
            text[3]
        );
        assert_eq!(text.len(), 6);
        let said = refusals(&findings);
        assert_eq!(
            said,
            format!("refused by stuck: {shown}\n  remedy: reboot\n")
        );
        let read: serde_json::Value = serde_json::from_str(&json(&findings)).unwrap();
        assert_eq!(read[0]["found"], format!("{HOSTILE} (4711)"));
    }
}
