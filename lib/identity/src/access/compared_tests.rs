use super::*;
use crate::access::server::tests::settings;
use crate::access::{in_force, locked};
use formats::access::Login;

fn promised(user: &str, text: &str, key: bool, password: bool) -> Promised {
    Promised {
        user: user.to_owned(),
        is_root: user == "root",
        key,
        password,
        settings: settings(text),
    }
}

/// Whether it is weaker, and whether it shuts out, by a keyword.
fn found(promised: &Promised, said: &str) -> (Vec<String>, Vec<String>) {
    let found = differences(promised, Some((10, 0)), &in_force::parse(said));
    let keywords = |lines: &[String]| -> Vec<String> {
        let first = |line: &String| line.split(" is ").next().unwrap_or_default().to_owned();
        lines.iter().map(first).collect()
    };
    (keywords(&found.weaker), keywords(&found.shut_out))
}

/// As a server of OpenSSH 10.0 says it of these settings, with other words for some.
const SAID: &str = "port 22\nusepam yes\npermitrootlogin without-password\npasswordauthentication no\n\
        kbdinteractiveauthentication no\npubkeyauthentication yes\npermitemptypasswords no\nforcecommand none\n\
        chrootdirectory none\nauthenticationmethods any\ntrustedusercakeys none\n\
        authorizedkeysfile .ssh/authorized_keys .ssh/authorized_keys2\nallowusers root\nallowusers ann@10.*\n\
        denyusers mallory\n";

const PROMISED: &str = "UsePAM yes\nPermitRootLogin prohibit-password\nPasswordAuthentication no\n\
        KbdInteractiveAuthentication no\nPubkeyAuthentication yes\nAllowUsers root ann@10.*\nDenyUsers mallory\n";

#[test]
fn a_server_that_says_what_was_promised_in_its_own_words_does_not_differ() {
    for user in ["root", "ann", "mallory"] {
        let promised = promised(user, PROMISED, user != "mallory", false);
        assert_eq!(found(&promised, SAID), (vec![], vec![]), "{user}");
    }
    // Nor does one that says nothing.
    assert_eq!(
        found(&promised("root", PROMISED, true, false), ""),
        (vec![], vec![])
    );
}

#[test]
fn what_lets_in_more_and_what_shuts_out_is_told_by_its_keyword() {
    let none: &[&str] = &[];
    for (user, line, instead, weaker, shut_out) in [
        (
            "root",
            "permitrootlogin without-password",
            "permitrootlogin yes",
            &["PermitRootLogin"][..],
            none,
        ),
        (
            "root",
            "permitrootlogin without-password",
            "permitrootlogin whatever",
            &["PermitRootLogin"],
            &["PermitRootLogin"],
        ),
        (
            "root",
            "permitrootlogin without-password",
            "permitrootlogin no",
            none,
            &["PermitRootLogin"],
        ),
        // That is about root alone.
        (
            "ann",
            "permitrootlogin without-password",
            "permitrootlogin yes",
            none,
            none,
        ),
        (
            "ann",
            "passwordauthentication no",
            "passwordauthentication yes",
            &["PasswordAuthentication"],
            none,
        ),
        (
            "ann",
            "kbdinteractiveauthentication no",
            "kbdinteractiveauthentication yes",
            &["KbdInteractiveAuthentication"],
            none,
        ),
        (
            "ann",
            "permitemptypasswords no",
            "permitemptypasswords yes",
            &["PermitEmptyPasswords"],
            none,
        ),
        (
            "ann",
            "pubkeyauthentication yes",
            "pubkeyauthentication no",
            none,
            &["PubkeyAuthentication"],
        ),
        // Whoever was promised nothing is not shut out.
        (
            "bob",
            "pubkeyauthentication yes",
            "pubkeyauthentication no",
            none,
            none,
        ),
        (
            "ann",
            "forcecommand none",
            "forcecommand internal-sftp",
            none,
            &["ForceCommand"],
        ),
        (
            "ann",
            "chrootdirectory none",
            "chrootdirectory /srv",
            none,
            &["ChrootDirectory"],
        ),
        (
            "ann",
            "authenticationmethods any",
            "authenticationmethods publickey,password",
            none,
            &["AuthenticationMethods"],
        ),
        (
            "ann",
            "trustedusercakeys none",
            "trustedusercakeys /etc/ca",
            &["TrustedUserCAKeys"],
            none,
        ),
        (
            "ann",
            " .ssh/authorized_keys2",
            " /etc/keys/%u",
            &["AuthorizedKeysFile"],
            &["AuthorizedKeysFile"],
        ),
        (
            "ann",
            " .ssh/authorized_keys2",
            "",
            none,
            &["AuthorizedKeysFile"],
        ),
        ("bob", " .ssh/authorized_keys2", "", none, none),
        (
            "ann",
            "allowusers root\n",
            "allowusers root\nallowusers eve\n",
            &["AllowUsers"],
            none,
        ),
        ("root", "allowusers root\n", "", none, &["AllowUsers"]),
        // Somebody else is.
        ("ann", "allowusers root\n", "", none, none),
        (
            "ann",
            "denyusers mallory",
            "denyusers mallory\nallowgroups staff",
            none,
            &["AllowGroups"],
        ),
        (
            "ann",
            "denyusers mallory",
            "denyusers mallory\ndenyusers a*",
            none,
            &["DenyUsers"],
        ),
        (
            "ann",
            "denyusers mallory",
            "denyusers mallory\ndenyusers eve",
            none,
            none,
        ),
        ("ann", "denyusers mallory\n", "", &["DenyUsers"], none),
    ] {
        assert!(SAID.contains(line), "{line}");
        let said = SAID.replace(line, instead);
        let promised = promised(user, PROMISED, user != "bob", false);
        let expected = (weaker.iter(), shut_out.iter());
        let expected = (
            expected.0.map(ToString::to_string).collect::<Vec<_>>(),
            expected.1.map(ToString::to_string).collect::<Vec<_>>(),
        );
        assert_eq!(found(&promised, &said), expected, "{user}: {instead:?}");
    }
}

