use super::*;
use formats::access::{Means, Session};
use formats::accounts::AccountRule;

use super::locked::tests::{accounts, row};

fn way(user: &str) -> Way {
    Way {
        user: user.to_owned(),
        means: Means::Key,
        root: Becoming::Is,
    }
}

/// How many ways in root has, who alone comes along, with a password or without: now, and in the new OS.
fn ways_of_root(old: &OldIdentity, new: &NewIdentity, password: bool) -> (usize, usize) {
    let accounts = accounts(&[("root", 0, "/bin/sh", password)], &[]);
    let merged = AccountPlan {
        users: vec![row("root", Some(0), 0, AccountRule::Same)],
        ..AccountPlan::default()
    };
    let mut plan = IdentityPlan::default();
    let payload = Accounts::default();
    decide(&mut plan, (old, new), (&accounts, &payload), &merged);
    (plan.ways.0.len(), plan.ways.1.len())
}

/// root and ann have keys and are locked; the old server is told `old` and the new one `new`, which reads what is
/// written for it or not.
fn locked_people(old: &str, new: &str, reads: bool) -> (IdentityPlan, [Option<String>; 2]) {
    let doors = |text: &str| Doors {
        server: true,
        release: Some((9, 2)),
        settings: server::tests::settings(text),
        ..Doors::default()
    };
    let users = [("root", 0), ("ann", 1000)];
    let key = |name: &str| Keys {
        user: name.to_owned(),
        keys: vec![PublicKey {
            kind: "ssh-ed25519".to_owned(),
            blob: "AAAA".to_owned(),
            fingerprint: "SHA256:abc".to_owned(),
            bits: None,
            narrowed: false,
        }],
        lines: Vec::new(),
        forced: 0,
        stay: true,
    };
    let (old, new) = (
        OldIdentity {
            doors: doors(old),
            login_keys: users.iter().map(|(name, _)| key(name)).collect(),
            session: Some(Session {
                user: "root".to_owned(),
                port: 22,
                ..Session::default()
            }),
            ..OldIdentity::default()
        },
        NewIdentity {
            doors: Some(doors(new)),
            ssh_includes: reads
                .then(|| "/etc/ssh/sshd_config.d/*.conf".to_owned())
                .into_iter()
                .collect(),
            ..NewIdentity::default()
        },
    );
    let accounts = accounts(
        &users.map(|(name, uid)| (name, uid, "/bin/sh", false)),
        &users.map(|(name, _)| name),
    );
    let merged = AccountPlan {
        users: users
            .map(|(name, uid)| row(name, Some(uid), uid, AccountRule::Person))
            .to_vec(),
        ..AccountPlan::default()
    };
    let payload = Accounts::default();
    let sides = (&accounts, &payload);
    let mut plan = IdentityPlan::default();
    decide(&mut plan, (&old, &new), sides, &merged);
    let new_doors = new.doors.as_ref().unwrap();
    let told = [
        unlocked((&old, &new), sides, &merged),
        locked::lost(&plan, new_doors, sides, &merged),
    ];
    (plan, told)
}

