//! A plan as people read it: plain text, meaning without colour.

use formats::access::RamSsh;
use formats::accounts::{AccountRow, AccountRule};
use formats::counted::counted;
use formats::identity::IdentityPlan;
use formats::listening::Listener;
use formats::network::{Content, NewFile};
use formats::plan::{Becomes, Gone, PayloadAt, Plan};
use formats::printable::Page;
use formats::steps::{Mode, OnFailure, Place};
use plan::steps::COMMIT;
use std::fmt::Write as _;

use crate::talk::figures::{day, duration, size};

/// The whole plan.
pub fn text(plan: &Plan) -> String {
    let mut t = Page::default();
    let what = match plan.mode {
        Mode::Reinstall => "Plan",
        Mode::Rehearse => "Rehearsal",
    };
    writeln!(t, "{what} for {} (run {})", plan.hostname, plan.run);
    writeln!(t, "  from      {}", plan.old_os.pretty_name);
    writeln!(
        t,
        "  to        {} (image {})",
        plan.new_os.pretty_name, plan.image
    );
    writeln!(
        t,
        "  root      {} = filesystem {}, {}",
        plan.root_device,
        plan.root.fs_uuid,
        plan.root.place()
    );
    for (n, path) in plan.boot_paths.iter().enumerate() {
        let word = if n == 0 { "starts by" } else { "and by" };
        if plan.copies.is_empty() {
            writeln!(t, "  {word:9} {path}");
        } else {
            writeln!(t, "  {word:9} {path} of {}", plan.disk);
        }
    }
    for copy in &plan.copies {
        for path in &copy.boot_paths {
            writeln!(t, "  and by    {path} of {}", copy.disk);
        }
    }
    writeln!(
        t,
        "  entry     {}: {}",
        plan.entry.entry.name(),
        plan.entry.reason
    );
    if let Some(call) = &plan.entry.call {
        writeln!(t, "  load      by {}: {}", call.call.name(), call.reason);
    }
    let place = match plan.payload_at {
        PayloadAt::Ram => "in memory",
        PayloadAt::Disk => "in the run's directory on the root filesystem",
    };
    writeln!(t, "  payload   {place}: {}", plan.payload_reason);
    writeln!(t, "  ssh       {}", ram_ssh(&plan.ram_ssh));
    writeln!(t, "  kernel    {}", plan.cmdline);
    if let Some(to) = &plan.report_to {
        writeln!(
            t,
            "  told      {} ({}), signed",
            to.url,
            to.addresses.join(", ")
        );
    }
    if !plan.filesystems.is_empty() {
        t.blank();
        writeln!(t, "Filesystems beside the root");
    }
    for filesystem in &plan.filesystems {
        let becomes = match filesystem.becomes {
            Becomes::System => "wiped as the root is, but for what is kept on it",
            Becomes::Data => "left alone",
        };
        writeln!(
            t,
            "  {:20} {becomes}: {} ({}{})",
            filesystem.target,
            filesystem.rule,
            filesystem.device,
            match &filesystem.identity {
                Some(identity) => format!(", filesystem {}", identity.fs_uuid),
                None => String::new(),
            }
        );
    }
    t.blank();
    writeln!(t, "Kept where it is");
    if plan.keep.is_empty() {
        writeln!(t, "  nothing");
    }
    for kept in &plan.keep {
        let m = &kept.measure;
        if !m.is_taken() {
            writeln!(
                t,
                "  {:30} a mount point, with what it hides; what is mounted there is left alone",
                kept.path.as_str()
            );
            continue;
        }
        writeln!(
            t,
            "  {:30} {:>9} {:7} {:>10}",
            kept.path.as_str(),
            m.entries,
            if m.entries == 1 { "entry" } else { "entries" },
            size(m.bytes)
        );
    }
    list(&mut t, "About the kept paths", &plan.about_kept);
    t.blank();
    writeln!(t, "Wiped");
    writeln!(
        t,
        "  {:30} {:>9} entries {:>10}",
        if plan.systems().next().is_some() {
            "everything else on these"
        } else {
            "everything else on the root"
        },
        plan.wiped.entries,
        size(plan.wiped.bytes)
    );
    gone(&mut t, &plan.gone);
    t.blank();
    writeln!(t, "Unpacked");
    writeln!(
        t,
        "  {:30} {:>9} entries {:>10}",
        plan.image,
        plan.unpacked.entries,
        size(plan.unpacked.bytes)
    );
    network(&mut t, plan);
    accounts(&mut t, plan);
    identity(&mut t, plan);
    brought(&mut t, plan);
    listening(&mut t, plan);
    list(
        &mut t,
        "Not touched, and not mounted by the new OS",
        &plan.left_alone,
    );
    list(&mut t, "Warnings", &plan.warnings);
    t.blank();
    writeln!(t, "Steps");
    let names = plan.steps.iter().map(|step| step.name.len());
    let width = names.max().unwrap_or_default().max(8);
    for (i, step) in plan.steps.iter().enumerate() {
        let place = match step.place {
            Place::OldOs => "old OS",
            Place::Ram => "RAM",
            Place::NewOs => "new OS",
        };
        let failure = match step.on_failure {
            OnFailure::Revert => "undone, old OS goes on",
            OnFailure::Reboot => "old OS boots again",
            OnFailure::Hold => "retried, then held",
            OnFailure::Tell => "told",
        };
        writeln!(
            t,
            "  {:>2} {place:6} {:width$} {} [{failure}; at most {}{}]",
            i + 1,
            step.name,
            step.does,
            duration(step.deadline_s),
            if step.progress {
                " without progress"
            } else {
                ""
            }
        );
        if step.name == COMMIT {
            writeln!(
                t,
                "     ------ commit point: from here on only forwards ------"
            );
        }
    }
    t.into_text()
}

