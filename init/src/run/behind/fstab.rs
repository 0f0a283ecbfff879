//! fstab(5) of the new OS: the root by UUID, the payload's other lines as they are.

use formats::facts::RootType;
use identity::fstab::{self, Fields};

/// How the source of a line begins that names a device: one of the machine that the payload was
/// made on, which would be waited for at every boot of this one.
const DEVICES: [&str; 6] = ["/dev/", "UUID=", "LABEL=", "PARTUUID=", "PARTLABEL=", "ID="];

/// The text with one line for `/`, with these options, and the payload's lines for other devices commented out.
pub fn with_root(text: &str, uuid: &str, filesystem: RootType, options: &[String]) -> String {
    // A plan without any is of a launcher that did not speak of them, nor of any root but ext4.
    let options = match options {
        [] => "errors=remount-ro".to_owned(),
        options => options.join(","),
    };
    // Nothing checks XFS and Btrfs at a boot: the kernel replays their logs.
    let pass = match filesystem {
        RootType::Ext4 => 1,
        RootType::Xfs | RootType::Btrfs => 0,
    };
    let root = format!("UUID={uuid} / {} {options} 0 {pass}", filesystem.name());
    let mut out = String::new();
    for line in text
        .lines()
        .filter(|l| !l.starts_with("# UNCONFIGURED FSTAB"))
    {
        let mut fields = line.split_whitespace();
        let source = fields.next().unwrap_or_default();
        if !source.starts_with('#') && fields.next() == Some("/") {
            continue;
        }
        if DEVICES.iter().any(|d| source.starts_with(d)) {
            out.push_str("# of another machine: ");
        }
        out.push_str(line);
        out.push('\n');
    }
    out + &root + "\n"
}

/// Begins the comment over the lines that come from the old OS.
const CARRIED: &str = "# from the OS before: ";

/// The text with the lines carried from the old OS behind it, each under a comment. Lines that an
/// earlier attempt added are replaced.
pub fn with_carried(text: &str, carried: &[String]) -> String {
    let mut out = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.starts_with(CARRIED) {
            // The line that it is about goes with it.
            lines.next();
            continue;
        }
        out.push_str(line);
        out.push('\n');
    }
    for line in carried {
        let target = line.trim_start_matches('#').split_whitespace().nth(1);
        out.push_str(CARRIED);
        out.push_str(target.unwrap_or("not mounted"));
        out.push('\n');
        out.push_str(line);
        out.push('\n');
    }
    out
}

/// What is mounted at `/` according to the text.
pub fn root_device(text: &str) -> Option<String> {
    device_of(text, "/")
}

/// What is mounted at a path according to the text.
pub fn device_of(text: &str, target: &str) -> Option<String> {
    Some(line_of(text, target)?.source)
}

/// The line that counts for a path.
pub fn line_of(text: &str, target: &str) -> Option<Fields> {
    let lines = fstab::parse(text).into_iter().rev();
    let mut fields = lines.filter_map(|line| line.fields.ok());
    fields.find(|fields| fields.target == target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_replaced_and_the_rest_stays() {
        let before = "# comment /\n/dev/sda1 / ext3 defaults 0 1\ntmpfs /tmp tmpfs size=1g 0 0\n";
        let after = with_root(before, "12-34", RootType::Ext4, &[]);
        assert_eq!(
            after,
            "# comment /\ntmpfs /tmp tmpfs size=1g 0 0\nUUID=12-34 / ext4 errors=remount-ro 0 1\n"
        );
        assert_eq!(root_device(&after).as_deref(), Some("UUID=12-34"));
        assert_eq!(with_root(&after, "12-34", RootType::Ext4, &[]), after);
    }

    #[test]
    fn the_root_has_the_options_of_the_plan() {
        let options = ["noatime", "errors=panic"].map(str::to_owned);
        let after = with_root(
            "/dev/sda1 / ext3 defaults 0 1\n",
            "u",
            RootType::Ext4,
            &options,
        );
        assert_eq!(after, "UUID=u / ext4 noatime,errors=panic 0 1\n");
        assert_eq!(with_root(&after, "u", RootType::Ext4, &options), after);
    }

    #[test]
    fn a_root_on_xfs_is_checked_by_nobody() {
        let options = ["noatime".to_owned()];
        let after = with_root("", "u", RootType::Xfs, &options);
        assert_eq!(after, "UUID=u / xfs noatime 0 0\n");
        assert_eq!(with_root(&after, "u", RootType::Xfs, &options), after);
    }

    #[test]
    fn devices_of_another_machine_are_not_waited_for() {
        let after = with_root("UUID=9 /home ext4 defaults 0 2\n/dev/sda2 none swap sw 0 0\nproc /proc proc defaults 0 0\n", "u", RootType::Ext4, &[]);
        assert_eq!(
            after,
            "# of another machine: UUID=9 /home ext4 defaults 0 2\n\
             # of another machine: /dev/sda2 none swap sw 0 0\n\
             proc /proc proc defaults 0 0\nUUID=u / ext4 errors=remount-ro 0 1\n"
        );
        assert_eq!(with_root(&after, "u", RootType::Ext4, &[]), after);
    }

    #[test]
    fn carried_lines_follow_once_however_often_they_are_added() {
        let carried = [
            "UUID=9 /srv ext4 defaults 0 2",
            "# //nas/x /mnt cifs ro 0 0",
        ]
        .map(str::to_owned);
        let expected = "UUID=u / ext4 errors=remount-ro 0 1\n\
             # from the OS before: /srv\nUUID=9 /srv ext4 defaults 0 2\n\
             # from the OS before: /mnt\n# //nas/x /mnt cifs ro 0 0\n";
        let once = with_carried(&with_root("", "u", RootType::Ext4, &[]), &carried);
        assert_eq!(once, expected);
        assert_eq!(root_device(&once).as_deref(), Some("UUID=u"));
        assert_eq!(device_of(&once, "/srv").as_deref(), Some("UUID=9"));
        assert_eq!(device_of(&once, "/mnt"), None);
        assert_eq!(with_carried(&once, &carried), expected);
        assert_eq!(
            with_carried(&once, &[]),
            with_root("", "u", RootType::Ext4, &[])
        );
        // A new attempt begins with the root's line, to which these are another machine's.
        assert_eq!(
            with_carried(&with_root(&once, "u", RootType::Ext4, &[]), &carried),
            expected
        );
    }

    #[test]
    fn an_empty_file_gets_a_root() {
        let after = with_root(
            "# UNCONFIGURED FSTAB FOR BASE SYSTEM\n",
            "u",
            RootType::Ext4,
            &[],
        );
        assert_eq!(after, "UUID=u / ext4 errors=remount-ro 0 1\n");
        assert_eq!(root_device("# / x\n"), None);
    }
}
