//! The ssh server of the RAM environment: there is one where it can be, and it never makes a check refuse.

use formats::access::{Keys, RamSsh};
use formats::facts::Facts;
use formats::identity::HostKey;
use formats::listening::{Listener, Protocol};
use formats::manifest::{Manifest, SshArchive};
use formats::plan::PayloadAt;
use plan::choices::{Choices, SshWish};
use plan::needs::{self, SshPart};
use plan::ram_ssh::decide;

use super::cases::public_key;
use crate::survey::checks::ask_all;
use crate::survey::checks::check::Context;
use crate::survey::plain_machine::{image, machine, MIB, SIZES};

/// A plain machine on which root has a key, and an image whose ssh server takes five megabytes, thirteen
/// once unpacked.
fn with_keys() -> (Facts, Manifest) {
    let mut facts = machine();
    facts.identity.doors.server = true;
    facts.identity.host_keys = vec![HostKey {
        path: "/etc/ssh/ssh_host_ed25519_key".into(),
        kind: "ssh-ed25519".into(),
        fingerprint: String::new(),
    }];
    facts.identity.login_keys = vec![Keys {
        user: "root".into(),
        keys: vec![public_key("ssh-ed25519", None)],
        lines: vec!["ssh-ed25519 AAAA".into()],
        forced: 0,
        stay: true,
    }];
    let mut image = image();
    image.initramfs.ssh = Some(SshArchive {
        packed_bytes: 5 * MIB,
        unpacked_bytes: 13 * MIB,
    });
    image.identity.host_key_types = vec!["ssh-ed25519".into()];
    (facts, image)
}

fn decided((facts, image): &(Facts, Manifest), choices: &Choices) -> RamSsh {
    decide(image, SIZES, facts, choices)
}

#[test]
fn there_is_one_where_it_can_be_and_the_plan_says_why_where_not() {
    let auto = Choices::default();
    let plain = with_keys();
    let server = decided(&plain, &auto).server.unwrap();
    assert_eq!(server.ports, [22]);
    assert_eq!(server.people[0].keys, ["ssh-ed25519 AAAA"]);
    let no = Choices {
        ram_ssh: SshWish::No,
        ..Choices::default()
    };
    let without = |machine: &(Facts, Manifest), choices: &Choices, why: &str| {
        let ssh = decided(machine, choices);
        assert!(
            ssh.server.is_none() && ssh.reason.contains(why),
            "{why}: {ssh:?}"
        );
    };
    without(&plain, &no, "command line");
    let mut changed = with_keys();
    changed.1.initramfs.ssh = None;
    without(&changed, &auto, "no OpenSSH");
    let mut changed = with_keys();
    changed.0.identity.login_keys.clear();
    without(&changed, &auto, "nobody becomes root");
    let mut changed = with_keys();
    changed.0.identity.host_keys[0].kind = "ssh-dss".into();
    without(&changed, &auto, "no host key");
    let mut changed = with_keys();
    changed.0.memory.total = 150 * MIB;
    without(&changed, &auto, "too little memory");
}

#[test]
fn a_server_listens_where_it_was_seen_to() {
    let mut seen = with_keys();
    let listener = |port, process: &str| Listener {
        protocol: Protocol::Tcp,
        port,
        address: [0, 0, 0, 0].into(),
        process: Some(process.into()),
    };
    seen.0.listening = Ok(vec![listener(2022, "sshd"), listener(80, "apache2")]);
    let server = decided(&seen, &Choices::default()).server.unwrap();
    assert_eq!(server.ports, [22, 2022]);
}

/// Down to the memory that a run takes without it, byte by byte of what counts.
#[test]
fn it_is_left_out_before_a_run_is_refused() {
    let (mut facts, image) = with_keys();
    let choices = Choices {
        payload_at: Some(PayloadAt::Disk),
        ..Choices::default()
    };
    let entry = plan::choices::entry_plan(&facts, &choices);
    let peak = |ssh| needs::memory_peak(&image, SIZES, PayloadAt::Disk, &entry, ssh);
    let (with, without) = (peak(SshPart::In), peak(SshPart::Out));
    // Packed, unpacked, and at work.
    assert!(with.ram >= without.ram + 5 * MIB + 13 * MIB);
    assert_eq!(with.load, without.load + 5 * MIB);
    for (total, there, refused) in [
        (with.ram, true, false),
        (with.ram - 1, false, false),
        (without.ram, false, false),
        (without.ram - 1, false, true),
    ] {
        facts.memory.total = total;
        facts.memory.available = total;
        let ssh = decide(&image, SIZES, &facts, &choices);
        assert_eq!(ssh.server.is_some(), there, "{total}: {}", ssh.reason);
        let findings = ask_all(&Context {
            facts: &facts,
            manifest: &image,
            sizes: SIZES,
            choices: &choices,
            forced: &[],
        });
        let memory = findings.iter().find(|f| f.code == "memory").unwrap();
        assert_eq!(memory.refuses(), refused, "{total}");
    }
}
