//! Machines as there are many of: nothing is said against who gets into their new OS, who is the same as before; and
//! some on which that is not so.

use formats::access::{Doors, Keys, Session};
use formats::accounts::{Accounts, Group};
use formats::facts::Facts;
use formats::manifest::Manifest;
use identity::access::{doas, sudoers};
use identity::files::Files;
use identity::ssh_access;
use plan::carried;

use super::cases::public_key;
use super::{fired, machine};
use crate::survey::plain_machine::{account, image};

/// An OS's files, by path.
struct Tree<'t>(Vec<(&'t str, &'t str)>);

impl Files for Tree<'_> {
    fn text(&self, path: &str) -> Option<String> {
        let found = self.0.iter().find(|(known, _)| *known == path);
        found.map(|(_, text)| (*text).to_owned())
    }

    fn folder(&self, path: &str) -> Vec<String> {
        let all = self.0.iter().map(|(known, _)| (*known).to_owned());
        all.filter(|known| {
            known
                .rsplit_once('/')
                .is_some_and(|(above, _)| above == path)
        })
        .collect()
    }
}

const DEBIANS_SERVER: &str = "Include /etc/ssh/sshd_config.d/*.conf\nKbdInteractiveAuthentication no\nUsePAM yes\n\
    X11Forwarding yes\nPrintMotd no\nAcceptEnv LANG LC_*\nSubsystem sftp /usr/lib/openssh/sftp-server\n";
const DEBIANS_SUDO: &str = "Defaults\tenv_reset\nDefaults\tmail_badpass\nDefaults\tuse_pty\n\
    Defaults\tsecure_path=\"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\"\n\
    root\tALL=(ALL:ALL) ALL\n%sudo\tALL=(ALL:ALL) ALL\n@includedir /etc/sudoers.d\n";
const REDHATS_SUDO: &str =
    "Defaults   !visiblepw\nDefaults    always_set_home\nDefaults    env_reset\n\
    Defaults    env_keep =  \"COLORS DISPLAY HOSTNAME\"\nDefaults    env_keep += \"LC_COLLATE\"\n\
    root\tALL=(ALL) \tALL\n%wheel\tALL=(ALL)\tALL\n#includedir /etc/sudoers.d\n";

/// What an old OS has. People are `ann` and `debian`.
#[derive(Clone, Default)]
struct Old<'t> {
    release: (u32, u32),
    server: &'t str,
    sudo: &'t str,
    sudo_more: &'t str,
    doas: &'t str,
    keys: &'t [&'t str],
    passwords: &'t [&'t str],
    /// Those of `sudo` and `wheel` that both are in.
    groups: &'t [&'t str],
    operator: Option<&'t str>,
}

impl Old<'_> {
    fn doors(&self) -> Doors {
        let tree = Tree(vec![
            ("/etc/ssh/sshd_config", self.server),
            ("/etc/sudoers", self.sudo),
            ("/etc/sudoers.d/90-own", self.sudo_more),
            ("/etc/doas.conf", self.doas),
        ]);
        let found = sudoers::read(&tree);
        assert_eq!(found.uncounted, [""; 0]);
        Doors {
            server: !self.server.is_empty(),
            release: Some(self.release),
            settings: ssh_access::settings(&tree),
            sudo: !self.sudo.is_empty(),
            sudoers: found.rules,
            sudo_asks: found.asks,
            doas: doas::read(&tree),
            ..Doors::default()
        }
    }

    fn machine(&self) -> Facts {
        let mut facts = machine();
        let mut users = vec![
            account("root", 0),
            account("debian", 1000),
            account("ann", 1001),
        ];
        for user in &mut users {
            user.password = self.passwords.contains(&user.name.as_str());
        }
        let group = |name: &str, gid| Group {
            name: name.into(),
            gid,
            members: if self.groups.contains(&name) {
                vec!["debian".into(), "ann".into()]
            } else {
                vec![]
            },
        };
        facts.accounts = Ok(Accounts {
            users,
            groups: vec![group("root", 0), group("wheel", 10), group("sudo", 27)],
            ..Accounts::default()
        });
        facts.identity.doors = self.doors();
        let keys = |user: &&str| Keys {
            user: (*user).into(),
            keys: vec![public_key("ssh-ed25519", None)],
            lines: Vec::new(),
            forced: 0,
            stay: true,
        };
        facts.identity.login_keys = self.keys.iter().map(keys).collect();
        facts.identity.session = self.operator.map(|user| Session {
            user: user.into(),
            address: "192.0.2.3".into(),
            port: 22,
            client: "198.51.100.7".into(),
            ..Session::default()
        });
        facts
    }
}

/// Debian 13, with sudo.
fn debian() -> Manifest {
    let mut image = image();
    image.identity.host_key_types = vec!["ssh-ed25519".into()];
    image.identity.ssh_includes = vec!["/etc/ssh/sshd_config.d/*.conf".into()];
    image.identity.doors = Some(
        Old {
            release: (10, 0),
            server: DEBIANS_SERVER,
            sudo: DEBIANS_SUDO,
            ..Old::default()
        }
        .doors(),
    );
    image
}

/// The codes of what speaks against it, and who becomes root before and after.
fn asked(facts: &Facts, image: &Manifest) -> (Vec<String>, [Vec<String>; 2]) {
    let plan = carried::identity(facts, image).unwrap();
    let told = |ways: &[formats::access::Way]| ways.iter().map(ToString::to_string).collect();
    (
        fired(facts, image),
        [told(&plan.ways.0), told(&plan.ways.1)],
    )
}

