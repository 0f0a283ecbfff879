//! PAM's files, pam.d(5), as a service reads them: its own, and what that includes.

use crate::files::Files;

/// Where they are: the administrator's go before a distribution's.
const FOLDERS: [&str; 2] = ["/etc/pam.d", "/usr/lib/pam.d"];
/// How deep files may include others, as in PAM itself.
const DEEPEST: usize = 32;

/// A line that names a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The file that it is in.
    pub path: String,
    /// `auth`, `account`, `session`, `password`.
    pub kind: String,
    /// Nothing is said where the module is not there (`-auth`).
    pub may_lack: bool,
    /// What its answer counts for: `required`, `[default=ignore]`.
    pub control: String,
    /// The module, without the folder that it is in.
    pub module: String,
    /// What it is told.
    pub arguments: Vec<String>,
    /// The line, as it stands.
    pub text: String,
}

/// Every line of a service's, in their order, each once.
pub fn lines(files: &dyn Files, service: &str) -> Vec<Line> {
    let mut found = Vec::new();
    read(files, service, None, 0, &mut found);
    found
}

fn read(files: &dyn Files, name: &str, only: Option<&str>, depth: usize, found: &mut Vec<Line>) {
    if depth > DEEPEST {
        return;
    }
    let places: Vec<String> = if name.starts_with('/') {
        vec![name.to_owned()]
    } else {
        let in_folder = |folder: &&str| format!("{folder}/{name}");
        FOLDERS.iter().map(in_folder).collect()
    };
    let there = places
        .into_iter()
        .find_map(|path| Some((files.text(&path)?, path)));
    let Some((text, path)) = there else {
        return;
    };
    for line in text.replace("\\\n", " ").lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("@include") {
            read(files, rest.trim(), only, depth + 1, found);
            continue;
        }
        let Some(line) = parse(&path, line) else {
            continue;
        };
        if only.is_some_and(|only| only != line.kind) {
            continue;
        }
        if ["include", "substack"].contains(&line.control.as_str()) {
            read(files, &line.module, Some(&line.kind), depth + 1, found);
        } else if !found.contains(&line) {
            found.push(line);
        }
    }
}

/// A line of four parts; nothing where it is none, which PAM takes for a module that refuses.
fn parse(path: &str, line: &str) -> Option<Line> {
    let text = line.split('#').next().unwrap_or_default().trim();
    let (kind, rest) = text.split_once(char::is_whitespace)?;
    let rest = rest.trim_start();
    let (control, rest) = if rest.starts_with('[') {
        rest.split_at(rest.find(']')? + 1)
    } else {
        rest.split_once(char::is_whitespace)?
    };
    let mut words = rest.split_whitespace();
    let module = words.next()?;
    let plain = kind.strip_prefix('-').unwrap_or(kind);
    let is_include = ["include", "substack"].contains(&control);
    let name = module.rsplit('/').next().unwrap_or(module);
    Some(Line {
        path: path.to_owned(),
        kind: plain.to_ascii_lowercase(),
        may_lack: plain != kind,
        control: control.to_owned(),
        module: if is_include { module } else { name }.to_owned(),
        arguments: words.map(str::to_owned).collect(),
        text: line.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::tests::Tree;

    fn read(files: &[(&str, &str)], service: &str) -> Vec<String> {
        let lines = lines(&Tree(files), service).into_iter();
        lines
            .map(|l| format!("{} {} {}", l.kind, l.module, l.arguments.join(" ")))
            .map(|line| line.trim_end().to_owned())
            .collect()
    }

    #[test]
    fn what_a_file_includes_is_read_in_its_place_and_of_the_kind_that_is_asked_for() {
        let debian = [
            (
                "/etc/pam.d/sshd",
                "@include common-auth\naccount required pam_nologin.so # why\n@include common-account\n",
            ),
            ("/etc/pam.d/common-auth", "auth\t[success=1 default=ignore]\tpam_unix.so nullok\n"),
            ("/etc/pam.d/common-account", "-account required /lib/security/pam_x.so a\\\n  b\n"),
        ];
        let expected = [
            "auth pam_unix.so nullok",
            "account pam_nologin.so",
            "account pam_x.so a b",
        ];
        assert_eq!(read(&debian, "sshd"), expected);
        let rhel = [
            (
                "/etc/pam.d/sshd",
                "auth substack password-auth\naccount include password-auth\nsession optional pam_motd.so\n",
            ),
            (
                "/etc/pam.d/password-auth",
                "auth required pam_env.so\naccount required pam_unix.so\npassword required pam_deny.so\n",
            ),
        ];
        let expected = [
            "auth pam_env.so",
            "account pam_unix.so",
            "session pam_motd.so",
        ];
        assert_eq!(read(&rhel, "sshd"), expected);
        let vendor = [
            (
                "/usr/lib/pam.d/su",
                "auth include su\nauth required pam_wheel.so\n",
            ),
            ("/etc/pam.d/other", "auth required pam_deny.so\n"),
        ];
        assert_eq!(read(&vendor, "su"), ["auth pam_wheel.so"]);
        assert_eq!(read(&vendor, "sshd"), [""; 0]);
        assert_eq!(
            read(&[("/etc/pam.d/su", "auth\nauth [x\nauth required\n")], "su"),
            [""; 0]
        );
    }
}
