use super::*;
use formats::access::{Setting, Sudoer};
use formats::accounts::{AccountRow, AccountRule};

fn user(name: &str, uid: u32, shell: &str, password: bool) -> User {
    User {
        name: name.to_owned(),
        uid,
        gid: uid,
        home: format!("/home/{name}"),
        shell: shell.to_owned(),
        password,
    }
}

fn key(kind: &str, bits: Option<u32>) -> PublicKey {
    PublicKey {
        kind: kind.to_owned(),
        blob: "AAAA".to_owned(),
        fingerprint: "SHA256:abc".to_owned(),
        bits,
        narrowed: false,
    }
}

fn keys(user: &str, kinds: &[&str]) -> Keys {
    Keys {
        user: user.to_owned(),
        keys: kinds.iter().map(|kind| key(kind, None)).collect(),
        lines: Vec::new(),
        forced: 0,
        stay: true,
    }
}

fn doors(settings: &[(&str, &str)], sudoers: &[(&str, bool)]) -> Doors {
    let settings = settings.iter().map(|(keyword, value)| Setting {
        path: "/etc/ssh/sshd_config".to_owned(),
        condition: None,
        keyword: (*keyword).to_owned(),
        values: vec![(*value).to_owned()],
    });
    let sudoers = sudoers.iter().map(|(who, without_password)| Sudoer {
        who: (*who).to_owned(),
        without_password: *without_password,
        ..Sudoer::default()
    });
    Doors {
        server: true,
        release: Some((9, 2)),
        settings: settings.collect(),
        sudo: true,
        sudoers: sudoers.collect(),
        ..Doors::default()
    }
}

