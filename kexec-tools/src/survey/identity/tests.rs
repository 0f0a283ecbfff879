use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use formats::access::Doors;

use super::*;

struct Old(tempfile::TempDir);

impl Old {
    fn with(files: &[(&str, &str)]) -> Old {
        let old = Old(tempfile::tempdir().unwrap());
        for (path, text) in files {
            old.write(path, text.as_bytes());
        }
        old
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.0.path().join(path.trim_start_matches('/'))
    }

    fn write(&self, path: &str, bytes: &[u8]) {
        let at = self.path(path);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        fs::write(at, bytes).unwrap();
    }

    fn link(&self, path: &str, target: &str) {
        let at = self.path(path);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        symlink(target, at).unwrap();
    }

    fn gather(&self, keep: &[&str], carry: &[&str], homes: &[&str]) -> OldIdentity {
        let homes = homes.iter().map(|path| Home {
            path: (*path).to_owned(),
            uid: 0,
            gid: 0,
        });
        let homes: Vec<Home> = homes.collect();
        let keep: Vec<KeepPath> = keep.iter().map(|p| KeepPath::parse(p).unwrap()).collect();
        let own = |texts: &[&str]| texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
        let new = NewIdentity {
            carry: own(carry),
            ssh_includes: own(&["/etc/ssh/sshd_config.d/*.conf"]),
            ..NewIdentity::default()
        };
        gather(self.0.path(), &keep, &new, &homes, &Running::default())
    }

    /// The tree of an OS whose server runs like this.
    fn gather_of(&self, running: &Running) -> OldIdentity {
        gather(self.0.path(), &[], &NewIdentity::default(), &[], running)
    }
}

#[test]
fn names_are_read_from_whatever_has_them() {
    let id = "0123456789abcdef0123456789abcdef";
    let old = Old::with(&[
        ("/etc/hostname", "# shop\r\n\r\nshop.example\r\nevil\r\n"),
        ("/var/lib/dbus/machine-id", &format!("{id}\n")),
        ("/etc/machine-id", ""),
        ("/etc/hosts", "192.0.2.1 shop\r\n"),
        ("/etc/default/locale", "# x\nLANG=\"es_ES.UTF-8\"\n"),
        ("/etc/locale.conf", "LANG=C\n"),
    ]);
    let found = old.gather(&[], &[], &[]);
    assert_eq!(found.hostname, "shop.example");
    assert_eq!(found.machine_id.as_deref(), Some(id));
    assert_eq!(found.hosts, "192.0.2.1 shop\n");
    assert_eq!(found.locale, ["LANG=\"es_ES.UTF-8\""]);
    let old = Old::with(&[("/proc/sys/kernel/hostname", "shop\nevil\n")]);
    assert_eq!(old.gather(&[], &[], &[]).hostname, "shop\nevil");
}

#[test]
fn the_zone_is_what_the_c_library_goes_by() {
    type Make = fn(&Old);
    let cases: &[(&str, Make, Option<&str>)] = &[
        (
            "a link",
            |o| o.link("/etc/localtime", "/usr/share/zoneinfo/Asia/Tokyo"),
            Some("Asia/Tokyo"),
        ),
        (
            "a relative link",
            |o| o.link("/etc/localtime", "../usr/share/zoneinfo/posix/Asia/Tokyo"),
            Some("Asia/Tokyo"),
        ),
        (
            "a copy that the name agrees with",
            |o| o.write("/etc/localtime", b"TZif madrid"),
            Some("Europe/Madrid"),
        ),
        (
            "a copy, the name is stale",
            |o| o.write("/etc/localtime", b"TZif tokyo!"),
            Some("Asia/Tokyo"),
        ),
        (
            "a copy of nothing",
            |o| o.write("/etc/localtime", b"TZif strange"),
            None,
        ),
        (
            "a link out of the database",
            |o| o.link("/etc/localtime", "../../../srv/zone"),
            Some("Asia/Tokyo"),
        ),
        (
            "a link that climbs",
            |o| o.link("/etc/localtime", "/usr/share/zoneinfo/../../../etc/passwd"),
            None,
        ),
        ("only the name", |_| {}, Some("Europe/Madrid")),
    ];
    for (name, make, expected) in cases {
        let old = Old::with(&[
            ("/etc/timezone", "Europe/Madrid\n"),
            ("/usr/share/zoneinfo/Asia/Tokyo", "TZif tokyo!"),
            ("/usr/share/zoneinfo/posix/Asia/Tokyo", "TZif tokyo!"),
            ("/usr/share/zoneinfo/Europe/Madrid", "TZif madrid"),
            ("/usr/share/zoneinfo/Japan", "TZif tokyo!"),
            ("/srv/zone", "TZif tokyo!"),
            ("/etc/passwd", "root"),
        ]);
        make(&old);
        let found = old.gather(&[], &[], &[]);
        assert_eq!(found.timezone.as_deref(), *expected, "{name}");
    }
}

