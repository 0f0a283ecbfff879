//! The root's own mount options: the new OS's fstab says of `/` what the old one said, as far as the
//! new kernel takes it of a root that is mounted already.
//!
//! The root is mounted by the initrd, without them; systemd-remount-fs(8) then applies them by a
//! remount. One that a remount refuses would leave the root read-only, so what ext4(5) and the
//! kernel's fs/ext4/super.c (`ext4_remount`) refuse there is told and left out. XFS takes every option
//! that it knows and, but for two, does nothing about it (`xfs_fs_reconfigure` of the kernel).

use formats::facts::RootType;

use super::fstab;
use super::mount_options::{translate, Translated};

/// What the new OS does when an ext4 has errors, where the old one did not say. XFS stops by itself.
const ON_ERRORS: &str = "errors=remount-ro";

/// What a line in fstab has where there is no option.
const NONE: &str = "defaults";

/// What of XFS's own a remount does.
const XFS_AT_ONCE: [&str; 2] = ["inode32", "inode64"];

/// Options, by their name, that are no matter of a root's: they say what is so anyway, or when and by
/// whom something else is mounted.
#[rustfmt::skip]
const NO_MATTER: &[&str] = &[
    "defaults", "auto", "rw", "exec", "suid", "dev", "async", "nouser", "noauto", "nofail", "nobootwait",
    "bootwait", "optional", "showthrough", "timeout", "comment", "_netdev", "remount",
];

/// Why an option is not carried.
#[rustfmt::skip]
const REFUSED: &[(&str, &[&str])] = &[
    ("the new OS writes to its root", &["ro"]),
    (
        "no program of the new OS could be started",
        &["noexec", "user", "users", "owner", "group"],
    ),
    (
        "a remount does not take it; `tune2fs -o` sets a default that stays with the filesystem, \
         `rootflags=` in the new OS's kernel parameters does it by mount",
        &["data"],
    ),
    (
        "a remount does not take it; `rootflags=` in the new OS's kernel parameters does",
        &[
            "dax", "journal_async_commit", "journal_checksum", "nojournal_checksum", "journal_dev",
            "journal_path", "noload", "norecovery", "nombcache", "sb",
        ],
    ),
    (
        "it is one of SELinux's, which the new kernel need not have",
        &["context", "fscontext", "defcontext", "rootcontext"],
    ),
    (
        "it is none of a root's",
        &[
            "bind", "rbind", "loop", "offset", "sizelimit", "helper", "uhelper", "private", "rprivate",
            "shared", "rshared", "slave", "rslave", "unbindable", "runbindable",
        ],
    ),
];

/// The same of XFS alone.
#[rustfmt::skip]
const REFUSED_BY_XFS: &[(&str, &[&str])] = &[
    ("a root that is written to cannot have it", &["norecovery"]),
    ("the devices of the root are its partition and no other", &["logdev", "rtdev"]),
];

/// The same of Btrfs alone.
#[rustfmt::skip]
const REFUSED_BY_BTRFS: &[(&str, &[&str])] = &[
    (
        "it is for the one mount that mends something",
        &[
            "clear_cache", "degraded", "nologreplay", "norecovery", "recovery", "rescan_uuid_tree", "rescue",
            "skip_balance", "usebackuproot",
        ],
    ),
    ("the devices of the root are its partition and no other", &["device"]),
];

/// What of Btrfs's own names the subvolume, which the plan names.
const SUBVOLUME: [&str; 2] = ["subvol", "subvolid"];

/// Options that are carried, and something has to be known of them.
const TO_KNOW: &[(&[&str], &str)] = &[
    (
        &["nosuid"],
        "programs such as sudo and su have no more rights than who starts them, as in the old OS",
    ),
    (
        QUOTAS,
        "quotas are counted anew and switched on by the new OS's `quota` package alone: \
         `quotacheck -ugm /`, then `quotaon -a`",
    ),
];

/// Options that ask for quotas.
#[rustfmt::skip]
const QUOTAS: &[&str] = &["quota", "usrquota", "grpquota", "prjquota", "usrjquota", "grpjquota"];

/// Files that hold quotas' limits, where no option names them; quotacheck(8).
const QUOTA_FILES: [(&str, &[&str]); 2] = [
    ("usr", &["aquota.user", "quota.user"]),
    ("grp", &["aquota.group", "quota.group"]),
];

