//! Who gets into the new OS: what is written for that, and which ways in there were and will be.

use formats::access::{Becoming, Doors, Keys, PublicKey, Setting, Way};
use formats::accounts::{AccountPlan, Accounts};
use formats::identity::{HostKey, IdentityPlan, NewIdentity, OldIdentity};
use formats::keep::is_below;
use formats::network::NewFile;

use super::written::Reader;
use super::{
    addresses, becoming, by_name, elsewhere, held_to, locked, promised, server, server_keys, ways,
    written,
};
use crate::names::text;
use crate::{host_keys, ssh_access};

/// Puts it into the plan. An image that is older than the question has nothing written for it.
pub fn decide(
    plan: &mut IdentityPlan,
    (old, new): (&OldIdentity, &NewIdentity),
    (accounts, payload): (&Accounts, &Accounts),
    merged: &AccountPlan,
) {
    let Some(doors) = &new.doors else {
        return;
    };
    let mut doors = doors.clone();
    let locked = locked::let_in_by_pam(old, new, (accounts, payload), merged);
    let besides = locked::setting(&locked).into_iter();
    let besides: Vec<Setting> = besides.chain(by_name::setting(old)).collect();
    if brings_its_configuration(old) {
        if old.doors.server && doors.server {
            let keys = new_keys(old, new);
            plan.ssh_reserve = Some(written::reserve(&old.doors, &doors, &keys, &besides));
        }
        doors.settings.clone_from(&old.carried_settings);
    } else if writes_settings(old, new) {
        if !locked.is_empty() {
            plan.notes.push(format!(
                "the old ssh server does not ask PAM, and keeps out {}, whose password is locked: {} keeps them out \
                 of the new one, which does (DenyUsers)",
                locked.join(", "),
                written::SETTINGS
            ));
        }
        let has = |setting: &Setting| comes_by_file(setting, old, new);
        let reader = Reader {
            release: doors.release,
            has: &has,
        };
        let keys = written_keys(old, new);
        let settings = written::settings(&old.doors, reader, &keys, &besides);
        plan.files.push(NewFile {
            mode: 0o600,
            ..text(written::SETTINGS, written::text(&settings, doors.release))
        });
        let (before, after) = doors.settings.split_at(read_before(new).len());
        doors.settings = [before, &settings, after].concat();
    }
    if doors.sudo {
        let rules = becoming::written((&old.doors, accounts), &doors, merged);
        if let Some(becoming::Written { text: all, rules }) = rules {
            plan.files.push(NewFile {
                mode: 0o440,
                ..text(written::SUDOERS, all)
            });
            doors.sudoers.extend(rules);
        }
    }
    for file in addresses::files(&doors) {
        if old.keeps(&file.path) {
            plan.notes.push(format!(
                "the ssh server listens on {}, which may not be there yet when it is started; {}, which would wait for \
                 that, cannot be written where something is kept",
                addresses::waited_for(&doors).join(", "),
                file.path
            ));
        } else {
            plan.files.push(file);
        }
    }
    let session = old.session.as_ref();
    let takes = |key: &PublicKey| server_keys::takes(&doors, key);
    let mut stay = keys(old, &doors);
    stay.retain(|keys| keys.stay);
    let people = ways::new_accounts(accounts, payload, merged, &new.password_schemes);
    let copied = plan.copied.clone();
    let has = |program: &str| held_to::has(program, (old, new), &copied);
    plan.missing_commands = held_to::missing(&doors.settings, &has);
    plan.notes.extend(plan.missing_commands.iter().cloned());
    plan.ways = (
        ways::ways(&old.doors, accounts, &keys(old, &old.doors), session),
        ways::ways_where(&doors, &people, (&stay, session), &has),
    );
    if elsewhere::is_there(&old.doors, &doors) {
        plan.otherwise = ways::by_whatever(&doors, &people, session, &has);
    }
    plan.logins = promised::logins(&plan.ways.1, (&doors, &people), (&stay, session), &takes);
    plan.ssh_ports = if doors.server && !doors.off {
        server::ports(&doors)
    } else {
        Vec::new()
    };
}

