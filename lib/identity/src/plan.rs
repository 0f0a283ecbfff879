//! What will be done about names, keys and mounts: a pure function.

use super::names::{self, link, text};
use super::root_options::root_options;
use super::{access, cloud, kept, mounts, serial_logins};
use formats::counted::first_of;
use formats::facts::RootType;
use formats::identity::{HostKey, IdentityPlan, InHome, NewIdentity, OldIdentity};
use formats::network::NewFile;

use crate::host_keys::{shown, USUAL};

/// How many items of a kind are named among what stays behind.
const NAMED: usize = 20;

/// Resolves it, or says everything that cannot be carried and must not be lost, one line each. `systems` are
/// where filesystems are mounted that the new OS is unpacked on, beside the root.
pub fn plan(
    old: &OldIdentity,
    new: &NewIdentity,
    root_uuid: &str,
    filesystem: RootType,
    systems: &[&str],
) -> Result<IdentityPlan, Vec<String>> {
    let mut refused = Vec::new();
    let mut plan = IdentityPlan {
        hostname: old.hostname.clone(),
        notes: old.notes.clone(),
        left: old
            .left
            .iter()
            .map(|(kind, items)| left(kind, items))
            .collect(),
        ..IdentityPlan::default()
    };
    match names::check_hostname(&old.hostname) {
        Ok(()) => plan
            .files
            .push(text("/etc/hostname", format!("{}\n", old.hostname))),
        Err(why) => refused.push(why),
    }
    match names::hosts(&old.hosts) {
        Ok(hosts) => plan.files.push(text("/etc/hosts", hosts)),
        Err(whys) => refused.extend(whys),
    }
    machine_id(old, &mut plan);
    timezone(old, new, &mut plan);
    let locale = names::locale(&old.locale, new.locale_gen);
    plan.files.extend(locale.files);
    plan.notes.extend(locale.notes);

    let root = root_options(&old.fstab, filesystem);
    plan.root_options = root.options;
    plan.notes.extend(root.notes);
    let mounts = mounts::mounts(old, new, root_uuid, systems);
    plan.fstab = mounts.lines;
    plan.mounts = mounts.planned;
    plan.notes.extend(mounts.notes);
    refused.extend(mounts.refused);

    let cloud = cloud::cloud(old, new, &locale.lang);
    plan.files.extend(cloud.files);
    plan.notes.extend(cloud.notes);
    refused.extend(cloud.refused);

    let lines = serial_logins::serial_logins(old, new);
    plan.files.extend(lines.files);
    plan.notes.extend(lines.notes);

    host_keys(old, new, &mut plan);
    plan.notes.extend(kept::notes(old, new));
    let asked = |path: &String| new.carry.contains(path) || old.wished.contains(path);
    let ours = |path: &String| {
        path != "/etc/localtime"
            && !of_host_key(path, &old.host_keys)
            && (!cloud::is_state(path) || new.cloud_init || asked(path))
    };
    plan.copied
        .extend(old.copied.iter().filter(|path| ours(path)).cloned());
    let comes_along = |file: &&InHome| {
        let path = file.path();
        !of_host_key(&path, &old.host_keys) || plan.copied.contains(&path)
    };
    plan.in_homes = old.in_homes.iter().filter(comes_along).cloned().collect();
    plan.copied.sort();
    plan.copied.dedup();
    for file in &plan.files {
        // What is written is written last; copying it first would only say something else.
        plan.copied.retain(|path| *path != file.path);
    }
    if refused.is_empty() {
        Ok(plan)
    } else {
        Err(refused)
    }
}

fn machine_id(old: &OldIdentity, plan: &mut IdentityPlan) {
    match &old.machine_id {
        Some(id) if names::is_machine_id(id) => {
            plan.files.push(NewFile {
                mode: 0o444,
                ..text("/etc/machine-id", format!("{id}\n"))
            });
            let dbus = link("/var/lib/dbus/machine-id", "/etc/machine-id".to_owned());
            plan.files.push(dbus);
        }
        Some(id) => plan.notes.push(format!(
            "the machine id {id:?} is none; the new OS makes one"
        )),
        None => plan
            .notes
            .push("there is no machine id; the new OS makes one".to_owned()),
    }
}

fn timezone(old: &OldIdentity, new: &NewIdentity, plan: &mut IdentityPlan) {
    let file = old.copied.iter().any(|path| path == "/etc/localtime");
    match old.timezone.as_deref() {
        Some(zone) if names::is_zone(zone) && new.zones => {
            plan.files.extend(names::zone_files(zone));
            let there = names::zone_there(zone);
            if there != zone {
                plan.notes.push(format!("the time zone {zone} is called {there} in the new OS"));
            }
        }
        zone if file => {
            plan.copied.push("/etc/localtime".to_owned());
            let why = match zone {
                Some(_) if !new.zones => "the new OS has no time zone database",
                _ => "the old OS's zone has no name",
            };
            plan.notes.push(format!("/etc/localtime is copied as a file: {why}"));
        }
        Some(zone) => plan.notes.push(format!(
            "the time zone {zone:?} is not carried: the new OS has no time zone database, or it is no name"
        )),
        None => {}
    }
}

fn host_keys(old: &OldIdentity, new: &NewIdentity, plan: &mut IdentityPlan) {
    let server = !new.host_key_types.is_empty();
    let takes = |kind: &str| new.host_key_types.iter().any(|k| k == kind);
    let is_told = access::decided::is_told(old, new);
    if server && is_told {
        plan.host_keys = shown(old, &takes).into_iter().cloned().collect();
    }
    if !server && !old.host_keys.is_empty() {
        plan.notes
            .push("the new OS has no ssh server; the host keys are copied for later".to_owned());
    }
    for key in &old.host_keys {
        let HostKey {
            path,
            kind,
            fingerprint,
        } = key;
        if server && !takes(kind) {
            plan.notes.push(format!(
                "the host key {path} is not carried: the new ssh server takes no {kind} ({fingerprint})"
            ));
            continue;
        }
        let public = format!("{path}.pub");
        plan.copied.push(path.clone());
        plan.private.push(path.clone());
        plan.copied
            .extend(old.copied.contains(&public).then_some(public));
        if !path.starts_with(USUAL) {
            if plan.host_keys.contains(key) {
                continue;
            }
            plan.notes.push(format!(
                "the host key {path} is copied, but options of the ssh server are not carried: \
                 it is used once `HostKey {path}` is in the new OS's sshd_config"
            ));
        } else if server && !is_told {
            plan.host_keys.push(key.clone());
        }
        if fingerprint.is_empty() {
            plan.notes
                .push(format!("the host key {path} has no public half beside it"));
        }
    }
}

fn of_host_key(path: &str, keys: &[HostKey]) -> bool {
    keys.iter().any(|key| {
        path.strip_prefix(&key.path)
            .is_some_and(|rest| rest.is_empty() || rest == ".pub")
    })
}

/// A kind of things that stay behind, in a line.
fn left(kind: &str, items: &[String]) -> String {
    format!("{kind}: {}", first_of(items, NAMED))
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