fn told(doors: &Doors, accounts: &Accounts, all: &[Keys]) -> Vec<String> {
    let found = ways(doors, accounts, all, None);
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn each_way_to_a_root_shell_is_told_and_no_other() {
    let accounts = |root_password| Accounts {
        users: vec![
            user("root", 0, "/bin/bash", root_password),
            user("debian", 1000, "/bin/bash", false),
            user("ann", 1001, "/bin/zsh", true),
            user("web", 1002, "/usr/sbin/nologin", true),
        ],
        groups: vec![Group {
            name: "sudo".to_owned(),
            gid: 27,
            members: vec!["ann".to_owned()],
        }],
        ..Accounts::default()
    };
    let nobody = [""; 0];
    // A machine in a cloud: root's one key has a command of its own, which is not among its kinds.
    let cloud = doors(
        &[
            ("PasswordAuthentication", "no"),
            ("KbdInteractiveAuthentication", "no"),
        ],
        &[("debian", true)],
    );
    let cloud_keys = [keys("root", &[]), keys("debian", &["ssh-ed25519"])];
    assert_eq!(
        told(&cloud, &accounts(false), &cloud_keys),
        ["debian by key, root by sudo"]
    );
    let without_sudo = Doors {
        sudo: false,
        ..cloud.clone()
    };
    assert_eq!(told(&without_sudo, &accounts(false), &cloud_keys), nobody);
    // Somebody without a password cannot give it to sudo.
    let asks = doors(
        &[
            ("PasswordAuthentication", "no"),
            ("KbdInteractiveAuthentication", "no"),
        ],
        &[("debian", false)],
    );
    assert_eq!(told(&asks, &accounts(false), &cloud_keys), nobody);
    // Root by password alone.
    let by_password = doors(&[("PermitRootLogin", "yes")], &[("%sudo", false)]);
    assert_eq!(
        told(&by_password, &accounts(true), &[]),
        [
            "root by password",
            "ann by password, root by sudo with a password"
        ]
    );
    let default = doors(&[], &[]);
    assert_eq!(
        told(&default, &accounts(true), &[]),
        ["ann by password, root by su with root's password"]
    );
    // A key that no server takes any more.
    assert_eq!(
        told(&default, &accounts(false), &[keys("root", &["ssh-dss"])]),
        nobody
    );
    assert_eq!(
        told(&default, &accounts(false), &[keys("root", &["ssh-rsa"])]),
        ["root by key"]
    );
    let no_root = doors(&[("PermitRootLogin", "forced-commands-only")], &[]);
    assert_eq!(
        told(&no_root, &accounts(false), &[keys("root", &["ssh-rsa"])]),
        nobody
    );
    let listed = doors(&[("AllowUsers", "ann")], &[]);
    assert_eq!(
        told(&listed, &accounts(false), &[keys("root", &["ssh-rsa"])]),
        nobody
    );
    assert_eq!(
        told(
            &Doors::default(),
            &accounts(true),
            &[keys("root", &["ssh-rsa"])]
        ),
        nobody
    );
}

#[test]
fn a_key_that_the_server_takes_no_more_lets_nobody_in() {
    let accounts = Accounts {
        users: vec![user("root", 0, "/bin/bash", false)],
        ..Accounts::default()
    };
    let found = |doors: &Doors, kind: &str, bits| {
        let all = [Keys {
            keys: vec![key(kind, bits)],
            ..keys("root", &[])
        }];
        !told(doors, &accounts, &all).is_empty()
    };
    let of = |release, settings: &[(&str, &str)]| Doors {
        release,
        ..doors(settings, &[])
    };
    for (release, settings, kind, bits, taken) in [
        (Some((6, 6)), &[][..], "ssh-dss", None, true),
        (Some((7, 0)), &[], "ssh-dss", None, false),
        (
            Some((7, 0)),
            &[("PubkeyAcceptedKeyTypes", "+ssh-dss")],
            "ssh-dss",
            None,
            true,
        ),
        (None, &[], "ssh-dss", None, false),
        (Some((7, 5)), &[], "ssh-rsa", Some(768), true),
        (Some((7, 6)), &[], "ssh-rsa", Some(768), false),
        (Some((9, 2)), &[], "ssh-rsa", Some(1024), true),
        (
            Some((9, 2)),
            &[("RequiredRSASize", "2048")],
            "ssh-rsa",
            Some(1024),
            false,
        ),
        (
            Some((9, 2)),
            &[("RequiredRSASize", "2048")],
            "ssh-rsa",
            Some(2048),
            true,
        ),
        // A word that this release does not know.
        (
            Some((9, 0)),
            &[("RequiredRSASize", "2048")],
            "ssh-rsa",
            Some(1024),
            true,
        ),
        (Some((6, 4)), &[], "ssh-ed25519", None, false),
        (Some((8, 1)), &[], "sk-ssh-ed25519@openssh.com", None, false),
        (None, &[], "sk-ssh-ed25519@openssh.com", None, true),
        (
            None,
            &[("PubkeyAcceptedAlgorithms", "ssh-ed25519")],
            "ssh-rsa",
            Some(4096),
            false,
        ),
        (
            None,
            &[("PubkeyAcceptedAlgorithms", "ssh-ed25519,rsa-sha2-*")],
            "ssh-rsa",
            Some(4096),
            true,
        ),
        (
            None,
            &[("PubkeyAcceptedAlgorithms", "-ssh-rsa")],
            "ssh-rsa",
            Some(4096),
            true,
        ),
        (
            None,
            &[("PubkeyAcceptedAlgorithms", "-ecdsa*")],
            "ecdsa-sha2-nistp256",
            None,
            false,
        ),
    ] {
        let doors = of(release, settings);
        assert_eq!(
            found(&doors, kind, bits),
            taken,
            "{release:?} {settings:?} {kind} {bits:?}"
        );
    }
}

/// OpenSSH's own rule: a `!` keeps out by key as well, unless PAM is asked about accounts; what is typed at a keyboard
/// is asked by PAM alone.
#[test]
fn without_pam_a_lock_keeps_out_and_nothing_is_asked_at_the_keyboard() {
    let accounts = |locked: &[&str]| Accounts {
        users: vec![
            user("root", 0, "/bin/sh", false),
            user("ann", 1000, "/bin/sh", true),
        ],
        locked: locked.iter().map(|name| (*name).to_owned()).collect(),
        ..Accounts::default()
    };
    let all = [keys("root", &["ssh-ed25519"])];
    let (kbd, by_sudo) = ("KbdInteractiveAuthentication", [("ann", false)]);
    let ann = "ann by password, root by sudo with a password";
    for (settings, locked, expected) in [
        (&[][..], &[][..], &["root by key", ann][..]),
        (&[], &["root"], &[ann]),
        (&[("UsePAM", "no")], &["root"], &[ann]),
        (&[("UsePAM", "yes")], &["root"], &["root by key", ann]),
        (&[("PasswordAuthentication", "no")], &[], &["root by key"]),
        (
            &[("PasswordAuthentication", "no"), (kbd, "yes")],
            &[],
            &["root by key"],
        ),
        (
            &[("PasswordAuthentication", "no"), ("UsePAM", "yes")],
            &["root"],
            &["root by key", ann],
        ),
    ] {
        let doors = doors(settings, &by_sudo);
        let found = told(&doors, &accounts(locked), &all);
        assert_eq!(found, expected, "{settings:?} {locked:?}");
    }
}

#[test]
fn an_account_that_has_ended_lets_nobody_in() {
    let accounts = |expired: &[&str]| Accounts {
        users: vec![user("root", 0, "/bin/sh", true)],
        expired: expired.iter().map(|name| (*name).to_owned()).collect(),
        ..Accounts::default()
    };
    let doors = doors(&[("PermitRootLogin", "yes"), ("UsePAM", "yes")], &[]);
    let all = [keys("root", &["ssh-ed25519"])];
    let both = ["root by key", "root by password"];
    assert_eq!(told(&doors, &accounts(&[]), &all), both);
    assert_eq!(told(&doors, &accounts(&["root"]), &all), [""; 0]);
}

#[test]
fn doas_makes_root_as_sudo_does() {
    let accounts = Accounts {
        users: vec![
            user("ann", 1000, "/bin/sh", true),
            user("bob", 1001, "/bin/sh", false),
        ],
        ..Accounts::default()
    };
    let rule = |who: &str, without_password| Sudoer {
        who: who.to_owned(),
        without_password,
        ..Sudoer::default()
    };
    let doors = Doors {
        sudo: false,
        doas: vec![rule("ann", false), rule("bob", true)],
        ..doors(
            &[
                ("PasswordAuthentication", "no"),
                ("KbdInteractiveAuthentication", "no"),
            ],
            &[],
        )
    };
    let all = [keys("ann", &["ssh-ed25519"]), keys("bob", &["ssh-ed25519"])];
    assert_eq!(
        told(&doors, &accounts, &all),
        [
            "ann by key, root by doas with a password",
            "bob by key, root by doas"
        ]
    );
}

#[test]
fn a_password_whose_hash_the_new_os_does_not_know_lets_nobody_in() {
    let scheme = |text: &str| ("root".to_owned(), text.to_owned());
    let with = |text: &str| Accounts {
        users: vec![user("root", 0, "/bin/sh", true)],
        schemes: vec![scheme(text)],
        ..Accounts::default()
    };
    let plan = AccountPlan {
        users: vec![AccountRow {
            name: "root".to_owned(),
            old: Some(0),
            payload: None,
            number: 0,
            rule: AccountRule::Person,
        }],
        ..AccountPlan::default()
    };
    let own = |schemes: &[&str]| schemes.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
    let doors = doors(&[("PermitRootLogin", "yes")], &[]);
    for (hash, known, expected) in [
        ("$y$", own(&["$1$", "$5$", "$6$"]), &[""; 0][..]),
        ("$6$", own(&["$1$", "$5$", "$6$"]), &["root by password"]),
        ("$y$", own(&[]), &["root by password"]),
    ] {
        let accounts = new_accounts(&with(hash), &Accounts::default(), &plan, &known);
        assert_eq!(told(&doors, &accounts, &[]), expected, "{hash} {known:?}");
    }
}

#[test]
fn somebody_who_is_asked_for_several_things_gets_in_by_all_of_them() {
    let accounts = Accounts {
        users: vec![
            user("root", 0, "/bin/sh", true),
            user("ann", 1000, "/bin/sh", false),
        ],
        ..Accounts::default()
    };
    let second = PublicKey {
        blob: "BBBB".to_owned(),
        ..key("ssh-rsa", None)
    };
    let all = [
        keys("root", &["ssh-ed25519", "ssh-ed25519"]),
        Keys {
            keys: vec![key("ssh-ed25519", None), second],
            ..keys("ann", &[])
        },
    ];
    let (root, ann) = (
        ["root by key", "root by password"],
        ["ann by key, root by sudo"],
    );
    let both: Vec<&str> = root.into_iter().chain(ann).collect();
    for (methods, pam, expected) in [
        ("any", "yes", &both[..]),
        ("publickey", "yes", &["root by key", ann[0]]),
        ("password", "yes", &root[1..]),
        ("publickey,password", "no", &root),
        // A code, where the new OS asks for a password that nobody has.
        ("publickey,keyboard-interactive", "yes", &root),
        ("publickey,keyboard-interactive:pam", "yes", &root),
        ("publickey,keyboard-interactive", "no", &[]),
        ("publickey,publickey", "yes", &ann),
        ("publickey,gssapi-with-mic hostbased", "yes", &[]),
        ("publickey,password publickey", "yes", &both),
    ] {
        let mut doors = doors(
            &[("PermitRootLogin", "yes"), ("UsePAM", pam)],
            &[("ann", true)],
        );
        doors.settings.push(Setting {
            path: String::new(),
            condition: None,
            keyword: "AuthenticationMethods".to_owned(),
            values: methods.split(' ').map(str::to_owned).collect(),
        });
        assert_eq!(told(&doors, &accounts, &all), expected, "{methods} {pam}");
    }
}

#[test]
fn somebody_who_is_held_to_a_program_that_is_not_there_does_not_get_in() {
    let accounts = Accounts {
        users: vec![user("root", 0, "/bin/sh", false)],
        ..Accounts::default()
    };
    let all = [keys("root", &["ssh-ed25519"])];
    let doors = doors(&[("ForceCommand", "/usr/local/bin/record-session")], &[]);
    let found = |there: bool| ways_where(&doors, &accounts, (&all, None), &|_| there).len();
    assert_eq!([found(true), found(false)], [1, 0]);
}
