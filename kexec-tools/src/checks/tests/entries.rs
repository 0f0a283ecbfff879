//! The checks that depend on the entry that is asked for.

use manifest::entry::Entry;
use manifest::resolve::Choices;

use super::plain::{image, machine, SIZES};
use super::{run, Context};

#[test]
fn only_the_entry_that_is_asked_for_has_to_be_possible() {
    let mut facts = machine();
    facts.boot_entry = Err("no grub.cfg".into());
    facts.kexec.disabled = true;
    let refused_by = |entry| {
        let choices = Choices {
            entry: Some(entry),
            ..Choices::default()
        };
        let findings = run(&Context {
            facts: &facts,
            manifest: &image(),
            sizes: SIZES,
            choices: &choices,
            forced: &[],
        });
        let refusing = findings.iter().filter(|finding| finding.refuses());
        refusing
            .map(|finding| finding.code.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(refused_by(Entry::Boot), ["boot-entry"]);
    assert_eq!(refused_by(Entry::Kexec), ["kexec"]);
    assert!(refused_by(Entry::Takeover).is_empty());
}