#[test]
fn a_lock_keeps_out_who_it_kept_out_and_nobody_else() {
    let denied = |plan: &IdentityPlan| {
        let file = plan
            .files
            .iter()
            .find(|file| file.path == written::SETTINGS);
        let text = file.and_then(NewFile::text).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with("DenyUsers"));
        line.unwrap_or_default().to_owned()
    };
    let in_new = |plan: &IdentityPlan| {
        let ways = plan.ways.1.iter();
        ways.map(|way| way.user.clone()).collect::<Vec<_>>()
    };
    // What the old server kept out stays out: by what is written, or the checks say that it would not.
    let (plan, told) = locked_people("UsePAM no", "UsePAM yes", true);
    assert_eq!(denied(&plan), "DenyUsers ann");
    assert!(
        plan.notes.iter().any(|note| note.contains("keeps out ann")),
        "{:?}",
        plan.notes
    );
    assert_eq!(in_new(&plan), ["root"], "the operator is in, and stays so");
    assert_eq!(told, [None, None]);
    let (plan, [unlocked, _]) = locked_people("UsePAM no", "UsePAM yes", false);
    assert_eq!(denied(&plan), "");
    assert!(unlocked.unwrap().contains("keeps out ann, whose"));
    // What it let in, the new one keeps out, and that is why.
    let (plan, [_, lost]) = locked_people("UsePAM yes", "UsePAM no", true);
    assert_eq!((denied(&plan), in_new(&plan)), (String::new(), Vec::new()));
    assert!(lost.unwrap().contains("does not ask PAM"));
    let (plan, told) = locked_people("UsePAM yes", "UsePAM yes", true);
    assert_eq!((denied(&plan), told), (String::new(), [None, None]));
    assert_eq!(in_new(&plan), ["root"]);
}

/// At boot an address may be there later than the server is started.
#[test]
fn a_server_that_is_told_of_addresses_waits_for_them_where_that_can_be_written() {
    let files = |old: &str, new: &str, kept: &[&str]| {
        let doors = |text: &str| Doors {
            server: true,
            settings: server::tests::settings(text),
            ..Doors::default()
        };
        let old = OldIdentity {
            doors: doors(old),
            kept: kept.iter().map(|path| (*path).to_owned()).collect(),
            ..OldIdentity::default()
        };
        let new = NewIdentity {
            doors: Some(Doors {
                units: vec!["ssh.service".to_owned()],
                ..doors(new)
            }),
            ssh_includes: vec!["/etc/ssh/sshd_config.d/*.conf".to_owned()],
            ..NewIdentity::default()
        };
        let (nobody, merged) = (Accounts::default(), AccountPlan::default());
        let mut plan = IdentityPlan::default();
        decide(&mut plan, (&old, &new), (&nobody, &nobody), &merged);
        let files = plan.files.into_iter();
        let units: Vec<String> = files
            .map(|file| file.path)
            .filter(|path| path.starts_with("/etc/systemd/"))
            .collect();
        (units, plan.notes)
    };
    let unit = "/etc/systemd/system/ssh.service.d/10-reroot.conf";
    let address = "ListenAddress 192.0.2.7";
    assert_eq!(files(address, "", &[]).0, [unit]);
    // The image's own counts as well, for its server listens there.
    assert_eq!(files("", address, &[]).0, [unit]);
    assert_eq!(files("Port 22", "", &[]), (Vec::new(), Vec::new()));
    let (units, notes) = files(address, "", &["/etc/systemd"]);
    assert_eq!(units, [""; 0]);
    assert!(notes[0].contains("192.0.2.7"), "{notes:?}");
}

/// The new server looks as closely as the old one, where it can be told so.
#[test]
fn a_key_that_others_may_write_counts_where_the_server_does_not_mind() {
    let ways = |old: &str, new: &str, reads: bool| {
        let doors = |text: &str| Doors {
            server: true,
            settings: server::tests::settings(text),
            ..Doors::default()
        };
        let key = Keys {
            user: "root".to_owned(),
            keys: vec![PublicKey {
                kind: "ssh-ed25519".to_owned(),
                blob: "AAAA".to_owned(),
                fingerprint: "SHA256:abc".to_owned(),
                bits: None,
                narrowed: false,
            }],
            lines: Vec::new(),
            forced: 0,
            stay: true,
        };
        let old = OldIdentity {
            doors: doors(&format!("UsePAM yes\n{old}")),
            open_keys: vec![key],
            ..OldIdentity::default()
        };
        let pattern = "/etc/ssh/sshd_config.d/*.conf".to_owned();
        let new = NewIdentity {
            doors: Some(doors(&format!("UsePAM yes\n{new}"))),
            ssh_includes: Some(pattern).filter(|_| reads).into_iter().collect(),
            ..NewIdentity::default()
        };
        ways_of_root(&old, &new, false)
    };
    assert_eq!(ways("", "", true), (0, 0));
    assert_eq!(ways("StrictModes no", "", true), (1, 1));
    assert_eq!(ways("StrictModes no", "", false), (1, 0));
    assert_eq!(ways("", "StrictModes no", false), (0, 1));
}

