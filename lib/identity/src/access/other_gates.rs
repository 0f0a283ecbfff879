//! What keeps people out of the ssh server besides its own configuration: TCP wrappers, `hosts_access`(5), and
//! modules of PAM that let in some and not others. None of it is written for the new OS; what comes along has to find
//! there what it needs.

use super::pam::{self, Line};
use crate::files::Files;

const DENY: &str = "/etc/hosts.deny";
/// Who is asked on the way to a root shell: the server, and su.
const SERVICES: [&str; 2] = ["sshd", "su"];
/// Who else is.
const SUDO: &str = "sudo";
/// While it is there, nobody gets in but root, nologin(5).
const NOLOGIN: &str = "/etc/nologin";
/// Modules that say of some people that they may not come in, or ask them for something besides.
const SELECTS: [&str; 12] = [
    "pam_duo.so",
    "pam_google_authenticator.so",
    "pam_oath.so",
    "pam_pkcs11.so",
    "pam_radius_auth.so",
    "pam_u2f.so",
    "pam_yubico.so",
    "pam_access.so",
    "pam_listfile.so",
    "pam_time.so",
    "pam_wheel.so",
    "pam_shield.so",
];
/// The same by what they are told: a program, a condition. At a session's begin they only do something.
const SELECTS_BY_ARGUMENTS: [&str; 4] = [
    "pam_exec.so",
    "pam_python.so",
    "pam_script.so",
    "pam_succeed_if.so",
];
/// Kinds of lines that decide whether somebody comes in.
const DECIDING: [&str; 2] = ["auth", "account"];

/// Files by which modules decide: the argument that names one, and the one that is read where none is named.
const DECIDED_BY: [(&str, &str, Option<&str>); 3] = [
    (
        "pam_access.so",
        "accessfile=",
        Some("/etc/security/access.conf"),
    ),
    ("pam_listfile.so", "file=", None),
    ("pam_time.so", "conffile=", Some("/etc/security/time.conf")),
];

/// What the new OS has of it.
pub struct There<'a> {
    /// Whether a file of the old OS comes along, kept or copied.
    pub stays: &'a dyn Fn(&str) -> bool,
    /// Modules of PAM that the image has; nothing where it does not say.
    pub modules: Option<&'a [String]>,
}

impl There<'_> {
    /// Whether a module is there, or nobody knows.
    fn has(&self, module: &str) -> bool {
        self.modules
            .is_none_or(|modules| modules.iter().any(|known| known == module))
    }

    /// What a line that comes along lacks there to do what it does here.
    fn lack(&self, line: &Line) -> Option<String> {
        if !self.has(&line.module) {
            return Some(format!("the image has no {}", line.module));
        }
        let row = DECIDED_BY
            .iter()
            .find(|(module, ..)| *module == line.module);
        let (_, argument, usual) = row?;
        let mut named = line.arguments.iter();
        let named = named.find_map(|word| word.strip_prefix(argument));
        let file = named.or(*usual).filter(|file| !(self.stays)(file))?;
        Some(format!("{file} does not come along"))
    }
}

/// Each of them that is in force and will not be there, as a file and its line.
pub fn lost(files: &dyn Files, there: &There) -> Vec<String> {
    let mut lost = Vec::new();
    if !(there.stays)(DENY) {
        let text = files.text(DENY).unwrap_or_default();
        let lines = text.lines().map(str::trim);
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        let about = lines.filter(|line| {
            let daemons = line.split(':').next().unwrap_or_default();
            let mut daemons = daemons.split([',', ' ', '\t']);
            daemons.any(|daemon| daemon == "sshd" || daemon == "ALL" || daemon.starts_with("sshd@"))
        });
        lost.extend(about.map(|line| format!("{DENY}: {line}")));
    }
    let lines = services(files, SERVICES.into_iter());
    for line in lines.iter().filter(|line| selects(line)) {
        let told = format!("{}: {}", line.path, line.text);
        if !(there.stays)(&line.path) {
            lost.push(told);
        } else if let Some(lack) = there.lack(line) {
            lost.push(format!("{told}: {lack}"));
        }
    }
    if files.text(NOLOGIN).is_some() && !(there.stays)(NOLOGIN) {
        lost.push(format!("{NOLOGIN}: nobody but root"));
    }
    lost
}

