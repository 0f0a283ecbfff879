//! The image files under test, built by `reroot build` from the folders in `images/`.
//!
//! Kept under `target/images/`, keyed by the three programs and the folder: a change of either
//! builds anew, and nothing else does.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{bail, ensure, Context, Result};

use crate::command::explain;
use crate::{base, lock, paths};

/// The programs that make up an image.
pub const PROGRAMS: [&str; 3] = ["reroot", "reroot-launch", "reroot-init"];

/// The image of the folder `images/NAME`, built if it is not there yet.
pub fn image(name: &str) -> Result<PathBuf> {
    image_of(name, &paths::workspace().join("images").join(name))
}

/// The kernel of `images/trixie`, and the one that test images have in its place: Debian's own for
/// clouds, with a fifth of the modules. A machine in emulation reads every byte of an image several
/// times, and half as many are half the time.
const KERNELS: [&str; 2] = [
    "    \"linux-image-amd64\",",
    "    \"linux-image-cloud-amd64\",",
];

/// A small Debian 13, for tests that are not about what the shipped folder contains.
pub fn small_trixie() -> Result<PathBuf> {
    small_trixie_with("small", &[])
}

/// The image of `images/trixie` with a small kernel and what `tests/images/NAME` adds: the hooks in
/// it, which run behind the others by name; the lines of `image.toml` at the beginning; packages.
/// Built if it is not there yet.
pub fn small_trixie_with(name: &str, packages: &[&str]) -> Result<PathBuf> {
    let folder = paths::target().join("images/folders").join(name);
    {
        let _lock = lock::exclusive(&paths::target().join(format!("images/folders/{name}.lock")))?;
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("remove {}", folder.display()))?;
        }
        compose(name, packages, &folder)
            .with_context(|| format!("make the image folder {}", folder.display()))?;
    }
    image_of(name, &folder)
}

/// The image of a tiny Debian 13, of `tests/images/tiny` and the tree that is picked out for it.
pub fn tiny() -> Result<PathBuf> {
    tiny_of("tiny", &crate::tiny::tree(crate::tiny::NEW)?)
}

/// The same with PAM and sudo.
pub fn tiny_with_doors() -> Result<PathBuf> {
    let tree = crate::tiny::doors::tree(crate::tiny::NEW)?;
    tiny_of("doors", &tree)
}

fn tiny_of(name: &str, tree: &Path) -> Result<PathBuf> {
    let folder = paths::target().join("images/folders").join(name);
    {
        let _lock = lock::exclusive(&paths::target().join(format!("images/folders/{name}.lock")))?;
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        let recipe = include_str!("../images/tiny/image.toml");
        let recipe = recipe.replace("@TREE@", &tree.display().to_string());
        fs::write(folder.join("image.toml"), recipe).context("write the recipe of the tiny OS")?;
    }
    image_of(name, &folder)
}

fn compose(name: &str, packages: &[&str], to: &Path) -> Result<()> {
    let base = paths::workspace().join("images/trixie");
    let additions = paths::workspace().join("tests/images").join(name);
    fs::create_dir_all(to.join("hooks"))?;
    let mut hooks = String::new();
    for (from, new) in [(&base, false), (&additions, true)] {
        let hooks_of = from.join("hooks");
        if !hooks_of.exists() {
            continue;
        }
        let mut files = fs::read_dir(hooks_of)?.collect::<std::io::Result<Vec<_>>>()?;
        files.sort_by_key(fs::DirEntry::file_name);
        for file in files {
            // A copy has the mode of what it copies.
            fs::copy(file.path(), to.join("hooks").join(file.file_name()))?;
            if new {
                let _ = write!(hooks, ", {:?}", file.file_name().to_string_lossy());
            }
        }
    }
    let mut recipe = fs::read_to_string(base.join("image.toml"))?;
    let [shipped, small] = KERNELS;
    ensure!(
        recipe.matches(shipped).count() == 1,
        "images/trixie/image.toml does not name one {shipped}"
    );
    recipe = recipe.replace(shipped, small);
    let hooks_end = line_end(&recipe, "hooks = [")?;
    recipe.insert_str(hooks_end - "]".len(), &hooks);
    let packages_at = line_end(&recipe, "packages = [")?;
    for package in packages {
        recipe.insert_str(packages_at, &format!("\n    {package:?},"));
    }
    let first = fs::read_to_string(additions.join("image.toml"))?;
    if first.contains("\ncarry = ") {
        // A key stands once; theirs names what the shipped one does.
        let start = recipe
            .find("\ncarry = ")
            .context("images/trixie carries nothing")?;
        let end = line_end(&recipe, "carry = ")?;
        recipe.replace_range(start..end, "");
    }
    fs::write(to.join("image.toml"), format!("{first}\n{recipe}"))?;
    Ok(())
}

/// Where the line that begins with `start` ends.
fn line_end(text: &str, start: &str) -> Result<usize> {
    let at = text
        .find(&format!("\n{start}"))
        .with_context(|| format!("images/trixie/image.toml has no line `{start}`"))?;
    Ok(text[at + 1..]
        .find('\n')
        .map_or(text.len(), |end| at + 1 + end))
}

fn image_of(name: &str, folder: &Path) -> Result<PathBuf> {
    programs()?;
    let key = key_of(folder)?;
    let directory = paths::target().join("images");
    let image = directory.join(format!("{name}-{key}.reroot"));
    let _lock = lock::exclusive(&directory.join(format!("{name}.lock")))?;
    if image.exists() {
        return Ok(image);
    }
    base::say(&format!("building {}", image.display()));
    forget_others(&directory, name);
    let mut command = Command::new(paths::program("reroot"));
    command.arg("build").arg(folder).arg("-o").arg(&image);
    if let Ok(mirror) = std::env::var("REROOT_MIRROR") {
        command.args(["--mirror", &mirror]);
    }
    // Its progress is for whoever waits.
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::from(std::io::stderr()))
        .status()
        .map_err(|error| explain(&command, error))?;
    if !status.success() {
        bail!("reroot build {} failed: {status}", folder.display());
    }
    Ok(image)
}

