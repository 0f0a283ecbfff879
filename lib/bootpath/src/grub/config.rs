//! Enough of grub.cfg to know what GRUB will boot by default: the first menu entry's kernel,
//! parameters and initrd, as grub-mkconfig writes them.

/// What a menu entry boots. Paths are as GRUB sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootEntry {
    /// The kernel.
    pub kernel: String,
    /// Its parameters.
    pub parameters: Vec<String>,
    /// The initrds, in order.
    pub initrds: Vec<String>,
}

impl BootEntry {
    /// The value of `root=`, the last one if there are several.
    pub fn root(&self) -> Option<&str> {
        self.parameters
            .iter()
            .rev()
            .find_map(|p| p.strip_prefix("root="))
    }
}

/// The first menu entry that loads a Linux kernel.
pub fn first_entry(text: &str) -> Option<BootEntry> {
    let mut entry: Option<BootEntry> = None;
    for line in text.lines() {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("linux" | "linux16" | "linuxefi") if entry.is_none() => {
                entry = Some(BootEntry {
                    kernel: words.next()?.to_owned(),
                    parameters: words.map(str::to_owned).collect(),
                    initrds: Vec::new(),
                });
            }
            Some("initrd" | "initrd16" | "initrdefi") => {
                if let Some(entry) = &mut entry {
                    entry.initrds.extend(words.map(str::to_owned));
                }
            }
            Some("}") if entry.is_some() => break,
            _ => {}
        }
    }
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "set default=\"0\"\nmenuentry 'Debian GNU/Linux' --class debian {\n\tload_video\n\
        \tsearch --no-floppy --fs-uuid --set=root 1234\n\techo 'Loading …'\n\
        \tlinux\t/boot/vmlinuz-6.12 root=UUID=1234 ro  console=ttyS0\n\tinitrd\t/boot/initrd.img-6.12\n}\n\
        menuentry 'old' {\n linux /boot/vmlinuz-5 root=/dev/sda1\n}\n";

    #[test]
    fn finds_what_boots_by_default() {
        let entry = first_entry(TEXT).unwrap();
        assert_eq!(entry.kernel, "/boot/vmlinuz-6.12");
        assert_eq!(entry.root(), Some("UUID=1234"));
        assert_eq!(entry.initrds, ["/boot/initrd.img-6.12"]);
    }

    #[test]
    fn no_entry_is_no_entry() {
        assert_eq!(first_entry("menuentry 'x' {\n}\n"), None);
        assert_eq!(first_entry("linux"), None);
        assert_eq!(first_entry(""), None);
    }
}
