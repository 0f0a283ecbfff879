use std::process::Command;

use anyhow::bail;
use formats::access::{Doors, Login, Session, Setting};
use formats::accounts::{Accounts, User};
use identity::access::written::Reader;
use identity::access::{addresses, written};
use identity::files::Files;
use identity::ssh_access;

use super::*;

const PLANNED: &str =
    "PermitRootLogin yes\nPort 2222\nAllowGroups staff\nMatch Group sftp\n    ForceCommand x\n";

/// By a server that does not take texts with these words.
fn settled(bad: &[&str]) -> Settled {
    let mut ask = |form: &Form| -> Result<Differences> {
        let text = form.text.as_deref().unwrap_or(PLANNED);
        match bad.iter().find(|word| text.contains(**word)) {
            Some(word) => bail!("Bad configuration option: {word}"),
            None => Ok(Differences::default()),
        }
    };
    settle(&planned(PLANNED), ADMINS.into_iter(), &mut ask)
}

const ADMINS: [&str; 3] = ["root", "root", "alice"];

fn planned(text: &str) -> Given<'_> {
    Given {
        written: Some(text),
        ..Given::default()
    }
}

fn closed_text(settled: Settled) -> (String, String) {
    match settled {
        Settled::Closed(form, why) => (form.text.unwrap(), why),
        other => panic!("not closed: {other:?}"),
    }
}

#[test]
fn settings_that_are_not_understood_let_nobody_in_but_those_who_become_root() {
    assert_eq!(settled(&[]), Settled::AsPlanned);
    let (text, why) = closed_text(settled(&["ForceCommand"]));
    assert_eq!(
        text,
        "AllowUsers alice root\nPermitRootLogin yes\nPort 2222\n"
    );
    assert!(why.contains("ForceCommand"), "{why}");
    let (text, _) = closed_text(settled(&["ForceCommand", "Port"]));
    assert_eq!(text, "AllowUsers alice root\n");
}

#[test]
fn a_list_that_says_where_they_come_from_says_so_still() {
    let text = "AllowUsers alice@192.0.2.* root\nMatch Group sftp\n    ForceCommand x\n";
    let mut ask = |form: &Form| -> Result<Differences> {
        let text = form.text.as_deref().unwrap_or(text);
        anyhow::ensure!(!text.contains("ForceCommand"), "Bad configuration option");
        Ok(Differences::default())
    };
    let admins = ["root", "alice"].into_iter();
    let (text, _) = closed_text(settle(&planned(text), admins, &mut ask));
    assert_eq!(text, "AllowUsers alice@192.0.2.* root\n");
}

#[test]
fn a_list_of_nobody_would_be_none() {
    let mut ask = |form: &Form| -> Result<Differences> {
        anyhow::ensure!(form.text.is_some(), "no");
        Ok(Differences::default())
    };
    let settled = settle(&planned(PLANNED), std::iter::empty(), &mut ask);
    let (text, _) = closed_text(settled);
    assert!(text.starts_with("AllowUsers root\n"), "{text}");
}

/// By a server that takes neither these files nor texts with these words; what there is, is there first.
fn settled_of(given: &Given, bad: &[&str]) -> Settled {
    let mut ask = |form: &Form| -> Result<Differences> {
        let own = if given.reserve.is_some() { "own" } else { "" };
        let text = form.text.as_deref().or(given.written).unwrap_or(own);
        let carried = given.carried.iter().map(String::as_str);
        let files = carried.filter(|_| text != RESERVE && given.reserve.is_none());
        let files = files.filter(|path| !form.aside.iter().any(|aside| aside == path));
        match files
            .chain([text])
            .find(|text| bad.iter().any(|word| text.contains(word)))
        {
            Some(word) => bail!("Bad configuration option: {word}"),
            None => Ok(Differences::default()),
        }
    };
    settle(given, ADMINS.into_iter(), &mut ask)
}

const RESERVE: &str = "UsePAM yes\nSubsystem sftp internal-sftp\nPermitRootLogin yes\nPort 2222\n";

