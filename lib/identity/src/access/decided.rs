//! Who gets into the new OS: what is written for that, and which ways in there were and will be.

use formats::access::{Becoming, Doors, Keys, PublicKey, Setting, Way};
use formats::accounts::{AccountPlan, Accounts};
use formats::identity::{HostKey, IdentityPlan, NewIdentity, OldIdentity};
use formats::keep::is_below;
use formats::network::NewFile;

use super::written::Reader;
use super::{
    addresses, becoming, by_name, compared, elsewhere, held_to, locked, promised, server,
    server_keys, ways, written,
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
            plan.notes.push(format!(
                "{} of the old OS comes along: should the new ssh server not take it, for words that it has forgotten, \
                 it is told what this plan has of who gets in, and the first boot says so",
                ssh_access::MAIN
            ));
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
    if is_answered_for(plan, old, new) {
        let doors = with_files_beside(&doors, old, new);
        let has_key = |name: &str| {
            let mut own = stay.iter().filter(|keys| keys.user == name);
            own.any(|keys| !keys.keys.is_empty() || keys.forced > 0)
        };
        plan.ssh_promise = compared::promise(&doors, &people, session, &plan.logins, &has_key);
    }
    plan.ssh_ports = if doors.server && !doors.off {
        server::ports(&doors)
    } else {
        Vec::new()
    };
}

/// The doors with what comes along beside what is written, and is read behind it.
fn with_files_beside(doors: &Doors, old: &OldIdentity, new: &NewIdentity) -> Doors {
    let mut doors = doors.clone();
    if writes_settings(old, new) {
        let last = doors
            .settings
            .iter()
            .rposition(|s| s.path == written::SETTINGS);
        let behind = last.map_or(read_before(new).len(), |last| last + 1);
        let beside = old
            .doors
            .settings
            .iter()
            .filter(|s| comes_by_file(s, old, new));
        doors.settings.splice(behind..behind, beside.cloned());
    }
    doors
}

/// Whether the plan answers for what the new server says: it is told by the run, and by nothing that is not read here.
/// A file of the overlay is the operator's own word.
fn is_answered_for(plan: &IdentityPlan, old: &OldIdentity, new: &NewIdentity) -> bool {
    let mut overlaid = old.overlaid.iter();
    let adds = overlaid
        .any(|path| path == ssh_access::MAIN || ssh_access::is_included(path, &new.ssh_includes));
    !adds && (plan.ssh_reserve.is_some() || writes_settings(old, new))
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
#[path = "decided_tests.rs"]
mod tests;
