//! What an ssh server is given that does not take the settings which were written for it: whoever becomes
//! root gets in, from where they did, and nobody else. What a server takes is asked elsewhere.

use std::collections::BTreeSet;

use super::{server, written};
use crate::ssh_access;

/// Forms of it, each of which says less than the one before, for a server takes some that it takes no other:
/// `text` are the settings as they were written, `admins` who becomes root.
pub fn forms<'a>(text: &str, admins: impl Iterator<Item = &'a str>) -> Vec<String> {
    let admins: BTreeSet<&str> = admins.collect();
    // A list without a name is none that the server takes.
    let admins = if admins.is_empty() {
        BTreeSet::from(["root"])
    } else {
        admins
    };
    let blocks = blocks(text);
    let (everybody, conditional) = blocks.split_at(1);
    let lists = (patterns(everybody), patterns(conditional));
    let allowed: Vec<String> = admins
        .iter()
        .flat_map(|admin| from_where(admin, &lists))
        .collect();
    // A server that asks nobody keeps out those whose password is locked: that is not for these settings to say,
    // but where they are all that there is.
    let pam = lines(everybody, "", &|word| word == "UsePAM");
    let allowed = format!("AllowUsers {}\n{pam}", allowed.join(" "));
    let doors = lines(everybody, "", &written::is_door);
    let keys = lines(everybody, "", &|word| word == "HostKey");
    let of_some: String = conditional
        .iter()
        .map(|block| {
            let doors = lines(std::slice::from_ref(block), "    ", &written::is_door);
            match (block.condition, doors.is_empty()) {
                (Some(condition), false) => format!("{condition}\n{doors}"),
                _ => String::new(),
            }
        })
        .collect();
    let mut forms = vec![
        format!("{allowed}{doors}{keys}{of_some}"),
        format!("{allowed}{doors}{keys}"),
        format!("{allowed}{doors}"),
        allowed,
    ];
    forms.dedup();
    forms
}

/// Lines that count for everybody, or below one `Match`.
struct Block<'t> {
    /// The line with the `Match`.
    condition: Option<&'t str>,
    lines: Vec<&'t str>,
}

/// The first is everybody's.
fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut blocks = vec![Block {
        condition: None,
        lines: Vec::new(),
    }];
    for line in text.lines() {
        if line.starts_with("Match ") {
            blocks.push(Block {
                condition: Some(line),
                lines: Vec::new(),
            });
        } else if let Some(block) = blocks.last_mut() {
            block.lines.push(line.trim());
        }
    }
    blocks
}

/// Lines whose keyword is one of these.
fn lines(blocks: &[Block], indent: &str, is_one: &dyn Fn(&str) -> bool) -> String {
    let all = blocks.iter().flat_map(|block| &block.lines);
    let chosen = all.filter(|line| line.split_whitespace().next().is_some_and(is_one));
    chosen.flat_map(|line| [indent, *line, "\n"]).collect()
}

/// Every pattern of `AllowUsers`.
fn patterns(blocks: &[Block]) -> Vec<String> {
    let all = blocks.iter().flat_map(|block| &block.lines);
    let parsed = all.filter_map(|line| ssh_access::parse(line));
    parsed
        .filter(|(keyword, _)| server::current_name(keyword) == "AllowUsers")
        .flat_map(|(_, values)| values)
        .collect()
}

/// From where somebody may come, as the list had it: where a list for some says less than everybody's, that.
fn from_where(admin: &str, (everybody, some): &(Vec<String>, Vec<String>)) -> Vec<String> {
    let with_place = some.iter().filter(|pattern| pattern.contains('@'));
    let narrow = server::from_where(admin, with_place.map(String::as_str));
    let own = server::from_where(admin, everybody.iter().map(String::as_str));
    match (narrow.is_empty(), own.is_empty()) {
        (false, _) => narrow,
        (true, false) => own,
        (true, true) => vec![admin.to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(text: &str) -> String {
        let forms = forms(text, ["root", "ann", "root"].into_iter());
        let first = forms[0].lines().next().unwrap().to_owned();
        assert!(
            forms.iter().all(|form| form.lines().next() == Some(&first)),
            "{forms:?}"
        );
        first
    }

    #[test]
    fn whoever_becomes_root_comes_from_where_they_came() {
        for (text, expected) in [
            ("PermitRootLogin yes\n", "ann root"),
            ("AllowUsers ann root bob\n", "ann root"),
            (
                "AllowUsers ann@192.0.2.* root@198.51.100.7 ann@10.0.0.0/8\n",
                "ann@192.0.2.* ann@10.0.0.0/8 root@198.51.100.7",
            ),
            ("AllowUsers *@192.0.2.*\n", "ann@192.0.2.* root@192.0.2.*"),
            (
                "AllowUsers root\nAllowUsers ro*@10.* ann@10.*\n",
                "ann@10.* root",
            ),
            (
                "AllowUsers root ann\nMatch User ann\n    AllowUsers ann@10.*\n",
                "ann@10.* root",
            ),
            // By a group's list.
            (
                "AllowGroups wheel\nMatch User bob\n    AllowUsers bob@10.*\n",
                "ann root",
            ),
        ] {
            assert_eq!(allowed(text), format!("AllowUsers {expected}"), "{text}");
        }
    }

    #[test]
    fn each_form_says_less_and_none_widens_what_is_said_of_some() {
        let text = "PermitRootLogin yes\nPort 2222\nAllowGroups staff\nHostKey /data/key\n\
                    Match Group sftp\n    ForceCommand x\n\
                    Match Address *,!10.0.0.0/8\n    PermitRootLogin no\n    X11Forwarding no\n";
        let head = "AllowUsers root\n";
        let doors = "PermitRootLogin yes\nPort 2222\n";
        let expected = [
            format!(
                "{head}{doors}HostKey /data/key\nMatch Address *,!10.0.0.0/8\n    PermitRootLogin no\n"
            ),
            format!("{head}{doors}HostKey /data/key\n"),
            format!("{head}{doors}"),
            head.to_owned(),
        ];
        assert_eq!(forms(text, std::iter::empty()), expected);
        assert_eq!(forms("", std::iter::empty()), [head]);
        // Of a whole configuration that asks PAM, each asks PAM.
        let whole = forms(
            "UsePAM yes\nSubsystem sftp internal-sftp\nPort 22\n",
            std::iter::empty(),
        );
        let pam = format!("{head}UsePAM yes\n");
        assert_eq!(whole, [format!("{pam}Port 22\n"), pam]);
    }
}