#[test]
fn a_file_that_came_along_and_is_wrong_is_set_aside_and_nothing_else() {
    let beside = ["10-a.conf", "20-b.conf", "30-c.conf"].map(str::to_owned);
    let form = |text: Option<&str>, aside: &[&str]| Form {
        text: text.map(str::to_owned),
        aside: aside.iter().map(|path| (*path).to_owned()).collect(),
    };
    let given = || Given {
        written: Some(PLANNED),
        carried: beside.to_vec(),
        ..Given::default()
    };
    let aside = |bad: &[&str]| match settled_of(&given(), bad) {
        Settled::Aside(form, why) => (form, why),
        other => panic!("{bad:?}: {other:?}"),
    };
    assert_eq!(settled_of(&given(), &[]), Settled::AsPlanned);
    let (found, why) = aside(&["20-b"]);
    assert_eq!(found, form(None, &["20-b.conf"]));
    assert!(why.contains("20-b.conf"), "{why}");
    let (found, _) = aside(&["10-a", "30-c"]);
    assert_eq!(found, form(None, &["10-a.conf", "20-b.conf", "30-c.conf"]));
    // The written settings are at fault, alone and with such a file.
    let closed = "AllowUsers alice root\nPermitRootLogin yes\nPort 2222\n";
    for (bad, expected) in [
        (&["ForceCommand"][..], &[][..]),
        (
            &["ForceCommand", "20-b"],
            &["10-a.conf", "20-b.conf", "30-c.conf"],
        ),
    ] {
        let Settled::Closed(found, _) = settled_of(&given(), bad) else {
            panic!("{bad:?}");
        };
        assert_eq!(found, form(Some(closed), expected), "{bad:?}");
    }
    assert!(matches!(settled_of(&given(), &[""]), Settled::Unread(_)));
    // Nothing is written, for the image's server reads nothing of it.
    let given = Given::default();
    assert_eq!(settled_of(&given, &[]), Settled::AsPlanned);
    assert!(matches!(settled_of(&given, &[""]), Settled::Unread(_)));
}

#[test]
fn a_configuration_that_came_along_is_asked_about_and_has_a_reserve() {
    let given = || Given {
        reserve: Some(RESERVE),
        carried: vec!["10-a.conf".to_owned()],
        ..Given::default()
    };
    assert_eq!(settled_of(&given(), &[]), Settled::AsPlanned);
    let reserve = Form {
        text: Some(RESERVE.to_owned()),
        aside: Vec::new(),
    };
    let Settled::Aside(form, _) = settled_of(&given(), &["own"]) else {
        panic!("the reserve is not taken");
    };
    assert_eq!(form, reserve);
    let (text, _) = closed_text(settled_of(&given(), &["own", "Subsystem"]));
    assert_eq!(
        text,
        "AllowUsers alice root\nUsePAM yes\nPermitRootLogin yes\nPort 2222\n"
    );
    assert!(matches!(settled_of(&given(), &[""]), Settled::Unread(_)));
}

#[test]
fn a_server_that_does_not_answer_says_nothing_against_them() {
    assert!(matches!(settled(&[""]), Settled::Unread(_)));
}

/// By a server that takes everything, and lets in more than was promised by the files of `weak`, fewer by those of
/// `shuts`; the text that is planned is `planned` among them, what only admins are let in by is `closed`.
fn promised_of(weak: &[&str], shuts: &[&str]) -> Settled {
    let beside = ["10-a.conf", "20-b.conf"].map(str::to_owned);
    let given = Given {
        written: Some(PLANNED),
        carried: beside.to_vec(),
        ..Given::default()
    };
    let mut ask = |form: &Form| -> Result<Differences> {
        let text = form.text.as_ref().map_or("planned", |_| "closed");
        let files = beside.iter().filter(|path| !form.aside.contains(path));
        let read: Vec<&str> = files.map(String::as_str).chain([text]).collect();
        let of = |bad: &[&str]| -> Vec<String> {
            let found = bad.iter().filter(|word| read.contains(word));
            found.map(|word| format!("by {word}")).collect()
        };
        Ok(Differences {
            weaker: of(weak),
            shut_out: of(shuts),
        })
    };
    settle(&given, ADMINS.into_iter(), &mut ask)
}

