//! Whether the ssh server is one that is started at boot, as far as systemd's files say.

use identity::access::units;

use super::files::Tree;

/// Where units are wanted, by the administrator, by the distribution, by what is made at boot.
const FOLDERS: [&str; 4] = [
    "/etc/systemd/system",
    "/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/run/systemd/generator",
];

/// How their folders end.
const ENDINGS: [&str; 3] = [".wants", ".requires", ".upholds"];

/// Scripts of sysvinit that systemd calls where there is no unit.
const SCRIPTS: [&str; 2] = ["/etc/rc3.d", "/etc/rc2.d"];

/// Whether something starts it. Where systemd does not run, nothing is known, and something may.
pub fn is_started(tree: &Tree) -> bool {
    if !tree.exists("/run/systemd/system") {
        return true;
    }
    let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    // Masked, it is a link to /dev/null, whoever wants it.
    let is_masked = |unit: &str| {
        let path = format!("/etc/systemd/system/{unit}");
        tree.exists(&path) && !tree.is_file(&path)
    };
    let wanted = units::wanted(tree, &FOLDERS, &ENDINGS);
    let is_it = |unit: &String| units::names().any(|name| name == unit) && !is_masked(unit);
    let scripts = SCRIPTS.iter().flat_map(|folder| tree.folder(folder));
    let mut by_scripts = scripts.map(|path| name(&path));
    let masked = units::names().any(is_masked);
    wanted.iter().any(is_it)
        || !masked && by_scripts.any(|script| script.starts_with('S') && script.contains("ssh"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_server_that_nothing_wants_is_not_started() {
        let wanted = "etc/systemd/system/multi-user.target.wants/ssh.service";
        let socket = "usr/lib/systemd/system/sockets.target.wants/ssh.socket";
        let unit = "lib/systemd/system/ssh.service";
        for (systemd, files, masked, expected) in [
            (true, &[unit, wanted][..], None, true),
            (true, &[unit, socket], None, true),
            (true, &[unit], None, false),
            (true, &[unit, wanted], Some("ssh.service"), false),
            (true, &[unit, wanted, socket], Some("ssh.service"), true),
            (true, &["etc/rc2.d/S02ssh"], None, true),
            (true, &["etc/rc2.d/K02ssh"], None, false),
            (true, &["etc/rc2.d/S02ssh"], Some("ssh.service"), false),
            (false, &[], None, true),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let at = |path: &str| {
                let at = folder.path().join(path);
                fs::create_dir_all(at.parent().unwrap()).unwrap();
                at
            };
            if systemd {
                fs::create_dir_all(at("run/systemd/system")).unwrap();
            }
            for file in files {
                fs::write(at(file), "").unwrap();
            }
            if let Some(unit) = masked {
                let path = format!("etc/systemd/system/{unit}");
                symlink("/dev/null", at(&path)).unwrap();
            }
            let tree = Tree::new(folder.path());
            assert_eq!(is_started(&tree), expected, "{files:?} {masked:?}");
        }
    }
}
