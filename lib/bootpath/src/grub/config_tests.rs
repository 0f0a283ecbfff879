use super::*;

/// What grub-mkconfig 2.12 of Debian 13 made with two kernels and `GRUB_DEFAULT=saved`.
const DEBIAN_13: &str = include_str!("recorded/debian-13-saved.cfg");

/// The oldest form that is still met: no ids, no functions.
const PLAIN: &str = "set default=\"0\"\nmenuentry 'Debian GNU/Linux' --class debian {\n\tload_video\n\
    \tsearch --no-floppy --fs-uuid --set=root 1234\n\techo 'Loading …'\n\
    \tlinux\t/boot/vmlinuz-6.12 root=UUID=1234 ro  console=ttyS0\n\tinitrd\t/boot/initrd.img-6.12\n}\n\
    menuentry 'old' {\n linux /boot/vmlinuz-5 root=/dev/sda1\n}\n";

fn block(variables: &[(&str, &str)]) -> Vec<u8> {
    variables
        .iter()
        .fold(environment::empty(), |block, (name, value)| {
            environment::with(&block, name, value).unwrap()
        })
}

#[test]
fn finds_what_boots_by_default() {
    let entry = default_entry(PLAIN, b"").unwrap();
    assert_eq!(entry.kernel, "/boot/vmlinuz-6.12");
    assert_eq!(entry.root(), Some("UUID=1234"));
    assert_eq!(entry.initrds, ["/boot/initrd.img-6.12"]);
}

#[test]
fn no_entry_is_no_entry() {
    let no_linux = Err(NoDefault::NoLinux("x".into()));
    assert_eq!(default_entry("menuentry 'x' {\n}\n", b""), no_linux);
    for text in ["linux", "", "menuentry", "if", "}", "submenu {", "fi; {"] {
        assert!(default_entry(text, b"").is_err(), "{text}");
    }
    let deep = "submenu a {\n".repeat(20);
    assert_eq!(default_entry(&deep, b""), Err(NoDefault::TooDeep));
}

#[test]
fn the_default_is_followed_as_grub_follows_it() {
    let uuid = "4f3c1a52-93d7-4e0b-8c36-d1f1c6a0be11";
    let by_id = format!("gnulinux-advanced-{uuid}>gnulinux-6.12.9+deb13-amd64-advanced-{uuid}");
    let (new, old) = (
        "/boot/vmlinuz-6.12.118+deb13-amd64",
        "/boot/vmlinuz-6.12.9+deb13-amd64",
    );
    for (saved, kernel) in [
        ("", new),
        ("0", new),
        ("1>2", old),
        ("1>0", new),
        ("1", new),
        ("no such title", new),
        ("99", new),
        (
            "Advanced options for Debian GNU/Linux>Debian GNU/Linux, with Linux 6.12.9+deb13-amd64",
            old,
        ),
        (&by_id, old),
    ] {
        let entry = default_entry(DEBIAN_13, &block(&[("saved_entry", saved)])).unwrap();
        assert_eq!(entry.kernel, kernel, "{saved}");
        assert_eq!(entry.root(), Some(format!("UUID={uuid}").as_str()));
        assert_eq!(
            entry.initrds,
            [kernel.replace("vmlinuz", "initrd.img")],
            "{saved}"
        );
    }
    // For the next boot alone, before what is saved.
    let next = block(&[("saved_entry", "0"), ("next_entry", "1>2")]);
    assert_eq!(default_entry(DEBIAN_13, &next).unwrap().kernel, old);
    // Without a block nothing is saved.
    assert_eq!(default_entry(DEBIAN_13, b"").unwrap().kernel, new);
}

#[test]
fn words_are_read_as_grub_reads_them() {
    let menu = |default: &str, middle: &str| {
        format!("set default='{default}'\n{middle}\nmenuentry 'a>b' {{ linux /second x; }}\n")
    };
    for (default, middle, kernel) in [
        ("a>>b", "menuentry one { linux /first; }", "/second"),
        (
            "1",
            "if [ x$grub_platform = xpc ]; then\nmenuentry one { linux /first; }\nfi",
            "/second",
        ),
        (
            "0",
            "if [ x$grub_platform = xefi ]; then\nmenuentry one { linux /first; }\nfi",
            "/second",
        ),
        (
            "0",
            "if false; then true; elif true; then menuentry one { linux /first; }; else true; fi",
            "/first",
        ),
        (
            "0",
            "function f {\n menuentry one { linux /first; }\n}",
            "/second",
        ),
        (
            "0",
            "set k=/first; menuentry \"one $k\" { linux ${k} }",
            "/first",
        ),
        (
            "0",
            "for x in a b; do menuentry $x { linux /first; }; done",
            "/second",
        ),
        ("0", "# menuentry one { linux /first; }", "/second"),
        ("0", "menuentry one {\n linux \\\n /first\n}", "/first"),
    ] {
        let entry = default_entry(&menu(default, middle), b"");
        assert_eq!(entry.unwrap().kernel, kernel, "{middle}");
    }
}