#[test]
fn a_server_that_is_not_as_promised_gets_what_lets_in_no_more_and_takes_from_nobody_in_vain() {
    assert_eq!(promised_of(&[], &[]), Settled::AsPlanned);
    let aside = |weak: &[&str], shuts: &[&str]| match promised_of(weak, shuts) {
        Settled::Aside(form, why) => {
            assert_eq!(form.text, None);
            (form.aside, why)
        }
        other => panic!("{weak:?}, {shuts:?}: {other:?}"),
    };
    // Whatever a file does, that file goes, and nothing else.
    let (files, why) = aside(&["20-b.conf"], &[]);
    assert_eq!(files, ["20-b.conf"]);
    assert!(why.ends_with("lets in more: by 20-b.conf"), "{why}");
    let (files, why) = aside(&[], &["10-a.conf"]);
    assert_eq!(files, ["10-a.conf"]);
    assert!(why.ends_with("shuts out: by 10-a.conf"), "{why}");
    assert_eq!(
        aside(&["10-a.conf"], &["20-b.conf"]).0,
        ["10-a.conf", "20-b.conf"]
    );
    // What is not a file's: only those who become root, if what was planned lets in more,
    let (text, _) = closed_text(promised_of(&["planned"], &[]));
    assert!(text.starts_with("AllowUsers alice root\n"), "{text}");
    let (text, _) = closed_text(promised_of(&["planned"], &["closed"]));
    assert!(text.starts_with("AllowUsers alice root\n"), "{text}");
    // or if that lets in whom it shuts out,
    assert!(matches!(
        promised_of(&[], &["planned"]),
        Settled::Closed(..)
    ));
    // and as it was planned where it does not.
    let Settled::ShutOut(form, why) = promised_of(&[], &["planned", "closed"]) else {
        panic!("others lose by it");
    };
    assert_eq!(form, Form::default());
    assert!(why.contains("by planned"), "{why}");
    let Settled::ShutOut(form, _) = promised_of(&["10-a.conf"], &["planned", "closed"]) else {
        panic!("others lose by it");
    };
    assert_eq!(form.aside, ["10-a.conf"]);
}

/// The unit of Debian 8 to 13, as far as it counts here.
const DEBIANS: &str =
    "[Unit]\nAfter=network.target auditd.service\n\n[Service]\nExecStart=/bin/true\n\
    Restart=on-failure\nRestartPreventExitStatus=255\nType=notify\n";

/// By the systemd of whichever OS this is: it says of a word that it does not know.
#[test]
fn systemd_understands_what_waits_for_addresses() {
    let folder = tempfile::tempdir().unwrap();
    let units = ["ssh.service", "ssh.socket"];
    let [service, socket] = units.map(|unit| folder.path().join(unit));
    fs::write(&service, DEBIANS).unwrap();
    fs::write(&socket, "[Socket]\nListenStream=192.0.2.7:22\n").unwrap();
    let doors = Doors {
        server: true,
        settings: vec![Setting {
            path: String::new(),
            condition: None,
            keyword: "ListenAddress".to_owned(),
            values: vec!["192.0.2.7".to_owned()],
        }],
        units: units.map(str::to_owned).into(),
        ..Doors::default()
    };
    let files = addresses::files(&doors);
    assert_eq!(files.len(), 2);
    let verify = || {
        let asked = Command::new("systemd-analyze")
            .args(["verify", "--man=no"])
            .args([&service, &socket])
            .output()
            .expect("run systemd-analyze of the package systemd");
        let said = String::from_utf8_lossy(&asked.stderr).into_owned();
        let of_ours = |line: &&str| line.contains("reroot.conf");
        said.lines()
            .filter(of_ours)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    for file in files {
        let at = folder
            .path()
            .join(file.path.strip_prefix("/etc/systemd/system/").unwrap());
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        fs::write(at, file.text().unwrap()).unwrap();
    }
    assert_eq!(verify(), [""; 0]);
    // It would say so.
    let other = folder.path().join("ssh.service.d/20-reroot.conf");
    fs::write(other, "[Service]\nRestartSecs=5\n").unwrap();
    assert_eq!(verify().len(), 1);
}

/// A configuration of one file.
struct Main<'t>(&'t str);

impl Files for Main<'_> {
    fn text(&self, path: &str) -> Option<String> {
        (path == MAIN).then(|| self.0.to_owned())
    }

    fn folder(&self, _: &str) -> Vec<String> {
        Vec::new()
    }
}