#[test]
fn host_keys_are_named_by_their_type_and_fingerprint() {
    let old = Old::with(&[(
        "/etc/ssh/sshd_config",
        "HostKey /etc/keys/mine\nhostkey=\"/etc/ssh/ssh_host_rsa_key\"\nHostKey relative\n",
    )]);
    let made = |path: &str, kind: &str| {
        let at = old.path(path);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        let run = Command::new("ssh-keygen")
            .args(["-q", "-N", "", "-t", kind, "-f"])
            .arg(&at)
            .status();
        assert!(run.unwrap().success(), "ssh-keygen");
        let public = at.with_extension("pub");
        let said = Command::new("ssh-keygen").arg("-lf").arg(public).output();
        let text = String::from_utf8(said.unwrap().stdout).unwrap();
        text.split_whitespace().nth(1).unwrap().to_owned()
    };
    let ed = made("/etc/ssh/ssh_host_ed25519_key", "ed25519");
    let rsa = made("/etc/ssh/ssh_host_rsa_key", "rsa");
    let ecdsa = made("/etc/keys/mine", "ecdsa");
    fs::remove_file(old.path("/etc/keys/mine.pub")).unwrap();
    // The public half of another key.
    made("/etc/other", "ed25519");
    fs::copy(
        old.path("/etc/other.pub"),
        old.path("/etc/ssh/ssh_host_rsa_key.pub"),
    )
    .unwrap();
    old.write(
        "/etc/ssh/ssh_host_dsa_key",
        b"-----BEGIN DSA PRIVATE KEY-----\nx\n",
    );
    old.write("/etc/ssh/ssh_host_odd_key", b"\xff\xfe");
    let found = old.gather(&[], &[], &[]);
    let keys: Vec<_> = found
        .host_keys
        .iter()
        .map(|k| (k.path.as_str(), k.kind.as_str(), k.fingerprint.as_str()))
        .collect();
    assert_eq!(
        keys,
        [
            ("/etc/ssh/ssh_host_dsa_key", "ssh-dss", ""),
            ("/etc/ssh/ssh_host_ed25519_key", "ssh-ed25519", ed.as_str()),
            ("/etc/ssh/ssh_host_rsa_key", "ssh-rsa", rsa.as_str()),
            ("/etc/keys/mine", "ecdsa-sha2-nistp256", ecdsa.as_str()),
        ]
    );
    assert_eq!(found.copied, ["/etc/ssh/ssh_host_ed25519_key.pub"]);
    assert_eq!(found.notes.len(), 2, "{:?}", found.notes);
    // Where the server is told of them does not matter: in what is included from anywhere, by its arguments.
    let key = fs::read(old.path("/etc/keys/mine")).unwrap();
    old.write("/data/keys/a", &key);
    old.write("/data/keys/b", &key);
    old.write("/etc/ssh/sshd_config", b"Include more/*\n");
    old.write("/etc/ssh/more/keys", b"HostKey = \"/data/keys/a\"\n");
    let started = in_force_of("/usr/sbin/sshd -h /data/keys/b");
    let found = old.gather_of(&started);
    let elsewhere = found
        .host_keys
        .iter()
        .filter(|k| k.path.starts_with("/data/"));
    let elsewhere: Vec<&str> = elsewhere.map(|key| key.path.as_str()).collect();
    assert_eq!(elsewhere, ["/data/keys/b", "/data/keys/a"]);
    assert_eq!(found.in_homes, [], "all are on the root");
}

