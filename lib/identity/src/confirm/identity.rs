//! Names, keys, accounts, mounts and what was kept.

use super::live::{Live, SshPort};
use crate::access;
use formats::accounts::AccountRow;
use formats::confirm::{Baseline, Code, Finding};
use formats::counted::counted;
use formats::facts::{Kept, UnkeptWay};
use formats::identity::{HostKey, PlannedMount};
use formats::measure::Measure;
use formats::network::NewFile;
use formats::plan::{KeptPath, Plan};

pub(super) fn compare(plan: &Plan, baseline: &Baseline, live: &Live, findings: &mut Vec<Finding>) {
    names(plan, baseline, live, findings);
    let keys = &plan.identity.host_keys;
    findings.extend(keys.iter().map(|key| host_key(key, live)));
    if !keys.is_empty() {
        findings.extend(live.ssh.iter().map(|(at, port)| ssh(*at, *port, plan)));
    }
    let written = plan.identity.files.iter();
    findings.extend(
        written
            .filter(|file| access::written::FILES.contains(&file.path.as_str()))
            .map(|file| access_file(file, live)),
    );
    let accounts = &plan.accounts;
    numbers(Code::User, &accounts.users, &live.users, findings);
    numbers(Code::Group, &accounts.groups, &live.groups, findings);
    owners(plan, live, findings);
    let mounts = &plan.identity.mounts;
    findings.extend(mounts.iter().filter(|m| m.required).map(|m| mount(m, live)));
    if plan.keep.is_empty() {
        return;
    }
    if baseline.kept.is_empty() {
        findings.push(Finding::short(
            Code::Kept,
            "the kept paths are as they were",
            "the run left no measure of them",
        ));
    }
    findings.extend(baseline.kept.iter().map(|k| kept(k, live)));
}

fn names(plan: &Plan, baseline: &Baseline, live: &Live, findings: &mut Vec<Finding>) {
    let hostname = &plan.identity.hostname;
    if !hostname.is_empty() {
        findings.push(Finding::judge(
            Code::Hostname,
            format!("the machine is called {hostname}"),
            (live.hostname != *hostname).then(|| format!("it is called {}", live.hostname)),
        ));
    }
    if let Some(id) = &baseline.machine_id {
        let lack = match &live.machine_id {
            Some(now) if now == id => None,
            Some(now) => Some(format!("it is {now}")),
            None => Some("there is none".to_owned()),
        };
        let question = format!("the machine id is {id}");
        findings.push(Finding::judge(Code::MachineId, question, lack));
    }
}

fn host_key(wanted: &HostKey, live: &Live) -> Finding {
    let question = format!("{} {}", wanted.kind, wanted.fingerprint);
    let question = question.trim_end();
    let now = live.host_keys.iter().find(|k| k.path == wanted.path);
    let lack = match now {
        // Old forms of private keys without their public half tell no fingerprint.
        Some(k) if wanted.fingerprint.is_empty() && k.kind == wanted.kind => None,
        Some(k) if k.kind == wanted.kind && k.fingerprint == wanted.fingerprint => None,
        Some(k) if k.fingerprint.is_empty() => {
            Some(format!("{} is {} and tells no fingerprint", k.path, k.kind))
        }
        Some(k) => Some(format!("{} is {} {}", k.path, k.kind, k.fingerprint)),
        None => Some(format!("{} is no host key", wanted.path)),
    };
    Finding::judge(Code::HostKey, question, lack)
}

/// What the new OS's own programs do not understand is taken back behind the commit point.
fn access_file(wanted: &NewFile, live: &Live) -> Finding {
    let question = format!("{} says who gets in, as it was planned", wanted.path);
    let now = live.access.iter().find(|(path, _)| *path == wanted.path);
    let lack = match now {
        Some((_, text)) if Some(text.as_str()) == wanted.text() => None,
        Some(_) => Some("it says something else".to_owned()),
        None => Some("it is not there".to_owned()),
    };
    Finding::judge(Code::Access, question, lack)
}

fn ssh(at: u16, port: SshPort, plan: &Plan) -> Finding {
    let question = format!("the ssh server greets on port {at}");
    match port {
        SshPort::Greets => Finding::pass(Code::Ssh, question),
        SshPort::Silent => Finding::short(Code::Ssh, question, "it does not greet"),
        SshPort::Closed if plan.identity.ssh_ports.contains(&at) => {
            Finding::short(Code::Ssh, question, "nothing listens there")
        }
        // It may be listening elsewhere: the image is older than the question.
        SshPort::Closed => Finding::unknown(Code::Ssh, question, "nothing listens there"),
    }
}

