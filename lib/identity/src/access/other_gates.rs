//! What keeps people out of the ssh server besides its own configuration: TCP wrappers, `hosts_access`(5), and
//! modules of PAM, `pam.d`(5), that let in some and not others. None of it is written for the new OS.

use crate::files::Files;

const DENY: &str = "/etc/hosts.deny";
/// What the server's own file of PAM includes.
const PAM: [&str; 4] = [
    "/etc/pam.d/sshd",
    "/etc/pam.d/common-auth",
    "/etc/pam.d/common-account",
    "/etc/pam.d/password-auth",
];
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

/// Each of them that is in force and will not be there, as a file and its line. `stays` says of a file whether
/// the new OS has it.
pub fn lost(files: &dyn Files, stays: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut lost = Vec::new();
    let mut look = |path: &str, counts: &dyn Fn(&str) -> bool| {
        if stays(path) {
            return;
        }
        let text = files.text(path).unwrap_or_default();
        let lines = text.lines().map(str::trim);
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#') && counts(line));
        lost.extend(lines.map(|line| format!("{path}: {line}")));
    };
    look(DENY, &|line| {
        let daemons = line.split(':').next().unwrap_or_default();
        let mut daemons = daemons.split([',', ' ', '\t']);
        daemons.any(|daemon| daemon == "sshd" || daemon == "ALL" || daemon.starts_with("sshd@"))
    });
    for path in PAM {
        look(path, &|line| {
            SELECTS.iter().any(|module| line.contains(module))
        });
    }
    if files.text(NOLOGIN).is_some() && !stays(NOLOGIN) {
        lost.push(format!("{NOLOGIN}: nobody but root"));
    }
    lost
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::tests::Tree;

    #[test]
    fn what_keeps_people_out_is_named_unless_it_stays() {
        let tree = Tree(&[
            (DENY, "# none\nvsftpd: ALL\nsshd, in.ftpd: .example.net\nALL: PARANOID\n"),
            (
                "/etc/pam.d/sshd",
                "# account required pam_access.so\naccount  required  pam_access.so\naccount required pam_nologin.so\n",
            ),
        ]);
        let all = [
            "/etc/hosts.deny: sshd, in.ftpd: .example.net",
            "/etc/hosts.deny: ALL: PARANOID",
            "/etc/pam.d/sshd: account  required  pam_access.so",
        ];
        assert_eq!(lost(&tree, &|_| false), all);
        assert_eq!(lost(&tree, &|path| path == DENY), all[2..]);
        assert_eq!(lost(&Tree(&[]), &|_| false), [""; 0]);
        let closed = Tree(&[
            (NOLOGIN, ""),
            (
                "/etc/pam.d/common-auth",
                "auth required pam_google_authenticator.so nullok\n",
            ),
        ]);
        assert_eq!(
            lost(&closed, &|_| false),
            [
                "/etc/pam.d/common-auth: auth required pam_google_authenticator.so nullok",
                "/etc/nologin: nobody but root"
            ]
        );
    }
}