/// What the image says before it counts first, for good or ill.
#[test]
fn what_is_written_stands_where_the_server_reads_it() {
    let doors = |text: &str| Doors {
        server: true,
        settings: server::tests::settings(text),
        ..Doors::default()
    };
    let new = |before: usize| NewIdentity {
        doors: Some(doors(
            "PermitRootLogin no\nAllowUsers ann\nPermitRootLogin yes\nX11Forwarding no",
        )),
        ssh_before: before,
        ..NewIdentity::default()
    };
    let over = |text: &str, before| {
        let setting = server::tests::settings(text).remove(0);
        overruled(&setting, &new(before)).map(|setting| setting.values.concat())
    };
    for (text, before, expected) in [
        ("PermitRootLogin yes", 0, None),
        ("PermitRootLogin yes", 2, Some("no")),
        ("permitrootlogin no", 9, None),
        ("AllowUsers bob", 9, None),
        ("X11Forwarding yes", 3, None),
        ("X11Forwarding yes", 4, Some("no")),
        ("Match User ann\nPermitRootLogin yes", 9, None),
    ] {
        let expected = expected.map(str::to_owned);
        assert_eq!(over(text, before), expected, "{text} {before}");
    }
    let root = |before: usize| {
        let old = OldIdentity {
            doors: doors("PermitRootLogin yes"),
            ..OldIdentity::default()
        };
        let new = NewIdentity {
            doors: Some(doors("PermitRootLogin no\nUsePAM yes")),
            ssh_includes: vec!["/etc/ssh/sshd_config.d/*.conf".to_owned()],
            ssh_before: before,
            ..NewIdentity::default()
        };
        ways_of_root(&old, &new, true)
    };
    assert_eq!(root(0), (1, 1));
    assert_eq!(root(1), (1, 0), "the image's own word is first");
}

/// What the finished server is held against: everything that it reads, but where the operator's own word is among that.
#[test]
fn what_the_server_is_promised_to_say_counts_with_all_that_it_reads() {
    const OWN: &str = "/etc/ssh/sshd_config.d/50-keys.conf";
    let doors = |text: &str| Doors {
        server: true,
        settings: server::tests::settings(text),
        ..Doors::default()
    };
    let new = NewIdentity {
        doors: Some(doors("UsePAM yes\nPermitRootLogin yes")),
        ssh_includes: vec!["/etc/ssh/sshd_config.d/*.conf".to_owned()],
        ..NewIdentity::default()
    };
    let people = accounts(&[("root", 0, "/bin/sh", true)], &[]);
    let merged = AccountPlan {
        users: vec![row("root", Some(0), 0, AccountRule::Same)],
        ..AccountPlan::default()
    };
    let promised = |overlaid: &[&str]| {
        let mut of_old = doors("PermitRootLogin no\nAllowUsers root");
        // A place that cannot be written: it comes by its own file.
        let mut keys = server::tests::settings("AuthorizedKeysFile /var/keys/%u");
        OWN.clone_into(&mut keys[0].path);
        of_old.settings.extend(keys);
        let old = OldIdentity {
            doors: of_old,
            copied: vec![OWN.to_owned()],
            overlaid: overlaid.iter().map(|path| (*path).to_owned()).collect(),
            ..OldIdentity::default()
        };
        let mut plan = IdentityPlan::default();
        decide(&mut plan, (&old, &new), (&people, &people), &merged);
        plan.ssh_promise
    };
    let promise = promised(&["/etc/motd"]).unwrap();
    assert_eq!(promise.files, [ssh_access::MAIN, written::SETTINGS, OWN]);
    let root = Doors {
        server: true,
        settings: promise.people[0].settings.clone(),
        ..Doors::default()
    };
    assert_eq!(
        server::value(&root, "PermitRootLogin").as_deref(),
        Some("no")
    );
    assert_eq!(server::key_files(&root), ["/var/keys/%u"]);
    assert_eq!(promised(&["/etc/ssh/sshd_config.d/99-shop.conf"]), None);
}

