//! Tables for `image.toml`: what is read, and what each mistake is answered with.

use super::*;

const GOOD: &str = r#"keep = ["/home", "/srv/"]
hooks = ["first"]

[source]
suite = "trixie"
distribution = "debian"
components = ["main"]
pockets = ["updates", "security"]
keyring = "keys.gpg"
packages = ["linux-image-amd64", "g++"]
mirror = "http://mirror.example/debian"

[boot]
loader = "grub-pc"
cmdline = "  quiet  nosmt=force "
consoles = ["tty0", "ttyS0,115200"]

[drivers]
classes = ["virtio", "nvme"]
"#;

/// An image folder with one executable hook, one that is not, and a tarball.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let hooks = folder.path().join("hooks");
    std::fs::create_dir(&hooks).unwrap();
    for (name, mode) in [("first", 0o755), ("plain", 0o644)] {
        std::fs::write(hooks.join(name), "#!/bin/sh\n").unwrap();
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(hooks.join(name), mode).unwrap();
    }
    std::fs::write(folder.path().join("root.tar"), "").unwrap();
    folder
}

fn read(text: &str) -> Result<Recipe, RecipeError> {
    let folder = folder();
    parse(text, &folder.path().join(FILE))
}

#[test]
fn a_good_file_is_read() {
    let folder = folder();
    let recipe = parse(GOOD, &folder.path().join(FILE)).unwrap();
    assert_eq!(
        recipe.name,
        folder.path().file_name().unwrap().to_str().unwrap()
    );
    assert_eq!(
        recipe.keep.iter().map(KeepPath::as_str).collect::<Vec<_>>(),
        ["/home", "/srv"]
    );
    assert_eq!(recipe.hooks, [folder.path().join("hooks/first")]);
    assert_eq!(recipe.boot.cmdline, "quiet nosmt=force");
    assert_eq!(recipe.boot.consoles, ["tty0", "ttyS0,115200"]);
    assert_eq!(recipe.drivers, ["virtio", "nvme"]);
    assert_eq!(recipe.rescue, Path::new("/bin/busybox"));
    let Source::Suite(suite) = recipe.source else {
        panic!("{:?}", recipe.source)
    };
    assert_eq!(suite.distribution, Distribution::Debian);
    assert_eq!(suite.pockets, [Pocket::Updates, Pocket::Security]);
    assert_eq!(suite.keyring, folder.path().join("keys.gpg"));
    assert_eq!(suite.packages, ["linux-image-amd64", "g++"]);
}

#[test]
fn the_shipped_folders_are_good() {
    let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("../images");
    for name in ["trixie", "bookworm", "xenial"] {
        let file = images.join(name).join(FILE);
        let text = std::fs::read_to_string(&file).unwrap();
        let recipe = parse(&text, &file).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(recipe.name, name);
    }
}

#[test]
fn a_tarball_and_a_directory_are_looked_for_beside_the_file() {
    let rest = "[boot]\nloader = \"grub-pc\"\nconsoles = []\n[drivers]\nclasses = []\n";
    let read = |source: &str| read(&format!("[source]\n{source}\n{rest}")).map(|r| r.source);
    assert!(matches!(
        read("tarball = \"root.tar\""),
        Ok(Source::Tarball(_))
    ));
    assert!(matches!(
        read("directory = \"hooks\""),
        Ok(Source::Directory(_))
    ));
    for (source, what) in [
        ("tarball = \"none.tar\"", "No such file"),
        ("tarball = \"hooks\"", "is not a file"),
        ("directory = \"root.tar\"", "is not a directory"),
        ("directory = \"none\"", "No such file"),
        (
            "directory = \"hooks\"\npackages = []",
            "[source] packages: is allowed only beside suite",
        ),
    ] {
        let error = read(source).unwrap_err().to_string();
        assert!(error.contains(what), "{source}: {error}");
    }
}

