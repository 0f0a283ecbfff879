//! The file `image.toml` of an image folder: what an OS is made from and how it boots.
//!
//! Everything is checked here, so that what comes out can be trusted. Keys that are not known are
//! refused. An error names the file, the line, the key and what is allowed. `docs/images.md` tells
//! the author of a folder what each key does.

use std::fmt;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use formats::keep::KeepPath;
use formats::manifest::Loader;
use formats::network::Dialect;
use serde::Deserialize;
use toml::Spanned;

use crate::drivers;

/// The name of the file in an image folder.
pub const FILE: &str = "image.toml";

/// An image folder, read and checked.
#[derive(Debug, PartialEq, Eq)]
pub struct Recipe {
    /// The folder's name.
    pub name: String,
    /// What the root filesystem is made from.
    pub source: Source,
    /// Paths that are kept on a machine unless its operator says otherwise.
    pub keep: Vec<KeepPath>,
    /// Files and folders of the old OS that the new one gets.
    pub carry: Vec<KeepPath>,
    /// What the new OS configures its network with, where the folder says so.
    pub dialect: Option<Dialect>,
    /// How the new OS boots.
    pub boot: Boot,
    /// Scripts to run in the new root, in order.
    pub hooks: Vec<PathBuf>,
    /// Classes of drivers for the RAM environment.
    pub drivers: Vec<String>,
    /// The static busybox that becomes the rescue shell.
    pub rescue: PathBuf,
}

/// What a root filesystem is made from.
#[derive(Debug, PartialEq, Eq)]
pub enum Source {
    /// Packages of a distribution.
    Suite(Suite),
    /// An archive of a root filesystem.
    Tarball(PathBuf),
    /// A root filesystem in a directory.
    Directory(PathBuf),
}

/// A release of a distribution.
#[derive(Debug, PartialEq, Eq)]
pub struct Suite {
    /// Its name, for example `trixie`.
    pub name: String,
    /// Whose it is.
    pub distribution: Distribution,
    /// The archive, if the folder names one.
    pub mirror: Option<String>,
    /// The archive of security updates, if the folder names one.
    pub security_mirror: Option<String>,
    /// Parts of the archive.
    pub components: Vec<String>,
    /// Suites beside the main one.
    pub pockets: Vec<Pocket>,
    /// Keys that the archive is signed with.
    pub keyring: PathBuf,
    /// What is installed beside the essential packages.
    pub packages: Vec<String>,
}

/// Distributions differ in where security updates are.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Distribution {
    /// Debian: an archive of its own.
    Debian,
    /// Ubuntu: in the main archive.
    Ubuntu,
}

/// A suite beside the main one, `SUITE-POCKET`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Pocket {
    /// Corrections.
    Updates,
    /// Corrections of what could be attacked.
    Security,
}

/// How the new OS boots.
#[derive(Debug, PartialEq, Eq)]
pub struct Boot {
    /// Its boot loader.
    pub loader: Loader,
    /// Kernel parameters.
    pub cmdline: String,
    /// Consoles as in `console=`.
    pub consoles: Vec<String>,
}

/// What is wrong with an `image.toml`.
#[derive(Debug, PartialEq, Eq)]
pub struct RecipeError {
    file: PathBuf,
    line: usize,
    key: String,
    what: String,
}

impl fmt::Display for RecipeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, line {}", self.file.display(), self.line)?;
        if !self.key.is_empty() {
            write!(f, ", {}", self.key)?;
        }
        write!(f, ": {}", self.what)
    }
}