#[test]
fn whoever_was_held_to_something_is_still() {
    let held = "ForceCommand gate  \"a b\"\nChrootDirectory /srv/%u\nAuthenticationMethods publickey,password\n\
            TrustedUserCAKeys /etc/ca\n";
    let promised = promised("frank", &format!("{PROMISED}{held}"), false, false);
    let said = SAID
        .replace("forcecommand none", "forcecommand gate \"a b\"")
        .replace("chrootdirectory none", "chrootdirectory /srv/%u")
        .replace(
            "authenticationmethods any",
            "authenticationmethods publickey,password",
        )
        .replace("trustedusercakeys none", "trustedusercakeys /etc/ca");
    assert_eq!(found(&promised, &said), (vec![], vec![]));
    assert_eq!(
        found(&promised, SAID).0,
        ["ForceCommand", "ChrootDirectory", "AuthenticationMethods"]
    );
    let all = differences(&promised, None, &in_force::parse(SAID)).to_string();
    assert!(
        all.contains("lets in more: ChrootDirectory is none for frank, and /srv/%u was promised"),
        "{all}"
    );
}

#[test]
fn a_password_that_was_promised_is_asked_for_by_either_means() {
    let text = PROMISED
        .replace("prohibit-password", "yes")
        .replace("PasswordAuthentication no", "PasswordAuthentication yes");
    let promised = promised("root", &text, false, true);
    let asks = SAID.replace("without-password", "yes");
    assert_eq!(found(&promised, &asks).1, ["a password asked for"]);
    let typed = asks.replace(
        "kbdinteractiveauthentication no",
        "kbdinteractiveauthentication yes",
    );
    assert_eq!(found(&promised, &typed).1, [""; 0]);
    let root = SAID.replace("passwordauthentication no", "passwordauthentication yes");
    assert_eq!(found(&promised, &root).1, ["PermitRootLogin"]);
}

#[test]
fn people_with_a_way_in_are_promised_first_and_a_match_that_is_not_known_promises_nothing() {
    let people = [("bob", 1001), ("root", 0), ("ann", 1000), ("eve", 1002)];
    let accounts = locked::tests::accounts(
        &people.map(|(name, uid)| (name, uid, "/bin/sh", name == "bob")),
        &[],
    );
    let login = Login {
        user: "ann".to_owned(),
        is_root: false,
        keys: Vec::new(),
        password: true,
        by_origin: false,
    };
    let of = |text: &str| {
        let doors = Doors {
            server: true,
            settings: settings(text),
            ..Doors::default()
        };
        promise(
            &doors,
            &accounts,
            None,
            std::slice::from_ref(&login),
            &|_| false,
        )
    };
    let found =
        of("Port 2222\nPermitRootLogin no\nX11Forwarding yes\nMatch User bob\nForceCommand x\n")
            .unwrap();
    assert_eq!(
        (found.session.port, found.session.client.as_str()),
        (2222, in_force::LOCAL)
    );
    let told: Vec<(&str, bool, bool, usize)> = found
        .people
        .iter()
        .map(|p| (p.user.as_str(), p.is_root, p.password, p.settings.len()))
        .collect();
    assert_eq!(
        told,
        [
            ("ann", false, true, 1),
            ("bob", false, false, 2),
            ("root", true, false, 1)
        ]
    );
    for (condition, known) in [
        ("User ann Address 10.0.0.0/8", true),
        ("all", true),
        ("Host *.example.net", false),
        ("User=ann RDomain x", false),
    ] {
        let text = format!("Match {condition}\nPermitRootLogin yes\n");
        assert_eq!(of(&text).is_some(), known, "{condition}");
    }
}
