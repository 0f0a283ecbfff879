use std::process::Command;

use anyhow::bail;
use formats::access::{Doors, Setting};
use identity::access::written::Reader;
use identity::access::{addresses, written};
use identity::files::Files;
use identity::ssh_access;

use super::*;

const PLANNED: &str =
    "PermitRootLogin yes\nPort 2222\nAllowGroups staff\nMatch Group sftp\n    ForceCommand x\n";

/// By a server that does not take texts with these words.
fn settled(bad: &[&str]) -> Settled {
    let mut understands = |form: &Form| -> Result<()> {
        let text = form.text.as_deref().unwrap_or(PLANNED);
        match bad.iter().find(|word| text.contains(**word)) {
            Some(word) => bail!("Bad configuration option: {word}"),
            None => Ok(()),
        }
    };
    settle(&planned(PLANNED), ADMINS.into_iter(), &mut understands)
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
    let mut understands = |form: &Form| -> Result<()> {
        let text = form.text.as_deref().unwrap_or(text);
        anyhow::ensure!(!text.contains("ForceCommand"), "Bad configuration option");
        Ok(())
    };
    let admins = ["root", "alice"].into_iter();
    let (text, _) = closed_text(settle(&planned(text), admins, &mut understands));
    assert_eq!(text, "AllowUsers alice@192.0.2.* root\n");
}

#[test]
fn a_list_of_nobody_would_be_none() {
    let mut understands = |form: &Form| -> Result<()> {
        anyhow::ensure!(form.text.is_some(), "no");
        Ok(())
    };
    let settled = settle(&planned(PLANNED), std::iter::empty(), &mut understands);
    let (text, _) = closed_text(settled);
    assert!(text.starts_with("AllowUsers root\n"), "{text}");
}

/// By a server that takes neither these files nor texts with these words; what there is, is there first.
fn settled_of(given: &Given, bad: &[&str]) -> Settled {
    let mut understands = |form: &Form| -> Result<()> {
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
            None => Ok(()),
        }
    };
    settle(given, ADMINS.into_iter(), &mut understands)
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
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("host");
    fixtures::ssh_server::make_key(key.to_str().unwrap(), "ed25519");
    let doors = Doors {
        server: true,
        settings: ssh_access::settings(&Main(old)),
        ..Doors::default()
    };
    let alone = Reader {
        release: None,
        has: &|_| false,
    };
    let written = written::text(&written::settings(&doors, alone, &[], &[]), None);
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