fn in_force_of(title: &str) -> Running {
    let mut running = Running::default();
    running.started = identity::access::in_force::started(title).unwrap();
    running
}

#[test]
fn what_is_on_another_filesystem_is_told_apart() {
    let tree = Tree::new(Path::new("/"));
    assert!(tree.is_mounted("/proc/version") && !tree.is_mounted("/usr/bin/env"));
    assert!(!tree.is_mounted("/nonexistent"));
}

/// What the configuration says of places is none of what would be lost, and none of what counts.
#[test]
fn where_systemd_listens_for_the_server_is_where_it_is_reached() {
    let old = Old::with(&[(
        "/etc/ssh/sshd_config",
        "Port 22\nListenAddress 192.0.2.7\nPermitRootLogin no\n",
    )]);
    let shown = "Id=ssh.socket\nActiveState=active\nListen=[::]:2222 (Stream)\n";
    let mut running = Running::default();
    running.socket = identity::access::socket::settings(shown);
    let found = old.gather_of(&running);
    assert_eq!(server::ports(&found.doors), [2222]);
    assert_eq!(
        found.ssh_restrictions,
        ["/etc/ssh/sshd_config: PermitRootLogin no"]
    );
    let by_itself = old.gather_of(&Running::default());
    assert_eq!(server::ports(&by_itself.doors), [22]);
    assert_eq!(by_itself.ssh_restrictions.len(), 2);
}

#[test]
fn what_lets_people_in_comes_along_unless_it_is_kept() {
    let old = Old::with(&[
        ("/root/.ssh/authorized_keys", "ssh-ed25519 A"),
        ("/root/.ssh/id_rsa", "secret"),
        ("/home/ann/.ssh/authorized_keys2", "ssh-ed25519 B"),
        ("/var/www/.ssh/authorized_keys", "ssh-ed25519 C"),
    ]);
    let homes = ["/home/ann", "/var/www/", "/nonexistent", "../x", "/"];
    let found = old.gather(&["/home"], &[], &homes);
    assert_eq!(
        found.copied,
        [
            "/root/.ssh/authorized_keys",
            "/var/www/.ssh/authorized_keys"
        ]
    );
    assert_eq!(found.kept, ["/home"]);
}

#[test]
fn the_carry_list_is_looked_at_path_by_path() {
    let old = Old::with(&[
        ("/etc/shop/conf", "x"),
        ("/srv/a", "x"),
        ("/etc/sudoers.d/ops", "x"),
    ]);
    let carry = [
        "/etc/shop/",
        "/srv/a",
        "/etc/gone",
        "etc/x",
        "/etc/../x",
        "/etc/sudoers.d/ops",
    ];
    let found = old.gather(&["/srv"], &carry, &[]);
    assert_eq!(found.copied, ["/etc/shop", "/etc/sudoers.d/ops"]);
    assert_eq!(found.notes.len(), 4, "{:?}", found.notes);
    assert_eq!(found.left, []);
}

#[test]
fn an_instance_of_cloud_init_is_known_by_its_state() {
    let id = ("/var/lib/cloud/data/instance-id", "i-1\n");
    let old = Old::with(&[
        id,
        ("/etc/cloud/cloud.cfg", ""),
        ("/var/lib/cloud/instances/i-1/sem/x", ""),
        ("/var/lib/cloud/instances/i-1/obj.pkl", ""),
    ]);
    old.link("/var/lib/cloud/instance", "/var/lib/cloud/instances/i-1");
    let found = old.gather(&[], &[], &[]);
    assert_eq!(found.cloud_instance.as_deref(), Some("i-1"));
    assert_eq!(
        found.copied,
        [
            "/var/lib/cloud/data/instance-id",
            "/var/lib/cloud/instance",
            "/var/lib/cloud/instances/i-1/sem"
        ]
    );
    for files in [
        &[id][..],
        &[
            id,
            ("/etc/cloud/cloud.cfg", ""),
            ("/etc/cloud/cloud-init.disabled", ""),
        ],
    ] {
        assert_eq!(Old::with(files).gather(&[], &[], &[]).cloud_instance, None);
    }
}