impl std::error::Error for RecipeError {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawRecipe {
    #[serde(default)]
    keep: Vec<Spanned<String>>,
    #[serde(default)]
    carry: Vec<Spanned<String>>,
    #[serde(default)]
    hooks: Vec<Spanned<String>>,
    #[serde(default)]
    network: RawNetwork,
    rescue: Option<Spanned<PathBuf>>,
    source: Spanned<RawSource>,
    boot: RawBoot,
    drivers: RawDrivers,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawSource {
    suite: Option<Spanned<String>>,
    tarball: Option<Spanned<PathBuf>>,
    directory: Option<Spanned<PathBuf>>,
    distribution: Option<Spanned<Distribution>>,
    mirror: Option<Spanned<String>>,
    security_mirror: Option<Spanned<String>>,
    components: Option<Spanned<Vec<Spanned<String>>>>,
    pockets: Option<Spanned<Vec<Pocket>>>,
    keyring: Option<Spanned<PathBuf>>,
    packages: Option<Spanned<Vec<Spanned<String>>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawBoot {
    loader: Loader,
    #[serde(default)]
    cmdline: Option<Spanned<String>>,
    consoles: Vec<Spanned<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawNetwork {
    dialect: Option<Dialect>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawDrivers {
    classes: Vec<Spanned<String>>,
}

/// Checks the text of an `image.toml`. `file` is its path; what it names relatively is looked for
/// beside it.
pub fn parse(text: &str, file: &Path) -> Result<Recipe, RecipeError> {
    let at = Where { text, file };
    let raw: RawRecipe = toml::from_str(text).map_err(|error| at.syntax(&error))?;
    let folder = file.parent().unwrap_or(Path::new(""));
    let name = std::path::absolute(folder)
        .ok()
        .and_then(|p| p.file_name().map(|n| n.to_string_lossy().into_owned()))
        .unwrap_or_default();
    let keep = raw
        .keep
        .iter()
        .map(|path| at.keep(path))
        .collect::<Result<_, _>>()?;
    let carry = raw
        .carry
        .iter()
        .map(|path| at.keep(path))
        .collect::<Result<_, _>>()?;
    let hooks = raw
        .hooks
        .iter()
        .map(|hook| at.hook(hook, folder))
        .collect::<Result<_, _>>()?;
    for class in &raw.drivers.classes {
        if drivers::class(class.get_ref()).is_none() {
            let what = format!(
                "{:?} is no class of drivers; allowed are {}",
                class.get_ref(),
                drivers::names().join(", ")
            );
            return Err(at.error(&class.span(), what));
        }
    }
    Ok(Recipe {
        name,
        source: at.source(&raw.source, folder)?,
        keep,
        carry,
        dialect: raw.network.dialect,
        boot: at.boot(raw.boot)?,
        hooks,
        drivers: raw
            .drivers
            .classes
            .into_iter()
            .map(Spanned::into_inner)
            .collect(),
        rescue: raw
            .rescue
            .map_or_else(|| "/bin/busybox".into(), |p| folder.join(p.get_ref())),
    })
}

struct Where<'a> {
    text: &'a str,
    file: &'a Path,
}

impl Where<'_> {
    fn error(&self, span: &Range<usize>, what: impl Into<String>) -> RecipeError {
        let start = span.start.min(self.text.len());
        let before = self.text.get(..start).unwrap_or("");
        RecipeError {
            file: self.file.to_owned(),
            line: before.matches('\n').count() + 1,
            key: key_at(self.text, start),
            what: what.into(),
        }
    }

    fn syntax(&self, error: &toml::de::Error) -> RecipeError {
        let span = error.span().unwrap_or(0..0);
        let what = error.message().trim_end().replace('\n', "; ");
        let mut found = self.error(&span, what.clone());
        // The place of what is not there is the whole table; its name says more.
        if let Some(key) = what
            .strip_prefix("missing field `")
            .and_then(|r| r.split('`').next())
        {
            found.key = match found.key.as_str() {
                table if table.starts_with('[') => format!("{table} {key}"),
                _ => key.to_owned(),
            };
        }
        found
    }

    fn keep(&self, path: &Spanned<String>) -> Result<KeepPath, RecipeError> {
        KeepPath::parse(path.get_ref()).map_err(|why| self.error(&path.span(), why.to_string()))
    }

    fn hook(&self, name: &Spanned<String>, folder: &Path) -> Result<PathBuf, RecipeError> {
        let refuse = |what: String| Err(self.error(&name.span(), what));
        let text = name.get_ref();
        if text.is_empty() || text.starts_with('.') || text.contains('/') {
            return refuse(format!(
                "{text:?} is not the name of a script; allowed are names of files in {}",
                folder.join("hooks").display()
            ));
        }
        let path = folder.join("hooks").join(text);
        match std::fs::metadata(&path) {
            Ok(found) if !found.is_file() => refuse(format!("{} is not a file", path.display())),
            Ok(found) if found.permissions().mode() & 0o111 == 0 => refuse(format!(
                "{0} is not executable; make it so: chmod +x {0}",
                path.display()
            )),
            Ok(_) => Ok(path),
            Err(why) => refuse(format!("cannot read the script {}: {why}", path.display())),
        }
    }

    fn boot(&self, raw: RawBoot) -> Result<Boot, RecipeError> {
        for console in &raw.consoles {
            let name = console.get_ref().split(',').next().unwrap_or("");
            let plain = |b: u8| b.is_ascii_alphanumeric() || b == b',';
            if !name.starts_with("tty") || !console.get_ref().bytes().all(plain) {
                let what = format!(
                    "{:?} is no console; allowed are names as in console=, such as \"tty0\" or \
                     \"ttyS0,115200\"",
                    console.get_ref()
                );
                return Err(self.error(&console.span(), what));
            }
        }
        let cmdline = raw
            .cmdline
            .unwrap_or_else(|| Spanned::new(0..0, String::new()));
        for word in cmdline.get_ref().split_whitespace() {
            let ours = ["root=", "console="]
                .into_iter()
                .find(|own| word.starts_with(own));
            let what = if let Some(own) = ours {
                format!("{own} is set by reroot; name consoles in \"consoles\"")
            } else if let Some(odd) = word.chars().find(|&c| !is_plain(c)) {
                format!("{odd:?} in {word:?}; allowed are letters, digits and _.,:;=/@%+-")
            } else {
                continue;
            };
            return Err(self.error(&cmdline.span(), what));
        }
        Ok(Boot {
            loader: raw.loader,
            cmdline: cmdline
                .into_inner()
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" "),
            consoles: raw.consoles.into_iter().map(Spanned::into_inner).collect(),
        })
    }

    fn source(&self, raw: &Spanned<RawSource>, folder: &Path) -> Result<Source, RecipeError> {
        let span = raw.span();
        let raw = raw.get_ref();
        let named = [
            raw.suite.as_ref().map(Spanned::span),
            raw.tarball.as_ref().map(Spanned::span),
            raw.directory.as_ref().map(Spanned::span),
        ];
        let mut named = named.into_iter().flatten();
        match (named.next(), named.next()) {
            (Some(_), None) => {}
            (None, _) => {
                let what = "names no source; exactly one of suite, tarball and directory is needed";
                return Err(self.error(&span, what));
            }
            (_, Some(second)) => {
                let what = "is a second source; exactly one of suite, tarball and directory is \
                            allowed";
                return Err(self.error(&second, what));
            }
        }
        if let Some(suite) = &raw.suite {
            return self.suite(suite, raw, &span, folder).map(Source::Suite);
        }
        let only_with_suites = [
            raw.distribution.as_ref().map(Spanned::span),
            raw.mirror.as_ref().map(Spanned::span),
            raw.security_mirror.as_ref().map(Spanned::span),
            raw.components.as_ref().map(Spanned::span),
            raw.pockets.as_ref().map(Spanned::span),
            raw.keyring.as_ref().map(Spanned::span),
            raw.packages.as_ref().map(Spanned::span),
        ];
        if let Some(span) = only_with_suites.into_iter().flatten().next() {
            return Err(self.error(&span, "is allowed only beside suite"));
        }
        let (path, directory) = match (&raw.tarball, &raw.directory) {
            (Some(path), _) => (path, false),
            (_, Some(path)) => (path, true),
            (None, None) => unreachable!("one source was counted above"),
        };
        let full = folder.join(path.get_ref());
        match std::fs::metadata(&full) {
            Err(why) => Err(self.error(&path.span(), format!("{}: {why}", full.display()))),
            Ok(found) if directory && !found.is_dir() => Err(self.error(
                &path.span(),
                format!("{} is not a directory", full.display()),
            )),
            Ok(found) if !directory && !found.is_file() => {
                Err(self.error(&path.span(), format!("{} is not a file", full.display())))
            }
            Ok(_) if directory => Ok(Source::Directory(full)),
            Ok(_) => Ok(Source::Tarball(full)),
        }
    }

    fn suite(
        &self,
        name: &Spanned<String>,
        raw: &RawSource,
        table: &Range<usize>,
        folder: &Path,
    ) -> Result<Suite, RecipeError> {
        let missing = |key: &str, what: &str| {
            self.error(table, format!("{key} is missing; a suite needs it: {what}"))
        };
        self.word(name, "a suite, such as \"trixie\"")?;
        let distribution = raw
            .distribution
            .as_ref()
            .ok_or_else(|| missing("distribution", "\"debian\" or \"ubuntu\""))?;
        let keyring = raw.keyring.as_ref().ok_or_else(|| {
            missing(
                "keyring",
                "the file of keys that the archive is signed with",
            )
        })?;
        let components = raw
            .components
            .as_ref()
            .ok_or_else(|| missing("components", "parts of the archive, such as [\"main\"]"))?;
        if components.get_ref().is_empty() {
            return Err(self.error(&components.span(), "is empty; allowed is at least one name"));
        }
        let packages = raw
            .packages
            .as_ref()
            .ok_or_else(|| missing("packages", "a kernel and grub-pc at the least"))?;
        Ok(Suite {
            name: name.get_ref().clone(),
            distribution: *distribution.get_ref(),
            mirror: self.mirror(raw.mirror.as_ref())?,
            security_mirror: self.mirror(raw.security_mirror.as_ref())?,
            components: self.words(components.get_ref(), "a component, such as \"main\"")?,
            pockets: raw
                .pockets
                .as_ref()
                .map_or_else(Vec::new, |p| p.get_ref().clone()),
            keyring: folder.join(keyring.get_ref()),
            packages: self.words(packages.get_ref(), "the name of a package")?,
        })
    }

    fn mirror(&self, mirror: Option<&Spanned<String>>) -> Result<Option<String>, RecipeError> {
        let Some(mirror) = mirror else {
            return Ok(None);
        };
        check_mirror(mirror.get_ref()).map_err(|what| self.error(&mirror.span(), what))?;
        Ok(Some(mirror.get_ref().clone()))
    }

    fn words(&self, words: &[Spanned<String>], what: &str) -> Result<Vec<String>, RecipeError> {
        words
            .iter()
            .map(|word| self.word(word, what).map(|()| word.get_ref().clone()))
            .collect()
    }

    fn word(&self, word: &Spanned<String>, what: &str) -> Result<(), RecipeError> {
        let text = word.get_ref();
        let first = text
            .chars()
            .next()
            .is_some_and(|c| c.is_ascii_alphanumeric());
        if first
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
        {
            return Ok(());
        }
        Err(self.error(
            &word.span(),
            format!("{text:?} is not {what}; allowed are letters, digits and +-."),
        ))
    }
}

/// Whether an address is one that apt can be given; the error says what is allowed.
pub fn check_mirror(mirror: &str) -> Result<(), String> {
    let known = ["http://", "https://", "file:/"]
        .iter()
        .any(|s| mirror.starts_with(s));
    if known && !mirror.contains(|c: char| c.is_whitespace() || c.is_control() || c == '[') {
        return Ok(());
    }
    Err(format!(
        "{mirror:?} is no address of an archive; allowed are http://, https:// and file:/// \
         without blanks"
    ))
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_.,:;=/@%+-".contains(c)
}

/// The key that the byte at `at` belongs to, with its table: `[boot] consoles`.
fn key_at(text: &str, at: usize) -> String {
    let mut table = "";
    let mut key = "";
    let mut begins = 0;
    for line in text.split_inclusive('\n') {
        if begins > at {
            break;
        }
        begins += line.len();
        let line = line.trim();
        if line.starts_with('[') && line.ends_with(']') && !line.contains([',', '"']) {
            (table, key) = (line, "");
        } else if let Some((name, _)) = line.split_once('=') {
            let name = name.trim();
            if name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
            {
                key = name;
            }
        } else if key.is_empty() {
            key = if line.starts_with('#') { "" } else { line };
        }
    }
    format!("{table} {key}").trim().to_owned()
}

#[cfg(test)]
#[path = "recipe_tests.rs"]
mod tests;
