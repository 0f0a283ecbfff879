//! Builds `images/xenial` for real, from an archive on this machine that is laid out as Ubuntu's.
//!
//! The archive has the suite with its pockets and components, signed with a key made here, and is
//! filled with the packages of this machine's own distribution, by the names that the folder asks
//! for. So the folder, the pockets, the components, the signature and the hooks are tried; the
//! packages of Ubuntu 16.04 are not. Needs root, apt with a reachable archive, and the packages
//! apt-utils, gnupg, mmdebstrap, dpkg-dev and xz-utils.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program::{elf, refused, require_root, reroot, succeed};

const COMPONENTS: [&str; 3] = ["main", "restricted", "universe"];

/// Where packages are that are not in main of the release: beginnings of names, suite, component.
/// Without any one of these places the build fails.
const PLACES: &[(&str, &str, &str)] = &[
    ("linux-image-generic", "xenial", "restricted"),
    ("vim-", "xenial", "universe"),
    ("openssh-", "xenial-updates", "main"),
    ("less", "xenial-updates", "universe"),
    ("ca-certificates", "xenial-security", "main"),
    ("openssl", "xenial-security", "main"),
];

/// The place that the table gives a package.
fn place(package: &str) -> (&'static str, &'static str) {
    PLACES
        .iter()
        .find(|(begin, ..)| package.starts_with(begin))
        .map_or(("xenial", "main"), |&(_, suite, component)| {
            (suite, component)
        })
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../images/xenial")
}

/// What the folder's image.toml lists.
fn packages() -> Vec<String> {
    let text = fs::read_to_string(folder().join("image.toml")).unwrap();
    let recipe: toml::Table = text.parse().unwrap();
    let packages = recipe["source"]["packages"].as_array().unwrap();
    packages
        .iter()
        .map(|name| name.as_str().unwrap().to_owned())
        .collect()
}

/// apt with its own lists and an empty machine, so that it names every package of a new root.
struct Apt {
    state: PathBuf,
}

impl Apt {
    fn new(place: &Path) -> Apt {
        let apt = Apt {
            state: place.join("apt"),
        };
        fs::create_dir_all(apt.state.join("lists/partial")).unwrap();
        fs::create_dir_all(apt.state.join("archives/partial")).unwrap();
        fs::write(apt.state.join("status"), "").unwrap();
        // Sources of third parties may fail; what is missing then shows below.
        let _ = apt.command("apt-get").arg("update").output().unwrap();
        apt
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let at = |name: &str| self.state.join(name).display().to_string();
        for option in [
            format!("Dir::State::Lists={}", at("lists")),
            format!("Dir::State::status={}", at("status")),
            format!("Dir::Cache::Archives={}", at("archives")),
            format!("Dir::Cache::pkgcache={}", at("pkgcache.bin")),
            format!("Dir::Cache::srcpkgcache={}", at("srcpkgcache.bin")),
            "APT::Sandbox::User=root".to_owned(),
        ] {
            command.args(["-o", &option]);
        }
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    }

    /// Whether there is a package of that name; one that only stands for it does not count.
    fn knows(&self, package: &str) -> bool {
        let shown = self
            .command("apt-cache")
            .args(["show", package])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&shown.stdout).into_owned();
        text.lines()
            .any(|line| line == format!("Package: {package}"))
    }

    fn essential(&self) -> Vec<String> {
        let all = succeed(self.command("apt-cache").arg("dumpavail"));
        all.split("\n\n")
            .filter(|stanza| stanza.lines().any(|line| line == "Essential: yes"))
            .filter_map(|stanza| {
                stanza
                    .lines()
                    .find_map(|line| line.strip_prefix("Package: "))
            })
            .map(str::to_owned)
            .collect()
    }

    /// Downloads these packages with all that they need; returns the files.
    fn download(&self, packages: &[String]) -> Vec<PathBuf> {
        succeed(
            self.command("apt-get")
                .args([
                    "install",
                    "--yes",
                    "--download-only",
                    "--no-install-recommends",
                ])
                .args(packages),
        );
        let files = fs::read_dir(self.state.join("archives")).unwrap();
        files
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "deb"))
            .collect()
    }
}

