//! cloud-init on either side: it stays what it is, and takes nothing over.
//!
//! How cloud-init decides: at boot it looks for a cached data source (`obj.pkl`, a pickle, of no
//! use to another Python), else it asks every data source that it finds for an instance id. If
//! that is not the one in /var/lib/cloud/data/instance-id, the machine is new to it: each module
//! runs that has no semaphore in /var/lib/cloud/instances/ID/sem, and among them are those that
//! make host keys, users and the network. Where no source answers (a config drive that was taken
//! away), some versions switch themselves off, and others invent an id, which is a new machine
//! again. User data of the source, read at each boot, beats every file in /etc/cloud.
//! `manual_cache_clean` trusts a cache and does not make one; the first boot has none.
//!
//! So the new OS's cloud-init gets a data source of its own, `NoCloud`'s seed directory, with the
//! old instance id and empty user data, and that is the only one on the list: the id is the same
//! with and without a config drive, nothing is asked over the network, and no user data runs twice.
//! The semaphores are carried, and the lists of modules are emptied, for a newer cloud-init has
//! modules that the old one had no semaphores for. To give the machine back to the cloud's data
//! source, remove 99-reroot.cfg and the seed directory.
//!
//! Where the old OS had no cloud-init, the payload's is switched off by its own switch,
//! /etc/cloud/cloud-init.disabled.

use super::names::text;
use formats::identity::{NewIdentity, OldIdentity};
use formats::keep::is_below;
use formats::network::NewFile;

/// What is carried of cloud-init's state, and the per-instance semaphores beside it.
const STATE: [&str; 5] = [
    "/var/lib/cloud/data/instance-id",
    "/var/lib/cloud/data/previous-instance-id",
    "/var/lib/cloud/data/previous-datasource",
    "/var/lib/cloud/instance",
    "/var/lib/cloud/sem",
];

/// What there is about cloud-init.
#[derive(Default)]
pub(super) struct Cloud {
    pub(super) files: Vec<NewFile>,
    pub(super) notes: Vec<String>,
    pub(super) refused: Vec<String>,
}

/// Is it a path of cloud-init's state that only matters to another cloud-init?
pub(super) fn is_state(path: &str) -> bool {
    is_below(path, "/var/lib/cloud")
}

/// The paths of its state that are worth carrying, for this instance.
pub fn state(instance: &str) -> Vec<String> {
    let mut paths: Vec<String> = STATE.map(str::to_owned).into();
    paths.push(format!("/var/lib/cloud/instances/{instance}/sem"));
    paths
}

/// Is it an instance id that can be part of a path and of a file in YAML as it is?
pub fn is_instance_id(id: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.:+".contains(&b);
    !id.is_empty() && id.len() <= 255 && !id.starts_with('.') && id.bytes().all(plain)
}

/// Decides about cloud-init.
pub(super) fn cloud(old: &OldIdentity, new: &NewIdentity, lang: &str) -> Cloud {
    let mut out = Cloud::default();
    match (&old.cloud_instance, new.cloud_init) {
        (None, false) => {}
        (None, true) => {
            out.files.push(text(
                "/etc/cloud/cloud-init.disabled",
                "The OS before this one had no cloud-init.\n".to_owned(),
            ));
            out.notes
                .push("cloud-init is off in the new OS: the old one had none".to_owned());
        }
        (Some(id), false) => out.notes.push(format!(
            "the old OS has cloud-init (instance {id:?}), the new one does not"
        )),
        (Some(id), true) if !is_instance_id(id) => out.refused.push(format!(
            "cloud-init's instance id {id:?} is none that can be written again"
        )),
        (Some(id), true) => {
            out.files
                .push(text("/etc/cloud/cloud.cfg.d/99-reroot.cfg", settings(lang)));
            let seed = "/var/lib/cloud/seed/nocloud";
            out.files.push(text(
                &format!("{seed}/meta-data"),
                format!("instance-id: \"{id}\"\n"),
            ));
            out.files.push(text(
                &format!("{seed}/user-data"),
                "#cloud-config\n{}\n".to_owned(),
            ));
            out.notes.push(format!(
                "cloud-init keeps the instance id {id} and changes nothing any more; \
                 /etc/cloud/cloud.cfg.d/99-reroot.cfg says how to undo that"
            ));
        }
    }
    out
}

/// The settings, which begin with how to get rid of them.
fn settings(lang: &str) -> String {
    format!(
        "\
# Written when the OS of this machine was replaced: cloud-init keeps the instance id of before and
# leaves network, keys, names, users and disks alone. To let it work again, with the data source of
# the cloud, remove this file and /var/lib/cloud/seed/nocloud.
datasource_list: [ NoCloud, None ]
datasource:
  NoCloud:
    fs_label: null
network: {{config: disabled}}
ssh_deletekeys: false
disable_root: false
ssh_pwauth: unchanged
preserve_hostname: true
manage_etc_hosts: false
users: []
locale: {lang}
apt: {{preserve_sources_list: true}}
growpart: {{mode: \"off\"}}
resize_rootfs: false
grub_dpkg: {{enabled: false}}
cloud_init_modules: []
cloud_config_modules: []
cloud_final_modules: []
"
    )
}