/// What becomes of the root's options.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct RootOptions {
    /// Those of the new fstab.
    pub(super) options: Vec<String>,
    /// What to know: those that are not carried, and of which something follows.
    pub(super) notes: Vec<String>,
}

/// Decides about the options of `/` in an fstab, on a root of this type.
pub(super) fn root_options(text: &str, filesystem: RootType) -> RootOptions {
    let fstype = filesystem.name();
    let refused_besides = match filesystem {
        RootType::Ext4 => &[][..],
        RootType::Xfs => REFUSED_BY_XFS,
        RootType::Btrfs => REFUSED_BY_BTRFS,
    };
    let mut unheard = Vec::new();
    let mut out = RootOptions::default();
    for option in old_options(text) {
        let name = name(&option);
        let names_subvolume = filesystem == RootType::Btrfs && SUBVOLUME.contains(&name);
        if names_subvolume
            || NO_MATTER.contains(&name)
            || name.starts_with("x-")
            || name.starts_with("X-")
        {
            continue;
        }
        let mut refused = REFUSED.iter().chain(refused_besides);
        let refused = refused.find(|(_, names)| names.contains(&name));
        let why = match (refused, translate(fstype, &option)) {
            (Some((why, _)), _) => (*why).to_owned(),
            (None, Translated::As(text)) if is_plain(&text) => {
                if filesystem == RootType::Xfs && is_xfs_own(&option) {
                    unheard.push(text.clone());
                }
                if !out.options.contains(&text) {
                    out.options.push(text);
                }
                continue;
            }
            (None, Translated::Dropped) => continue,
            (None, Translated::As(_) | Translated::Unknown) => {
                format!("{fstype} has no such option in the new OS")
            }
        };
        out.notes.push(format!(
            "the root's option {option:?} is not carried: {why}"
        ));
    }
    for (names, note) in TO_KNOW {
        let found: Vec<&str> = out.options.iter().map(String::as_str).collect();
        let found: Vec<&str> = found
            .into_iter()
            .filter(|o| names.contains(&name(o)))
            .collect();
        if !found.is_empty() {
            out.notes.push(format!(
                "the root's {} comes along: {note}",
                found.join(", ")
            ));
        }
    }
    if !unheard.is_empty() {
        let unheard = unheard.join(",");
        out.notes.push(format!(
            "the root's {unheard} comes along and has no effect there: XFS takes it when it is mounted first, by \
             `rootflags={unheard}` in the new OS's kernel parameters"
        ));
    }
    match filesystem {
        RootType::Ext4 if !out.options.iter().any(|o| name(o) == "errors") => {
            out.options.push(ON_ERRORS.to_owned());
        }
        RootType::Xfs | RootType::Btrfs if out.options.is_empty() => {
            out.options.push(NONE.to_owned());
        }
        RootType::Ext4 | RootType::Xfs | RootType::Btrfs => {}
    }
    out
}

/// Files at the top of the root that hold quotas' limits, by what its options in an fstab ask for.
pub fn quota_files(text: &str) -> Vec<String> {
    let mut files: Vec<String> = Vec::new();
    for option in old_options(text) {
        for (kind, usual) in QUOTA_FILES {
            match option.split_once('=') {
                Some((key, file)) if key == format!("{kind}jquota") => files.push(file.to_owned()),
                None if option == format!("{kind}quota")
                    || (option == "quota" && kind == "usr") =>
                {
                    files.extend(usual.iter().map(|file| (*file).to_owned()));
                }
                _ => {}
            }
        }
    }
    files.retain(|file| !file.is_empty() && !file.contains('/') && file != "..");
    files.dedup();
    files.into_iter().map(|file| format!("/{file}")).collect()
}

/// The options of the first line for `/`.
fn old_options(text: &str) -> Vec<String> {
    let lines = fstab::parse(text).into_iter();
    let mut roots = lines
        .filter_map(|line| line.fields.ok())
        .filter(|f| f.target == "/");
    roots.next().map(|f| f.options).unwrap_or_default()
}

/// Whether an option is one that XFS alone knows, and that a remount does nothing about.
fn is_xfs_own(option: &str) -> bool {
    let elsewhere = translate("none", option) != Translated::Unknown;
    !elsewhere && !XFS_AT_ONCE.contains(&name(option))
}

fn name(option: &str) -> &str {
    option.split('=').next().unwrap_or_default()
}

