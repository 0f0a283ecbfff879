//! Names, keys and mounts: what a machine is known by beside its network and its people.

use serde::{Deserialize, Serialize};

use crate::access::{Doors, Keys, Login, Promise, Session, Setting, Way};
use crate::keep::is_below;
use crate::network::NewFile;

/// What the old OS has, as read from its files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OldIdentity {
    /// The host name by /etc/hostname, else the kernel's.
    pub hostname: String,
    /// /etc/machine-id, else the one that D-Bus keeps.
    pub machine_id: Option<String>,
    /// The text of /etc/hosts; bytes that are no UTF-8 are U+FFFD.
    pub hosts: String,
    /// The text of /etc/fstab.
    pub fstab: String,
    /// Host keys of the ssh server.
    pub host_keys: Vec<HostKey>,
    /// What the ssh server's configuration takes away from people, and will not be there, one setting
    /// each: `/etc/ssh/sshd_config: Match Group sftp: ForceCommand internal-sftp`.
    #[serde(default)]
    pub ssh_restrictions: Vec<String>,
    /// Who gets in and becomes root.
    #[serde(default)]
    pub doors: Doors,
    /// Files of PAM's that come along and by which nobody would get in, one line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shut: Vec<String>,
    /// What the new OS's ssh server is told where the old one's own configuration comes along, kept or carried: by
    /// its files that come along too, and by those of the image that it includes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub carried_settings: Vec<Setting>,
    /// Everybody's keys.
    #[serde(default)]
    pub login_keys: Vec<Keys>,
    /// Keys in files that others may write, which a server takes only where it is told not to look (`StrictModes no`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub open_keys: Vec<Keys>,
    /// The connection by which the launcher was called.
    #[serde(default)]
    pub session: Option<Session>,
    /// The name of the time zone: `Europe/Madrid`; `None` is UTC or unknown.
    pub timezone: Option<String>,
    /// Lines of /etc/default/locale or /etc/locale.conf, without comments.
    pub locale: Vec<String>,
    /// Serial lines at which people log in although the kernel does not write to them.
    #[serde(default)]
    pub serial_logins: Vec<SerialLogin>,
    /// cloud-init's instance id, where the old OS has cloud-init and knows one.
    pub cloud_instance: Option<String>,
    /// Block devices with what is on them, as far as they can be told without opening a mount.
    pub devices: Vec<DeviceFacts>,
    /// Files that exist of those that are carried as they are.
    pub copied: Vec<String>,
    /// What the operator wants carried beside the image's list.
    #[serde(default)]
    pub wished: Vec<String>,
    /// Files that the operator's overlay puts into the new OS.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overlaid: Vec<String>,
    /// What of both lists cannot be carried, a line each.
    #[serde(default)]
    pub uncarriable: Vec<String>,
    /// Bytes in everything that is carried as it is.
    #[serde(default)]
    pub copied_bytes: u64,
    /// Those of them that are in somebody's home, and are read as that person would read them.
    #[serde(default)]
    pub in_homes: Vec<InHome>,
    /// What is in the old OS and stays behind, by kind: `("crontabs", ["/etc/cron.d/shop"])`.
    pub left: Vec<(String, Vec<String>)>,
    /// Paths that are kept; what is there is there in the new OS too.
    pub kept: Vec<String>,
    /// Files that are kept and configure the network: of a new OS's own, those would be removed.
    #[serde(default)]
    pub kept_network: Vec<String>,
    /// Mount points of fstab(5) that are not there, and would be below a kept path.
    #[serde(default)]
    pub absent_mount_points: Vec<String>,
    /// What else to know: files that are not carried because they are kept, or are not there.
    pub notes: Vec<String>,
}

impl OldIdentity {
    /// Is a path of the old OS there in the new one because it is kept?
    pub fn keeps(&self, path: &str) -> bool {
        self.kept.iter().any(|kept| is_below(path, kept))
    }
}

/// A serial line that asks for a login.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SerialLogin {
    /// Its name below /dev: `ttyS1`, `hvc0`.
    pub line: String,
    /// Its speed in bits per second; `None` where it has none, or does not tell.
    pub speed: Option<u32>,
}

impl SerialLogin {
    /// As the kernel takes it behind `console=`: `ttyS1,115200n8`.
    #[must_use]
    pub fn console(&self) -> String {
        match self.speed {
            Some(speed) => format!("{},{speed}n8", self.line),
            None => self.line.clone(),
        }
    }
}

/// Somebody's home.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Home {
    /// Where it is, by passwd(5).
    pub path: String,
    /// Whose it is.
    pub uid: u32,
    /// Their group.
    pub gid: u32,
}

/// A file in somebody's home.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InHome {
    /// The home.
    pub home: Home,
    /// The file, relative to it.
    pub name: String,
}

impl InHome {
    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}/{}", self.home.path.trim_end_matches('/'), self.name)
    }
}

/// A host key of the ssh server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostKey {
    /// The file with the private half.
    pub path: String,
    /// Its type, as it is called in the public half: `ssh-ed25519`, `ssh-rsa`…
    pub kind: String,
    /// The fingerprint, as ssh prints it: `SHA256:…`; empty where the public half is not there and
    /// the private half does not tell it.
    pub fingerprint: String,
}

