//! What the new OS's ssh server is told where the old one's own main file comes along, kept or carried: by that, by
//! what comes along beside it, and by files of the image that it includes.

use formats::access::Setting;

use super::written;
use crate::files::Files;
use crate::ssh_access;

/// What there will be of the server's files.
pub struct Carried<'a> {
    /// The old OS's.
    pub old: &'a dyn Files,
    /// Whether a path is kept: then nothing of the image is there.
    pub kept: &'a dyn Fn(&str) -> bool,
    /// Whether it is copied, over what the image has.
    pub copied: &'a dyn Fn(&str) -> bool,
    /// What the image's own server is told.
    pub image: &'a [Setting],
}

impl Carried<'_> {
    /// The settings, in the order in which they count.
    pub fn settings(&self) -> Vec<Setting> {
        ssh_access::settings(self)
    }

    fn comes_along(&self, path: &str) -> bool {
        (self.kept)(path) || (self.copied)(path)
    }
}

impl Files for Carried<'_> {
    fn text(&self, path: &str) -> Option<String> {
        let old = self.old.text(path).filter(|_| self.comes_along(path));
        if old.is_some() || (self.kept)(path) {
            return old;
        }
        // What was read of the image's file says the same as the file.
        let own = self.image.iter().filter(|setting| setting.path == path);
        let own: Vec<Setting> = own.cloned().collect();
        (!own.is_empty()).then(|| written::text(&own, None))
    }

    fn folder(&self, path: &str) -> Vec<String> {
        let old = self.old.folder(path).into_iter();
        let mut found: Vec<String> = old.filter(|path| self.comes_along(path)).collect();
        let image = self.image.iter().map(|setting| &setting.path);
        let is_in = |file: &&String| {
            let above = file.rsplit_once('/').map(|(above, _)| above);
            above == Some(path) && !(self.kept)(file)
        };
        found.extend(image.filter(is_in).cloned());
        found.sort();
        found.dedup();
        found
    }
}

/// Whether a setting of the old server's holds among those of the new one: where the first word counts, it is that.
pub fn holds(setting: &Setting, among: &[Setting]) -> bool {
    let keyword = super::server::current_name(&setting.keyword);
    let mut same = among
        .iter()
        .filter(|other| other.condition == setting.condition && super::server::is(other, keyword));
    if setting.condition.is_some() || ssh_access::adds_up(keyword) {
        same.any(|other| other.values == setting.values)
    } else {
        same.next()
            .is_some_and(|other| other.values == setting.values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::tests::Tree;

    const MAIN: &str = ssh_access::MAIN;
    const FOLDER: &str = "/etc/ssh/sshd_config.d";

    fn told(main: &str, kept: &[&str], copied: &[&str]) -> Vec<String> {
        let [cloud, cis] =
            ["50-cloud-init.conf", "00-cis.conf"].map(|name| format!("{FOLDER}/{name}"));
        let old = [
            (MAIN, main),
            (&cloud, "PasswordAuthentication no\n"),
            ("/etc/ssh/other", "AllowUsers ann\n"),
        ];
        let image = [
            (
                MAIN,
                format!("Include {FOLDER}/*.conf\nX11Forwarding yes\n"),
            ),
            (
                &cis,
                "PermitRootLogin no\nMatch User \"a b\"\nPermitTTY no\nMatch all\nMaxSessions 3\n"
                    .to_owned(),
            ),
        ];
        let image: Vec<(&str, &str)> = image
            .iter()
            .map(|(path, text)| (*path, text.as_str()))
            .collect();
        let image = ssh_access::settings(&Tree(&image));
        let is = |list: &[&str], path: &str| list.iter().any(|p| formats::keep::is_below(path, p));
        let carried = Carried {
            old: &Tree(&old),
            kept: &|path| is(kept, path),
            copied: &|path| is(copied, path),
            image: &image,
        };
        let settings = carried.settings().into_iter();
        settings
            .map(|s| {
                let name = s.path.rsplit('/').next().unwrap().to_owned();
                let condition = s
                    .condition
                    .map_or(String::new(), |c| format!("Match {c}: "));
                format!("{name}: {condition}{} {}", s.keyword, s.values.join(" "))
            })
            .collect()
    }

    #[test]
    fn what_comes_along_counts_with_what_it_includes_of_the_image() {
        let main = format!("Include {FOLDER}/*.conf /etc/ssh/other\nPermitRootLogin yes\n");
        let image = [
            "00-cis.conf: PermitRootLogin no",
            "00-cis.conf: Match User \"a b\": PermitTTY no",
            "00-cis.conf: MaxSessions 3",
        ];
        let root = "sshd_config: PermitRootLogin yes";
        let cloud = "50-cloud-init.conf: PasswordAuthentication no";
        let ann = "other: AllowUsers ann";
        assert_eq!(told(&main, &[], &[MAIN]), [&image[..], &[root]].concat());
        assert_eq!(
            told(&main, &[], &[MAIN, FOLDER]),
            [&image[..], &[cloud, root]].concat()
        );
        // Where the folder is kept, nothing of the image is in it.
        assert_eq!(told(&main, &["/etc/ssh"], &[]), [cloud, ann, root]);
        assert_eq!(told("PermitRootLogin yes\n", &[], &["/etc/ssh"]), [root]);
    }

    #[test]
    fn a_setting_holds_where_no_other_word_comes_first() {
        let settings = super::super::server::tests::settings;
        let among = settings("PasswordAuthentication yes\nPasswordAuthentication no\nAllowUsers ann\nAllowUsers bob\nMatch User ann\nPermitTTY no\n");
        for (text, expected) in [
            ("PasswordAuthentication yes", true),
            ("passwordauthentication no", false),
            ("AllowUsers bob", true),
            ("AllowUsers eve", false),
            ("Match User ann\nPermitTTY no", true),
            ("PermitTTY no", false),
        ] {
            assert_eq!(holds(&settings(text)[0], &among), expected, "{text}");
        }
    }
}