#[test]
fn what_stays_behind_is_listed_by_kind() {
    let old = Old::with(&[
        ("/var/spool/cron/crontabs/ann", "x"),
        ("/etc/cron.d/.placeholder", ""),
        ("/etc/cron.d/shop", "x"),
        ("/etc/cron.d/e2scrub", "x"),
        ("/var/lib/dpkg/info/e2fsprogs.list", "/.\n/etc/cron.d/e2scrub\n"),
        ("/etc/crontab", "SHELL=/bin/sh\n# x\n17 * * * * root run-parts /etc/cron.hourly\n"),
        ("/etc/sudoers", "Defaults env_reset\nroot\tALL=(ALL) ALL\nann ALL=(ALL) ALL\n#includedir /etc/sudoers.d\n"),
        ("/etc/sysctl.conf", "# x\r\n\r\n"),
        ("/etc/ssh/sshd_config", "#Port 22\nPermitRootLogin no\n"),
        ("/etc/ufw/ufw.conf", "ENABLED=yes\n"),
        ("/etc/rc.local", "#!/bin/sh\nexit 0\n"),
        ("/etc/rc2.d/S20nginx", ""),
        ("/etc/rc2.d/K01x", ""),
        ("/etc/systemd/system/multi-user.target.wants/shop.service", ""),
        ("/opt/shop/bin/a", ""),
        ("/opt/shop/bin/b", ""),
        ("/etc/letsencrypt/live/shop.example/x", ""),
        ("/etc/fstab", "/swap/file none swap sw 0 0\n/dev/sda2 none swap sw 0 0\n"),
        ("/swap/file", "x"),
    ]);
    let found = old.gather(&["/etc/letsencrypt"], &[], &[]);
    let found: Vec<_> = found
        .left
        .iter()
        .map(|(k, i)| (k.as_str(), i.iter().map(String::as_str).collect::<Vec<_>>()))
        .collect();
    assert_eq!(
        found,
        [
            ("crontabs of users", vec!["/var/spool/cron/crontabs/ann"]),
            ("cron jobs", vec!["/etc/cron.d/shop"]),
            ("sudo rules", vec!["/etc/sudoers (1 line)"]),
            ("options of the ssh server", vec!["PermitRootLogin no"]),
            ("firewall rules", vec!["/etc/ufw/ufw.conf (ENABLED=yes)"]),
            ("enabled services", vec!["shop.service", "nginx"]),
            ("software outside of packages", vec!["/opt (2 files)"]),
            ("swap files", vec!["/swap/file (0 MiB)"]),
        ]
    );
}

#[test]
fn an_empty_tree_has_nothing_to_say() {
    let found = Old::with(&[]).gather(&[], &[], &[]);
    assert_eq!(found, OldIdentity::default());
    assert_eq!(
        gather(
            Path::new("/nonexistent"),
            &[],
            &NewIdentity::default(),
            &[],
            &Running::default()
        ),
        OldIdentity::default()
    );
}

#[test]
fn what_the_ssh_server_forbids_counts_unless_it_stays() {
    let old = Old::with(&[
        (
            "/etc/ssh/sshd_config",
            "Include /etc/ssh/sshd_config.d/*.conf\nPermitRootLogin no\n",
        ),
        (
            "/etc/ssh/sshd_config.d/sftp.conf",
            "Match Group sftp\n\tForceCommand internal-sftp\n",
        ),
    ]);
    let all = [
        "/etc/ssh/sshd_config.d/sftp.conf: Match Group sftp: ForceCommand internal-sftp",
        "/etc/ssh/sshd_config: PermitRootLogin no",
    ];
    assert_eq!(old.gather(&[], &[], &[]).ssh_restrictions, all);
    let carried = old.gather(&[], &["/etc/ssh/sshd_config.d"], &[]);
    assert_eq!(carried.ssh_restrictions, all[1..]);
    assert_eq!(
        old.gather(&["/etc/ssh"], &[], &[]).ssh_restrictions,
        [""; 0]
    );
    // A server before OpenSSH 8.2 has the file and does not read it.
    let without = NewIdentity {
        carry: vec!["/etc/ssh/sshd_config.d".to_owned()],
        ..NewIdentity::default()
    };
    let found = gather(old.0.path(), &[], &without, &[], &Running::default());
    assert_eq!(found.ssh_restrictions, all);
}

