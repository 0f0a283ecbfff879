//! The checks of entries: one that cannot be taken is refused only where it was asked for.

use formats::entry::{Entry, KexecCall};
use formats::facts::{Facts, InitSystem};
use formats::manifest::Manifest;
use formats::plan::PayloadAt;
use plan::choices::Choices;
use plan::needs;

use crate::survey::checks::ask_all;
use crate::survey::checks::check::Context;
use crate::survey::plain_machine::{image, machine, MIB, SIZES};

type Change = fn(&mut Facts);

/// The code that refuses, the entry that is wished for, what is changed on a plain machine.
pub const WISHED: &[(&str, Entry, Change)] = &[
    ("kexec", Entry::Kexec, |f| {
        f.kexec.load = false;
        f.kexec.file_load = false;
    }),
    ("kexec", Entry::Kexec, |f| f.kexec.disabled = true),
    ("kexec", Entry::Kexec, |f| {
        f.kexec.file_load = false;
        f.kexec.lockdown = Some("integrity".into());
    }),
    ("takeover", Entry::Takeover, |f| {
        f.ptrace.yama_scope = Some(3);
    }),
    ("takeover", Entry::Takeover, |f| {
        f.ptrace.tracer = Some("strace (77)".into());
    }),
    ("takeover", Entry::Takeover, |f| {
        f.ptrace.other_root = Some("other mounts".into());
    }),
    ("takeover", Entry::Takeover, |f| f.ptrace.narrow = true),
    ("takeover", Entry::Takeover, |f| {
        f.ptrace.denied = Some("Permission denied".into());
    }),
    ("boot-entry", Entry::Boot, |f| {
        f.boot_entry = Err("no grub.cfg".into());
    }),
];

fn refused_with(facts: &Facts, entry: Option<Entry>) -> Vec<String> {
    refused_by(facts, &image(), entry)
}

fn refused_by(facts: &Facts, image: &Manifest, entry: Option<Entry>) -> Vec<String> {
    let choices = Choices {
        entry,
        ..Choices::default()
    };
    let findings = ask_all(&Context {
        facts,
        manifest: image,
        sizes: SIZES,
        choices: &choices,
        forced: &[],
    });
    let refusing = findings.iter().filter(|finding| finding.refuses());
    refusing.map(|finding| finding.code.to_string()).collect()
}

#[test]
fn an_entry_that_cannot_be_taken_is_refused_only_where_it_was_asked_for() {
    for (code, entry, change) in WISHED {
        let mut facts = machine();
        change(&mut facts);
        assert_eq!(refused_with(&facts, Some(*entry)), [*code]);
        assert_eq!(
            refused_with(&facts, None),
            [""; 0],
            "another entry is there"
        );
    }
}

/// The old kernel drives the card in the RAM environment, and then the new OS is alone with it.
#[test]
fn a_takeover_needs_the_network_driver_in_the_payload_alone() {
    let mut facts = machine();
    facts.network.links[0].driver = Some("tulip".into());
    assert_eq!(
        refused_with(&facts, Some(Entry::Takeover)),
        ["network-driver"]
    );
    let mut image = image();
    let own = image.payload_drivers.as_mut().unwrap();
    own.modules.push("tulip".into());
    let refused = |image: &Manifest, entry| refused_by(&facts, image, Some(entry));
    assert_eq!(refused(&image, Entry::Takeover), [""; 0]);
    assert_eq!(refused(&image, Entry::Kexec), ["network-driver"]);
    // Images of releases that did not look.
    image.payload_drivers = None;
    assert_eq!(refused(&image, Entry::Takeover), [""; 0]);
}

#[test]
fn any_init_is_taken() {
    for init in [
        InitSystem::Sysvinit,
        InitSystem::Upstart,
        InitSystem::Other("runit".into()),
    ] {
        let facts = Facts { init, ..machine() };
        assert_eq!(refused_with(&facts, None), [""; 0]);
    }
}

#[test]
fn a_machine_with_one_of_the_calls_may_be_reinstalled() {
    let changes: [Change; 3] = [
        |f| f.kexec.file_load = false,
        |f| f.kexec.load = false,
        |f| f.kexec.lockdown = Some("integrity".into()),
    ];
    for change in changes {
        let mut facts = machine();
        change(&mut facts);
        assert_eq!(refused_with(&facts, None), [""; 0]);
    }
}

/// The kernel's own loader reads the files before it copies them.
#[test]
fn the_payload_is_in_memory_where_the_call_leaves_room_for_it() {
    let mut facts = machine();
    let at = |facts: &Facts, kexec_call| {
        let choices = Choices {
            kexec_call,
            ..Choices::default()
        };
        needs::payload_at(&image(), SIZES, facts, &choices, needs::SshPart::Out).0
    };
    let once = SIZES.kernel + SIZES.initramfs + SIZES.payload;
    facts.memory.available = once + once / 2;
    assert_eq!(at(&facts, None), PayloadAt::Ram);
    let file_load = Some(KexecCall::KexecFileLoad);
    assert_eq!(at(&facts, file_load), PayloadAt::Disk);
    // The kernel takes what it unpacks itself in, and the old OS keeps something to itself.
    let spare = 32 * MIB;
    let loaded = image().kernel.init_size + SIZES.initramfs + SIZES.payload;
    facts.memory.available = loaded + spare;
    assert_eq!(at(&facts, None), PayloadAt::Ram);
    facts.memory.available -= 1;
    assert_eq!(at(&facts, None), PayloadAt::Disk);
}
