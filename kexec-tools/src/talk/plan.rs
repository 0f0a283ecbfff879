//! A plan as people read it: plain text, meaning without colour.

use std::fmt::Write;

use formats::accounts::{AccountRow, AccountRule};
use formats::network::{Content, NewFile};
use formats::plan::{PayloadAt, Plan};
use formats::steps::{Mode, OnFailure, Place};
use plan::steps::COMMIT;

use crate::talk::figures::{duration, size};

/// The whole plan.
pub fn text(plan: &Plan) -> String {
    let mut t = String::new();
    let what = match plan.mode {
        Mode::Reinstall => "Plan",
        Mode::Rehearse => "Rehearsal",
    };
    let _ = writeln!(t, "{what} for {} (run {})", plan.hostname, plan.run);
    let _ = writeln!(t, "  from      {}", plan.old_os.pretty_name);
    let _ = writeln!(
        t,
        "  to        {} (image {})",
        plan.new_os.pretty_name, plan.image
    );
    let _ = writeln!(
        t,
        "  root      {} = filesystem {}, partition {} of the disk with signature {:08x}",
        plan.root_device, plan.root.fs_uuid, plan.root.partition, plan.root.disk_signature
    );
    let _ = writeln!(
        t,
        "  entry     {}: {}",
        plan.entry.entry.name(),
        plan.entry.reason
    );
    if let Some(call) = &plan.entry.call {
        let _ = writeln!(t, "  load      by {}: {}", call.call.name(), call.reason);
    }
    let place = match plan.payload_at {
        PayloadAt::Ram => "in memory",
        PayloadAt::Disk => "in the run's directory on the root filesystem",
    };
    let _ = writeln!(t, "  payload   {place}: {}", plan.payload_reason);
    let _ = writeln!(t, "  kernel    {}", plan.cmdline);
    let _ = writeln!(t, "\nKept where it is");
    if plan.keep.is_empty() {
        let _ = writeln!(t, "  nothing");
    }
    for kept in &plan.keep {
        let m = &kept.measure;
        let _ = writeln!(
            t,
            "  {:30} {:>9} entries {:>10}",
            kept.path.as_str(),
            m.entries,
            size(m.bytes)
        );
    }
    list(&mut t, "About the kept paths", &plan.about_kept);
    let _ = writeln!(t, "\nWiped");
    let _ = writeln!(
        t,
        "  {:30} {:>9} entries {:>10}",
        "everything else on the root",
        plan.wiped.entries,
        size(plan.wiped.bytes)
    );
    let _ = writeln!(t, "\nUnpacked");
    let _ = writeln!(
        t,
        "  {:30} {:>9} entries {:>10}",
        plan.image,
        plan.unpacked.entries,
        size(plan.unpacked.bytes)
    );
    network(&mut t, plan);
    accounts(&mut t, plan);
    identity(&mut t, plan);
    list(
        &mut t,
        "Not touched, and not mounted by the new OS",
        &plan.left_alone,
    );
    list(&mut t, "Warnings", &plan.warnings);
    let _ = writeln!(t, "\nSteps");
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
        let _ = writeln!(
            t,
            "  {:>2} {place:6} {:8} {} [{failure}; at most {}{}]",
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
            let _ = writeln!(
                t,
                "     ------ commit point: from here on only forwards ------"
            );
        }
    }
    t
}

/// The network as it is, and the files that say so in the new OS.
fn network(t: &mut String, plan: &Plan) {
    let network = &plan.network;
    let _ = writeln!(t, "\nNetwork, written for {}", network.dialect);
    for link in &network.network.links {
        let mac = link.permanent_mac.map_or(String::new(), |m| m.to_string());
        let renamed = network.written.renamed.iter().find(|r| r.old == link.name);
        let name = match renamed.map(|r| &r.new) {
            None => String::new(),
            Some(Some(new)) => format!(", will be {new}"),
            Some(None) => ", bound by its MAC, named by the new OS".to_owned(),
        };
        let _ = writeln!(t, "  {:10} {mac}{name}", link.name);
        for address in &link.addresses {
            let _ = writeln!(
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
        let _ = writeln!(
            t,
            "  gateway    {} on {}: {answers}",
            gateway.address, gateway.link
        );
    }
    for server in &network.network.dns.servers {
        let _ = writeln!(t, "  dns        {} ({})", server.address, server.origin);
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
fn new_file(t: &mut String, file: &NewFile) {
    match &file.content {
        Content::Link(target) => {
            let _ = writeln!(t, "  write {} -> {target}", file.path);
        }
        Content::Text(text) => {
            let _ = writeln!(t, "  write {}", file.path);
            for line in text.lines() {
                let _ = writeln!(t, "    | {line}");
            }
        }
    }
}

/// Users and groups whose number or presence is of interest: all but the payload's unchanged ones.
fn accounts(t: &mut String, plan: &Plan) {
    let number = |n: Option<u32>| n.map_or("-".to_owned(), |n| n.to_string());
    for (heading, rows) in [
        ("Users", &plan.accounts.users),
        ("Groups", &plan.accounts.groups),
    ] {
        let _ = writeln!(
            t,
            "\n{heading:24} {:>10} {:>10} {:>10}",
            "old OS", "image", "new OS"
        );
        let unchanged = |row: &&AccountRow| row.rule == AccountRule::Same;
        for row in rows.iter().filter(|row| !unchanged(row)) {
            let _ = writeln!(
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
        let _ = writeln!(t, "  and {same} with one number on both sides");
    }
    list(t, "Accounts that do not come along", &plan.accounts.left);
    list(t, "About the accounts", &plan.accounts.notes);
}

fn identity(t: &mut String, plan: &Plan) {
    let identity = &plan.identity;
    list(t, "Copied from the old OS", &identity.copied);
    if !identity.files.is_empty() {
        let _ = writeln!(t, "\nWritten from the old OS");
        identity.files.iter().for_each(|file| new_file(t, file));
    }
    list(t, "Added to fstab", &identity.fstab);
    let keys: Vec<_> = identity
        .host_keys
        .iter()
        .map(|k| format!("{:20} {}", k.kind, k.fingerprint))
        .collect();
    list(t, "Host keys", &keys);
    list(t, "In the old OS, and NOT in the new one", &identity.left);
    list(t, "About names, keys and mounts", &identity.notes);
}

fn list(text: &mut String, heading: &str, items: &[String]) {
    if !items.is_empty() {
        let _ = writeln!(text, "\n{heading}");
        for item in items {
            let _ = writeln!(text, "  {item}");
        }
    }
}
