//! fstab(5) of the new OS: the root by UUID, the payload's other lines as they are.

/// The text with one line for `/`, in place of any that the payload had.
pub fn with_root(text: &str, uuid: &str) -> String {
    let root = format!("UUID={uuid} / ext4 errors=remount-ro 0 1");
    let is_root = |line: &&str| {
        let mut fields = line.split_whitespace();
        let device = fields.next().unwrap_or("#");
        !device.starts_with('#') && fields.next() == Some("/")
    };
    let mut lines: Vec<&str> = text.lines().filter(|l| !is_root(l)).collect();
    lines.retain(|l| !l.starts_with("# UNCONFIGURED FSTAB"));
    lines.push(&root);
    lines.join("\n") + "\n"
}

/// What is mounted at `/` according to the text.
pub fn root_device(text: &str) -> Option<&str> {
    text.lines().rev().find_map(|line| {
        let mut fields = line.split_whitespace();
        let device = fields.next().filter(|d| !d.starts_with('#'))?;
        (fields.next() == Some("/")).then_some(device)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_replaced_and_the_rest_stays() {
        let before = "# comment /\n/dev/sda1 / ext3 defaults 0 1\ntmpfs /tmp tmpfs size=1g 0 0\n";
        let after = with_root(before, "12-34");
        assert_eq!(
            after,
            "# comment /\ntmpfs /tmp tmpfs size=1g 0 0\nUUID=12-34 / ext4 errors=remount-ro 0 1\n"
        );
        assert_eq!(root_device(&after), Some("UUID=12-34"));
        assert_eq!(with_root(&after, "12-34"), after);
    }

    #[test]
    fn an_empty_file_gets_a_root() {
        let after = with_root("# UNCONFIGURED FSTAB FOR BASE SYSTEM\n", "u");
        assert_eq!(after, "UUID=u / ext4 errors=remount-ro 0 1\n");
        assert_eq!(root_device("# / x\n"), None);
    }
}