/// One line where every account has its number, else one for each that has not.
fn numbers(
    code: Code,
    rows: &[AccountRow],
    live: &Result<Vec<(String, u32)>, String>,
    findings: &mut Vec<Finding>,
) {
    if rows.is_empty() {
        return;
    }
    let all = format!("all {}s have their numbers ({})", code.word(), rows.len());
    let live = match live {
        Ok(live) => live,
        Err(e) => {
            findings.push(Finding::short(code, all, e.clone()));
            return;
        }
    };
    let before = findings.len();
    for row in rows {
        let found = match live.iter().find(|(name, _)| *name == row.name) {
            Some((_, number)) if *number == row.number => continue,
            Some((_, number)) => format!("its number is {number}"),
            None => format!("there is no such {}", code.word()),
        };
        let question = format!("{} is {}", row.name, row.number);
        findings.push(Finding::short(code, question, found));
    }
    if findings.len() == before {
        findings.push(Finding::pass(code, all));
    }
}

/// Every number that owns something kept, and had a name, has that name: as the C library looks
/// it up, which takes the first line with the number.
fn owners(plan: &Plan, live: &Live, findings: &mut Vec<Finding>) {
    let (Ok(users), Ok(groups)) = (&live.users, &live.groups) else {
        // Told already.
        return;
    };
    let mut lacks = Vec::new();
    let mut count = 0;
    let mut look = |what, number: u32, rows: &[AccountRow], live: &[(String, u32)]| {
        let names: Vec<&str> = rows
            .iter()
            .filter(|r| r.number == number && r.old == Some(number))
            .map(|r| r.name.as_str())
            .collect();
        let Some(first) = names.first() else {
            return;
        };
        count += 1;
        let now = live.iter().find(|(_, n)| *n == number);
        if now.is_some_and(|(name, _)| names.contains(&name.as_str())) {
            return;
        }
        lacks.push(Finding::short(
            Code::Owner,
            format!("kept files of {what} {number} are {first}'s"),
            now.map_or("nobody's".to_owned(), |(name, _)| format!("{name}'s")),
        ));
    };
    let kept = || plan.keep.iter().map(|k| &k.measure.owners);
    let all: std::collections::BTreeSet<u32> = kept().flat_map(|o| o.users.clone()).collect();
    for number in all {
        look("user", number, &plan.accounts.users, users);
    }
    let all: std::collections::BTreeSet<u32> = kept().flat_map(|o| o.groups.clone()).collect();
    for number in all {
        look("group", number, &plan.accounts.groups, groups);
    }
    if count > 0 && lacks.is_empty() {
        lacks.push(Finding::pass(
            Code::Owner,
            format!(
                "kept files are whose they were ({})",
                counted(count as u64, "number", "numbers")
            ),
        ));
    }
    findings.append(&mut lacks);
}

fn mount(wanted: &PlannedMount, live: &Live) -> Finding {
    if wanted.fstype == "swap" {
        return Finding::judge(
            Code::Swap,
            format!("swap on {}", wanted.source),
            (!live.swaps.contains(&wanted.source)).then(|| "it is not in use".to_owned()),
        );
    }
    let plain = unescaped(&wanted.target);
    let target = plain.trim_end_matches('/');
    let there = live.mounts.iter().any(|m| m == target);
    Finding::judge(
        Code::Mount,
        format!("{} at {}", wanted.source, wanted.target),
        (!there).then(|| "nothing is mounted there".to_owned()),
    )
}

/// A path of fstab(5), where space and tab are written as octal digits.
fn unescaped(path: &str) -> String {
    let mut path = path.to_owned();
    for (written, meant) in [("\\040", " "), ("\\011", "\t"), ("\\134", "\\")] {
        path = path.replace(written, meant);
    }
    path
}

fn kept(wanted: &KeptPath, live: &Live) -> Finding {
    let question = format!("{} is as it was", wanted.path);
    let outcome = match &live.kept {
        Err(e) => Err(format!("it was not measured: {e}")),
        Ok(found) => match found.kept.iter().find(|k| k.path == wanted.path) {
            Some(Kept {
                found: Err(unkept), ..
            }) if unkept.way == UnkeptWay::Unasked => {
                return Finding::unknown(Code::Kept, question, unkept.why.clone());
            }
            Some(k) => k.found.clone().map_err(|unkept| unkept.why),
            None if found.ended => Err("it was not measured".to_owned()),
            // What was not got to may be as it was.
            None => {
                let why = "measuring it was cut off before its end";
                return Finding::unknown(Code::Kept, question, why);
            }
        },
    };
    let lack = match outcome {
        Ok(now) if wanted.measure.is_same_tree(&now) => None,
        Ok(now) => Some(format!("{}, it was {}", told(&now), told(&wanted.measure))),
        Err(e) => Some(e),
    };
    Finding::judge(Code::Kept, question, lack)
}

fn told(measure: &Measure) -> String {
    format!(
        "{}, {} bytes, digest {}",
        counted(measure.entries, "entry", "entries"),
        measure.bytes,
        measure.digest.short()
    )
}