/// The ssh server of the RAM environment, in a line.
fn ram_ssh(ssh: &RamSsh) -> String {
    let Some(server) = &ssh.server else {
        return format!("none in the RAM environment: {}", ssh.reason);
    };
    let people: Vec<&str> = server.people.iter().map(|p| p.user.as_str()).collect();
    let ports: Vec<String> = server.ports.iter().map(u16::to_string).collect();
    let at = if server.addresses.is_empty() {
        format!("on port {}", ports.join(", "))
    } else {
        format!("on {}", server.addresses.join(", "))
    };
    format!(
        "in the RAM environment {at}, by the keys of {}: {}",
        people.join(", "),
        ssh.reason
    )
}

/// The network as it is, and the files that say so in the new OS.
fn network(t: &mut Page, plan: &Plan) {
    let network = &plan.network;
    t.blank();
    writeln!(t, "Network, written for {}", network.dialect);
    for link in &network.network.links {
        let mac = link.permanent_mac.map_or(String::new(), |m| m.to_string());
        let renamed = network.written.renamed.iter().find(|r| r.old == link.name);
        let name = match renamed.map(|r| &r.new) {
            None => String::new(),
            Some(Some(new)) => format!(", will be {new}"),
            Some(None) => ", bound by its MAC, named by the new OS".to_owned(),
        };
        writeln!(t, "  {:10} {mac}{name}", link.name);
        for address in &link.addresses {
            writeln!(
                t,
                "  {:10} {}/{} ({}: {})",
                "", address.ip, address.prefix, address.origin, address.evidence
            );
        }
    }
    for gateway in &network.gateways {
        let answers = if gateway.answers {
            "answers, and must answer before the commit point"
        } else {
            "does not answer, and is not waited for"
        };
        writeln!(
            t,
            "  gateway    {} on {}: {answers}",
            gateway.address, gateway.link
        );
    }
    for server in &network.network.dns.servers {
        writeln!(t, "  dns        {} ({})", server.address, server.origin);
    }
    for file in &network.written.files {
        new_file(t, file);
    }
    list(
        t,
        "Network of the old OS that does not come along",
        &network.left,
    );
    list(t, "About the network", &network.written.notes);
}

