//! A root filesystem from a distribution's suite: mmdebstrap, or debootstrap where that is what
//! there is.
//!
//! No archive's address is part of this program: it comes from `image.toml`, from the command
//! line, or, for a suite of the distribution that this machine runs, from this machine's apt.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result};

use crate::apt_sources::{self, Archives};
use crate::command::{is_installed, run, with_own_mounts};
use crate::failure::{advice, missing_tool, refusal};
use crate::inside::run_inside;
use crate::progress::{step, Step};
use crate::recipe::{Distribution, Pocket, Suite};

/// What the operator says over the folder.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// The archive, where the folder names none.
    pub mirror: Option<String>,
    /// The archive of security updates, where the folder names none.
    pub security_mirror: Option<String>,
    /// The archive's keys, instead of the folder's.
    pub keyring: Option<PathBuf>,
}

/// The archive's addresses for one suite.
#[derive(Debug, PartialEq, Eq)]
struct Addresses {
    main: String,
    security: Option<String>,
}

/// Makes the root filesystem in `root`, an empty directory.
pub fn make(suite: &Suite, overrides: &Overrides, root: &Path) -> Result<()> {
    let keyring = overrides.keyring.as_ref().unwrap_or(&suite.keyring);
    // apt takes absolute paths only.
    let keyring = std::path::absolute(keyring)
        .with_context(|| format!("find the keyring {}", keyring.display()))?;
    if !keyring.is_file() {
        return Err(refusal(
            format!("the keyring {} does not exist", keyring.display()),
            format!(
                "install the package that brings it ({}), or name another: --keyring FILE",
                keyring_package(suite.distribution)
            ),
        ));
    }
    let addresses = addresses(suite, overrides, &machine_archives(suite.distribution)?)?;
    let progress = step(&format!("making {} from {}", suite.name, addresses.main));
    let making = Making {
        suite,
        addresses: &addresses,
        keyring: &keyring,
        root,
        progress: &progress,
    };
    let made = if is_installed("mmdebstrap") {
        making.by_mmdebstrap()
    } else if is_installed("debootstrap") {
        making.by_debootstrap()
    } else {
        return Err(missing_tool("mmdebstrap", "mmdebstrap"));
    };
    made.with_context(|| {
        advice(
            format!("install it from {}", addresses.main),
            "read what the tool said last; check the archive's address (--mirror), its keys \
             (--keyring) and the packages in image.toml",
        )
    })?;
    // What the new OS will update itself from: the same archive, by the keys that it brought.
    let lines = source_lines(suite, &addresses, "").join("\n");
    write(&root.join("etc/apt/sources.list"), &format!("{lines}\n"))?;
    progress.done("made");
    Ok(())
}

fn keyring_package(distribution: Distribution) -> &'static str {
    match distribution {
        Distribution::Debian => "debian-archive-keyring",
        Distribution::Ubuntu => "ubuntu-keyring; on Debian ubuntu-archive-keyring",
    }
}

/// This machine's archives, if it runs that distribution.
fn machine_archives(distribution: Distribution) -> Result<Archives> {
    let text = fs::read_to_string("/etc/os-release").context("read /etc/os-release")?;
    let field = |name: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.map_or("", |value| value.trim_matches('"')).to_owned()
    };
    let id = match distribution {
        Distribution::Debian => "debian",
        Distribution::Ubuntu => "ubuntu",
    };
    if field("ID") != id {
        return Ok(Archives::default());
    }
    let sources = apt_sources::read(Path::new("/etc/apt"))?;
    Ok(apt_sources::archives(&sources, &field("VERSION_CODENAME")))
}