/// The keys that a server looks at: those in files that others may write only where it does not mind.
fn keys(old: &OldIdentity, doors: &Doors) -> Vec<Keys> {
    let strict = server::value(doors, "StrictModes").as_deref() != Some("no");
    let open = old.open_keys.iter().filter(|_| !strict);
    old.login_keys.iter().chain(open).cloned().collect()
}

/// Whether the old server's own configuration comes along, kept or carried: the new one reads that, and nothing is
/// written for it.
pub fn brings_its_configuration(old: &OldIdentity) -> bool {
    let main = ssh_access::MAIN;
    old.keeps(main) || old.copied.iter().any(|copied| is_below(main, copied))
}

/// Whether the old server's settings are written for the new one.
pub fn writes_settings(old: &OldIdentity, new: &NewIdentity) -> bool {
    let served = |doors: &Doors| doors.server;
    old.doors.server
        && !brings_its_configuration(old)
        && new.doors.as_ref().is_some_and(served)
        && ssh_access::is_included(written::SETTINGS, &new.ssh_includes)
}

/// Settings of the image's own that its server reads before what is written for it: their words come first.
pub fn read_before(new: &NewIdentity) -> &[Setting] {
    let all = new.doors.as_ref().map_or(&[][..], |doors| &doors.settings);
    &all[..new.ssh_before.min(all.len())]
}

/// What of the image's own goes before a setting that is written, if its word is another.
pub fn overruled<'a>(setting: &Setting, new: &'a NewIdentity) -> Option<&'a Setting> {
    let keyword = server::current_name(&setting.keyword);
    let mut before = read_before(new).iter();
    let first = before.find(|s| s.condition.is_none() && server::is(s, keyword))?;
    let counts = setting.condition.is_none() && !ssh_access::adds_up(keyword);
    (counts && first.values != setting.values).then_some(first)
}

/// Whether a setting's file comes along beside the new server's own configuration, which includes it.
pub fn comes_by_file(setting: &Setting, old: &OldIdentity, new: &NewIdentity) -> bool {
    let path = &setting.path;
    let copied = old.copied.iter().any(|copied| is_below(path, copied));
    // That a file is there is not enough: the server has to be told to read it.
    (old.keeps(path) || copied) && ssh_access::is_included(path, &new.ssh_includes)
}

/// Whether the new server is told what the old one was, of its host keys for one, be it by what is written or by the
/// old one's own configuration.
pub fn is_told(old: &OldIdentity, new: &NewIdentity) -> bool {
    brings_its_configuration(old) || writes_settings(old, new)
}

/// Whom the old server kept out, the new one lets in, and nothing that is written can keep out: what
/// `ssh-restrictions` says of them.
pub fn unlocked(
    (old, new): (&OldIdentity, &NewIdentity),
    accounts: (&Accounts, &Accounts),
    merged: &AccountPlan,
) -> Option<String> {
    if is_told(old, new) {
        return None;
    }
    let names = locked::let_in_by_pam(old, new, accounts, merged);
    (!names.is_empty()).then(|| {
        format!(
            "{}: UsePAM no: it keeps out {}, whose password is locked, by key as well",
            ssh_access::MAIN,
            names.join(", ")
        )
    })
}

/// The host keys that are written for the new server.
pub fn written_keys<'a>(old: &'a OldIdentity, new: &NewIdentity) -> Vec<&'a HostKey> {
    if !writes_settings(old, new) {
        return Vec::new();
    }
    new_keys(old, new)
}

/// The host keys that the new server has to be told of.
fn new_keys<'a>(old: &'a OldIdentity, new: &NewIdentity) -> Vec<&'a HostKey> {
    host_keys::told(old, &|kind| new.host_key_types.iter().any(|k| k == kind))
}

/// What would be lost where nobody is known to become root, before or after: they get in by something that is
/// not read here and does not come along.
pub fn lost_elsewhere(plan: &IdentityPlan, doors: &Doors) -> Option<String> {
    let (before, after) = &plan.ways;
    let alone = before.is_empty() && after.is_empty() && !doors.elsewhere.is_empty();
    alone.then(|| {
        format!(
            "whoever becomes root by ssh gets in by {}, which does not come along, and nobody is known to get in \
             otherwise",
            doors.elsewhere.join("; ")
        )
    })
}

