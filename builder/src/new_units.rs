//! The units of a new OS's systemd: which there are, and which are started at boot.

use identity::access::units;

use crate::root_tree::RootTree;

/// Where units of systemd's are; the first that has a name goes before the others.
const UNIT_FOLDERS: [&str; 4] = [
    "etc/systemd/system",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
];

/// Those of the ssh server that are there; one that is masked (a link to /dev/null) is none.
pub fn of_server(tree: &RootTree) -> Vec<String> {
    let is_there = |unit: &&str| {
        let has = |folder: &&&str| {
            let names = tree.names(folder).unwrap_or_default();
            names.iter().any(|name| name == *unit)
        };
        let first = UNIT_FOLDERS.iter().find(has);
        first.is_some_and(|folder| {
            let text = tree.read(&format!("{folder}/{unit}"));
            text.is_ok_and(|text| !text.is_empty())
        })
    };
    units::names().filter(is_there).map(str::to_owned).collect()
}

/// Whether units of the ssh server's are there, by whatever state, and nothing starts any at boot. Where another init
/// or another unit starts it, that is not said.
pub fn is_server_off(tree: &RootTree) -> bool {
    let in_folder = |name: &str, folder: &&str| {
        let inner = tree.names(folder).unwrap_or_default();
        inner.iter().any(|n| n == name)
    };
    let has_units = units::names().any(|name| UNIT_FOLDERS.iter().any(|f| in_folder(name, f)));
    let systemd = ["usr/lib/systemd/systemd", "lib/systemd/systemd"];
    if !has_units || !systemd.iter().any(|path| tree.has(path)) {
        return false;
    }
    let there = of_server(tree);
    let wanted = units::wanted(tree, &UNIT_FOLDERS, &[".wants", ".requires"]);
    let starts_one = |unit: &str| {
        let file = UNIT_FOLDERS.iter().find(|folder| in_folder(unit, folder));
        let text = file.and_then(|folder| tree.read(&format!("{folder}/{unit}")).ok());
        text.is_some_and(|text| String::from_utf8_lossy(&text).contains("sshd"))
    };
    !wanted.iter().any(|unit| {
        let known = units::names().any(|name| name == unit);
        known && there.contains(unit) || !known && starts_one(unit)
    })
}

/// Whether there is a unit of this name, in whatever state.
pub fn has(tree: &RootTree, unit: &str) -> bool {
    UNIT_FOLDERS
        .iter()
        .any(|folder| tree.has(&format!("{folder}/{unit}")))
}

/// Whether a unit is started at boot: some target wants it.
pub fn is_enabled(tree: &RootTree, unit: &str) -> bool {
    // The link leads to a file of the tree; that it is there is all that counts.
    units::wanted(tree, &["etc/systemd/system"], &[".wants"])
        .iter()
        .any(|wanted| wanted == unit)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::new_identity::tests::tree;

    #[test]
    fn a_unit_counts_where_a_target_wants_it() {
        let unit = "etc/systemd/system/multi-user.target.wants/systemd-networkd.service";
        let (_folder, tree) = tree(&[(unit, "")]);
        assert!(is_enabled(&tree, "systemd-networkd.service"));
        assert!(!is_enabled(&tree, "systemd-resolved.service"));
    }

    #[test]
    fn units_of_the_ssh_server_are_those_that_are_there_and_not_masked() {
        let unit = "[Service]\nExecStart=/usr/sbin/sshd -D\n";
        let (folder, tree) = tree(&[
            ("usr/lib/systemd/system/ssh.service", unit),
            (
                "usr/lib/systemd/system/ssh.socket",
                "[Socket]\nListenStream=22\n",
            ),
            ("usr/lib/systemd/system/cron.service", unit),
        ]);
        assert_eq!(of_server(&tree), ["ssh.service", "ssh.socket"]);
        let own = folder.path().join("etc/systemd/system");
        fs::create_dir_all(&own).unwrap();
        // An alias is a name as well, and leads to a place in the tree.
        std::os::unix::fs::symlink(
            "/usr/lib/systemd/system/ssh.service",
            own.join("sshd.service"),
        )
        .unwrap();
        std::os::unix::fs::symlink("/dev/null", own.join("ssh.socket")).unwrap();
        assert_eq!(of_server(&tree), ["ssh.service", "sshd.service"]);
    }

    #[test]
    fn a_server_whose_units_nothing_starts_is_server_off() {
        let service = (
            "usr/lib/systemd/system/ssh.service",
            "[Service]\nExecStart=/usr/sbin/sshd -D\n",
        );
        let systemd = ("usr/lib/systemd/systemd", "");
        let wanted = |unit: &'static str| (unit, "");
        let of = |files: &[(&str, &str)]| {
            let (_folder, tree) = tree(files);
            is_server_off(&tree)
        };
        let enabled = wanted("etc/systemd/system/multi-user.target.wants/ssh.service");
        assert!(!of(&[systemd, service, enabled]));
        assert!(of(&[systemd, service]));
        assert!(!of(&[service]), "another init");
        assert!(!of(&[systemd]), "without units of known names");
        let socket = (
            "usr/lib/systemd/system/ssh.socket",
            "[Socket]\nListenStream=22\n",
        );
        let by_socket = wanted("etc/systemd/system/sockets.target.wants/ssh.socket");
        assert!(!of(&[systemd, service, socket, by_socket]));
        // By the vendor, as by an image that is made so.
        let by_vendor = wanted("usr/lib/systemd/system/multi-user.target.wants/ssh.service");
        assert!(!of(&[systemd, service, by_vendor]));
        let masked = ("etc/systemd/system/ssh.service", "");
        assert!(of(&[systemd, service, enabled, masked]));
        let other = (
            "etc/systemd/system/our-ssh.service",
            "[Service]\nExecStart=/usr/sbin/sshd -D -f /x\n",
        );
        let by_other = wanted("etc/systemd/system/multi-user.target.wants/our-ssh.service");
        assert!(!of(&[systemd, service, other, by_other]));
    }
}
