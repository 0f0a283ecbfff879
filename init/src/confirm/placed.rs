//! Whether what the operator had put into the new OS is there: the overlay, and the paths that were asked for.

use std::fs;
use std::path::Path;

use formats::confirm::{Code, Finding};
use formats::plan::Plan;
use identity::access::written::{ASIDE, BESIDE, OTHER};

use crate::root::place;

/// How many paths a finding names.
const NAMED: usize = 5;

/// `obstructed` is what the run left out because something else was in its place.
pub fn compare(root: &Path, plan: &Plan, obstructed: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(overlay) = &plan.overlay {
        let missing = overlay.files.iter().filter(|path| {
            let at = place::at(root, path);
            !fs::symlink_metadata(at).is_ok_and(|found| !found.is_dir())
        });
        let missing: Vec<&str> = missing.map(String::as_str).collect();
        findings.push(Finding::judge(
            Code::Placed,
            format!("the overlay {} is in its place", overlay.source),
            (!missing.is_empty()).then(|| format!("missing: {}", few(&missing))),
        ));
    }
    if !obstructed.is_empty() {
        let left: Vec<&str> = obstructed.iter().map(String::as_str).collect();
        findings.push(Finding::short(
            Code::Placed,
            "everything that was to be carried is in its place",
            format!("left out: {}", few(&left)),
        ));
    }
    let aside = set_aside(root);
    if !aside.is_empty() {
        let aside: Vec<&str> = aside.iter().map(String::as_str).collect();
        findings.push(Finding::short(
            Code::Placed,
            "the ssh server takes what came along for it, and lets in whom the plan says",
            format!(
                "it did not, by `sshd -t` or `sshd -T`, and the run wrote: {}",
                few(&aside)
            ),
        ));
    }
    findings
}

/// What the run made of files that came along and that the ssh server did not take.
fn set_aside(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for folder in ["/etc/ssh", BESIDE] {
        let entries = fs::read_dir(place::at(root, folder)).into_iter().flatten();
        let names = entries
            .flatten()
            .filter_map(|e| e.file_name().into_string().ok());
        let names = names.filter(|name| name.ends_with(ASIDE));
        found.extend(names.map(|name| format!("{folder}/{name}")));
    }
    if place::at(root, OTHER).exists() {
        found.push(OTHER.to_owned());
    }
    found.sort();
    found
}

fn few(items: &[&str]) -> String {
    let named = items[..items.len().min(NAMED)].join("; ");
    match items.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named}; and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use formats::confirm::Verdict;
    use formats::overlay::Overlay;
    use formats::Digest;

    use super::*;

    #[test]
    fn what_is_not_there_falls_short_and_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("etc/folder")).unwrap();
        fs::write(dir.path().join("etc/there"), "").unwrap();
        let mut plan = fixtures::plan::plan();
        assert_eq!(compare(dir.path(), &plan, &[]), []);
        plan.overlay = Some(Overlay {
            source: "/root/overlay".into(),
            digest: Digest([0; 32]),
            bytes: 0,
            files: vec!["/etc/there".into()],
            directories: vec![],
            users: vec![],
            groups: vec![],
        });
        assert_eq!(compare(dir.path(), &plan, &[])[0].verdict, Verdict::Pass);
        let overlay = plan.overlay.as_mut().unwrap();
        overlay
            .files
            .extend(["/etc/folder".into(), "/etc/gone".into()]);
        let found = compare(dir.path(), &plan, &["/lib/x: /lib is a link".into()]);
        let told: Vec<_> = found.iter().map(|f| f.found.as_deref()).collect();
        assert_eq!(
            told,
            [
                Some("missing: /etc/folder; /etc/gone"),
                Some("left out: /lib/x: /lib is a link")
            ]
        );
    }

    #[test]
    fn what_the_ssh_server_did_not_take_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let plan = fixtures::plan::plan();
        let folder = dir.path().join("etc/ssh/sshd_config.d");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("10-a.conf"), "").unwrap();
        assert_eq!(compare(dir.path(), &plan, &[]), []);
        fs::write(folder.join("10-a.conf.set-aside"), "").unwrap();
        fs::create_dir_all(dir.path().join("etc/reroot")).unwrap();
        fs::write(dir.path().join("etc/reroot/sshd_config"), "").unwrap();
        let found = &compare(dir.path(), &plan, &[])[0];
        let told = found.found.as_deref().unwrap();
        let all = "/etc/reroot/sshd_config; /etc/ssh/sshd_config.d/10-a.conf.set-aside";
        assert!(told.ends_with(all), "{told}");
    }
}
