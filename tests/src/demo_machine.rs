//! The machines that the demo can reinstall, by name: the large ones with all of Debian, and a tiny one on
//! every kind of disk, or on two.

use std::path::PathBuf;

use anyhow::{bail, Context, Result};

use crate::old_server::{cloud_server, old_server, Firmware, OldServer};
use crate::tiny::layouts::{layout, Kind, LAYOUTS};
use crate::tiny::mirror::{self, MIRRORS};
use crate::vm::{Machine, USUAL_MEMORY_MIB};
use crate::{images, tiny};

/// How a name ends whose machine is started by UEFI.
const BY_UEFI: &str = "-uefi";

/// Names of disks as people know them, with the row of the table of tiny machines' disks.
const KNOWN_AS: [(&str, &str); 5] = [
    ("debian-sector-63", "mbr-sector-63"),
    ("rhel-7-cloud", "xfs-mbr"),
    ("rhel-cloud", "xfs-cloud"),
    ("ubuntu-cloud", "gpt-boot-apart"),
    ("ubuntu-server", "lvm-boot-apart"),
];

/// The same of two disks with mirrors.
const MIRRORS_KNOWN_AS: [(&str, &str); 1] = [("hetzner", "raid1-boot-apart")];

/// What the machine is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Made {
    /// A Debian 11 server, its disk with a master boot record.
    Debian,
    /// The same, its disk as clouds have it.
    DebianInACloud,
    /// A tiny machine, with a row of [`LAYOUTS`].
    Tiny(&'static str),
    /// The same with one of [`MIRRORS`], on two disks.
    Mirrored(&'static str),
}

/// A machine for the demo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DemoMachine {
    made: Made,
    firmware: Firmware,
}

impl DemoMachine {
    /// The one of this name.
    pub fn named(name: &str) -> Result<Self> {
        let Some((_, machine)) = all().into_iter().find(|(known, _)| known == name) else {
            let names: Vec<String> = all().into_iter().map(|(name, _)| name).collect();
            bail!(
                "no machine is called {name:?}; there are: {}",
                names.join(", ")
            );
        };
        Ok(machine)
    }

    /// Makes its disks, if they are not there yet.
    pub fn make(self) -> Result<()> {
        self.server().map(drop)
    }

    /// Switches it on; the old OS boots.
    pub fn boot(self) -> Result<Machine> {
        if let Made::Mirrored(row) = self.made {
            return mirror::server(mirror::row(row)?)?.boot("demo");
        }
        let mut machine = Machine::boot(&self.server()?, "demo", self.memory_mib())?;
        machine.wait_for_old_ssh()?;
        Ok(machine)
    }

    fn server(self) -> Result<OldServer> {
        let server = match self.made {
            Made::Debian => old_server()?,
            Made::DebianInACloud => cloud_server()?,
            Made::Tiny(row) => tiny::server(layout(row).with_context(|| format!("no row {row}"))?)?,
            Made::Mirrored(row) => mirror::server(mirror::row(row)?)?.server,
        };
        Ok(OldServer {
            firmware: self.firmware,
            ..server
        })
    }

    /// The image for it, built if it is not there yet.
    pub fn image(self) -> Result<PathBuf> {
        match self.made {
            Made::Debian | Made::DebianInACloud => images::image("trixie"),
            Made::Tiny(_) | Made::Mirrored(_) => images::tiny(),
        }
    }

    /// The folder that the image is built from, for people.
    pub fn folder(self) -> &'static str {
        match self.made {
            Made::Debian | Made::DebianInACloud => "images/trixie",
            Made::Tiny(_) | Made::Mirrored(_) => "tests/images/tiny",
        }
    }

    /// Its memory, in MiB.
    fn memory_mib(self) -> u32 {
        match self.made {
            Made::Debian | Made::DebianInACloud => USUAL_MEMORY_MIB,
            Made::Tiny(_) | Made::Mirrored(_) => tiny::MEMORY_MIB,
        }
    }
}

/// Every machine, under every name that it has.
fn all() -> Vec<(String, DemoMachine)> {
    let rows = LAYOUTS.iter().map(|layout| (layout.name, layout.name));
    let large = [
        ("debian", Made::Debian, false),
        ("debian-cloud", Made::DebianInACloud, true),
    ];
    let tiny = KNOWN_AS.into_iter().chain(rows).map(|(name, row)| {
        let esp = layout(row).is_some_and(|layout| layout.of_kind(Kind::Esp).next().is_some());
        (name, Made::Tiny(row), esp)
    });
    let mut machines = Vec::new();
    for (name, made, esp) in large.into_iter().chain(tiny) {
        let mut add =
            |name: String, firmware| machines.push((name, DemoMachine { made, firmware }));
        add(name.to_owned(), Firmware::Bios);
        if esp {
            add(format!("{name}{BY_UEFI}"), Firmware::Uefi);
        }
    }
    for mirror in MIRRORS {
        let known = MIRRORS_KNOWN_AS
            .iter()
            .filter(|(_, row)| *row == mirror.name);
        let machine = DemoMachine {
            made: Made::Mirrored(mirror.name),
            firmware: mirror.firmware(),
        };
        let names = known.map(|(name, _)| *name).chain([mirror.name]);
        machines.extend(names.map(|name| (name.to_owned(), machine)));
    }
    machines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_of_one_machine_and_every_row_has_one() {
        let machines = all();
        for (at, (name, _)) in machines.iter().enumerate() {
            let first = machines.iter().position(|(other, _)| other == name);
            assert_eq!(first, Some(at), "{name}");
        }
        for (name, row) in KNOWN_AS {
            assert!(layout(row).is_some(), "{name}: {row}");
        }
        for layout in LAYOUTS {
            let machine = DemoMachine::named(layout.name).unwrap();
            assert_eq!(machine.made, Made::Tiny(layout.name));
        }
        for (name, row) in MIRRORS_KNOWN_AS {
            assert!(mirror::row(row).is_ok(), "{name}: {row}");
        }
        for mirror in MIRRORS {
            let machine = DemoMachine::named(mirror.name).unwrap();
            assert_eq!(machine.made, Made::Mirrored(mirror.name));
        }
    }

    #[test]
    fn the_name_tells_the_firmware() {
        for (name, firmware) in [
            ("debian", Firmware::Bios),
            ("debian-cloud-uefi", Firmware::Uefi),
            ("ubuntu-cloud", Firmware::Bios),
            ("ubuntu-cloud-uefi", Firmware::Uefi),
            ("hetzner", Firmware::Bios),
            ("raid1-uefi", Firmware::Uefi),
        ] {
            assert_eq!(DemoMachine::named(name).unwrap().firmware, firmware);
        }
        let error = DemoMachine::named("debian-uefi").unwrap_err().to_string();
        assert!(error.contains("ubuntu-cloud-uefi"), "{error}");
    }
}
