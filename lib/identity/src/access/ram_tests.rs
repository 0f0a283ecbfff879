use super::*;
use formats::access::{PublicKey, Setting, Sudoer};
use formats::accounts::{Group, User};
use formats::identity::HostKey;

/// An old OS with these lines in the server's configuration, in which root and ann have keys, bob has a
/// key and no rights, and cem becomes root by root's password alone.
fn old(text: &str) -> (OldIdentity, Accounts) {
    let settings = super::server::tests::settings(text);
    let keys = |user: &str| Keys {
        user: user.to_owned(),
        keys: vec![PublicKey {
            kind: "ssh-ed25519".to_owned(),
            blob: "AAAA".to_owned(),
            fingerprint: String::new(),
            bits: None,
            narrowed: true,
        }],
        lines: vec![format!("from=\"192.0.2.0/24\" ssh-ed25519 AAAA {user}")],
        forced: 0,
        stay: true,
    };
    let user = |name: &str, uid, password| User {
        name: name.to_owned(),
        uid,
        gid: uid,
        home: format!("/home/{name}"),
        shell: "/bin/sh".to_owned(),
        password,
    };
    let old = OldIdentity {
        doors: Doors {
            server: true,
            release: Some((9, 2)),
            settings,
            sudo: true,
            sudoers: vec![Sudoer {
                who: "%sudo".to_owned(),
                without_password: false,
                ..Sudoer::default()
            }],
            ..Doors::default()
        },
        login_keys: ["root", "ann", "cem"].map(keys).to_vec(),
        host_keys: vec![
            HostKey {
                path: "/etc/ssh/ssh_host_ed25519_key".to_owned(),
                kind: "ssh-ed25519".to_owned(),
                fingerprint: String::new(),
            },
            HostKey {
                path: "/etc/ssh/ssh_host_dsa_key".to_owned(),
                kind: "ssh-dss".to_owned(),
                fingerprint: String::new(),
            },
        ],
        ..OldIdentity::default()
    };
    let accounts = Accounts {
        users: vec![
            user("root", 0, true),
            user("ann", 1000, true),
            user("cem", 1001, true),
        ],
        groups: vec![Group {
            name: "sudo".to_owned(),
            gid: 27,
            members: vec!["ann".to_owned()],
        }],
        ..Accounts::default()
    };
    (old, accounts)
}

fn told(text: &str, also: &[u16]) -> Result<RamServer, String> {
    let (old, accounts) = old(text);
    server(&old, &accounts, &|kind| kind == "ssh-ed25519", also)
}

fn names(text: &str) -> Vec<String> {
    let people = told(text, &[])
        .map(|server| server.people)
        .unwrap_or_default();
    people.into_iter().map(|login| login.user).collect()
}

#[test]
fn whoever_becomes_root_by_key_gets_in_with_the_keys_they_have() {
    let server = told("", &[]).unwrap();
    assert_eq!(names(""), ["root", "ann"], "cem needs root's password");
    assert_eq!(
        server.people[1].keys,
        ["from=\"192.0.2.0/24\" ssh-ed25519 AAAA ann"],
        "with what the line says of where they come from"
    );
    assert_eq!(server.host_keys, ["/etc/ssh/ssh_host_ed25519_key"]);
    assert_eq!(server.ports, [22]);
}

#[test]
fn whoever_the_old_server_keeps_from_a_shell_stays_out() {
    for (text, expected) in [
        ("PermitRootLogin no", &["ann"][..]),
        ("AllowUsers root", &["root"]),
        ("DenyGroups sudo", &["root"]),
        ("ForceCommand /bin/report", &[]),
        ("ForceCommand none", &["root", "ann"]),
        ("AuthenticationMethods publickey,password", &[]),
        (
            "AuthenticationMethods publickey,password publickey",
            &["root", "ann"],
        ),
        ("PubkeyAuthentication no", &[]),
        ("Match User ann\nForceCommand internal-sftp", &["root"]),
        (
            "Match Group sudo Address 192.0.2.0/24\nPubkeyAuthentication no",
            &["root"],
        ),
        ("Match User !ann,*\nChrootDirectory /srv", &["ann"]),
        ("Match Address !192.0.2.0/24\nPermitRootLogin no", &["ann"]),
        ("Match Address 192.0.2.0/24\nDenyUsers x", &[]),
        ("Match User ann\nX11Forwarding no", &["root", "ann"]),
    ] {
        assert_eq!(names(text), expected, "{text}");
    }
    assert!(told("RevokedKeys /etc/ssh/revoked", &[]).is_err());
}