/// What is written of an old configuration, as the server of whichever OS this is says that it holds for root.
fn held(old: &str) -> String {
    let alone = Reader {
        release: None,
        has: &|_| false,
    };
    let written = written::settings(&doors(old), alone, &[], &[]);
    said(&written::text(&written, None))
}

/// A server that is told this.
fn doors(text: &str) -> Doors {
    Doors {
        server: true,
        settings: ssh_access::settings(&Main(text)),
        ..Doors::default()
    }
}

/// What the server of whichever OS this is says for root of such a configuration.
fn said(written: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("host");
    fixtures::ssh_server::make_key(key.to_str().unwrap(), "ed25519");
    let path = folder.path().join("config");
    fs::write(&path, format!("HostKey {}\n{written}", key.display())).unwrap();
    // Debian's wants it, and it is there where a server has ever run.
    let _ = fs::create_dir_all(RUN);
    let asked = Command::new(SERVER)
        .args(["-T", "-C", "user=root,host=a,addr=192.0.2.1", "-f"])
        .arg(&path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&asked.stderr);
    assert!(
        asked.status.success() && said.is_empty(),
        "{said}\n{written}"
    );
    String::from_utf8(asked.stdout).unwrap()
}

#[test]
fn a_server_goes_by_what_is_written_as_the_old_one_did() {
    for (old, expected) in [
        (
            "ForceCommand /usr/local/bin/gate \"$SSH_ORIGINAL_COMMAND\"  'a  b'",
            "forcecommand /usr/local/bin/gate \"$SSH_ORIGINAL_COMMAND\"  'a  b'",
        ),
        (
            "AllowGroups \"domain users\" root",
            "allowgroups domain users",
        ),
        ("AllowUsers o'brien # root", "allowusers o'brien"),
        (
            "Match Group \"domain users,root\"\nPermitTTY no",
            "permittty no",
        ),
        ("Match User=\"ro* x,root\"\nMaxSessions 3", "maxsessions 3"),
    ] {
        let held = held(old);
        assert!(held.lines().any(|line| line == expected), "{old}: {held}");
    }
}

/// What a real server says of what the plan promised, and of what stands behind that and says otherwise.
#[test]
fn a_real_server_is_as_the_plan_reads_what_it_is_told() {
    let users = [("root", 0)].map(|(name, uid)| User {
        name: name.to_owned(),
        uid,
        gid: uid,
        home: "/root".to_owned(),
        shell: "/bin/sh".to_owned(),
        password: true,
    });
    let accounts = Accounts {
        users: users.to_vec(),
        ..Accounts::default()
    };
    let logins = [Login {
        user: "root".to_owned(),
        is_root: true,
        keys: Vec::new(),
        password: true,
        by_origin: false,
    }];
    let session = Session {
        client: "192.0.2.1".to_owned(),
        address: "192.0.2.2".to_owned(),
        port: 22,
        ..Session::default()
    };
    let planned = "UsePAM yes\nPermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication yes\n\
        AllowUsers root ann@10.*\nDenyGroups \"domain users\"\nAuthorizedKeysFile %h/.ssh/authorized_keys /etc/keys/%u\n\
        AuthenticationMethods keyboard-interactive publickey,keyboard-interactive:pam\n\
        Match User root,ann\nForceCommand gate \"$SSH_ORIGINAL_COMMAND\"  'a  b'\n";
    let promise = compared::promise(&doors(planned), &accounts, Some(&session), &logins, &|_| {
        false
    });
    let promised = &promise.unwrap().people[0];
    let differences = |more: &str| {
        let said = said(&format!("{planned}{more}"));
        compared::differences(promised, None, &in_force::parse(&said))
    };
    assert_eq!(differences(""), Differences::default());
    let other = differences("Match User root\nPermitRootLogin no\nPasswordAuthentication yes\n");
    assert_eq!(
        (other.weaker.len(), other.shut_out.len()),
        (1, 1),
        "{other}"
    );
    assert!(
        other.weaker[0].starts_with("PasswordAuthentication is yes for root"),
        "{other}"
    );
    assert!(
        other.shut_out[0].starts_with("PermitRootLogin is no for root"),
        "{other}"
    );
}