/// The package that an image lacks for a way to a root shell that there was and will not be: an ssh server; sudo,
/// which stands for doas as well.
pub fn lacks(plan: &IdentityPlan, new: &Doors) -> Option<String> {
    let (before, after) = &plan.ways;
    let lost = |way: &&Way| !after.iter().any(|new| new.user == way.user);
    let by_rules = |way: &&Way| !matches!(way.root, Becoming::Is | Becoming::Su);
    let mut lost = before.iter().filter(lost);
    if !new.server {
        return lost
            .next()
            .map(|_| "the image has no ssh server: give it the package openssh-server".to_owned());
    }
    if new.off {
        return lost.next().map(|_| {
            "nothing starts the image's ssh server at boot: have it enabled there (`systemctl enable ssh`)".to_owned()
        });
    }
    let way = lost.find(by_rules).filter(|_| !new.sudo)?;
    Some(format!(
        "the image has no sudo, by which {} would become root: give it the package sudo",
        way.user
    ))
}

/// What would be lost, one line each: every way to a root shell, or the operator's own. Whoever calls this is root,
/// be it known how or not: of what is not known nothing is promised.
pub fn lost(plan: &IdentityPlan, old: &OldIdentity) -> Vec<String> {
    let (before, after) = &plan.ways;
    let session = old.session.as_ref();
    let mut found = Vec::new();
    let told = |ways: &[Way]| {
        let ways: Vec<String> = ways.iter().map(ToString::to_string).collect();
        ways.join("; ")
    };
    if !before.is_empty() && after.is_empty() {
        found.push(format!(
            "nobody who becomes root by ssh in the old OS could in the new one (now: {})",
            told(before)
        ));
        return found;
    }
    let nobody = after.is_empty() && plan.otherwise.is_empty();
    if nobody && old.doors.is_open() {
        found.push(
            "nobody is known to become root by ssh, neither in the old OS nor in the new one: no key or password of \
             root's, no rule of sudo or doas for everything, no password for su"
                .to_owned(),
        );
    }
    let Some(session) = session else {
        return found;
    };
    let of_operator = |ways: &[Way]| ways.iter().any(|way| way.user == session.user);
    let otherwise = plan.otherwise.contains(&session.user);
    let there = if after.is_empty() {
        "nobody".to_owned()
    } else {
        told(after)
    };
    if of_operator(before) && !of_operator(after) {
        found.push(format!(
            "you are here as {}, who could not become root in the new OS (there: {there})",
            session.user
        ));
    } else if !of_operator(after) && !otherwise {
        found.push(format!(
            "you are here as {}, who is not known to become root, neither in the old OS nor in the new one (there: \
             {there}): of rules of sudo count those for everything, on every host",
            session.user
        ));
    }
    if !plan.ssh_ports.is_empty() && !plan.ssh_ports.contains(&session.port) {
        let ports: Vec<String> = plan.ssh_ports.iter().map(u16::to_string).collect();
        found.push(format!(
            "you came in by port {}, and the new ssh server listens on {}",
            session.port,
            ports.join(", ")
        ));
    }
    found
}

#[cfg(test)]
mod tests {
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
            let accounts = accounts(&[("root", 0, "/bin/sh", false)], &[]);
            let merged = AccountPlan {
                users: vec![row("root", Some(0), 0, AccountRule::Same)],
                ..AccountPlan::default()
            };
            let mut plan = IdentityPlan::default();
            let payload = Accounts::default();
            decide(&mut plan, (&old, &new), (&accounts, &payload), &merged);
            (plan.ways.0.len(), plan.ways.1.len())
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
            let accounts = accounts(&[("root", 0, "/bin/sh", true)], &[]);
            let merged = AccountPlan {
                users: vec![row("root", Some(0), 0, AccountRule::Same)],
                ..AccountPlan::default()
            };
            let mut plan = IdentityPlan::default();
            let payload = Accounts::default();
            decide(&mut plan, (&old, &new), (&accounts, &payload), &merged);
            (plan.ways.0.len(), plan.ways.1.len())
        };
        assert_eq!(root(0), (1, 1));
        assert_eq!(root(1), (1, 0), "the image's own word is first");
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
        let lost =
            |plan: &IdentityPlan, session: Option<&Session>| super::lost(plan, &old(session));
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
}