/// A package without content that brings another.
fn metapackage(name: &str, brings: &str, place: &Path) -> PathBuf {
    let tree = place.join(name);
    fs::create_dir_all(tree.join("DEBIAN")).unwrap();
    let control = format!(
        "Package: {name}\nVersion: 4.4.0.210.216\nArchitecture: amd64\nDepends: {brings}\n\
         Maintainer: nobody <nobody@localhost>\nDescription: stands for Ubuntu's package\n"
    );
    fs::write(tree.join("DEBIAN/control"), control).unwrap();
    let file = place.join(format!("{name}_4.4.0.210.216_amd64.deb"));
    succeed(
        Command::new("dpkg-deb")
            .args(["--build", "--root-owner-group"])
            .arg(tree)
            .arg(&file),
    );
    file
}

/// A key for signing, gone with the value.
struct Key {
    home: tempfile::TempDir,
}

impl Key {
    fn make() -> Key {
        // A short path: the agent's socket is in it.
        let home = tempfile::Builder::new()
            .prefix("gpg")
            .tempdir_in("/tmp")
            .unwrap();
        let key = Key { home };
        succeed(key.gpg().args([
            "--quick-generate-key",
            "Test archive <test@localhost>",
            "rsa2048",
            "sign",
            "never",
        ]));
        key
    }

    fn gpg(&self) -> Command {
        let mut command = Command::new("gpg");
        command
            .env("GNUPGHOME", self.home.path())
            .args(["--batch", "--quiet", "--passphrase", ""]);
        command
    }

    fn export(&self, file: &Path) {
        succeed(self.gpg().arg("--export").arg("--output").arg(file));
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        let _ = Command::new("gpgconf")
            .env("GNUPGHOME", self.home.path())
            .args(["--kill", "all"])
            .status();
    }
}

/// Lays the archive out below `mirror`: `pool/COMPONENT/…` and `dists/SUITE/…`.
fn lay_out(mirror: &Path, files: &[PathBuf], key: &Key) {
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap();
        let package = name.split('_').next().unwrap();
        let folder = mirror
            .join("pool")
            .join(place(package).1)
            .join(&package[..1])
            .join(package);
        fs::create_dir_all(&folder).unwrap();
        fs::hard_link(file, folder.join(name)).unwrap();
    }
    let all = succeed(
        Command::new("apt-ftparchive")
            .args(["packages", "pool"])
            .current_dir(mirror),
    );
    let mut indices: BTreeMap<(&str, &str), String> = BTreeMap::new();
    for suite in ["xenial", "xenial-updates", "xenial-security"] {
        for component in COMPONENTS {
            indices.insert((suite, component), String::new());
        }
    }
    for stanza in all.split("\n\n").filter(|stanza| !stanza.trim().is_empty()) {
        let package = stanza
            .lines()
            .find_map(|line| line.strip_prefix("Package: "))
            .unwrap();
        let index = indices.get_mut(&place(package)).unwrap();
        index.push_str(stanza.trim_matches('\n'));
        index.push_str("\n\n");
    }
    for ((suite, component), text) in &indices {
        let folder = mirror
            .join("dists")
            .join(suite)
            .join(component)
            .join("binary-amd64");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("Packages"), text).unwrap();
        succeed(
            Command::new("xz")
                .arg("--keep")
                .arg(folder.join("Packages")),
        );
    }
    for suite in ["xenial", "xenial-updates", "xenial-security"] {
        let folder = mirror.join("dists").join(suite);
        sign(&folder, suite, key);
        // The release lists the plain index, for what is in the packed one; only that is there.
        for component in COMPONENTS {
            fs::remove_file(folder.join(component).join("binary-amd64/Packages")).unwrap();
        }
    }
}

