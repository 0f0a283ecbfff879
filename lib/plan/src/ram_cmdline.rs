//! The command line of the RAM environment's kernel.

/// The RAM environment's command line: the machine's own consoles first, so that the operator
/// sees the blind phase where he sees the machine boot, then the image's.
///
/// `rootfstype=ramfs` keeps the initramfs off tmpfs, which would stop at half of the memory.
/// `panic=` brings the old OS back if the kernel dies before the init could do anything.
pub(crate) fn ram_cmdline(machine: &[String], image: &[String], hardware: &[String]) -> String {
    let mut consoles: Vec<&str> = image.iter().map(String::as_str).collect();
    for console in machine {
        let known = |c: &&str| c.split(',').next() == Some(console);
        match consoles.iter().position(known) {
            // The old OS's last console is where its operator looks: it stays last.
            Some(at) => {
                let console = consoles.remove(at);
                consoles.push(console);
            }
            None => consoles.push(console),
        }
    }
    let mut words = vec!["rootfstype=ramfs".to_owned(), "panic=30".to_owned()];
    words.extend(consoles.iter().map(|c| format!("console={c}")));
    words.extend_from_slice(hardware);
    words.push("loglevel=4".to_owned());
    words.join(" ")
}

/// Kernel parameters that a machine has because of its hardware, by how they begin. Without them
/// the next kernel may hang where this one does not.
const HARDWARE_PARAMETERS: [&str; 23] = [
    "acpi=",
    "acpi_",
    "ahci.",
    "amd_iommu=",
    "clocksource=",
    "edd=",
    "intel_iommu=",
    "iommu=",
    "libata.",
    "mem=",
    // Of virtual machines on busy hosts, whose timer may be late when it is looked for.
    "no_timer_check",
    "noacpi",
    "noapic",
    "nolapic",
    "nomodeset",
    "nox2apic",
    "nvme",
    "pci=",
    "pcie_",
    "processor.",
    "rootdelay=",
    "scsi_mod.",
    "tsc=",
];

/// The old OS's parameters that are there for the hardware. Those with characters that a shell or
/// GRUB reads in its own way are left out: none of them needs any.
pub(crate) fn hardware_parameters(cmdline: &str) -> Vec<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.,:=@/".contains(c);
    cmdline
        .split_whitespace()
        .filter(|word| {
            HARDWARE_PARAMETERS
                .iter()
                .any(|start| word.starts_with(start))
        })
        .filter(|word| word.chars().all(plain))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
#[path = "ram_cmdline_tests.rs"]
mod tests;