/// The old server's own main file comes along: what it says holds, and what stood beside it only where that does too.
#[test]
fn what_a_carried_configuration_does_not_say_is_named() {
    let folder = "/etc/ssh/sshd_config.d";
    let old = Old::with(&[
        (
            "/etc/ssh/sshd_config",
            "Include /etc/ssh/sshd_config.d/*.conf\nAllowUsers ann\nPermitRootLogin no\n",
        ),
        (
            "/etc/ssh/sshd_config.d/50-cloud-init.conf",
            "PasswordAuthentication no\n",
        ),
    ]);
    let before = std::cell::Cell::new(0);
    let gather = |carry: &[&str], image: &[(&str, &str, &str)]| {
        let image = image.iter().map(|(path, keyword, value)| Setting {
            path: (*path).to_owned(),
            condition: None,
            keyword: (*keyword).to_owned(),
            values: vec![(*value).to_owned()],
        });
        let new = NewIdentity {
            carry: carry.iter().map(|path| (*path).to_owned()).collect(),
            ssh_includes: vec![format!("{folder}/*.conf")],
            ssh_before: before.get(),
            doors: Some(Doors {
                server: true,
                settings: image.collect(),
                ..Doors::default()
            }),
            ..NewIdentity::default()
        };
        let mut running = Running::default();
        // As a distribution's own default shows.
        running.said = identity::access::in_force::parse("passwordauthentication no\nport 22\n");
        let root = old.path("/usr/sbin/sshd");
        fs::create_dir_all(root.parent().unwrap()).unwrap();
        fs::write(root, "").unwrap();
        gather(old.0.path(), &[], &new, &[], &running)
    };
    let main = "/etc/ssh/sshd_config";
    let cloud = format!("{folder}/50-cloud-init.conf");
    let lost = [format!("{cloud}: PasswordAuthentication no")];
    assert_eq!(gather(&[main], &[]).ssh_restrictions, lost);
    assert_eq!(gather(&[main, &cloud], &[]).ssh_restrictions, [""; 0]);
    assert_eq!(gather(&["/etc/ssh"], &[]).ssh_restrictions, [""; 0]);
    // Nothing is written for it, so that what is carried holds; the image's files come in between.
    let found = gather(&[], &[]);
    assert_eq!(
        (found.ssh_restrictions, found.carried_settings),
        (Vec::new(), Vec::new())
    );
    let image = [(
        "/etc/ssh/sshd_config.d/10-image.conf",
        "PermitRootLogin",
        "yes",
    )];
    assert_eq!(
        gather(&[main, &cloud], &image).ssh_restrictions,
        [format!("{main}: PermitRootLogin no")]
    );
    // So they do before what is written, where the image's server reads them before.
    assert_eq!(gather(&[], &image).ssh_restrictions, [""; 0]);
    before.set(1);
    assert_eq!(
        gather(&[], &image).ssh_restrictions,
        [format!("{main}: PermitRootLogin no")]
    );
}

#[test]
fn authorities_and_what_their_certificates_may_be_for_come_along() {
    let old = Old::with(&[
        (
            "/etc/ssh/sshd_config",
            "TrustedUserCAKeys /etc/ssh/ca.pub\nRevokedKeys /etc/ssh/revoked\nRevokedKeys /dev/null\n\
             AuthorizedPrincipalsFile /etc/ssh/principals/%u\nHostCertificate /etc/pki/host-cert.pub\n\
             Match User ann\nAuthorizedPrincipalsFile %h/.ssh/authorized_principals\n",
        ),
        ("/etc/ssh/ca.pub", "ssh-ed25519 A"),
        ("/etc/ssh/principals/root", "admin"),
        ("/etc/pki/host-cert.pub", "x"),
        ("/root/.ssh/authorized_principals", "admin"),
    ]);
    assert_eq!(
        old.gather(&[], &[], &[]).copied,
        [
            "/etc/ssh/principals",
            "/etc/ssh/ca.pub",
            "/etc/pki/host-cert.pub",
            "/root/.ssh/authorized_principals"
        ]
    );
    assert_eq!(
        old.gather(&["/etc/ssh"], &[], &[]).copied[0],
        "/etc/pki/host-cert.pub"
    );
}