/// A block device with a filesystem or swap space on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceFacts {
    /// Its node in the old OS.
    pub node: String,
    /// Other names of the node: what udev links to it, `/dev/disk/by-id/…`, `/dev/mapper/…`.
    pub links: Vec<String>,
    /// What the device-mapper calls it, where it is a logical volume.
    #[serde(default)]
    pub logical: Option<String>,
    /// UUID of what is on it.
    pub uuid: Option<String>,
    /// Label of what is on it.
    pub label: Option<String>,
    /// UUID of the partition.
    pub part_uuid: Option<String>,
    /// Type of what is on it: `ext4`, `swap`…
    pub fstype: Option<String>,
    /// Which part of a filesystem is on it that may be on several devices, each with its UUID (Btrfs).
    #[serde(default)]
    pub member: Option<String>,
}

/// What the payload brings, as the builder found it.
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is an answer of its own about an image"
)]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewIdentity {
    /// Types of host keys that its ssh server takes: `ssh-ed25519`, `ssh-rsa`…; empty where it has
    /// no server.
    pub host_key_types: Vec<String>,
    /// Filesystems that its kernel can mount, those that need a program of their own to mount
    /// (nfs, cifs) only with it.
    pub filesystems: Vec<String>,
    /// Login shells that are there.
    pub shells: Vec<String>,
    /// Programs that people and their shells find, by their paths; none where the image is older than the question.
    #[serde(default)]
    pub programs: Vec<String>,
    /// It has the time zone database.
    pub zones: bool,
    /// It can make locales (`locale-gen`).
    pub locale_gen: bool,
    /// It has systemd's unit that asks for a login on a serial line.
    #[serde(default)]
    pub serial_getty: bool,
    /// It has cloud-init.
    pub cloud_init: bool,
    /// Files and folders that the image's author wants carried from the old OS.
    pub carry: Vec<String>,
    /// Patterns of files that its ssh server's own configuration includes; none where the server
    /// does not know `Include` (before OpenSSH 8.2).
    #[serde(default)]
    pub ssh_includes: Vec<String>,
    /// How many of the settings of its own server are read before a file `/etc/ssh/sshd_config.d/00-reroot.conf` would be.
    #[serde(default)]
    pub ssh_before: usize,
    /// How passwords may be hashed for its C library to know them: `$6$`, `$y$`; empty where that is not known.
    #[serde(default)]
    pub password_schemes: Vec<String>,
    /// Modules of PAM, by their file's names; `None` where the image is older than the question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pam_modules: Option<Vec<String>>,
    /// Who gets in and becomes root; `None` where the image is older than the question.
    #[serde(default)]
    pub doors: Option<Doors>,
}

impl NewIdentity {
    /// Can its kernel mount filesystems of this type?
    pub fn can_mount(&self, fstype: &str) -> bool {
        self.filesystems.iter().any(|f| f == fstype)
    }
}

/// What will be done about names, keys and mounts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityPlan {
    /// The host name.
    pub hostname: String,
    /// Files and folders that are copied as they are, by path.
    pub copied: Vec<String>,
    /// Those of them that are private host keys: they come with mode 0600, root's, without an
    /// access control list, for the ssh server takes no others; links to them become files.
    pub private: Vec<String>,
    /// Those of them that are in somebody's home, and are read as that person would read them.
    #[serde(default)]
    pub in_homes: Vec<InHome>,
    /// Files that are written.
    pub files: Vec<NewFile>,
    /// Options of the root's own line in fstab(5) of the new OS.
    #[serde(default)]
    pub root_options: Vec<String>,
    /// Lines that are added to fstab(5) of the new OS, behind the root's.
    pub fstab: Vec<String>,
    /// What those lines mount, for the comparison at the first boot.
    pub mounts: Vec<PlannedMount>,
    /// Host keys that the new OS's server shows.
    pub host_keys: Vec<HostKey>,
    /// Ports that its ssh server listens on; none where it has no server.
    #[serde(default)]
    pub ssh_ports: Vec<u16>,
    /// What stands in for the old ssh server's own configuration, where that comes along, if the new one does not
    /// take it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh_reserve: Option<String>,
    /// What the new OS's server is promised to say of people; `None` where nothing is written for it, or where it goes by
    /// what the plan does not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh_promise: Option<Promise>,
    /// Every way in that ends in a root shell: in the old OS, and in the new one.
    #[serde(default)]
    pub ways: (Vec<Way>, Vec<Way>),
    /// Who becomes root in the new OS if they get in by what does not count as a way: a certificate, a key that a
    /// program hands out. Nobody where its server has nothing of that kind.
    #[serde(default)]
    pub otherwise: Vec<String>,
    /// What the new OS's server holds people to by `ForceCommand` and the new OS does not have, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_commands: Vec<String>,
    /// Who the first boot asks the server about: everybody who has a way in in the new OS.
    #[serde(default)]
    pub logins: Vec<Login>,
    /// What of the old OS stays behind, in words, one line a kind.
    pub left: Vec<String>,
    /// What to know: keys of types that are no longer taken, a locale that is not there.
    pub notes: Vec<String>,
}

/// A mount, or swap space, of the new OS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedMount {
    /// What is mounted, as in fstab(5): `UUID=…`, `server:/path`.
    pub source: String,
    /// Where; `none` for swap.
    pub target: String,
    /// Filesystem type.
    pub fstype: String,
    /// It is mounted at boot (no `noauto`), and must be there (no `nofail`).
    pub required: bool,
    /// It is checked before that, by the `fsck` of its type.
    #[serde(default)]
    pub checked: bool,
}