/// Lines that come along and by which nobody would get in, for their module is not there: one that cannot be loaded
/// refuses, unless the line says that it may.
pub fn shut(files: &dyn Files, there: &There) -> Vec<String> {
    let refuses = |line: &&Line| {
        let decides = DECIDING.contains(&line.kind.as_str());
        // Of the words in brackets only one is about that.
        let ignored = ["optional", "sufficient"].contains(&line.control.as_str())
            || line.control.contains("module_unknown=ignore")
            || line.control.contains("default=ignore");
        decides && !line.may_lack && !ignored
    };
    let all = services(files, SERVICES.into_iter().chain([SUDO]));
    let lacking = all
        .iter()
        .filter(refuses)
        .filter(|line| (there.stays)(&line.path) && !there.has(&line.module));
    lacking
        .map(|line| {
            format!(
                "{} comes along and asks {}, which the image does not have: it would let nobody through ({})",
                line.path, line.module, line.kind
            )
        })
        .collect()
}

fn services(files: &dyn Files, names: impl Iterator<Item = &'static str>) -> Vec<Line> {
    let mut all: Vec<Line> = Vec::new();
    for service in names {
        for line in pam::lines(files, service) {
            if !all.contains(&line) {
                all.push(line);
            }
        }
    }
    all
}

/// Whether a line says of some people that they may not come in.
fn selects(line: &Line) -> bool {
    let is = |list: &[&str]| list.contains(&line.module.as_str());
    is(&SELECTS)
        || is(&SELECTS_BY_ARGUMENTS)
            && DECIDING.contains(&line.kind.as_str())
            && line.control != "optional"
            && !(line.module == "pam_succeed_if.so" && tells_system_from_people(&line.arguments))
}

/// Whether conditions of `pam_succeed_if`(8) are about numbers of users alone: as distributions tell the system's from
/// people's, whom none of this is about.
fn tells_system_from_people(arguments: &[String]) -> bool {
    let mut words = arguments.iter().map(String::as_str).peekable();
    while let Some(word) = words.next() {
        match word {
            "uid" => {
                let compares = words
                    .next()
                    .is_some_and(|w| w.chars().all(|c| "<>=!".contains(c)) || NUMBERS.contains(&w));
                let number = words.next().is_some_and(|w| w.parse::<u32>().is_ok());
                if !(compares && number) {
                    return false;
                }
            }
            "debug" | "use_uid" | "quiet" | "quiet_success" | "quiet_fail" | "audit" => {}
            _ => return false,
        }
    }
    true
}