/// Whether fstab takes it as it is.
fn is_plain(option: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.,:=@/+".contains(c);
    option.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(options: &str) -> RootOptions {
        let text = format!("# x\nproc /proc proc defaults 0 0\nUUID=1 / ext4 {options} 0 1\n");
        root_options(&text, RootType::Ext4)
    }

    #[test]
    #[rustfmt::skip]
    fn options_come_along_as_far_as_a_remount_takes_them() {
        for (old, new, left) in [
            ("defaults", "errors=remount-ro", &[][..]),
            ("errors=remount-ro", "errors=remount-ro", &[]),
            ("noatime,errors=panic", "noatime,errors=panic", &[]),
            ("rw,relatime,discard,commit=60", "relatime,discard,commit=60,errors=remount-ro", &[]),
            ("noatime,noatime,nofail,x-systemd.growfs", "noatime,errors=remount-ro", &[]),
            ("usrjquota=aquota.user,grpjquota=aquota.group,jqfmt=vfsv0",
                "usrjquota=aquota.user,grpjquota=aquota.group,jqfmt=vfsv0,errors=remount-ro", &[]),
            ("ro,noatime", "noatime,errors=remount-ro", &["\"ro\""]),
            ("noexec", "errors=remount-ro", &["\"noexec\""]),
            ("data=journal,nodev", "nodev,errors=remount-ro", &["\"data=journal\""]),
            ("journal_async_commit", "errors=remount-ro", &["\"journal_async_commit\""]),
            ("reservation,barrier=1", "barrier=1,errors=remount-ro", &["\"reservation\""]),
            ("rootcontext=system_u:object_r:root_t", "errors=remount-ro", &["\"rootcontext="]),
            ("bogus=a\\040b", "errors=remount-ro", &["\"bogus="]),
        ] {
            let found = of(old);
            assert_eq!(found.options.join(","), new, "{old}");
            let told: Vec<_> = found.notes.iter().filter(|n| n.contains("not carried")).collect();
            assert_eq!(told.len(), left.len(), "{old}: {told:?}");
            for (note, option) in told.iter().zip(left) {
                assert!(note.contains(option), "{note}");
            }
        }
        assert_eq!(root_options("", RootType::Ext4).options, [ON_ERRORS]);
    }

    #[test]
    fn what_xfs_does_nothing_about_at_a_remount_is_told() {
        for (old, new, told) in [
            ("defaults", "defaults", ""),
            ("noatime", "noatime", ""),
            ("inode64,noatime", "inode64,noatime", ""),
            (
                "defaults,uquota,pquota",
                "uquota,pquota",
                "`rootflags=uquota,pquota`",
            ),
            (
                "norecovery,logdev=/dev/sdb1,errors=panic",
                "defaults",
                "\"norecovery\"",
            ),
        ] {
            let text = format!("UUID=1 / xfs {old} 0 0\n");
            let found = root_options(&text, RootType::Xfs);
            assert_eq!(found.options.join(","), new, "{old}");
            let notes = found.notes.join("\n");
            assert!(
                notes.contains(told) && notes.is_empty() == told.is_empty(),
                "{notes}"
            );
        }
    }

    #[test]
    fn what_follows_from_an_option_is_told() {
        assert!(of("nosuid").notes[0].contains("sudo"));
        let quotas = of("usrquota,grpquota").notes;
        assert!(
            quotas[0].starts_with("the root's usrquota, grpquota comes along"),
            "{quotas:?}"
        );
        assert_eq!(of("noatime").notes, [""; 0]);
    }

    #[test]
    fn files_of_quotas_are_those_that_the_options_name() {
        let files = |options: &str| quota_files(&format!("/dev/sda1 / ext4 {options} 0 1\n"));
        assert_eq!(
            files("usrjquota=aq.user,grpjquota=,jqfmt=vfsv0"),
            ["/aq.user"]
        );
        assert_eq!(files("usrquota"), ["/aquota.user", "/quota.user"]);
        assert_eq!(files("grpquota"), ["/aquota.group", "/quota.group"]);
        assert_eq!(files("usrjquota=../etc/shadow"), [""; 0]);
        assert_eq!(files("noatime"), [""; 0]);
        assert_eq!(quota_files("/dev/sdb1 /home ext4 usrquota 0 2\n"), [""; 0]);
    }
}