fn addresses(suite: &Suite, overrides: &Overrides, machine: &Archives) -> Result<Addresses> {
    let pick = |folder: &Option<String>, line: &Option<String>, machine: &Option<String>| {
        line.clone()
            .or_else(|| folder.clone())
            .or_else(|| machine.clone())
    };
    let Some(main) = pick(&suite.mirror, &overrides.mirror, &machine.main) else {
        return Err(refusal(
            format!("no archive is known for the suite {}", suite.name),
            "name one: --mirror URL, or mirror in image.toml (this machine's apt is set up with \
             none for that distribution)",
        ));
    };
    let elsewhere =
        suite.distribution == Distribution::Debian && suite.pockets.contains(&Pocket::Security);
    let security = if elsewhere {
        let found = pick(
            &suite.security_mirror,
            &overrides.security_mirror,
            &machine.security,
        );
        Some(found.ok_or_else(|| {
            refusal(
                format!(
                    "no archive of security updates is known for the suite {}",
                    suite.name
                ),
                "name one: --security-mirror URL, or security-mirror in image.toml; or take \
                 \"security\" out of pockets",
            )
        })?)
    } else {
        overrides
            .security_mirror
            .clone()
            .or_else(|| suite.security_mirror.clone())
    };
    Ok(Addresses { main, security })
}

/// One line of sources.list(5) for the suite and for each pocket.
fn source_lines(suite: &Suite, addresses: &Addresses, options: &str) -> Vec<String> {
    let components = suite.components.join(" ");
    let line = |mirror: &str, name: &str| format!("deb {options}{mirror} {name} {components}");
    let mut lines = vec![line(&addresses.main, &suite.name)];
    for pocket in &suite.pockets {
        lines.push(match pocket {
            Pocket::Updates => line(&addresses.main, &format!("{}-updates", suite.name)),
            Pocket::Security => {
                let mirror = addresses.security.as_ref().unwrap_or(&addresses.main);
                line(mirror, &format!("{}-security", suite.name))
            }
        });
    }
    lines
}

/// A root filesystem in the making.
struct Making<'a> {
    suite: &'a Suite,
    addresses: &'a Addresses,
    keyring: &'a Path,
    root: &'a Path,
    progress: &'a Step,
}

