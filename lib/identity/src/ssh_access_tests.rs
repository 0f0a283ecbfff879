use formats::access::Doors;

use super::*;
use crate::access::written::{written_of, Reader};
use crate::files::tests::Tree;

/// A keyword that nobody here has heard of may take anything away.
#[test]
fn what_is_not_known_to_take_nothing_away_is_named() {
    let setting = |keyword: &str, value: &str| Setting {
        path: "c".to_owned(),
        condition: None,
        keyword: keyword.to_owned(),
        values: vec![value.to_owned()],
    };
    let lost_of = |keyword, value| lost(&[setting(keyword, value)], &|_| false);
    assert_eq!(
        lost_of("RevokedKeys", "/etc/ssh/revoked"),
        ["c: RevokedKeys /etc/ssh/revoked"]
    );
    assert_eq!(
        lost_of("RefuseOnMondays", "yes"),
        ["c: RefuseOnMondays yes"]
    );
    // What every server does says nothing, and what it would take away from some says so.
    for (keyword, value, expected) in [
        ("PubkeyAcceptedAlgorithms", "+ssh-rsa", false),
        ("PubkeyAcceptedKeyTypes", "sk-*", true),
        ("PubkeyAuthOptions", "none", false),
        ("PubkeyAuthOptions", "verify-required", true),
        ("RequiredRSASize", "1024", false),
        ("RSAMinSize", "2048", true),
        ("AuthorizedPrincipalsFile", "/srv/%u", false),
        ("AuthorizedPrincipalsCommand", "/usr/bin/names", false),
    ] {
        let told: Vec<String> = expected
            .then(|| format!("c: {keyword} {value}"))
            .into_iter()
            .collect();
        assert_eq!(lost_of(keyword, value), told);
    }
    // Names that certificates may have count where certificates are taken.
    let certified = [
        setting("TrustedUserCAKeys", "/etc/ca.pub"),
        setting("AuthorizedPrincipalsFile", "/srv/%u"),
        setting("AuthorizedPrincipalsCommand", "none"),
    ];
    let authority = |setting: &Setting| setting.keyword == "TrustedUserCAKeys";
    assert_eq!(
        lost(&certified, &authority),
        ["c: AuthorizedPrincipalsFile /srv/%u"]
    );
    assert_eq!(lost(&certified, &|_| true), [""; 0]);
    for harmless in ["UsePAM", "ciphers", "X11DisplayOffset", "Subsystem"] {
        assert_eq!(lost_of(harmless, "x"), [""; 0], "{harmless}");
    }
}

/// What distributions' own configurations say, without comments: none of them takes anything away.
#[test]
fn nothing_is_told_of_a_distributions_own_configuration() {
    let debian_8_and_9 = "Port 22\nProtocol 2\nHostKey /etc/ssh/ssh_host_rsa_key\nUsePrivilegeSeparation yes\n\
        KeyRegenerationInterval 3600\nServerKeyBits 1024\nSyslogFacility AUTH\nLogLevel INFO\nLoginGraceTime 120\n\
        PermitRootLogin without-password\nStrictModes yes\nRSAAuthentication yes\nPubkeyAuthentication yes\n\
        IgnoreRhosts yes\nRhostsRSAAuthentication no\nHostbasedAuthentication no\nPermitEmptyPasswords no\n\
        ChallengeResponseAuthentication no\nX11Forwarding yes\nX11DisplayOffset 10\nPrintMotd no\nPrintLastLog yes\n\
        TCPKeepAlive yes\nAcceptEnv LANG LC_*\nSubsystem sftp /usr/lib/openssh/sftp-server\nUsePAM yes\n";
    let debian_11 = "Include /etc/ssh/sshd_config.d/*.conf\nChallengeResponseAuthentication no\nUsePAM yes\n\
        X11Forwarding yes\nPrintMotd no\nAcceptEnv LANG LC_*\nSubsystem\tsftp\t/usr/lib/openssh/sftp-server\n";
    let debian_13 =
        "Include /etc/ssh/sshd_config.d/*.conf\nKbdInteractiveAuthentication no\nUsePAM yes\n\
        X11Forwarding yes\nPrintMotd no\nAcceptEnv LANG LC_* COLORTERM NO_COLOR\n\
        Subsystem\tsftp\t/usr/lib/openssh/sftp-server\n";
    let rhel_7 = "HostKey /etc/ssh/ssh_host_rsa_key\nSyslogFacility AUTHPRIV\nAuthorizedKeysFile\t.ssh/authorized_keys\n\
        PasswordAuthentication yes\nChallengeResponseAuthentication no\nGSSAPIAuthentication yes\n\
        GSSAPICleanupCredentials no\nUsePAM yes\nX11Forwarding yes\nAcceptEnv LANG LC_CTYPE\nAcceptEnv XMODIFIERS\n\
        Subsystem\tsftp\t/usr/libexec/openssh/sftp-server\n";
    let redhat = "Include /etc/crypto-policies/back-ends/opensshserver.config\nSyslogFacility AUTHPRIV\n\
        ChallengeResponseAuthentication no\nGSSAPIAuthentication yes\nGSSAPICleanupCredentials no\nUsePAM yes\n\
        X11Forwarding yes\nPrintMotd no\n";
    let policy = "Ciphers aes256-gcm@openssh.com,aes256-ctr\nMACs hmac-sha2-256-etm@openssh.com\n\
        GSSAPIKexAlgorithms gss-curve25519-sha256-,gss-nistp256-sha256-\nKexAlgorithms curve25519-sha256\n\
        HostKeyAlgorithms ecdsa-sha2-nistp256\nPubkeyAcceptedAlgorithms ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,\
        ecdsa-sha2-nistp521,ssh-ed25519,rsa-sha2-256,rsa-sha2-512\nHostbasedAcceptedAlgorithms ssh-ed25519\n\
        CASignatureAlgorithms ssh-ed25519\nRequiredRSASize 2048\n"
        .replace(",            ", ",");
    let cloud = (
        "/etc/ssh/sshd_config.d/50-cloud-init.conf",
        "PasswordAuthentication no\n",
    );
    let at = "/etc/ssh/sshd_config.d/50-redhat.conf";
    let policy = (
        "/etc/crypto-policies/back-ends/opensshserver.config",
        policy.as_str(),
    );
    let rhel_9 =
        "Include /etc/ssh/sshd_config.d/*.conf\nAuthorizedKeysFile\t.ssh/authorized_keys\n\
        Subsystem\tsftp\t/usr/libexec/openssh/sftp-server\n";
    for files in [
        &[(MAIN, debian_8_and_9)][..],
        &[(MAIN, debian_11)],
        &[(MAIN, debian_13)],
        &[(MAIN, debian_13), cloud],
        &[(MAIN, rhel_7)],
        &[(MAIN, rhel_9), cloud, (at, redhat), policy],
    ] {
        let doors = Doors {
            settings: settings(&Tree(files)),
            ..Doors::default()
        };
        let new = Reader {
            release: Some((9, 2)),
            has: &|_| false,
        };
        let is_written = written_of(&doors, new);
        assert_eq!(lost(&doors.settings, &is_written), [""; 0], "{files:?}");
    }
}

