//! Other operating systems of the machine that GRUB's menu offers: those that os-prober found when the
//! menu was made.

use std::fs;
use std::path::Path;

use crate::grub::one_shot::{CONFIG, DIRECTORIES};

/// grub-mkconfig frames what each of its scripts wrote; in this section everything is another system's.
const BEGIN: &str = "### BEGIN /etc/grub.d/30_os-prober ###";
const END: &str = "### END /etc/grub.d/30_os-prober ###";

/// Their titles in the menu. A configuration that cannot be read offers nothing.
pub fn read(root: &Path) -> Vec<String> {
    DIRECTORIES
        .iter()
        .filter_map(|directory| fs::read(root.join(directory).join(CONFIG)).ok())
        .flat_map(|bytes| titles(&String::from_utf8_lossy(&bytes)))
        .collect()
}

fn titles(config: &str) -> Vec<String> {
    config
        .lines()
        .map(str::trim)
        .skip_while(|line| *line != BEGIN)
        .take_while(|line| *line != END)
        .filter_map(|line| line.strip_prefix("menuentry "))
        .filter_map(|rest| {
            let rest = rest.trim_start();
            let quote = rest.chars().next().filter(|c| "'\"".contains(*c))?;
            Some(rest[1..].split(quote).next()?.to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str =
        "### BEGIN /etc/grub.d/10_linux ###\nmenuentry 'Debian' {\n linux /vmlinuz\n}\n\
                       ### END /etc/grub.d/10_linux ###\n";

    #[test]
    fn only_what_os_prober_found_is_another_system() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(read(root.path()), [""; 0]);
        let config = root.path().join("boot/grub");
        fs::create_dir_all(&config).unwrap();
        let empty = format!("{OWN}{BEGIN}\n{END}\n");
        fs::write(config.join("grub.cfg"), &empty).unwrap();
        assert_eq!(read(root.path()), [""; 0]);
        let found = format!(
            "{OWN}{BEGIN}\nmenuentry 'Windows 10 (on /dev/sda1)' --class windows --class os {{\n\
             \tchainloader +1\n}}\nsubmenu 'Advanced options' {{\n\
             \tmenuentry \"Ubuntu 22.04 (on /dev/sda5)\" {{\n\tlinux /vmlinuz\n\t}}\n}}\n{END}\n{OWN}"
        );
        fs::write(config.join("grub.cfg"), found).unwrap();
        assert_eq!(
            read(root.path()),
            ["Windows 10 (on /dev/sda1)", "Ubuntu 22.04 (on /dev/sda5)"]
        );
    }
}
