//! What the checks found, as people and programs read it: meaning without colour.

use std::fmt::Write as _;

use formats::facts::{Facts, Firmware, RootPlace};
use formats::printable::Page;
use plan::boot_paths;

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
    writeln!(text, "started by {}", started_by(facts));
    writeln!(text, "its root is {}", root(facts));
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

/// What starts the machine, and what else could.
fn started_by(facts: &Facts) -> String {
    let firmware = match facts.firmware {
        Firmware::Bios => "BIOS",
        Firmware::Uefi => "UEFI",
    };
    let Some(root) = &facts.root else {
        return firmware.to_owned();
    };
    let paths = boot_paths::found(facts, root);
    let [in_use, others @ ..] = &paths[..] else {
        return firmware.to_owned();
    };
    // Which of a mirror's disks it was not everything says: the first stands for them.
    let mirrored = !root.copies.is_empty();
    let of_disk = mirrored.then(|| format!(" of {}", root.disk));
    let mut words = format!("{in_use}{}", of_disk.unwrap_or_default());
    for other in others {
        let _ = write!(words, "; could be by {other}");
    }
    words
}

/// What the root filesystem is on.
fn root(facts: &Facts) -> String {
    let root = facts.condition.root_place.as_ref();
    let root = root.map_or_else(|| "not known".to_owned(), RootPlace::words);
    let table = match facts.root.as_ref().map(|root| root.table.as_str()) {
        Some("gpt") => ", by a GUID partition table",
        Some("dos") => ", by the table in its master boot record",
        _ => "",
    };
    format!("{root}{table}")
}

/// The findings as a JSON array.
pub fn json(findings: &[Finding]) -> String {
    serde_json::to_string_pretty(findings).unwrap_or_else(|e| format!("{{\"error\": \"{e}\"}}"))
}

#[cfg(test)]
mod tests {
    use formats::boot_path::{EfiFile, EfiPartition};
    use formats::facts::{Guids, RootCopy};

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
            text[1..3],
            [
                "started by BIOS, master boot record and the sectors behind it",
                "its root is ext4 (/@\\n of it), by the table in its master boot record"
            ]
        );
        assert!(text[3].starts_with("  REFUSED  stuck "), "{}", text[3]);
        assert!(
            text[4].ends_with(&format!(" found: {shown}")),
            "{}",
            text[4]
        );
        assert_eq!(text.len(), 7);
        let said = refusals(&findings);
        assert_eq!(
            said,
            format!("refused by stuck: {shown}\n  remedy: reboot\n")
        );
        let read: serde_json::Value = serde_json::from_str(&json(&findings)).unwrap();
        assert_eq!(read[0]["found"], format!("{HOSTILE} (4711)"));
    }
    /// On a disk of a cloud there are three ways, and which is in use the firmware says.
    #[test]
    fn every_way_that_starts_the_machine_is_named_the_one_in_use_first() {
        let mut facts = machine();
        let partition = EfiPartition {
            number: 15,
            guid: "g".into(),
            start: 8192,
            sectors: 253_952,
        };
        let file = |path: &str, variable: Option<&str>| EfiFile {
            partition: partition.clone(),
            path: path.into(),
            variable: variable.map(str::to_owned),
        };
        facts.efi.files = vec![
            file("/EFI/debian/shimx64.efi", Some("Boot0003 (debian)")),
            file("/EFI/BOOT/BOOTX64.EFI", None),
        ];
        let root = facts.root.as_mut().unwrap();
        root.identity.guids = Some(Guids {
            disk: "d".into(),
            partition: "p".into(),
        });
        let bios = "BIOS, master boot record and BIOS boot partition";
        let variable = r"UEFI, \EFI\debian\shimx64.efi on partition 15 (Boot0003 (debian))";
        let fallback =
            r"UEFI, \EFI\BOOT\BOOTX64.EFI on partition 15 (no variable, the fallback file)";
        for (firmware, [in_use, second, third]) in [
            (Firmware::Bios, [bios, variable, fallback]),
            (Firmware::Uefi, [variable, fallback, bios]),
        ] {
            facts.firmware = firmware;
            assert_eq!(
                started_by(&facts),
                format!("{in_use}; could be by {second}; could be by {third}")
            );
        }
        // Of a mirror the first disk is named; where nothing of GRUB's was found, the firmware alone.
        facts.root.as_mut().unwrap().copies = vec![RootCopy {
            disk: "/dev/sdb".into(),
            disk_by_id: None,
            room_sectors: 0,
            has_room: false,
            grub_on_disk: true,
        }];
        let disk = facts.root.as_ref().unwrap().disk.clone();
        assert!(started_by(&facts).contains(&format!(" of {disk}; could be by ")));
        facts.efi.unknown = Some("BootCurrent cannot be read".into());
        assert_eq!(started_by(&facts), "UEFI");
        facts.efi.unknown = None;
        facts.efi.files.clear();
        assert_eq!(started_by(&facts), "UEFI");
        facts.root = None;
        facts.firmware = Firmware::Bios;
        assert_eq!(started_by(&facts), "BIOS");
    }
}
