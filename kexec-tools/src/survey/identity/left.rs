//! What is in the old OS and stays behind, so that nothing is lost in silence. A table says where
//! to look; nothing found here is judged.

use formats::counted::counted;
use std::collections::BTreeSet;

use super::files::{lines, Tree};

/// The kind of what of the ssh server's configuration stays behind.
pub const SSH_OPTIONS: &str = "options of the ssh server";

/// Files that are counted below a folder; more are "many".
const MANY: usize = 10_000;

/// How to look at a place.
enum Look {
    /// Everything in a folder.
    Folder(&'static str),
    /// What is in a folder and belongs to no package.
    Unowned(&'static str),
    /// A file, if it has lines that say something; those that contain one of the texts do not.
    Lines(&'static str, &'static [&'static str]),
    /// Every line of a file that says something.
    Options(&'static str),
    /// A file, if it has this line.
    Setting(&'static str, &'static str),
    /// Names in the folders of a folder whose names end so.
    Wanted(&'static str, &'static str),
    /// Names in a folder, without the first three characters, of those that begin with `S`.
    Started(&'static str),
    /// How many files are below a folder.
    Count(&'static str),
}

use Look::{Count, Folder, Lines, Options, Setting, Started, Unowned, Wanted};

/// Kinds of things, and where they are.
const KINDS: &[(&str, &[Look])] = &[
    ("crontabs of users", &[Folder("/var/spool/cron/crontabs")]),
    (
        "cron jobs",
        &[
            Unowned("/etc/cron.d"),
            Unowned("/etc/cron.hourly"),
            Unowned("/etc/cron.daily"),
            Unowned("/etc/cron.weekly"),
            Unowned("/etc/cron.monthly"),
            // The system's own jobs run the folders above; the rest sets variables.
            Lines("/etc/crontab", &["run-parts", "SHELL=", "PATH="]),
        ],
    ),
    (
        "sudo rules",
        &[
            Lines(
                "/etc/sudoers",
                &[
                    "Defaults",
                    "root\t",
                    "root ",
                    "%sudo",
                    "%admin",
                    "%wheel",
                    "includedir",
                ],
            ),
            Unowned("/etc/sudoers.d"),
        ],
    ),
    (
        "kernel settings",
        &[Lines("/etc/sysctl.conf", &[]), Unowned("/etc/sysctl.d")],
    ),
    (
        SSH_OPTIONS,
        &[
            Options("/etc/ssh/sshd_config"),
            Unowned("/etc/ssh/sshd_config.d"),
        ],
    ),
    (
        "firewall rules",
        &[
            Lines("/etc/iptables/rules.v4", &[]),
            Lines("/etc/iptables/rules.v6", &[]),
            Lines("/etc/iptables.rules", &[]),
            Lines("/etc/nftables.conf", &["flush ruleset"]),
            Setting("/etc/ufw/ufw.conf", "ENABLED=yes"),
            Folder("/etc/firewalld/zones"),
        ],
    ),
    (
        "enabled services",
        &[
            Wanted("/etc/systemd/system", ".wants"),
            Started("/etc/rc2.d"),
        ],
    ),
    ("start scripts", &[Lines("/etc/rc.local", &["exit 0"])]),
    (
        "kernel modules loaded at boot",
        &[Options("/etc/modules"), Unowned("/etc/modules-load.d")],
    ),
    ("udev rules", &[Unowned("/etc/udev/rules.d")]),
    ("package sources", &[Folder("/etc/apt/sources.list.d")]),
    (
        "software outside of packages",
        &[Count("/opt"), Count("/usr/local")],
    ),
    ("mail aliases", &[Options("/etc/aliases")]),
    (
        "certificates and their keys",
        &[Folder("/etc/letsencrypt/live"), Unowned("/etc/ssl/private")],
    ),
];

/// What stays behind, by kind; kinds with nothing are left out. `stays` says of a path that it is
/// kept or carried.
pub fn behind(tree: &Tree, stays: &dyn Fn(&str) -> bool) -> Vec<(String, Vec<String>)> {
    let owned = owned(tree);
    KINDS
        .iter()
        .map(|(kind, looks)| {
            let mut items: Vec<String> = Vec::new();
            for look in *looks {
                for item in found(tree, look, &owned, stays) {
                    if !items.contains(&item) {
                        items.push(item);
                    }
                }
            }
            ((*kind).to_owned(), items)
        })
        .filter(|(_, items)| !items.is_empty())
        .collect()
}

fn found(
    tree: &Tree,
    look: &Look,
    owned: &BTreeSet<String>,
    stays: &dyn Fn(&str) -> bool,
) -> Vec<String> {
    let told = |path: &str, not: &[&str]| -> Vec<String> {
        let text = tree.text(path).filter(|_| !stays(path)).unwrap_or_default();
        lines(&text)
            .filter(|line| !not.iter().any(|n| line.contains(n)))
            .map(str::to_owned)
            .collect()
    };
    // Markers of packages, and README files.
    let dull = |path: &String| {
        let name = path.rsplit('/').next().unwrap_or_default();
        name.starts_with('.') || name.starts_with("README") || stays(path)
    };
    let folder = |path: &str| -> Vec<String> {
        tree.folder(path).into_iter().filter(|p| !dull(p)).collect()
    };
    match look {
        Folder(path) => folder(path),
        Unowned(path) => folder(path)
            .into_iter()
            .filter(|p| !owned.contains(p))
            .collect(),
        Lines(path, not) => {
            let count = told(path, not).len();
            let unit = if count == 1 { "line" } else { "lines" };
            (count > 0)
                .then(|| format!("{path} ({count} {unit})"))
                .into_iter()
                .collect()
        }
        Options(path) => told(path, &[]),
        Setting(path, line) => {
            let set = told(path, &[]).iter().any(|l| l == line);
            set.then(|| format!("{path} ({line})"))
                .into_iter()
                .collect()
        }
        Wanted(path, end) => tree
            .folder(path)
            .iter()
            .filter(|folder| folder.ends_with(end))
            .flat_map(|folder| tree.folder(folder))
            .filter_map(|unit| Some(unit.rsplit('/').next()?.to_owned()))
            .collect(),
        Started(path) => tree
            .folder(path)
            .iter()
            .filter_map(|p| {
                p.rsplit('/')
                    .next()?
                    .strip_prefix('S')?
                    .get(2..)
                    .map(str::to_owned)
            })
            .collect(),
        Count(path) => {
            let most = if stays(path) { 0 } else { MANY };
            let parts = tree.folder(path).into_iter().filter(|p| !stays(p));
            match parts.map(|p| tree.count_of(&p, most)).sum::<usize>() {
                0 => Vec::new(),
                count if count >= MANY => vec![format!("{path} (more than {MANY} files)")],
                count => vec![format!(
                    "{path} ({})",
                    counted(count as u64, "file", "files")
                )],
            }
        }
    }
}

/// Files in the folders of [`Unowned`] that belong to a package of dpkg.
fn owned(tree: &Tree) -> BTreeSet<String> {
    let folders: Vec<&str> = KINDS
        .iter()
        .flat_map(|(_, looks)| *looks)
        .filter_map(|look| match look {
            Unowned(path) => Some(*path),
            _ => None,
        })
        .collect();
    let of_dpkg = |path: &String| {
        [".list", ".conffiles"]
            .iter()
            .any(|end| path.ends_with(end))
    };
    let lists = tree
        .folder("/var/lib/dpkg/info")
        .into_iter()
        .filter(of_dpkg);
    lists
        .filter_map(|path| tree.text(&path))
        .flat_map(|text| {
            let ours = |line: &&str| {
                let above = line.rsplit_once('/').map(|(above, _)| above);
                above.is_some_and(|above| folders.contains(&above))
            };
            text.lines()
                .filter(ours)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect()
}