fn main_file(text: &str) -> Vec<String> {
    lost(&settings(&Tree(&[(MAIN, text)])), &|_| false)
}

#[test]
fn what_takes_away_is_found_and_what_every_server_has_is_not() {
    for (text, found) in [
        ("", None),
        // What Debian's packages wrote since 2011.
        (
            "Port 22\nPermitRootLogin without-password\nStrictModes yes\nPermitEmptyPasswords no\n\
             ChallengeResponseAuthentication no\nX11Forwarding yes\nUsePAM yes\nUseDNS no\n\
             Subsystem sftp /usr/lib/openssh/sftp-server\n#PasswordAuthentication no\n",
            None,
        ),
        ("PermitRootLogin no", Some("PermitRootLogin no")),
        (
            "permitrootlogin = forced-commands-only",
            Some("PermitRootLogin forced-commands-only"),
        ),
        (
            "\tpasswordauthentication=\"no\"",
            Some("PasswordAuthentication no"),
        ),
        (
            "PasswordAuthentication yes\nPasswordAuthentication no",
            None,
        ),
        (
            "AllowUsers ann  bob@192.0.2.*",
            Some("AllowUsers ann bob@192.0.2.*"),
        ),
        (
            "DenyGroups \"domain users\"",
            Some("DenyGroups domain users"),
        ),
        ("ListenAddress 0.0.0.0\nListenAddress ::", None),
        (
            "ListenAddress 0.0.0.0:2222\nListenAddress [::]:2222\nListenAddress [::]",
            None,
        ),
        ("ListenAddress 192.0.2.1", Some("ListenAddress 192.0.2.1")),
        (
            "AuthorizedKeysFile %h/.ssh/authorized_keys .ssh/authorized_keys2",
            None,
        ),
        (
            "AuthorizedKeysFile /etc/ssh/keys/%u",
            Some("AuthorizedKeysFile /etc/ssh/keys/%u"),
        ),
        ("AllowTcpForwarding local", Some("AllowTcpForwarding local")),
        (
            "Match Group sftponly\n  ForceCommand internal-sftp\n",
            Some("Match Group sftponly: ForceCommand internal-sftp"),
        ),
        (
            "Match User x\nPasswordAuthentication yes\nMatch all\nX11Forwarding no",
            None,
        ),
    ] {
        let found: Vec<_> = found.iter().map(|f| format!("{MAIN}: {f}")).collect();
        assert_eq!(main_file(text), found, "{text}");
    }
}