#[test]
fn it_listens_where_the_old_server_did() {
    for (text, also, ports, addresses) in [
        ("", &[2222][..], &[22, 2222][..], &[][..]),
        ("Port 2222\nPort 22", &[], &[22, 2222], &[]),
        (
            "ListenAddress 192.0.2.7\nPort 22\nPort 23",
            &[99],
            &[],
            &["192.0.2.7:22", "192.0.2.7:23"],
        ),
        (
            "ListenAddress 192.0.2.7:2200\nListenAddress ::1",
            &[],
            &[],
            &["192.0.2.7:2200", "[::1]:22"],
        ),
        (
            "ListenAddress [2001:db8::1]:2200",
            &[],
            &[],
            &["[2001:db8::1]:2200"],
        ),
        ("AddressFamily inet", &[], &[], &["0.0.0.0:22"]),
    ] {
        let server = told(text, also).unwrap();
        assert_eq!(server.ports, ports, "{text}");
        assert_eq!(server.addresses, addresses, "{text}");
    }
    assert!(told("ListenAddress shop1.example.net", &[]).is_err());
}

#[test]
fn where_people_come_from_holds_on() {
    assert_eq!(told("AllowUsers ann root", &[]).unwrap().allowed, [""; 0]);
    let server = told("AllowUsers ann@192.0.2.* root", &[]).unwrap();
    assert_eq!(server.allowed, ["root", "ann@192.0.2.*"]);
    // Not what is said of others.
    let server = told("AllowUsers a*@10.* *@192.0.2.* bob", &[]).unwrap();
    let expected = ["root@192.0.2.*", "ann@10.*", "ann@192.0.2.*"];
    assert_eq!(server.allowed, expected);
}

#[test]
fn where_the_server_itself_says_that_people_come_from_holds_on_too() {
    let (mut old, accounts) = old("");
    let said = Setting {
        path: "sshd -T".to_owned(),
        condition: None,
        keyword: "AllowUsers".to_owned(),
        values: vec!["ann@10.*".to_owned(), "root".to_owned()],
    };
    old.doors.in_force = ["root", "ann"]
        .map(|user| (user.to_owned(), vec![said.clone()]))
        .into();
    let server = server(&old, &accounts, &|_| true, &[]).unwrap();
    assert_eq!(server.allowed, ["root", "ann@10.*"]);
}

#[test]
fn where_systemd_listens_for_the_server_the_ram_environments_listens() {
    let (mut old, accounts) = old("Port 22\nListenAddress 192.0.2.7\nAddressFamily inet6");
    old.doors.socket = super::super::server::tests::settings("Port 2222");
    let server = server(&old, &accounts, &|_| true, &[]).unwrap();
    assert_eq!((server.ports, server.addresses.len()), (vec![2222], 0));
}

#[test]
fn the_host_keys_are_those_that_the_old_server_was_told_of() {
    let (mut old, accounts) =
        old("HostKey /data/keys/own\nHostKey /data/keys/gone\nHostKey /data/keys/dsa");
    for (path, kind) in [
        ("/data/keys/own", "ssh-ed25519"),
        ("/data/keys/dsa", "ssh-dss"),
    ] {
        old.host_keys.push(HostKey {
            path: path.to_owned(),
            kind: kind.to_owned(),
            fingerprint: String::new(),
        });
    }
    let takes = |kind: &str| kind == "ssh-ed25519";
    let of = |old: &OldIdentity| server(old, &accounts, &takes, &[]).unwrap().host_keys;
    assert_eq!(of(&old), ["/data/keys/own"]);
    old.doors.settings.remove(0);
    assert_eq!(of(&old), ["/etc/ssh/ssh_host_ed25519_key"]);
}

#[test]
fn what_the_server_itself_says_of_somebody_holds_them_back_too() {
    let (mut old, accounts) = old("");
    let said = |keyword: &str, value: &str| Setting {
        path: "sshd -T".to_owned(),
        condition: None,
        keyword: keyword.to_owned(),
        values: vec![value.to_owned()],
    };
    let free = vec![said("forcecommand", "none"), said("permittty", "yes")];
    let held = vec![said("forcecommand", "internal-sftp")];
    old.doors.in_force = vec![("root".to_owned(), free), ("ann".to_owned(), held)];
    let server = server(&old, &accounts, &|_| true, &[]).unwrap();
    let people: Vec<_> = server.people.iter().map(|p| p.user.as_str()).collect();
    assert_eq!(people, ["root"]);
}