const NUMBERS: [&str; 6] = ["eq", "ne", "lt", "le", "gt", "ge"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::tests::Tree;

    const SSHD: &str = "/etc/pam.d/sshd";

    fn lost_of(files: &[(&str, &str)], stays: &[&str], modules: Option<&[&str]>) -> Vec<String> {
        let modules: Option<Vec<String>> =
            modules.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        let there = There {
            stays: &|path| stays.contains(&path),
            modules: modules.as_deref(),
        };
        lost(&Tree(files), &there)
    }

    #[test]
    fn what_keeps_people_out_is_named_unless_it_stays() {
        let tree = [
            (DENY, "# none\nvsftpd: ALL\nsshd, in.ftpd: .example.net\nALL: PARANOID\n"),
            (
                SSHD,
                "# account required pam_access.so\naccount  required  pam_access.so\naccount required pam_nologin.so\n",
            ),
        ];
        let all = [
            "/etc/hosts.deny: sshd, in.ftpd: .example.net",
            "/etc/hosts.deny: ALL: PARANOID",
            "/etc/pam.d/sshd: account  required  pam_access.so",
        ];
        assert_eq!(lost_of(&tree, &[], None), all);
        assert_eq!(lost_of(&tree, &[DENY], None), all[2..]);
        assert_eq!(lost_of(&[], &[], None), [""; 0]);
        let closed = [
            (NOLOGIN, ""),
            (SSHD, "@include common-auth\n"),
            (
                "/etc/pam.d/common-auth",
                "auth required pam_google_authenticator.so nullok\n",
            ),
        ];
        assert_eq!(
            lost_of(&closed, &[], None),
            [
                "/etc/pam.d/common-auth: auth required pam_google_authenticator.so nullok",
                "/etc/nologin: nobody but root"
            ]
        );
    }

    #[test]
    fn who_may_become_root_by_su_counts_and_so_does_a_program_that_decides() {
        for (file, line, expected) in [
            ("su", "auth required pam_wheel.so", true),
            ("su", "auth required pam_wheel.so use_uid group=wheel", true),
            ("su", "# auth required pam_wheel.so", false),
            ("su", "auth sufficient pam_rootok.so", false),
            (
                "su",
                "account sufficient pam_succeed_if.so uid = 0 use_uid quiet",
                false,
            ),
            (
                "sshd",
                "auth required pam_succeed_if.so user ingroup ops",
                true,
            ),
            (
                "sshd",
                "auth requisite pam_succeed_if.so uid >= 1000 quiet_success",
                false,
            ),
            (
                "sshd",
                "account required pam_exec.so /usr/local/bin/may",
                true,
            ),
            (
                "sshd",
                "session optional pam_exec.so /usr/local/bin/tell",
                false,
            ),
            (
                "sshd",
                "session required pam_exec.so /usr/local/bin/tell",
                false,
            ),
            (
                "sshd",
                "auth optional pam_exec.so /usr/local/bin/tell",
                false,
            ),
            (
                "sshd",
                "auth required pam_python.so /usr/local/bin/may.py",
                true,
            ),
            // Nobody comes by it.
            (
                "ftpd",
                "auth required pam_listfile.so file=/etc/ftpusers",
                false,
            ),
        ] {
            let path = format!("/etc/pam.d/{file}");
            let found = lost_of(&[(&path, line)], &[], None);
            assert_eq!(!found.is_empty(), expected, "{file}: {line}: {found:?}");
        }
    }

    #[test]
    fn what_comes_along_needs_its_module_and_the_file_that_it_goes_by() {
        let access = "account required pam_access.so";
        let list = "auth required pam_listfile.so item=user sense=allow file=/etc/ssh/may";
        for (line, stays, modules, expected) in [
            (
                access,
                &[SSHD][..],
                None,
                Some("/etc/security/access.conf does not come along"),
            ),
            (access, &[SSHD, "/etc/security/access.conf"], None, None),
            (
                access,
                &[SSHD, "/etc/security/access.conf"],
                Some(&["pam_access.so"][..]),
                None,
            ),
            (
                access,
                &[SSHD, "/etc/security/access.conf"],
                Some(&[]),
                Some("the image has no pam_access.so"),
            ),
            (
                "account required pam_access.so accessfile=/etc/a.conf",
                &[SSHD, "/etc/security/access.conf"],
                None,
                Some("/etc/a.conf does not come along"),
            ),
            (
                list,
                &[SSHD],
                None,
                Some("/etc/ssh/may does not come along"),
            ),
            (list, &[SSHD, "/etc/ssh/may"], None, None),
            ("auth required pam_oath.so", &[SSHD], None, None),
        ] {
            let found = lost_of(&[(SSHD, line)], stays, modules);
            let told = expected.map(|lack| format!("{SSHD}: {line}: {lack}"));
            assert_eq!(
                found,
                told.into_iter().collect::<Vec<_>>(),
                "{line} {stays:?}"
            );
        }
    }

    #[test]
    fn a_file_whose_module_is_not_there_would_let_nobody_in() {
        let own: Vec<String> = ["pam_unix.so", "pam_deny.so"].map(str::to_owned).into();
        let shut_of = |line: &str, stays: bool, modules: Option<&[String]>| {
            let there = There {
                stays: &|_| stays,
                modules,
            };
            !shut(&Tree(&[(SSHD, line)]), &there).is_empty()
        };
        for (line, expected) in [
            ("auth required pam_tally2.so", true),
            ("account [default=bad success=ok] pam_sss.so", true),
            ("auth required pam_unix.so", false),
            ("-auth required pam_tally2.so", false),
            ("auth sufficient pam_fprintd.so", false),
            ("auth optional pam_cap.so", false),
            (
                "account [success=ok module_unknown=ignore default=bad] pam_x.so",
                false,
            ),
            ("session required pam_selinux.so close", false),
        ] {
            assert_eq!(shut_of(line, true, Some(&own)), expected, "{line}");
            assert!(
                !shut_of(line, false, Some(&own)),
                "the image's own file is: {line}"
            );
            assert!(
                !shut_of(line, true, None),
                "an image that does not say: {line}"
            );
        }
    }

    /// As the packages of Debian 8 to 13 and of RHEL 7 to 9 have them.
    #[test]
    fn nothing_is_told_of_a_distributions_own_files() {
        let debian_sshd = "@include common-auth\naccount    required     pam_nologin.so\n@include common-account\n\
            session [success=ok ignore=ignore module_unknown=ignore default=bad]        pam_selinux.so close\n\
            session    required     pam_loginuid.so\nsession    optional     pam_keyinit.so force revoke\n\
            @include common-session\nsession    optional     pam_motd.so  motd=/run/motd.dynamic\n\
            session    optional     pam_mail.so standard noenv # [1]\nsession    required     pam_limits.so\n\
            session    required     pam_env.so user_readenv=1 envfile=/etc/default/locale\n@include common-password\n";
        let debian_su =
            "auth       sufficient pam_rootok.so\n# auth       required   pam_wheel.so\n\
            # account    requisite  pam_time.so\nsession       required   pam_env.so readenv=1\n\
            session    optional   pam_mail.so nopen\nsession    required   pam_limits.so\n\
            @include common-auth\n@include common-account\n@include common-session\n";
        let common_auth = "auth\t[success=1 default=ignore]\tpam_unix.so nullok\nauth\trequisite\t\t\tpam_deny.so\n\
            auth\trequired\t\t\tpam_permit.so\nauth\toptional\t\t\tpam_cap.so\n";
        let common_account =
            "account\t[success=1 new_authtok_reqd=done default=ignore]\tpam_unix.so\n\
            account\trequisite\t\t\tpam_deny.so\naccount\trequired\t\t\tpam_permit.so\n";
        let debian = [
            (SSHD, debian_sshd),
            ("/etc/pam.d/su", debian_su),
            ("/etc/pam.d/common-auth", common_auth),
            ("/etc/pam.d/common-account", common_account),
            (
                "/etc/pam.d/common-session",
                "session required pam_unix.so\nsession optional pam_systemd.so\n",
            ),
        ];
        let rhel_sshd = "#%PAM-1.0\nauth\t   required\tpam_sepermit.so\nauth       substack     password-auth\n\
            auth       include      postlogin\naccount    required     pam_sepermit.so\naccount    required     pam_nologin.so\n\
            account    include      password-auth\npassword   include      password-auth\n\
            session    required     pam_selinux.so close\nsession    required     pam_loginuid.so\n\
            session    include      password-auth\nsession    include      postlogin\n";
        let rhel_su = "#%PAM-1.0\nauth\t\trequired\tpam_env.so\nauth\t\tsufficient\tpam_rootok.so\n\
            #auth\t\tsufficient\tpam_wheel.so trust use_uid\n#auth\t\trequired\tpam_wheel.so use_uid\n\
            auth\t\tsubstack\tsystem-auth\nauth\t\tinclude\t\tpostlogin\n\
            account\t\tsufficient\tpam_succeed_if.so uid = 0 use_uid quiet\naccount\t\tinclude\t\tsystem-auth\n\
            session\t\tinclude\t\tsystem-auth\nsession\t\tinclude\t\tpostlogin\nsession\t\toptional\tpam_xauth.so\n";
        let rhel_7 = "auth        required      pam_env.so\nauth        sufficient    pam_unix.so nullok try_first_pass\n\
            auth        requisite     pam_succeed_if.so uid >= 1000 quiet_success\nauth        required      pam_deny.so\n\
            account     required      pam_unix.so\naccount     sufficient    pam_localuser.so\n\
            account     sufficient    pam_succeed_if.so uid < 1000 quiet\naccount     required      pam_permit.so\n\
            session     [success=1 default=ignore] pam_succeed_if.so service in crond quiet use_uid\n\
            session     required      pam_unix.so\n";
        let rhel_9 = "auth        required                                     pam_env.so\n\
            auth        required                                     pam_faildelay.so delay=2000000\n\
            auth        [default=1 ignore=ignore success=ok]         pam_usertype.so isregular\n\
            auth        [default=1 ignore=ignore success=ok]         pam_localuser.so\n\
            auth        sufficient                                   pam_unix.so nullok\n\
            auth        [default=1 ignore=ignore success=ok]         pam_usertype.so isregular\n\
            auth        sufficient                                   pam_sss.so forward_pass\n\
            auth        required                                     pam_deny.so\n\
            account     required                                     pam_unix.so\n\
            account     sufficient                                   pam_localuser.so\n\
            account     sufficient                                   pam_usertype.so issystem\n\
            account     [default=bad success=ok user_unknown=ignore] pam_sss.so\n\
            account     required                                     pam_permit.so\n\
            session     [success=1 default=ignore]                   pam_succeed_if.so service in crond quiet use_uid\n";
        let postlogin = "session     optional                   pam_umask.so silent\n\
            session     [success=1 default=ignore] pam_succeed_if.so service !~ gdm* service !~ su* quiet\n\
            session     [default=1]   pam_lastlog.so nowtmp showfailed\nsession     optional      pam_lastlog.so silent noupdate showfailed\n";
        let rhel = |auth| {
            [
                (SSHD, rhel_sshd),
                ("/etc/pam.d/su", rhel_su),
                ("/etc/pam.d/password-auth", auth),
                ("/etc/pam.d/system-auth", auth),
                ("/etc/pam.d/postlogin", postlogin),
            ]
        };
        for files in [&debian, &rhel(rhel_7), &rhel(rhel_9)] {
            assert_eq!(lost_of(files, &[], None), [""; 0], "{files:?}");
        }
    }
}