/// The old server's own file comes along: it counts as it will be there, nothing is written beside it, and
/// something stands in for it.
#[test]
fn a_configuration_that_comes_along_is_all_that_the_server_is_told() {
    let doors = |text: &str| Doors {
        server: true,
        settings: server::tests::settings(text),
        ..Doors::default()
    };
    let new = NewIdentity {
        doors: Some(doors("UsePAM yes")),
        ssh_includes: vec!["/etc/ssh/sshd_config.d/*.conf".to_owned()],
        ..NewIdentity::default()
    };
    let planned = |copied: &[&str]| {
        let old = OldIdentity {
            doors: doors("Port 2222\nAllowUsers ann"),
            copied: copied.iter().map(|path| (*path).to_owned()).collect(),
            carried_settings: server::tests::settings("Port 2200"),
            ..OldIdentity::default()
        };
        let (nobody, merged) = (Accounts::default(), AccountPlan::default());
        let mut plan = IdentityPlan::default();
        decide(&mut plan, (&old, &new), (&nobody, &nobody), &merged);
        (plan, writes_settings(&old, &new))
    };
    let (plan, writes) = planned(&["/etc/ssh"]);
    assert_eq!((plan.files.len(), writes), (0, false));
    assert_eq!(plan.ssh_ports, [2200], "as the file that comes along says");
    assert!(
        plan.notes
            .iter()
            .any(|note| note.contains("should the new ssh server not take it")),
        "{:?}",
        plan.notes
    );
    let reserve = plan.ssh_reserve.unwrap();
    for line in ["UsePAM yes", "Port 2222", "AllowUsers ann"] {
        assert!(reserve.lines().any(|l| l == line), "{line}: {reserve}");
    }
    let (plan, writes) = planned(&["/etc/ssh/sshd_config.d"]);
    assert_eq!((plan.files.len(), writes), (1, true));
    assert_eq!((plan.ssh_ports, plan.ssh_reserve), (vec![2222], None));
}

#[test]
fn ways_in_that_are_not_read_here_count_where_there_is_no_other() {
    let doors = |elsewhere: &[&str]| Doors {
        elsewhere: elsewhere.iter().map(|text| (*text).to_owned()).collect(),
        ..Doors::default()
    };
    let plan = |ways: &[&str]| IdentityPlan {
        ways: (Vec::new(), ways.iter().map(|user| way(user)).collect()),
        ..IdentityPlan::default()
    };
    assert_eq!(lost_elsewhere(&plan(&[]), &doors(&[])), None);
    assert_eq!(
        lost_elsewhere(&plan(&["root"]), &doors(&["accounts of sss"])),
        None
    );
    let lost = lost_elsewhere(&plan(&[]), &doors(&["accounts of sss"])).unwrap();
    assert!(lost.contains("gets in by accounts of sss"), "{lost}");
}

