//! What the machine is known by beside its network and its people, read from the old OS's files.
//!
//! Decides nothing and fails on nothing: what cannot be read is not there, and whether that
//! matters is for [`identity::plan`] to say.

mod at_boot;
mod files;
mod in_force;
mod kept;
mod keys;
mod left;
mod session;
mod ssh;
mod zone;

use std::path::Path;

use formats::access::Setting;
use formats::accounts::Accounts;
use formats::identity::{Home, InHome, NewIdentity, OldIdentity};
use formats::keep::is_below;
use formats::keep::KeepPath;
use identity::access::carried::{self, Carried};
use identity::access::written::Reader;
use identity::access::{decided, elsewhere, in_force as said, other_gates, server, written};
use identity::{cloud, names, root_options, ssh_access};

pub use files::in_home;
pub use files::{plain, Tree};
use in_force::Running;

/// Reads this machine. `new` has what the image's author wants carried; `homes` are those of the
/// people who come along.
pub fn read(
    keep: &[KeepPath],
    new: &NewIdentity,
    accounts: Option<&Accounts>,
    homes: &[Home],
) -> OldIdentity {
    let session = session::session();
    let port = session.as_ref().map(|session| session.port);
    let running = in_force::running(&ssh::SERVERS, port);
    let mut old = gather(Path::new("/"), keep, new, homes, &running);
    old.doors.release = session::release(&old.doors);
    let runs = running.runs || session.is_some() || at_boot::is_started(&Tree::new(Path::new("/")));
    old.doors.off = old.doors.server && !runs;
    old.session = session;
    if let Some(accounts) = accounts {
        (old.login_keys, old.open_keys) = keys::login_keys(accounts, &old);
        let all = [&old.login_keys[..], &old.open_keys].concat();
        let by = (&all[..], old.session.as_ref());
        in_force::ask_about(&running, &mut old.doors, accounts, by, &mut old.notes);
    }
    match storage::mounts::read() {
        Ok(mounts) => {
            let mounted: Vec<_> = mounts.into_iter().map(|mount| mount.target).collect();
            kept::read(&Tree::new(Path::new("/")), &mut old, &mounted);
        }
        Err(e) => old.notes.push(format!("mounts cannot be listed: {e}")),
    }
    match storage::devices::read() {
        Ok(devices) => old.devices = devices,
        Err(e) => old
            .notes
            .push(format!("block devices cannot be listed: {e}")),
    }
    old
}

/// Reads everything but the devices, from the tree below `root`.
fn gather(
    root: &Path,
    keep: &[KeepPath],
    new: &NewIdentity,
    homes: &[Home],
    running: &Running,
) -> OldIdentity {
    let tree = Tree::new(root);
    let mut old = OldIdentity {
        hostname: hostname(&tree),
        machine_id: machine_id(&tree),
        hosts: tree.text("/etc/hosts").unwrap_or_default(),
        fstab: tree.text("/etc/fstab").unwrap_or_default(),
        timezone: zone::name(&tree),
        locale: locale(&tree),
        cloud_instance: cloud_instance(&tree),
        kept: keep.iter().map(|path| path.as_str().to_owned()).collect(),
        ..OldIdentity::default()
    };
    old.doors = ssh::doors(&tree, running, &mut old.notes);
    let keys = ssh::host_keys(&tree, &old.doors);
    old.host_keys = keys.keys;
    old.copied = keys.public;
    old.notes.extend(keys.notes);
    old.in_homes = keys.apart;
    if tree.is_file("/etc/localtime") {
        old.copied.push("/etc/localtime".to_owned());
    }
    quota_files(&tree, &mut old);
    key_folders(&tree, &mut old);
    authorized_keys(root, homes, &mut old);
    if let Some(id) = old
        .cloud_instance
        .clone()
        .filter(|id| cloud::is_instance_id(id))
    {
        let state = cloud::state(&id)
            .into_iter()
            .filter(|path| tree.exists(path));
        old.copied.extend(state);
    }
    carry_list(&tree, &new.carry, &mut old);
    weigh(&tree, &new.carry, &mut old);
    old.carried_settings = carried_settings(&tree, &old, new);
    let lost = server_loses(&tree, &old, new);
    old.ssh_restrictions = lost.restrictions;
    old.doors.elsewhere = lost.elsewhere;
    old.shut = lost.shut;
    old.left = left::behind(&tree, &|path| {
        old.keeps(path) || old.copied.iter().any(|copied| is_below(path, copied))
    });
    old.left.extend(swap_files(&tree, &old));
    for (kind, items) in &mut old.left {
        if kind == left::SSH_OPTIONS {
            items.retain(|item| !lost.written.contains(item));
        }
    }
    old.left.retain(|(_, items)| !items.is_empty());
    old
}

/// What of the old ssh server does not come along.
struct Lost {
    /// What it takes away from people.
    restrictions: Vec<String>,
    /// By what people get in that is not read here.
    elsewhere: Vec<String>,
    /// What comes along and would let nobody in.
    shut: Vec<String>,
    /// And what does, written for the new one: lines of its configuration.
    written: Vec<String>,
}

