//! Host keys of the ssh server: those with the usual names, and those that `sshd_config` names; and
//! who gets in by it, and becomes root.

use formats::access::{Doors, Setting};
use formats::counted::first_of;
use formats::identity::{Home, HostKey, InHome};
use identity::access::in_force::{self, Started};
use identity::access::{doas, server, sudoers};
use identity::{host_keys, ssh_access};

use super::files::{plain, Tree};
use super::in_force::Running;

const FOLDER: &str = "/etc/ssh";

/// What there is.
#[derive(Default)]
#[allow(clippy::struct_field_names, reason = "they are keys, and other things")]
pub struct Keys {
    pub keys: Vec<HostKey>,
    /// Files with public halves.
    pub public: Vec<String>,
    /// Keys on other filesystems than the root, as files of root's.
    pub apart: Vec<InHome>,
    pub notes: Vec<String>,
}

/// Where programs are that make a server, and a sudo.
pub const SERVERS: [&str; 2] = ["/usr/sbin/sshd", "/usr/bin/sshd"];
const DOAS: [&str; 2] = ["/usr/bin/doas", "/usr/local/bin/doas"];
const SUDO: [&str; 2] = ["/usr/bin/sudo", "/usr/local/bin/sudo"];

/// How many rules of sudo are named that do not count.
const NAMED: usize = 5;

/// Who gets in, by the files and by how the server runs; `notes` get what of it does not count.
pub fn doors(tree: &Tree, running: &Running, notes: &mut Vec<String>) -> Doors {
    let any = |paths: &[&str]| paths.iter().any(|path| tree.is_file(path));
    let sudo = any(&SUDO);
    let rules = if sudo {
        sudoers::read(tree)
    } else {
        sudoers::Found::default()
    };
    let mut doors = Doors {
        server: any(&SERVERS),
        settings: settings(tree, &running.started),
        socket: running.socket.clone(),
        unread: running.unread.clone(),
        sudo,
        sudoers: rules.rules,
        sudo_asks: rules.asks,
        doas: if any(&DOAS) {
            doas::read(tree)
        } else {
            Vec::new()
        },
        ..Doors::default()
    };
    in_force::adjust(&mut doors, &running.said);
    if !rules.uncounted.is_empty() {
        notes.push(format!(
            "rules of sudo that do not count here, and are not written for the new OS, for they take something away \
             or are about some hosts or netgroups: {}",
            first_of(&rules.uncounted, NAMED)
        ));
    }
    doors
}

/// Its settings: arguments go before files, and ports in arguments take the place of ports in files.
fn settings(tree: &Tree, started: &Started) -> Vec<Setting> {
    let main = started.file.as_deref().unwrap_or(ssh_access::MAIN);
    let mut files = ssh_access::settings_from(tree, main);
    let is_port = |setting: &Setting| server::is(setting, "Port");
    if started.settings.iter().any(is_port) {
        files.retain(|setting| !is_port(setting));
    }
    [started.settings.clone(), files].concat()
}

/// Reads every host key: those with the usual names, and those that the server is told of.
pub fn host_keys(tree: &Tree, doors: &Doors) -> Keys {
    let mut paths: Vec<String> = tree
        .folder(FOLDER)
        .into_iter()
        .filter(|path| path.starts_with("/etc/ssh/ssh_host_") && path.ends_with("_key"))
        .collect();
    for path in server::host_keys(doors).into_iter().filter(|p| plain(p)) {
        if !paths.iter().any(|known| known == path) {
            paths.push(path.to_owned());
        }
    }
    let mut keys = Keys::default();
    for path in paths {
        if !tree.is_file(&path) {
            continue;
        }
        let apart = tree.is_mounted(&path);
        if apart {
            keys.apart.push(in_folder(&path));
        }
        let public = format!("{path}.pub");
        let from_public = tree
            .text(&public)
            .and_then(|t| host_keys::from_public(&path, &t));
        let private = tree.text(&path).unwrap_or_default();
        let from_private = host_keys::from_private(&path, &private);
        let Some(key) = from_public.clone().or_else(|| from_private.clone()) else {
            keys.notes.push(format!(
                "{path} is no host key that can be read; it is not carried"
            ));
            continue;
        };
        // sshd would show what the private half says.
        let differ =
            |key: &HostKey| !key.fingerprint.is_empty() && Some(key) != from_public.as_ref();
        if let Some(key) = from_private
            .as_ref()
            .filter(|key| from_public.is_some() && differ(key))
        {
            keys.notes.push(format!(
                "{public} is not the public half of {path}; it is not carried"
            ));
            keys.keys.push(key.clone());
        } else {
            keys.public
                .extend((from_public.is_some() && !apart).then_some(public));
            keys.keys.push(key);
        }
    }
    keys
}

/// A file by the folder that it is in, to be read as root, whatever filesystem it is on.
fn in_folder(path: &str) -> InHome {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    InHome {
        home: Home {
            path: folder.to_owned(),
            uid: 0,
            gid: 0,
        },
        name: name.to_owned(),
    }
}