/// A file that will be written, whole.
fn new_file(t: &mut Page, file: &NewFile) {
    match &file.content {
        Content::Link(target) => {
            writeln!(t, "  write {} -> {target}", file.path);
        }
        Content::Text(text) => {
            writeln!(t, "  write {}", file.path);
            for line in text.lines() {
                writeln!(t, "    | {line}");
            }
        }
    }
}

/// Users and groups whose number or presence is of interest: all but the payload's unchanged ones.
fn accounts(t: &mut Page, plan: &Plan) {
    let number = |n: Option<u32>| n.map_or("-".to_owned(), |n| n.to_string());
    for (heading, rows) in [
        ("Users", &plan.accounts.users),
        ("Groups", &plan.accounts.groups),
    ] {
        t.blank();
        writeln!(
            t,
            "{heading:24} {:>10} {:>10} {:>10}",
            "old OS", "image", "new OS"
        );
        let unchanged = |row: &&AccountRow| row.rule == AccountRule::Same;
        for row in rows.iter().filter(|row| !unchanged(row)) {
            writeln!(
                t,
                "  {:22} {:>10} {:>10} {:>10}  {}",
                row.name,
                number(row.old),
                number(row.payload),
                row.number,
                row.rule
            );
        }
        let same = rows.iter().filter(unchanged).count();
        writeln!(t, "  and {same} with one number on both sides");
    }
    list(t, "Accounts that do not come along", &plan.accounts.left);
    list(t, "About the accounts", &plan.accounts.notes);
}

fn identity(t: &mut Page, plan: &Plan) {
    let identity = &plan.identity;
    list(t, "Copied from the old OS", &identity.copied);
    if !identity.files.is_empty() {
        t.blank();
        writeln!(t, "Written from the old OS");
        identity.files.iter().for_each(|file| new_file(t, file));
    }
    if !identity.root_options.is_empty() {
        list(
            t,
            "Options of the root in fstab",
            &[identity.root_options.join(",")],
        );
    }
    list(t, "Added to fstab", &identity.fstab);
    let keys: Vec<_> = identity
        .host_keys
        .iter()
        .map(|k| format!("{:20} {}", k.kind, k.fingerprint))
        .collect();
    list(t, "Host keys", &keys);
    ways_in(t, identity);
    list(t, "In the old OS, and NOT in the new one", &identity.left);
    list(t, "About names, keys and mounts", &identity.notes);
}

/// What the operator brings: the overlay, and the programs that are called.
fn brought(t: &mut Page, plan: &Plan) {
    const SHOWN: usize = 50;
    if let Some(overlay) = &plan.overlay {
        t.blank();
        let files = overlay.files.len();
        writeln!(
            t,
            "Overlay {}: {}, {}, digest {}",
            overlay.source,
            counted(files as u64, "file or link", "files and links"),
            size(overlay.bytes),
            overlay.digest.short()
        );
        for path in overlay.files.iter().take(SHOWN) {
            writeln!(t, "  {path}");
        }
        if files > SHOWN {
            writeln!(t, "  and {} more, all in `plan --json`", files - SHOWN);
        }
    }
    for (heading, programs) in [
        (
            "Called in the old OS before services stop",
            &plan.hooks.before_stop,
        ),
        (
            "Called in the new OS's root behind the unpack",
            &plan.hooks.after_unpack,
        ),
        ("Called at the first boot", &plan.hooks.first_boot),
    ] {
        list(t, heading, programs);
    }
}

/// Who logs in by ssh and becomes root, before and after.
fn ways_in(t: &mut Page, identity: &IdentityPlan) {
    let (before, after) = &identity.ways;
    let mut all: Vec<_> = before.iter().chain(after).collect();
    all.sort();
    all.dedup();
    if all.is_empty() && identity.ssh_ports.is_empty() {
        return;
    }
    t.blank();
    let ports: Vec<String> = identity.ssh_ports.iter().map(u16::to_string).collect();
    let at = if ports.is_empty() {
        "there is no ssh server".to_owned()
    } else {
        format!("ssh on port {}", ports.join(", "))
    };
    writeln!(t, "Who logs in and becomes root (new OS: {at})");
    if all.is_empty() {
        writeln!(t, "  nobody is known to");
    }
    for way in all {
        let mark = match (before.contains(way), after.contains(way)) {
            (true, true) => "as before",
            (true, false) => "NO MORE",
            _ => "new",
        };
        writeln!(t, "  {:50} {mark}", way.to_string());
    }
}