fn server_loses(tree: &Tree, old: &OldIdentity, new: &NewIdentity) -> Lost {
    let is_there =
        |path: &str| old.keeps(path) || old.copied.iter().any(|copied| is_below(path, copied));
    let written = decided::writes_settings(old, new);
    let there = other_gates::There {
        stays: &is_there,
        modules: new.pam_modules.as_deref(),
    };
    let (others, shut) = if old.doors.server {
        (
            other_gates::lost(tree, &there),
            other_gates::shut(tree, &there),
        )
    } else {
        (Vec::new(), Vec::new())
    };
    let told: Vec<String> = decided::written_keys(old, new)
        .into_iter()
        .map(|key| key.path.clone())
        .collect();
    let by_file = |setting: &Setting| decided::comes_by_file(setting, old, new);
    let reader = Reader {
        release: new.doors.as_ref().and_then(|doors| doors.release),
        has: &by_file,
    };
    let of_those = written::written_of(&old.doors, reader);
    let is_written = |setting: &Setting| {
        let is_key =
            server::is(setting, "HostKey") && setting.values.iter().all(|v| told.contains(v));
        written && (is_key || of_those(setting)) && decided::overruled(setting, new).is_none()
    };
    let own = decided::brings_its_configuration(old);
    let of_files = |s: &Setting| ![said::SAID, said::ARGUMENTS].contains(&s.path.as_str());
    let mut read = old.doors.settings.iter().filter(|s| of_files(s));
    let all_stays = own && read.all(|setting| carried::holds(setting, &old.carried_settings));
    let stays = |setting: &Setting| {
        if own {
            // What the server says itself comes from its files, where all of them come along.
            carried::holds(setting, &old.carried_settings)
                || all_stays && setting.path == said::SAID
        } else {
            is_written(setting) || by_file(setting)
        }
    };
    let counting: Vec<Setting> = server::counting(&old.doors).cloned().collect();
    let lost = ssh_access::lost(&counting, &stays);
    let elsewhere = if old.doors.server {
        elsewhere::found(tree, &old.doors.settings, &stays)
    } else {
        Vec::new()
    };
    let item = |s: &Setting| format!("{} {}", s.keyword, s.values.join(" "));
    let written = old.doors.settings.iter().filter(|s| is_written(s));
    Lost {
        restrictions: [lost, others].concat(),
        elsewhere,
        shut,
        written: written.map(item).collect(),
    }
}

/// What the new server is told where the old one's main file comes along.
fn carried_settings(tree: &Tree, old: &OldIdentity, new: &NewIdentity) -> Vec<Setting> {
    if !decided::brings_its_configuration(old) {
        return Vec::new();
    }
    let carried = Carried {
        old: tree,
        kept: &|path| old.keeps(path),
        copied: &|path| old.copied.iter().any(|copied| is_below(path, copied)),
        image: new.doors.as_ref().map_or(&[], |doors| &doors.settings),
    };
    carried.settings()
}

fn hostname(tree: &Tree) -> String {
    let file = tree.text("/etc/hostname").unwrap_or_default();
    if let Some(name) = names::in_hostname_file(&file) {
        return name.to_owned();
    }
    // What the kernel says, to the letter: a newline in it ends it, as in the file.
    let kernel = tree.text("/proc/sys/kernel/hostname").unwrap_or_default();
    kernel.strip_suffix('\n').unwrap_or(&kernel).to_owned()
}

fn machine_id(tree: &Tree) -> Option<String> {
    ["/etc/machine-id", "/var/lib/dbus/machine-id"]
        .into_iter()
        .filter_map(|path| tree.text(path))
        .map(|text| text.trim().to_owned())
        .find(|id| names::is_machine_id(id))
}