fn sign(folder: &Path, suite: &str, key: &Key) {
    let mut command = Command::new("apt-ftparchive");
    for (field, value) in [
        ("Origin", "Ubuntu"),
        ("Label", "Ubuntu"),
        ("Suite", suite),
        ("Codename", "xenial"),
        ("Version", "16.04"),
        ("Architectures", "amd64"),
        ("Components", &COMPONENTS.join(" ")),
    ] {
        command.args(["-o", &format!("APT::FTPArchive::Release::{field}={value}")]);
    }
    let release = succeed(command.args(["release", "."]).current_dir(folder));
    fs::write(folder.join("Release"), release).unwrap();
    let sign = |how: &str, name: &str| {
        let mut command = key.gpg();
        succeed(
            command
                .current_dir(folder)
                .args([how, "--output", name, "Release"]),
        );
    };
    sign("--clearsign", "InRelease");
    sign("--detach-sign", "Release.gpg");
}

#[test]
#[ignore = "minutes of one processor while the other waits: make prove"]
fn the_xenial_folder_is_built_from_every_pocket_and_component() {
    require_root();
    let place = tempfile::Builder::new()
        .prefix("xenial")
        .tempdir_in("/var/tmp")
        .unwrap();
    // apt reads archives as a user of its own.
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let apt = Apt::new(place.path());
    let mut wanted = packages();
    let mut made = Vec::new();
    if !apt.knows("linux-image-generic") {
        wanted.retain(|name| name != "linux-image-generic");
        // zstd: Debian's initrd of every module takes gzip a long time.
        let brings = ["linux-image-amd64", "zstd"];
        wanted.extend(brings.map(str::to_owned));
        made.push(metapackage(
            "linux-image-generic",
            &brings.join(", "),
            place.path(),
        ));
    }
    wanted.extend(apt.essential());
    wanted.push("apt".to_owned());
    let mut files = apt.download(&wanted);
    files.extend(made);

    let key = Key::make();
    let mirror = place.path().join("ubuntu");
    lay_out(&mirror, &files, &key);
    let keyring = place.path().join("keys.gpg");
    key.export(&keyring);
    let program = place.path().join("program");
    fs::write(&program, elf(62)).unwrap();
    let image = place.path().join("xenial.reroot");
    let address = format!("file://{}", mirror.display());
    let build = |keyring: &Path| {
        let mut command = reroot(&["build", "--level", "1", "--mirror", &address]);
        command
            .arg(folder())
            .arg("-o")
            .arg(&image)
            .arg("--keyring")
            .arg(keyring);
        command
            .arg("--launcher")
            .arg(&program)
            .arg("--init")
            .arg(&program);
        command
    };

    let stranger = place.path().join("stranger.gpg");
    Key::make().export(&stranger);
    refused(
        &mut build(&stranger),
        &["make the suite xenial", "its last lines"],
    );
    assert!(!image.exists());
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let shown = mirror.to_string_lossy().into_owned();
    assert!(
        !mounts.contains(&shown),
        "the archive is still shown: {mounts}"
    );

    let root = place.path().join("root");
    succeed(build(&keyring).arg("--keep-work").arg(&root));
    succeed(reroot(&["verify"]).arg(&image));
    let text = succeed(reroot(&["inspect", "--json"]).arg(&image));
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["manifest"]["name"], "xenial");
    assert_eq!(json["manifest"]["boot"]["cmdline"], "net.ifnames=0");

    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap();
    let components = COMPONENTS.join(" ");
    let sources: String = ["xenial", "xenial-updates", "xenial-security"]
        .map(|suite| format!("deb {address} {suite} {components}\n"))
        .concat();
    assert_eq!(read("etc/apt/sources.list"), sources);
    assert!(read("etc/network/interfaces").contains("iface eth0 inet dhcp"));
    let status = read("var/lib/dpkg/status");
    for name in packages() {
        let installed = format!("Package: {name}\nStatus: install ok installed\n");
        assert!(status.contains(&installed), "{name} is not installed");
    }
}
