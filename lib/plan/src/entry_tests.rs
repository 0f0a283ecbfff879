//! Entries from evidence, by table.

use super::*;
use fixtures::facts::facts;

type Change = fn(&mut Facts);

/// What is changed on a plain machine; the entry that is then taken.
const CASES: &[(Change, Entry)] = &[
    (|_| (), Entry::Kexec),
    (|f| f.ptrace.yama_scope = Some(3), Entry::Kexec),
    (|f| f.kexec.disabled = true, Entry::Takeover),
    // Whether the running kernel takes the signature shows while services still run.
    (
        |f| f.kexec.lockdown = Some("integrity".into()),
        Entry::Kexec,
    ),
    (
        |f| {
            f.kexec.lockdown = Some("integrity".into());
            f.kexec.file_load = false;
        },
        Entry::Takeover,
    ),
    (|f| f.condition.xen = Some("PV".into()), Entry::Takeover),
    // Where kexec is known to hang, what else is open comes first, and it comes last.
    (|f| f.condition.xen = Some("HVM".into()), Entry::Takeover),
    (
        |f| f.condition.hypervisor = Some("Hyper-V".into()),
        Entry::Takeover,
    ),
    (
        |f| {
            f.condition.hypervisor = Some("Hyper-V".into());
            f.ptrace.yama_scope = Some(3);
            f.boot_entry = Ok(());
        },
        Entry::Boot,
    ),
    (
        |f| {
            f.condition.hypervisor = Some("Hyper-V".into());
            f.ptrace.yama_scope = Some(3);
            f.boot_entry = Err("there is no GRUB".into());
        },
        Entry::Kexec,
    ),
    (
        |f| {
            f.condition.xen = Some("PV".into());
            f.ptrace.yama_scope = Some(2);
        },
        Entry::Takeover,
    ),
];

#[test]
fn the_first_way_that_is_open_is_taken() {
    for (at, (change, expected)) in CASES.iter().enumerate() {
        let mut facts = facts();
        change(&mut facts);
        let plan = choose(&facts, None);
        assert_eq!(plan.entry, *expected, "case {at}: {}", plan.reason);
        assert_eq!(plan.call.is_some(), plan.entry == Entry::Kexec);
        assert_eq!(no_way(&facts), None);
    }
}

#[test]
fn a_card_that_writes_on_speaks_against_kexec_from_an_old_kernel() {
    let mut facts = facts();
    facts.kexec.unstoppable = vec!["eth0 (0000:02:00.0)".into()];
    for (kernel, entry) in [
        ("3.2.23-grsec", Entry::Takeover),
        ("3.4.0", Entry::Takeover),
        ("3.5.0", Entry::Kexec),
        ("6.12.57+deb13-amd64", Entry::Kexec),
    ] {
        facts.kernel = kernel.into();
        let plan = choose(&facts, None);
        assert_eq!(plan.entry, entry, "{kernel}");
        let said = plan.reason.contains("eth0 (0000:02:00.0)");
        assert_eq!(said, entry == Entry::Takeover, "{}", plan.reason);
    }
    facts.kernel = "3.2.23".into();
    facts.kexec.unstoppable.clear();
    assert_eq!(choose(&facts, None).entry, Entry::Kexec);
}

#[test]
fn the_reason_says_why_none_before_was_taken() {
    let mut facts = facts();
    facts.condition.xen = Some("PV".into());
    let reason = choose(&facts, None).reason;
    assert_eq!(reason, "no kexec: this is a paravirtual guest of Xen");
}

#[test]
fn what_is_asked_for_is_taken_whatever_speaks_against_it() {
    let mut facts = facts();
    facts.ptrace.tracer = Some("gdb (7)".into());
    assert_eq!(choose(&facts, Some(Entry::Takeover)).entry, Entry::Takeover);
    assert!(against(Entry::Takeover, &facts).is_some_and(|why| why.contains("gdb (7)")));
    assert_eq!(against(Entry::Kexec, &facts), None);
}
