use super::*;
use formats::access::{Setting, Sudoer};

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

fn keys(user: &str, kinds: &[&str]) -> Keys {
    Keys {
        user: user.to_owned(),
        kinds: kinds.iter().map(|k| (*k).to_owned()).collect(),
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
    });
    Doors {
        server: true,
        release: Some((9, 2)),
        settings: settings.collect(),
        sudo: true,
        sudoers: sudoers.collect(),
    }
}

fn told(doors: &Doors, accounts: &Accounts, all: &[Keys]) -> Vec<String> {
    let takes = |kind: &str| kind != "ssh-dss";
    let found = ways(doors, accounts, all, &takes);
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