impl Making<'_> {
    fn by_mmdebstrap(&self) -> Result<()> {
        // A local archive has to be seen from inside the new root too.
        const LOCAL: &str = "/usr/share/mmdebstrap/hooks/file-mirror-automount";
        let mut command = with_own_mounts("mmdebstrap");
        command
            .args(["--mode=root", "--variant=minbase", "--format=directory"])
            .args([
                "--architectures=amd64",
                "--aptopt=APT::Install-Recommends \"false\"",
            ])
            .arg(format!("--keyring={}", self.keyring.display()))
            .arg(format!("--include={}", self.suite.packages.join(",")));
        if self.addresses.main.starts_with("file:") {
            command.arg(format!("--hook-dir={LOCAL}"));
        }
        let signed = format!("[signed-by={}] ", self.keyring.display());
        command
            .arg(&self.suite.name)
            .arg(self.root)
            .args(source_lines(self.suite, self.addresses, &signed))
            .stdin(Stdio::null());
        run("mmdebstrap", &mut command, "util-linux", self.progress)?;
        // The option above is for the build: what the new OS installs later is its operator's choice.
        remove(&self.root.join("etc/apt/apt.conf.d/99mmdebstrap"))
    }

    /// debootstrap knows one suite: the pockets and the packages are apt's work, inside.
    fn by_debootstrap(&self) -> Result<()> {
        let mut command = with_own_mounts("debootstrap");
        command
            .args(["--variant=minbase", "--arch=amd64"])
            .arg(format!("--keyring={}", self.keyring.display()))
            .arg(format!("--components={}", self.suite.components.join(",")))
            .arg(&self.suite.name)
            .arg(self.root)
            .arg(&self.addresses.main)
            .stdin(Stdio::null());
        run("debootstrap", &mut command, "util-linux", self.progress)?;

        let key = self.root.join("etc/apt/trusted.gpg.d/reroot-build.gpg");
        let local = self
            .addresses
            .main
            .strip_prefix("file:")
            .map(|path| PathBuf::from("/").join(path.trim_start_matches('/')));
        let inside = Addresses {
            main: local.as_ref().map_or_else(
                || self.addresses.main.clone(),
                |path| format!("file:///run/reroot-shown{}", path.display()),
            ),
            security: self.addresses.security.clone(),
        };
        let lines = source_lines(self.suite, &inside, "").join("\n");
        write(
            &self.root.join("etc/apt/sources.list"),
            &format!("{lines}\n"),
        )?;
        copy(self.keyring, &key)?;
        copy(
            Path::new("/etc/resolv.conf"),
            &self.root.join("etc/resolv.conf"),
        )?;
        let policy = self.root.join("usr/sbin/policy-rc.d");
        write(&policy, "#!/bin/sh\nexit 101\n")?;
        let script = tempfile::NamedTempFile::new().context("make a script")?;
        write(
            script.path(),
            &format!(
                "#!/bin/sh\nset -e\nchmod 755 /usr/sbin/policy-rc.d\napt-get update\n\
                 apt-get -y --no-install-recommends dist-upgrade\n\
                 apt-get -y --no-install-recommends install {}\n",
                self.suite.packages.join(" ")
            ),
        )?;
        let shown: Vec<&Path> = local.iter().map(PathBuf::as_path).collect();
        run_inside(self.root, script.path(), &shown, self.progress)?;
        remove(&key)?;
        remove(&policy)
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("write {}", path.display()))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to)
        .map(|_| ())
        .with_context(|| format!("copy {} to {}", from.display(), to.display()))
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suite(distribution: Distribution) -> Suite {
        Suite {
            name: "s".into(),
            distribution,
            mirror: None,
            security_mirror: None,
            components: vec!["main".into(), "more".into()],
            pockets: vec![Pocket::Updates, Pocket::Security],
            keyring: "/k.gpg".into(),
            packages: vec![],
        }
    }

    fn machine() -> Archives {
        Archives {
            main: Some("http://apt/d".into()),
            security: Some("http://apt/s".into()),
        }
    }

    #[test]
    fn pockets_are_where_the_distribution_has_them() {
        for (distribution, security) in [
            (
                Distribution::Debian,
                "deb http://apt/s s-security main more",
            ),
            (
                Distribution::Ubuntu,
                "deb http://apt/d s-security main more",
            ),
        ] {
            let suite = suite(distribution);
            let addresses = addresses(&suite, &Overrides::default(), &machine()).unwrap();
            assert_eq!(
                source_lines(&suite, &addresses, ""),
                [
                    "deb http://apt/d s main more",
                    "deb http://apt/d s-updates main more",
                    security
                ]
            );
        }
    }

    #[test]
    fn the_command_line_comes_first_and_this_machine_last() {
        let mut suite = suite(Distribution::Debian);
        suite.mirror = Some("http://folder".into());
        let of = |suite: &Suite, line: Option<&str>| {
            let overrides = Overrides {
                mirror: line.map(Into::into),
                ..Overrides::default()
            };
            addresses(suite, &overrides, &machine()).unwrap().main
        };
        assert_eq!(of(&suite, Some("http://line")), "http://line");
        assert_eq!(of(&suite, None), "http://folder");
        suite.mirror = None;
        assert_eq!(of(&suite, None), "http://apt/d");
    }

    #[test]
    fn an_unknown_archive_is_refused_with_the_way_out() {
        let suite = suite(Distribution::Debian);
        let none = Archives::default();
        let error = addresses(&suite, &Overrides::default(), &none).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("no archive is known for the suite s"),
            "{error}"
        );
        let main = Archives {
            security: None,
            ..machine()
        };
        let error = addresses(&suite, &Overrides::default(), &main).unwrap_err();
        assert!(error.to_string().contains("security updates"), "{error}");
    }
}