/// Builds the programs as they are in the tree now. Where the Makefile has done so already it says
/// so, for then this process may be root and must not leave root's files among cargo's.
pub fn programs() -> Result<()> {
    if std::env::var_os("REROOT_PROGRAMS").is_some_and(|state| state == "built") {
        return Ok(());
    }
    let _lock = lock::exclusive(&paths::target().join("vm/programs.lock"))?;
    let mut command = Command::new(env!("CARGO"));
    command
        .args(["build", "--release", "--locked", "--quiet"])
        .current_dir(paths::workspace());
    for program in PROGRAMS {
        command.args(["-p", program]);
    }
    let status = command.status().map_err(|error| explain(&command, error))?;
    if !status.success() {
        bail!("the programs under test do not build; run `make programs`");
    }
    Ok(())
}

fn key_of(folder: &Path) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    for program in PROGRAMS {
        let path = paths::program(program);
        let bytes = fs::read(&path)
            .with_context(|| format!("read {}; run `make programs`", path.display()))?;
        hasher.update(&bytes);
    }
    hash_folder(folder, &mut hasher)?;
    Ok(hasher.finalize().to_hex()[..12].to_owned())
}

fn hash_folder(folder: &Path, hasher: &mut blake3::Hasher) -> Result<()> {
    let mut paths = fs::read_dir(folder)
        .with_context(|| format!("read {}", folder.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    paths.sort();
    for path in paths {
        hasher.update(path.as_os_str().as_encoded_bytes());
        if path.is_dir() {
            hash_folder(&path, hasher)?;
        } else {
            let bytes = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
            hasher
                .update(&(bytes.len() as u64).to_le_bytes())
                .update(&bytes);
        }
    }
    Ok(())
}

/// Removes what earlier programs made; each is some 200 MB.
fn forget_others(directory: &Path, name: &str) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        let file = entry.file_name().to_string_lossy().into_owned();
        let key = file
            .strip_prefix(name)
            .and_then(|rest| rest.strip_prefix('-'));
        if key.is_some_and(|key| key.ends_with(".reroot")) {
            // Best effort: what stays costs space and nothing else.
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_the_one_of_trixie_with_additions() {
        let folder = tempfile::tempdir().unwrap();
        compose("identity", &["one", "two"], folder.path()).unwrap();
        let recipe = fs::read_to_string(folder.path().join("image.toml")).unwrap();
        assert!(
            recipe.contains("\ncarry = [\"/etc/reroot/confirm.d\", \"/etc/shop\"]\n"),
            "{recipe}"
        );
        assert_eq!(recipe.matches("\ncarry = ").count(), 1, "{recipe}");
        assert!(
            recipe.find("carry") < recipe.find("[source]"),
            "a key behind a table is the table's: {recipe}"
        );
        let hooks = recipe.lines().find(|line| line.starts_with("hooks = "));
        assert!(
            hooks.is_some_and(|line| line.ends_with(", \"accounts\"]")),
            "{hooks:?}"
        );
        let [shipped, small] = KERNELS;
        assert!(!recipe.contains(shipped), "{recipe}");
        for package in ["    \"one\",", "    \"two\",", "    \"grub-pc\",", small] {
            assert!(recipe.lines().any(|line| line == package), "{recipe}");
        }
        let hook = fs::metadata(folder.path().join("hooks/accounts")).unwrap();
        assert!(std::os::unix::fs::PermissionsExt::mode(&hook.permissions()) & 0o111 != 0);
        assert!(folder.path().join("hooks/host-keys").exists());
    }

    /// Each folder names the hook, and the hook, run over an empty /etc/systemd of its own, closes.
    #[test]
    fn the_folders_ship_closed() {
        let images = concat!(env!("CARGO_MANIFEST_DIR"), "/../images");
        for name in ["trixie", "bookworm", "xenial"] {
            let folder = Path::new(images).join(name);
            let recipe = fs::read_to_string(folder.join("image.toml")).unwrap();
            let hooks = recipe.lines().find(|line| line.starts_with("hooks = "));
            assert!(
                hooks.is_some_and(|h| h.contains("\"closed\"")),
                "{name}: {hooks:?}"
            );
            let script =
                "mount -t tmpfs none /etc/systemd && \"$1\" && cat /etc/systemd/resolved.conf.d/*";
            let answer = std::process::Command::new("unshare")
                .args(["-m", "sh", "-c", script, "sh"])
                .arg(folder.join("hooks/closed"))
                .output()
                .unwrap();
            let text = String::from_utf8_lossy(&answer.stdout);
            let said = String::from_utf8_lossy(&answer.stderr);
            assert!(answer.status.success(), "{name}: needs root: {said}");
            for line in ["[Resolve]", "LLMNR=no", "MulticastDNS=no"] {
                assert!(text.lines().any(|l| l == line), "{name}: {text}");
            }
        }
    }

    #[test]
    fn the_folder_that_is_added_to_has_the_lines_that_are_looked_for() {
        assert_eq!(line_end("a\nhooks = [x]\nb", "hooks = [").unwrap(), 13);
        assert_eq!(line_end("a\nhooks = [x]", "hooks = [").unwrap(), 13);
        assert!(line_end("a\nb", "hooks = [").is_err());
    }
}