#[test]
fn the_same_people_become_root_as_before_and_nothing_is_said_against_it() {
    let plain = Old {
        release: (8, 4),
        server: DEBIANS_SERVER,
        sudo: DEBIANS_SUDO,
        ..Old::default()
    };
    let by_key_alone = format!("PasswordAuthentication no\n{DEBIANS_SERVER}");
    let in_a_cloud = Old {
        server: &by_key_alone,
        sudo_more: "# Created by cloud-init\ndebian ALL=(ALL) NOPASSWD:ALL\n",
        // Root's key has a command of its own, which is none of those that count.
        keys: &["debian"],
        operator: Some("debian"),
        ..plain.clone()
    };
    let root = |operator| Old {
        keys: &["root"],
        operator,
        ..plain.clone()
    };
    let by_password = Old {
        release: (5, 9),
        server: "PermitRootLogin yes\nChallengeResponseAuthentication no\nUsePAM yes\n",
        passwords: &["root"],
        operator: Some("root"),
        ..plain.clone()
    };
    let people = Old {
        keys: &["ann"],
        passwords: &["ann"],
        groups: &["sudo"],
        operator: Some("ann"),
        ..plain.clone()
    };
    let of_red_hat = Old {
        release: (7, 4),
        server: "SyslogFacility AUTHPRIV\nPasswordAuthentication yes\nChallengeResponseAuthentication no\n\
            GSSAPIAuthentication yes\nGSSAPICleanupCredentials no\nUsePAM yes\nX11Forwarding yes\n",
        sudo: REDHATS_SUDO,
        groups: &["wheel"],
        ..people.clone()
    };
    let of_suse = Old {
        sudo: "Defaults targetpw\nALL ALL=(ALL) ALL\nroot ALL=(ALL) ALL\n",
        keys: &["root"],
        passwords: &["root", "ann"],
        groups: &[],
        ..people.clone()
    };
    let by_su = Old {
        sudo: "",
        passwords: &["root", "ann"],
        ..people.clone()
    };
    let recorded = Old {
        server: "ForceCommand /bin/sh -c 'exec \"$SHELL\"'\nUsePAM yes\n",
        ..root(Some("root"))
    };
    let own = [
        "ann by key, root by sudo with a password",
        "ann by password, root by sudo with a password",
    ];
    for (what, old, expected) in [
        ("a cloud", in_a_cloud, &["debian by key, root by sudo"][..]),
        ("root by key", root(Some("root")), &["root by key"]),
        ("root by key, at the console", root(None), &["root by key"]),
        ("root by password", by_password, &["root by password"]),
        ("people with sudo", people, &own),
        ("Red Hat", of_red_hat, &own),
        (
            "SUSE",
            of_suse,
            &[
                "root by key",
                "ann by password, root by su with root's password",
            ],
        ),
        ("a command that is there", recorded, &["root by key"]),
    ] {
        let (fired, [before, after]) = asked(&old.machine(), &debian());
        assert_eq!(fired, [""; 0], "{what}");
        assert_eq!(before, expected, "{what}");
        assert_eq!(after, expected, "{what}");
    }
    // su is there in the new OS as sudo is, which the image brings and the old OS has not: that asks for less.
    let (fired, _) = asked(&by_su.machine(), &debian());
    assert_eq!(fired, ["ssh-restrictions"]);
}

#[test]
fn whoever_has_no_ssh_server_is_asked_nothing_about_it() {
    let old = Old {
        sudo: DEBIANS_SUDO,
        keys: &["root", "ann"],
        passwords: &["root", "ann"],
        groups: &["sudo"],
        ..Old::default()
    };
    let (fired, [before, after]) = asked(&old.machine(), &debian());
    assert_eq!(fired, [""; 0]);
    assert_eq!(before, [""; 0]);
    assert_eq!(after.len(), 3, "{after:?}");
}

#[test]
fn whoever_would_be_kept_out_or_given_more_is_told() {
    let plain = Old {
        release: (8, 4),
        server: DEBIANS_SERVER,
        sudo: DEBIANS_SUDO,
        keys: &["ann"],
        operator: Some("ann"),
        ..Old::default()
    };
    let of = |old: Old, expected: &[&str]| {
        let (fired, ways) = asked(&old.machine(), &debian());
        assert_eq!(fired, expected, "{ways:?}");
    };
    // Nobody knows that they become root, and they are.
    let by_su = "ann ALL=(root) NOPASSWD: /bin/su -\n";
    of(
        Old {
            sudo: by_su,
            ..plain.clone()
        },
        &["login"],
    );
    of(
        Old {
            sudo: by_su,
            keys: &["ann", "root"],
            ..plain.clone()
        },
        &["login"],
    );
    of(
        Old {
            sudo: by_su,
            operator: None,
            ..plain.clone()
        },
        &["login"],
    );
    // A command that is wiped, and a second factor that the new OS does not ask for.
    for more in [
        "ForceCommand /usr/local/bin/record\n",
        "AuthenticationMethods publickey,keyboard-interactive\n",
    ] {
        of(
            Old {
                server: &format!("{more}{DEBIANS_SERVER}"),
                sudo_more: "ann ALL=(ALL) NOPASSWD: ALL\n",
                ..plain.clone()
            },
            &["login"],
        );
    }
    // The image's rule gives what the old one took away, by sudo and by doas.
    let root = Old {
        passwords: &["ann"],
        keys: &["root", "ann"],
        groups: &["sudo", "wheel"],
        operator: Some("root"),
        ..plain.clone()
    };
    of(
        Old {
            sudo: "",
            doas: "permit :wheel\ndeny ann\n",
            ..root
        },
        &["ssh-restrictions"],
    );
}
