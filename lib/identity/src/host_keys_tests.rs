//! Which host keys are shown, from the old server's settings to the new one's.

use formats::access::{Doors, Setting};
use formats::accounts::{AccountPlan, Accounts};
use formats::facts::RootType;
use formats::identity::{Home, HostKey, InHome, NewIdentity, OldIdentity};

use crate::access;
use crate::plan::plan;

fn noted(notes: &[String], text: &str) -> bool {
    notes.iter().any(|note| note.contains(text))
}

/// A server that is told of keys elsewhere shows these, and no others.
#[test]
fn host_keys_elsewhere_are_shown_where_the_new_server_is_told_of_them() {
    let key = |path: &str, kind: &str| HostKey {
        path: path.into(),
        kind: kind.into(),
        fingerprint: "SHA256:x".into(),
    };
    let named = |path: &str| Setting {
        path: crate::ssh_access::MAIN.into(),
        condition: None,
        keyword: "HostKey".into(),
        values: vec![path.into()],
    };
    let apart = |path: &str| InHome {
        home: Home {
            path: path.into(),
            uid: 0,
            gid: 0,
        },
        name: "mine".into(),
    };
    let server = Doors {
        server: true,
        ..Doors::default()
    };
    let mut old = OldIdentity {
        host_keys: vec![
            key("/etc/ssh/ssh_host_rsa_key", "ssh-rsa"),
            key("/data/keys/mine", "ssh-ed25519"),
            key("/data/dsa/mine", "ssh-dss"),
        ],
        in_homes: vec![apart("/data/keys"), apart("/data/dsa")],
        doors: Doors {
            settings: ["/data/keys/mine", "/data/dsa/mine"].map(named).into(),
            ..server.clone()
        },
        hostname: "shop".into(),
        ..OldIdentity::default()
    };
    let new = NewIdentity {
        doors: Some(server),
        ssh_includes: vec!["/etc/ssh/sshd_config.d/*.conf".into()],
        host_key_types: vec!["ssh-ed25519".into(), "ssh-rsa".into()],
        ..NewIdentity::default()
    };
    let planned =
        |old: &OldIdentity, new: &NewIdentity| plan(old, new, "root", RootType::Ext4, &[]).unwrap();
    let written = |old: &OldIdentity, new: &NewIdentity| {
        let mut plan = planned(old, new);
        let nobody = Accounts::default();
        let merged = AccountPlan::default();
        access::decided::decide(&mut plan, (old, new), (&nobody, &nobody), &merged);
        let file = plan
            .files
            .iter()
            .find(|f| f.path == access::written::SETTINGS);
        let text = file
            .and_then(|file| file.text())
            .unwrap_or_default()
            .to_owned();
        let keys = text.lines().filter(|line| line.starts_with("HostKey "));
        keys.map(str::to_owned).collect::<Vec<_>>()
    };
    let found = planned(&old, &new);
    assert_eq!(found.host_keys, old.host_keys[1..2]);
    assert!(!noted(&found.notes, "it is used once"), "{:?}", found.notes);
    assert_eq!(
        found.in_homes,
        old.in_homes[..1],
        "none that is not carried"
    );
    assert!(found.copied.contains(&"/data/keys/mine".to_owned()));
    assert_eq!(written(&old, &new), ["HostKey /data/keys/mine"]);
    // A server that cannot be told shows those that every server looks for.
    let deaf = NewIdentity {
        ssh_includes: Vec::new(),
        ..new.clone()
    };
    let found = planned(&old, &deaf);
    assert_eq!(found.host_keys, old.host_keys[..1]);
    assert!(noted(
        &found.notes,
        "it is used once `HostKey /data/keys/mine`"
    ));
    assert_eq!(written(&old, &deaf), [""; 0]);
    // So does one that is told of none elsewhere, whatever else it is told of.
    old.doors.settings = vec![named("/etc/ssh/ssh_host_rsa_key")];
    assert_eq!(planned(&old, &new).host_keys, old.host_keys[..1]);
    assert_eq!(written(&old, &new), [""; 0]);
}