/// The first of the files that is there: Debian's own, systemd's.
fn locale(tree: &Tree) -> Vec<String> {
    let text = ["/etc/default/locale", "/etc/locale.conf"]
        .into_iter()
        .find_map(|path| tree.text(path))
        .unwrap_or_default();
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

/// The id of an instance that a cloud-init here looks after, one that is not switched off.
fn cloud_instance(tree: &Tree) -> Option<String> {
    let there = ["/usr/bin/cloud-init", "/etc/cloud/cloud.cfg"]
        .iter()
        .any(|p| tree.exists(p));
    if !there || tree.exists("/etc/cloud/cloud-init.disabled") {
        return None;
    }
    let text = tree.text("/var/lib/cloud/data/instance-id")?;
    Some(text.trim().to_owned()).filter(|id| !id.is_empty())
}

/// What the keys of all homes may have together: they wait in memory while the root is wiped.
const LARGEST_TOGETHER: u64 = 64 << 20;

/// Files with the limits of quotas on the root. Old ones have a hole for every number that is not
/// there, and can be larger than a disk.
const LARGEST_QUOTA: u64 = 64 << 20;

/// The limits of quotas on the root, which its options ask for.
fn quota_files(tree: &Tree, old: &mut OldIdentity) {
    for path in root_options::quota_files(&old.fstab) {
        match tree.size(&path).filter(|_| tree.is_file(&path)) {
            Some(bytes) if bytes <= LARGEST_QUOTA => old.copied.push(path),
            Some(bytes) => old.notes.push(format!(
                "the quotas in {path} are not carried: it is {} MiB large",
                bytes >> 20
            )),
            None => {}
        }
    }
}

/// Folders with everybody's keys, or with names for their certificates, where the ssh server looks for them
/// outside of homes; and files that its settings name.
fn key_folders(tree: &Tree, old: &mut OldIdentity) {
    let settings = old.doors.settings.iter();
    let principals = settings
        .clone()
        .filter(|s| server::is(s, "AuthorizedPrincipalsFile"));
    let mut places = server::key_files(&old.doors);
    places.extend(principals.flat_map(|setting| setting.values.clone()));
    let folders = places.iter().filter_map(|place| server::key_folder(place));
    let files = settings
        .filter_map(server::named_file)
        .filter(|path| tree.is_file(path));
    let mut found: Vec<String> = folders
        .filter(|folder| tree.exists(folder))
        .chain(files)
        .filter(|path| plain(path) && !old.keeps(path))
        .map(str::to_owned)
        .collect();
    found.retain(|path| !old.copied.contains(path));
    found.dedup();
    old.copied.extend(found);
}

/// Root's, and those of homes that are not kept.
fn authorized_keys(root: &Path, homes: &[Home], old: &mut OldIdentity) {
    let mut all = vec![Home {
        path: "/root".to_owned(),
        uid: 0,
        gid: 0,
    }];
    all.extend(homes.iter().map(|home| Home {
        path: home.path.trim_end_matches('/').to_owned(),
        ..home.clone()
    }));
    // Root's come first: where there is too much of others', theirs are still there.
    all[1..].sort();
    all.dedup();
    let mut names = server::HOME_KEYS.to_vec();
    let mut principals = old
        .doors
        .settings
        .iter()
        .filter(|s| server::is(s, "AuthorizedPrincipalsFile"));
    if principals.any(|setting| setting.values.iter().any(|v| server::principals_in_home(v))) {
        names.push(server::HOME_PRINCIPALS);
    }
    let mut together = 0;
    for home in all.iter().filter(|home| plain(&home.path)) {
        for name in &names {
            let file = InHome {
                home: home.clone(),
                name: (*name).to_owned(),
            };
            let path = file.path();
            if old.keeps(&path) || old.copied.contains(&path) {
                continue;
            }
            match in_home(root, &file) {
                Ok(None) => {}
                Ok(Some(read)) => {
                    together += read.bytes().len() as u64;
                    if together > LARGEST_TOGETHER {
                        let why = "the keys of all homes are too large together";
                        old.notes.push(not_carried(&path, why));
                        continue;
                    }
                    old.copied.push(path);
                    old.in_homes.push(file);
                }
                Err(why) => old.notes.push(not_carried(&path, &why)),
            }
        }
    }
}

/// What is told of a file that is not carried.
pub fn not_carried(path: &str, why: &str) -> String {
    format!("{path} is not carried: it {why}")
}

fn carry_list(tree: &Tree, carry: &[String], old: &mut OldIdentity) {
    for path in carry {
        let path = path.trim_end_matches('/');
        if !plain(path) {
            old.notes.push(format!(
                "{path:?} of the carry list is no absolute path and is left out"
            ));
        } else if old.keeps(path) {
            old.notes.push(format!(
                "{path} of the carry list is kept, and not carried besides"
            ));
        } else if !tree.exists(path) {
            old.notes
                .push(format!("{path} of the carry list is not there"));
        } else if !old.copied.iter().any(|copied| copied == path) {
            old.copied.push(path.to_owned());
        }
    }
}

/// What everything that is carried takes, and which of the lists' paths cannot be.
fn weigh(tree: &Tree, carry: &[String], old: &mut OldIdentity) {
    for path in &old.copied {
        match tree.weigh(path) {
            Ok(bytes) => old.copied_bytes += bytes,
            // What comes along by itself is packed in its own ways, and is small.
            Err(why)
                if carry
                    .iter()
                    .any(|listed| listed.trim_end_matches('/') == path) =>
            {
                old.uncarriable.push(format!("{path} {why}"));
            }
            Err(_) => {}
        }
    }
}

/// Swap space in files of the root filesystem, which go with it.
fn swap_files(tree: &Tree, old: &OldIdentity) -> Option<(String, Vec<String>)> {
    let files: Vec<String> = identity::fstab::parse(&old.fstab)
        .into_iter()
        .filter_map(|line| line.fields.ok())
        .filter(|f| f.fstype == "swap" && f.source.starts_with('/'))
        .filter(|f| !f.source.starts_with("/dev/") && !old.keeps(&f.source))
        .map(|f| match tree.size(&f.source) {
            Some(bytes) => format!("{} ({} MiB)", f.source, bytes >> 20),
            None => f.source,
        })
        .collect();
    (!files.is_empty()).then(|| ("swap files".to_owned(), files))
}

#[cfg(test)]
mod tests;