#[test]
fn quotes_stay_where_they_say_something() {
    let read = |text: &str| {
        let setting = settings(&Tree(&[(MAIN, text)])).pop().unwrap();
        let condition = setting.condition.unwrap_or_default();
        (condition, setting.values.join(" "))
    };
    for (text, condition, value) in [
        (
            "ForceCommand /usr/local/bin/gate  \"$SSH_ORIGINAL_COMMAND\" 'a  b' # c\t\n",
            "",
            "/usr/local/bin/gate  \"$SSH_ORIGINAL_COMMAND\" 'a  b' # c",
        ),
        ("forcecommand = \"/bin/a b\"", "", "\"/bin/a b\""),
        ("ChrootDirectory \"/srv/a b\"", "", "/srv/a b"),
        (
            "Match Group \"domain users\"\nPermitTTY no",
            "Group \"domain users\"",
            "no",
        ),
        (
            "Match Group=\"domain users\" User ann\nPermitTTY no",
            "Group \"domain users\" User ann",
            "no",
        ),
        (
            "Match Group wheel,\"domain users\"\nPermitTTY no",
            "Group \"wheel,domain users\"",
            "no",
        ),
        ("Match \"User\" \"ann\"\nPermitTTY no", "User ann", "no"),
    ] {
        assert_eq!(
            read(text),
            (condition.to_owned(), value.to_owned()),
            "{text}"
        );
    }
}

#[test]
fn files_are_included_as_the_server_does() {
    let files = [
        (
            MAIN,
            "Include /etc/ssh/sshd_config.d/*.conf more\nMatch User ann\nInclude ann\nPermitTTY no",
        ),
        (
            "/etc/ssh/sshd_config.d/10.conf",
            "Match Group sftp\nChrootDirectory %h\n",
        ),
        (
            "/etc/ssh/sshd_config.d/20.conf",
            "PasswordAuthentication no",
        ),
        ("/etc/ssh/sshd_config.d/.hidden.conf", "DenyUsers x"),
        ("/etc/ssh/sshd_config.d/30.off", "DenyUsers y"),
        ("/etc/ssh/more", "PasswordAuthentication yes\nInclude more"),
        ("/etc/ssh/ann", "AllowAgentForwarding no"),
    ];
    let all = [
        "/etc/ssh/sshd_config.d/10.conf: Match Group sftp: ChrootDirectory %h",
        "/etc/ssh/sshd_config.d/20.conf: PasswordAuthentication no",
        "/etc/ssh/ann: Match User ann: AllowAgentForwarding no",
        "/etc/ssh/sshd_config: Match User ann: PermitTTY no",
    ];
    let found = settings(&Tree(&files));
    assert_eq!(lost(&found, &|_| false), all);
    let stays = ["/etc/ssh/sshd_config.d/10.conf", "/etc/ssh/ann"];
    let stays = |setting: &Setting| stays.contains(&setting.path.as_str());
    assert_eq!(lost(&found, &stays), [all[1], all[3]]);
}

#[test]
fn what_is_read_before_a_file_is_counted() {
    let (folder, path) = (
        "/etc/ssh/sshd_config.d",
        "/etc/ssh/sshd_config.d/00-reroot.conf",
    );
    let [cis, cloud] = ["00-cis.conf", "50-cloud-init.conf"].map(|name| format!("{folder}/{name}"));
    let of = |main: &str| {
        let files = [
            (MAIN, main),
            (&cis, "PermitRootLogin no\nMaxSessions 3\n"),
            (&cloud, "PasswordAuthentication no\n"),
        ];
        read_before(&Tree(&files), path)
    };
    for (main, expected) in [
        ("Include /etc/ssh/sshd_config.d/*.conf\nUsePAM yes\n", 2),
        ("UsePAM yes\nInclude sshd_config.d/*.conf\nPort 22\n", 3),
        (
            "UsePAM yes\nInclude sshd_config.d/50*.conf\nPort 22\nInclude sshd_config.d/0*.conf\n",
            5,
        ),
        // Nothing is written where it would not be read for everybody.
        ("UsePAM yes\n", 1),
    ] {
        assert_eq!(of(main), expected, "{main}");
    }
    let none = Tree(&[(MAIN, "Include /etc/ssh/sshd_config.d/*.conf\nUsePAM yes\n")]);
    assert_eq!(read_before(&none, path), 0);
}

#[test]
fn a_file_is_read_where_the_main_file_includes_it_for_everybody() {
    let path = "/etc/ssh/sshd_config.d/sftp.conf";
    for (main, expected) in [
        ("Include /etc/ssh/sshd_config.d/*.conf\nUsePAM yes\n", true),
        ("include sshd_config.d/s*", true),
        ("Include /etc/ssh/sshd_config.d/*.cfg /etc/ssh/*", false),
        // OpenSSH before 8.2, as Ubuntu 16.04 has it.
        (
            "Port 22\nUsePAM yes\nSubsystem sftp /usr/lib/openssh/sftp-server\n",
            false,
        ),
        (
            "Match User ann\nInclude /etc/ssh/sshd_config.d/*.conf\n",
            false,
        ),
    ] {
        assert_eq!(is_included(path, &includes(main)), expected, "{main}");
    }
    let hidden = "/etc/ssh/sshd_config.d/.x.conf";
    assert!(!is_included(
        hidden,
        &["/etc/ssh/sshd_config.d/*.conf".to_owned()]
    ));
}