#[test]
fn the_package_that_an_image_lacks_is_named() {
    let by = |root| Way {
        root,
        ..way("debian")
    };
    let lacks = |before: &[Way], after: &[Way], server, sudo| {
        let plan = IdentityPlan {
            ways: (before.to_vec(), after.to_vec()),
            ..IdentityPlan::default()
        };
        let doors = Doors {
            server,
            sudo,
            ..Doors::default()
        };
        super::lacks(&plan, &doors).map(|text| text.rsplit(' ').next().unwrap().to_owned())
    };
    let (sudo, doas, su) = (by(Becoming::Sudo), by(Becoming::Doas), by(Becoming::Su));
    let sudo = &[sudo];
    assert_eq!(lacks(sudo, &[], true, false).as_deref(), Some("sudo"));
    assert_eq!(lacks(&[doas], &[], true, false).as_deref(), Some("sudo"));
    assert_eq!(
        lacks(sudo, &[], false, false).as_deref(),
        Some("openssh-server")
    );
    assert_eq!(lacks(sudo, &[], true, true), None);
    assert_eq!(lacks(sudo, sudo, true, false), None);
    assert_eq!(lacks(&[su], &[], true, false), None);
    let off = Doors {
        server: true,
        off: true,
        ..Doors::default()
    };
    let plan = IdentityPlan {
        ways: (vec![way("root")], Vec::new()),
        ..IdentityPlan::default()
    };
    let told = super::lacks(&plan, &off).unwrap();
    assert!(
        told.starts_with("nothing starts the image's ssh server"),
        "{told}"
    );
    assert_eq!(lacks(&[way("root")], &[], true, false), None);
}

#[test]
fn a_way_in_that_is_lost_is_told_and_so_is_the_operators_own() {
    let session = |user: &str, port| Session {
        user: user.to_owned(),
        address: "192.0.2.1".to_owned(),
        port,
        ..Session::default()
    };
    let plan = |before: &[&str], after: &[&str]| IdentityPlan {
        ways: (
            before.iter().map(|user| way(user)).collect(),
            after.iter().map(|user| way(user)).collect(),
        ),
        ssh_ports: vec![22],
        ..IdentityPlan::default()
    };
    let old = |session: Option<&Session>| OldIdentity {
        doors: Doors {
            server: true,
            ..Doors::default()
        },
        session: session.cloned(),
        ..OldIdentity::default()
    };
    let ann = session("ann", 22);
    let lost = |plan: &IdentityPlan, session: Option<&Session>| super::lost(plan, &old(session));
    assert_eq!(lost(&plan(&["root"], &["root"]), None), [""; 0]);
    assert_eq!(
        lost(&plan(&["root", "ann"], &["root", "ann"]), Some(&ann)),
        [""; 0]
    );
    let nobody = lost(&plan(&["root"], &[]), None);
    assert!(nobody[0].contains("now: root by key"), "{nobody:?}");
    let operator = lost(&plan(&["root", "ann"], &["root"]), Some(&ann));
    assert!(
        operator[0].contains("you are here as ann, who could not"),
        "{operator:?}"
    );
    let port = lost(&plan(&["root"], &["root"]), Some(&session("root", 2222)));
    assert!(port[0].contains("port 2222"), "{port:?}");
    // Whoever calls this is root, by whatever is not read here: that is no way into the new OS.
    let unknown = lost(&plan(&["root"], &["root"]), Some(&ann));
    assert!(
        unknown[0].contains("you are here as ann, who is not known"),
        "{unknown:?}"
    );
    let unknown = lost(&plan(&[], &[]), Some(&ann));
    assert!(
        unknown[0].contains("nobody is known to become root"),
        "{unknown:?}"
    );
    assert!(unknown[1].contains("(there: nobody)"), "{unknown:?}");
    assert_eq!(lost(&plan(&[], &[]), None).len(), 1);
    // Unless it is something that the new OS has, too.
    let by_certificate = IdentityPlan {
        otherwise: vec!["ann".to_owned()],
        ..plan(&[], &[])
    };
    assert_eq!(lost(&by_certificate, Some(&ann)), [""; 0]);
    assert_eq!(lost(&by_certificate, Some(&session("bob", 22))).len(), 1);
    // Who had no server and came by none gets in as they did.
    let at_the_console = OldIdentity::default();
    assert_eq!(super::lost(&plan(&[], &[]), &at_the_console), [""; 0]);
    assert_eq!(super::lost(&plan(&[], &["root"]), &at_the_console), [""; 0]);
}