/// What is replaced in the good file, by what, the line of the error, and what it names.
#[rustfmt::skip]
const MISTAKES: &[(&str, &str, usize, &[&str])] = &[
    ("keep =", "kept =", 1, &["kept", "unknown field `kept`", "`keep`", "`hooks`"]),
    ("\"/srv/\"", "\"srv\"", 1, &["keep", "not absolute", "must begin with /"]),
    ("\"/srv/\"", "\"/srv/../etc\"", 1, &["keep", "\"..\""]),
    ("\"/srv/\"", "\"/etc\"", 1, &["keep", "reserved"]),
    ("\"/srv/\"", "7", 1, &["keep", "integer `7`", "expected a string"]),
    ("[\"first\"]", "\"first\"", 2, &["hooks", "expected a sequence"]),
    ("\"first\"", "\"../first\"", 2, &["hooks", "names of files in"]),
    ("\"first\"", "\"absent\"", 2, &["hooks", "cannot read the script"]),
    ("\"first\"", "\"plain\"", 2, &["hooks", "not executable", "chmod +x"]),
    ("suite =", "# suite =", 4, &["[source]", "exactly one of suite, tarball and directory"]),
    ("mirror =", "tarball = \"root.tar\"\nmirror =", 11, &["[source] tarball", "exactly one of"]),
    ("\"trixie\"", "\"trixie main\"", 5, &["[source] suite", "allowed are letters, digits"]),
    ("\"debian\"", "\"fedora\"", 6, &["[source] distribution", "`debian`", "`ubuntu`"]),
    ("distribution =", "# ", 4, &["[source]", "distribution is missing", "\"debian\" or \"ubuntu\""]),
    ("components =", "# ", 4, &["[source]", "components is missing", "[\"main\"]"]),
    ("[\"main\"]", "[]", 7, &["[source] components", "at least one"]),
    ("[\"main\"]", "[\"ma in\"]", 7, &["[source] components", "allowed are letters"]),
    ("\"security\"", "\"backports\"", 8, &["[source] pockets", "`updates`", "`security`"]),
    ("keyring =", "# ", 4, &["[source]", "keyring is missing"]),
    ("packages =", "# ", 4, &["[source]", "packages is missing"]),
    ("\"g++\"", "\"g++,gcc\"", 10, &["[source] packages", "\"g++,gcc\"", "allowed are letters"]),
    ("\"g++\"", "\"--force\"", 10, &["[source] packages", "\"--force\""]),
    ("http://mirror", "ftp://mirror", 11, &["[source] mirror", "http://, https:// and file:///"]),
    ("mirror.example", "mirror example", 11, &["[source] mirror", "without blanks"]),
    ("\"grub-pc\"", "\"lilo\"", 14, &["[boot] loader", "unknown variant `lilo`", "`grub-pc`"]),
    ("loader =", "# ", 13, &["[boot] loader", "missing field `loader`"]),
    ("quiet  nosmt", "root=/dev/sda1", 15, &["[boot] cmdline", "root= is set by reroot"]),
    ("quiet  nosmt", "console=ttyS1", 15, &["[boot] cmdline", "name consoles in \"consoles\""]),
    ("quiet  nosmt", "$(reboot)", 15, &["[boot] cmdline", "'$'", "allowed are letters"]),
    ("\"tty0\"", "\"/dev/tty0\"", 16, &["[boot] consoles", "\"ttyS0,115200\""]),
    ("\"tty0\"", "\"tty0 quiet\"", 16, &["[boot] consoles", "is no console"]),
    ("\"nvme\"", "\"floppy\"", 19, &["[drivers] classes", "\"floppy\"", "virtio, nvme, sata, scsi-raid"]),
    ("classes =", "class =", 19, &["[drivers] class", "unknown field `class`", "`classes`"]),
    ("[drivers]", "[driver]", 18, &["driver", "unknown field `driver`", "`drivers`"]),
    ("\"tty0\"", "tty0", 16, &["[boot] consoles", "invalid"]),
    ("loader = \"grub-pc\"", "loader = \"grub-pc\"\nloader = \"grub-pc\"", 15, &["[boot] loader", "duplicate key"]),
];

#[test]
fn every_mistake_names_file_line_key_and_what_is_allowed() {
    for (from, to, line, parts) in MISTAKES {
        let text = GOOD.replacen(from, to, 1);
        assert_ne!(&text, GOOD, "{from} is not in the good file");
        let error = read(&text).expect_err(to).to_string();
        assert!(
            error.contains(&format!("/{FILE}, line {line},")),
            "{to}, line {line}: {error}"
        );
        for part in *parts {
            assert!(error.contains(part), "{to}: {part} is not in: {error}");
        }
    }
}

#[test]
fn an_empty_file_says_what_is_missing() {
    let error = read("").unwrap_err().to_string();
    assert!(
        error.contains("line 1, source: missing field `source`"),
        "{error}"
    );
}

/// Checks before a run are about the OS that they are on, and come into another one by its image alone.
#[test]
fn the_shipped_images_carry_no_checks_of_the_old_os() {
    let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("../images");
    for image in ["trixie", "bookworm", "xenial"] {
        let file = images.join(image).join("image.toml");
        let recipe = parse(&std::fs::read_to_string(&file).unwrap(), &file).unwrap();
        let carry: Vec<&str> = recipe.carry.iter().map(KeepPath::as_str).collect();
        assert_eq!(carry, ["/etc/reroot/confirm.d"], "{image}");
    }
}
