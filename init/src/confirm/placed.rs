//! Whether what the operator had put into the new OS is there: the overlay, and the paths that were asked for.

use std::fs;
use std::path::Path;

use formats::confirm::{Code, Finding};
use formats::plan::Plan;

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
    findings
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
}
