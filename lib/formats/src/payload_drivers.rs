//! What the new OS itself can drive: modules and firmware of the payload, and of the initrd that it
//! boots with. The RAM environment has a part of the modules only; what that drives says nothing of
//! a card that the new OS is alone with.

use serde::{Deserialize, Serialize};

/// What the builder found in the payload. Names have `_` for `-`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PayloadDrivers {
    /// Every module of the payload's kernel, and the drivers that are part of it.
    pub modules: Vec<String>,
    /// Modules that are in the new OS's own initrd with everything that they need, and the drivers
    /// that are part of the kernel.
    pub initrd: Vec<String>,
    /// Programs of [`crate::tools::PROGRAMS`] that are in that initrd.
    pub initrd_programs: Vec<String>,
    /// Those of them that the initrd calls for all that it mounts, see [`crate::tools::FOR_ALL_MOUNTS`].
    pub initrd_for_all_mounts: Vec<String>,
    /// Drivers of disks and network cards that ask for firmware.
    pub firmware: Vec<DriverFirmware>,
}

/// Firmware files that a driver names (`modinfo -F firmware`), it or a module that it stands on, by
/// their names below /lib/firmware. It asks for those of the hardware that it finds, which may be one of
/// many.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriverFirmware {
    /// The driver.
    pub driver: String,
    /// Files that the payload has.
    pub there: Vec<String>,
    /// Files that it lacks.
    pub missing: Vec<String>,
}

/// Drivers that do with what their hardware has in it when there is no file: they name files for
/// newer code, for one chip of many, or for a feature.
const DO_WITHOUT: [&str; 8] = [
    // The memory of the card's own boot code suffices, except for 5701 A0 and offloading.
    "tg3",
    // PHY parameters; the chips have some.
    "r8169",
    "realtek",
    // Wake-up code of three chips.
    "e100",
    // Its package of features; without it the card is in its safe mode, which is a network card.
    "ice",
    // Newer code than that in the card's own memory.
    "cxgb4",
    // OEM parameters.
    "isci",
    // A controller with its own memory for code.
    "xhci_pci_renesas",
];

/// Whether a driver's hardware works without any of the files that the driver names.
pub fn does_without(driver: &str) -> bool {
    DO_WITHOUT.contains(&driver)
}

impl PayloadDrivers {
    /// Whether the payload's kernel has a driver.
    pub fn has(&self, driver: &str) -> bool {
        self.modules.iter().any(|name| name == driver)
    }

    /// Whether the new OS has a driver before its root is mounted.
    pub fn has_in_initrd(&self, driver: &str) -> bool {
        self.initrd.iter().any(|name| name == driver)
    }

    /// Whether the new OS has a program before its root is mounted.
    pub fn has_program_in_initrd(&self, program: &str) -> bool {
        self.initrd_programs.iter().any(|name| name == program)
    }

    /// What the initrd lacks to put together, with a program, more than what the root is on; `None` where it lacks nothing.
    pub fn lacks_for_all_mounts(&self, program: &str) -> Option<String> {
        if !self.has_program_in_initrd(program) {
            return Some(format!("has no {program}"));
        }
        let called = self
            .initrd_for_all_mounts
            .iter()
            .any(|name| name == program);
        (!called).then(|| format!("calls {program} for the root alone"))
    }

    /// The firmware that a driver names, if it names any.
    pub fn firmware_of(&self, driver: &str) -> Option<&DriverFirmware> {
        self.firmware.iter().find(|found| found.driver == driver)
    }
}

impl DriverFirmware {
    /// The payload has none of its files, and the hardware does nothing without one.
    pub fn is_fatal(&self) -> bool {
        self.there.is_empty() && !self.missing.is_empty() && !does_without(&self.driver)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn firmware(driver: &str, there: &[&str], missing: &[&str]) -> DriverFirmware {
        let own = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        DriverFirmware {
            driver: driver.into(),
            there: own(there),
            missing: own(missing),
        }
    }

    #[test]
    fn firmware_is_missed_where_nothing_of_it_is_there_and_the_driver_needs_it() {
        for (found, fatal) in [
            (firmware("bnx2", &[], &["a", "b"]), true),
            (firmware("bnx2x", &["new"], &["old"]), false),
            (firmware("tg3", &[], &["tigon/tg3_tso.bin"]), false),
            (firmware("nfp", &[], &[]), false),
        ] {
            assert_eq!(found.is_fatal(), fatal, "{found:?}");
        }
    }
}
