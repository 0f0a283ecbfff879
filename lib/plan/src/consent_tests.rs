//! What changes the digest, and what does not.

use super::*;
use fixtures::plan::{measure, plan};
use formats::entry::Entry;
use formats::facts::Weight;
use formats::network::{Content, NewFile};
use formats::plan::{Becomes, GonePlace, KeptPath, PayloadAt};
use formats::steps::Mode;

const IMAGE: Digest = Digest([7; 32]);

fn consent(change: impl FnOnce(&mut Plan)) -> Consent {
    let mut plan = plan();
    change(&mut plan);
    Consent::of(&plan, IMAGE, &[])
}

fn unchanged() -> Consent {
    consent(|_| ())
}

fn place(path: &str, bytes: u64, writers: &[&str]) -> GonePlace {
    GonePlace {
        path: path.to_owned(),
        what: None,
        usual: false,
        found: Some(Weight {
            files: 1,
            bytes,
            newest: Some(1),
            whole: true,
        }),
        writers: writers.iter().map(|&w| w.to_owned()).collect(),
    }
}

#[test]
fn figures_that_move_times_and_the_run_do_not_count() {
    type Change = fn(&mut Plan);
    let changes: [(&str, Change); 11] = [
        ("the run", |p| p.run = "20300101T000000Z-abcd".to_owned()),
        ("a rehearsal", |p| p.mode = Mode::Rehearse),
        ("an update of the old OS's name", |p| {
            p.old_os.pretty_name = "Ubuntu 22.04.5 LTS".to_owned();
        }),
        ("the payload's place", |p| p.payload_at = PayloadAt::Disk),
        ("what kept paths hold", |p| p.keep[0].measure = measure(99)),
        ("what is wiped", |p| p.wiped.bytes += 4096),
        ("a lease", |p| {
            p.network.network.links[1].addresses[0].valid = Some(100);
        }),
        ("a gateway's answer", |p| {
            p.network.gateways[0].answers = false;
        }),
        ("a service that runs", |p| {
            p.identity.left = vec!["enabled services: a".to_owned()];
        }),
        ("what listens", |p| p.listening = None),
        ("a device's name", |p| {
            p.root_device = "/dev/sdb1".to_owned();
        }),
    ];
    for (what, change) in changes {
        assert_eq!(consent(change), unchanged(), "{what}");
    }
}

#[test]
fn decisions_count_and_are_named() {
    type Change = fn(&mut Plan);
    let changes: [(&str, Change); 12] = [
        ("the image", |p| p.manifest_digest = Digest([1; 32])),
        ("the machine and its OS", |p| p.hostname = "web2".to_owned()),
        ("the machine and its OS", |p| {
            p.old_os.version_id = "12".to_owned();
        }),
        ("the filesystems that are wiped", |p| p.root.start += 1),
        ("the filesystems that are wiped", |p| {
            p.filesystems[0].becomes = Becomes::System;
            p.filesystems[0].identity = Some(p.root.clone());
        }),
        ("what is kept", |p| {
            p.keep.push(KeptPath {
                path: KeepPath::parse("/srv").unwrap(),
                measure: measure(1),
            });
        }),
        ("what is kept", |p| p.keep.clear()),
        ("what is known to go", |p| {
            p.gone.people = vec!["anna, /data/anna".to_owned()];
        }),
        ("the entry", |p| p.entry.entry = Entry::Boot),
        ("the network's files", |p| {
            p.network.written.files.push(NewFile {
                path: "/etc/systemd/network/a.network".to_owned(),
                mode: 0o644,
                content: Content::Text("[Match]".to_owned()),
            });
        }),
        ("the accounts", |p| p.accounts.users[1].number = 28),
        ("names, keys and mounts", |p| p.identity.host_keys.clear()),
    ];
    for (part, change) in changes {
        let now = consent(change);
        assert_ne!(now.total, unchanged().total, "{part}");
        assert_eq!(unchanged().differs(&now).as_deref(), Some(part));
    }
    let other_image = Consent::of(&plan(), Digest([8; 32]), &[]);
    assert_eq!(unchanged().differs(&other_image).unwrap(), "the image");
}

#[test]
fn forcing_counts_and_its_order_does_not() {
    let forced = |codes: &[&str]| {
        let codes: Vec<String> = codes.iter().map(|&c| c.to_owned()).collect();
        Consent::of(&plan(), IMAGE, &codes)
    };
    assert_eq!(forced(&["swap", "disk"]), forced(&["disk", "swap", "disk"]));
    assert_eq!(
        forced(&[]).differs(&forced(&["disk"])).unwrap(),
        "forced checks"
    );
}

#[test]
fn a_place_that_is_known_by_its_writers_alone_comes_and_goes_and_does_not_count() {
    const LARGE: u64 = 1 << 40;
    let with = |places: Vec<GonePlace>| consent(|p| p.gone.places = places);
    let data = with(vec![place("/data2", LARGE, &[])]);
    assert_eq!(unchanged().differs(&data).unwrap(), "what is known to go");
    assert_eq!(with(vec![place("/data2", LARGE + 1, &["mysqld"])]), data);
    let open = GonePlace {
        found: None,
        ..place("/usr/local/state", 0, &["agent"])
    };
    assert_eq!(with(vec![open]), unchanged());
    assert_eq!(
        with(vec![place("/var/lib/agent", 1, &["agent"])]),
        unchanged()
    );
    let logs = GonePlace {
        usual: true,
        ..place("/var/log", LARGE, &[])
    };
    assert_eq!(with(vec![logs]), unchanged());
}

#[test]
fn text_and_back() {
    let consent = unchanged();
    let text = consent.to_string();
    assert_eq!(text.parse::<Consent>().unwrap(), consent);
    assert_eq!(text.len(), 2 + TOTAL + 1 + SHORT * PARTS.len());
    for bad in ["", "1", "1.", "none", "x.y.z", &text[..90], "1.\u{e9}.a"] {
        assert_eq!(bad.parse::<Consent>(), Err(NotAConsent::Shape), "{bad:?}");
    }
    let newer = text.replacen('1', "2", 1);
    assert_eq!(
        newer.parse::<Consent>(),
        Err(NotAConsent::Version("2".to_owned()))
    );
}

#[test]
fn two_digests_that_differ_in_no_named_part_still_differ() {
    let mut other = unchanged();
    other.total = "0".repeat(TOTAL);
    assert!(unchanged().differs(&other).is_some());
}