/// What is written here and goes: one line a place, what is in use first.
fn gone(t: &mut Page, gone: &Gone) {
    if gone.places.is_empty() && gone.people.is_empty() {
        return;
    }
    t.blank();
    writeln!(t, "Written on this machine, and GONE after it");
    for place in &gone.places {
        let mut row = format!("  {:30}", place.path);
        if let Some(found) = &place.found {
            let least = if found.whole { "" } else { "more than " };
            let files = if found.files == 1 { "file" } else { "files" };
            let _ = write!(
                row,
                " {:>9} {files:5}   {:>10}",
                format!("{least}{}", found.files),
                size(found.bytes)
            );
            if let Some(newest) = found.newest {
                let _ = write!(row, ", written {}", day(newest));
            }
        }
        if let Some(what) = &place.what {
            let _ = write!(row, "; {what}");
        }
        if !place.writers.is_empty() {
            let _ = write!(row, "; IN USE by {}", place.writers.join(", "));
        }
        writeln!(t, "{row}");
    }
    if gone.small > 0 {
        writeln!(
            t,
            "  and {} of services, {}",
            counted(gone.small, "small directory", "small directories"),
            size(gone.small_bytes)
        );
    }
    list(t, "People whose home is GONE after it", &gone.people);
}

/// What is open to the outside, so that the first boot can tell what is newly so.
fn listening(t: &mut Page, plan: &Plan) {
    let open = plan.listening.iter().flatten();
    let mut open: Vec<String> = open.map(Listener::told).collect();
    // One program on every address of IPv4 and of IPv6 is one line.
    open.dedup();
    list(
        t,
        "Open to the outside now; the first boot tells of every port that is newly open",
        &open,
    );
}

fn list(text: &mut Page, heading: &str, items: &[String]) {
    if !items.is_empty() {
        text.blank();
        writeln!(text, "{heading}");
        for item in items {
            writeln!(text, "  {item}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use formats::access::{Becoming, Means, Way};

    #[test]
    fn whoever_becomes_root_is_told_with_what_becomes_of_it() {
        let way = |user: &str, means, root| Way {
            user: user.to_owned(),
            means,
            root,
        };
        let (debian, root, ann) = (
            way("debian", Means::Key, Becoming::Sudo),
            way("root", Means::Password, Becoming::Is),
            way("ann", Means::Key, Becoming::Su),
        );
        let told = |before: &[&Way], after: &[&Way], ports: &[u16]| {
            let all = |ways: &[&Way]| ways.iter().map(|way| (*way).clone()).collect();
            let mut page = Page::default();
            let identity = IdentityPlan {
                ways: (all(before), all(after)),
                ssh_ports: ports.to_vec(),
                ..IdentityPlan::default()
            };
            ways_in(&mut page, &identity);
            let text = page.into_text();
            let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
            text.lines().map(words).collect::<Vec<_>>()
        };
        assert_eq!(
            told(&[&debian, &root], &[&debian, &ann], &[22, 2222]),
            [
                "",
                "Who logs in and becomes root (new OS: ssh on port 22, 2222)",
                "ann by key, root by su with root's password new",
                "debian by key, root by sudo as before",
                "root by password NO MORE",
            ]
        );
        let none = told(&[&root], &[], &[]);
        assert!(
            none[1].ends_with("(new OS: there is no ssh server)"),
            "{none:?}"
        );
        assert_eq!(
            told(&[], &[], &[22]),
            [
                "",
                "Who logs in and becomes root (new OS: ssh on port 22)",
                "nobody is known to"
            ]
        );
        assert_eq!(told(&[], &[], &[]), [""; 0]);
    }
}
