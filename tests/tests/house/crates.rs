//! The crates of the workspace, by cargo's own word. Each says in its Cargo.toml on which floor it
//! stands (`[package.metadata.house]`), so that a new one cannot come without saying so.

use std::path::PathBuf;
use std::process::Command;

use reroot_tests::paths;
use serde::Deserialize;

/// Where a crate stands; an arrow goes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Floor {
    /// The only unsafe code.
    Syscalls,
    /// What is written and read.
    Formats,
    /// Values that tests begin with; nothing else uses them.
    Fixtures,
    /// Pure decisions.
    Deciding,
    /// What reads or changes a machine.
    Doing,
    /// What people run.
    Programs,
    /// What tries the programs.
    Tests,
}

#[derive(Deserialize)]
struct Workspace {
    packages: Vec<Package>,
}

/// A crate of the workspace.
#[derive(Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    targets: Vec<Target>,
    dependencies: Vec<Dependency>,
    metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
    src_path: PathBuf,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `dev` for what only tests use.
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Metadata {
    house: Place,
}

/// What a crate says of itself.
#[derive(Deserialize)]
struct Place {
    floor: Floor,
    /// Crates of the same floor that it may use.
    #[serde(default)]
    beside: Vec<String>,
}

impl Package {
    /// The files that its modules hang on: of the library, the programs, the tests.
    pub fn roots(&self) -> impl Iterator<Item = &PathBuf> {
        let of_cargo = |target: &&Target| !target.kind.iter().any(|kind| kind == "custom-build");
        self.targets.iter().filter(of_cargo).map(|t| &t.src_path)
    }

    fn place(&self) -> Option<&Place> {
        self.metadata.as_ref().map(|metadata| &metadata.house)
    }
}

/// Every crate of the workspace.
pub fn packages() -> Vec<Package> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version=1"])
        .current_dir(paths::workspace())
        .output()
        .expect("run cargo metadata");
    assert!(output.status.success(), "cargo metadata: {output:?}");
    let all: Workspace =
        serde_json::from_slice(&output.stdout).expect("read what cargo metadata says");
    all.packages
}

/// Arrows that do not go down, and crates that have no floor, in words.
pub fn wrong_arrows(packages: &[Package]) -> Vec<String> {
    let mut wrong = Vec::new();
    for package in packages {
        let Some(Place { floor, beside }) = package.place() else {
            wrong.push(format!("{} has no floor in the house", package.name));
            continue;
        };
        for used in &package.dependencies {
            let below = packages.iter().find(|p| p.name == used.name);
            let Some(below) = below.and_then(Package::place).map(|place| place.floor) else {
                continue;
            };
            let in_tests = used.kind.as_deref() == Some("dev");
            let allowed = match below {
                Floor::Fixtures => in_tests,
                _ => below < *floor || beside.contains(&used.name),
            };
            if !allowed {
                wrong.push(format!(
                    "{} ({floor:?}) uses {} ({below:?})",
                    package.name, used.name
                ));
            }
        }
    }
    wrong
}
