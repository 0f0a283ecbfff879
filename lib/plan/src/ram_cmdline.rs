//! The command line of the RAM environment's kernel, and what of the old OS's own the new OS gets too.

use formats::identity::SerialLogin;

/// The RAM environment's command line: the machine's own consoles last, in their order, so that the
/// operator sees the blind phase where he sees the machine boot. What the machine's own command line says
/// of one (its speed) goes before what the image's says.
///
/// `rootfstype=ramfs` keeps the initramfs off tmpfs, which would stop at half of the memory.
/// `panic=` brings the old OS back if the kernel dies before the init could do anything.
pub(crate) fn ram_cmdline(
    active: &[String],
    named: &[String],
    image: &[String],
    hardware: &[String],
) -> String {
    let mut consoles: Vec<&str> = image.iter().map(String::as_str).collect();
    for console in active {
        let at = consoles
            .iter()
            .position(|word| name(word) == console.as_str());
        let of_image = at.map(|at| consoles.remove(at));
        let mut own = named.iter().map(String::as_str);
        let own = own.find(|word| name(word) == console.as_str());
        // The old OS's last console is where its operator looks: it stays last.
        consoles.push(own.or(of_image).unwrap_or(console));
    }
    let mut words = vec!["rootfstype=ramfs".to_owned(), "panic=30".to_owned()];
    words.extend(consoles.iter().map(|c| format!("console={c}")));
    words.extend_from_slice(hardware);
    words.push("loglevel=4".to_owned());
    words.join(" ")
}

/// The image's consoles with the lines at which people log in before them, who look for the run there; what the
/// machine says of a line goes before what the image says.
pub(crate) fn beside(logins: &[SerialLogin], image: &[String]) -> Vec<String> {
    let is_told = |word: &&String| !logins.iter().any(|login| login.line == name(word));
    let words = logins.iter().map(SerialLogin::console);
    words.chain(image.iter().filter(is_told).cloned()).collect()
}

/// The consoles that the old OS's command line names and that are there, in order, each with its options:
/// `ttyS1,115200n8`. One without a port is left out, so that nothing waits for it.
pub(crate) fn named_consoles(cmdline: &str, active: &[String]) -> Vec<String> {
    let mut named: Vec<&str> = Vec::new();
    for word in cmdline.split_whitespace() {
        let Some(console) = word.strip_prefix("console=").filter(|c| is_plain(c)) else {
            continue;
        };
        if active.iter().any(|a| a == name(console)) {
            // The kernel takes the options of the first mention, and the place of the last.
            let first = named.iter().position(|n| name(n) == name(console));
            let console = first.map_or(console, |at| named.remove(at));
            named.push(console);
        }
    }
    named.into_iter().map(str::to_owned).collect()
}

/// A console without its options.
fn name(console: &str) -> &str {
    console.split(',').next().unwrap_or(console)
}

/// A kernel parameter that a machine has because of its hardware.
struct Parameter {
    /// How it begins.
    start: &'static str,
    /// What the next kernel may do without it where this one does not; for docs/entries.md.
    #[cfg_attr(not(test), allow(dead_code, reason = "the page is made of it"))]
    why: &'static str,
}

const fn parameter(start: &'static str, why: &'static str) -> Parameter {
    Parameter { start, why }
}

const ACPI: &str =
    "firmware whose tables are wrong: hangs, devices or processors that are not found";
const INTERRUPTS: &str =
    "interrupts that do not come, or come without end: disks and cards that time out";
const TIME: &str = "a clock that stands still or jumps";
const IOMMU: &str = "disks and cards whose transfers the IOMMU refuses";
const STORAGE: &str = "a disk controller that is not found, or that loses its disks";
const MEMORY: &str = "memory that is broken or not there";
const POWER: &str = "a machine that freezes in a sleep state of its processor or bus";

/// Those that the RAM environment and the new OS get too.
const HARDWARE_PARAMETERS: [Parameter; 46] = [
    parameter("acpi=", ACPI),
    parameter("acpi_", ACPI),
    parameter("noacpi", ACPI),
    parameter("pnpacpi=", ACPI),
    parameter("pci=", ACPI),
    parameter("pcie_", POWER),
    parameter("noapic", INTERRUPTS),
    parameter("nolapic", INTERRUPTS),
    parameter("nox2apic", INTERRUPTS),
    parameter("irqpoll", INTERRUPTS),
    parameter("irqfixup", INTERRUPTS),
    // Of virtual machines on busy hosts, whose timer may be late when it is looked for.
    parameter("no_timer_check", TIME),
    parameter("clocksource=", TIME),
    parameter("hpet=", TIME),
    parameter("nohpet", TIME),
    parameter("tsc=", TIME),
    parameter("notsc", TIME),
    parameter("amd_iommu=", IOMMU),
    parameter("intel_iommu=", IOMMU),
    parameter("iommu=", IOMMU),
    parameter("swiotlb=", IOMMU),
    parameter("aacraid.", STORAGE),
    parameter("ahci.", STORAGE),
    parameter("hpsa.", STORAGE),
    parameter("libata.", STORAGE),
    parameter("megaraid_sas.", STORAGE),
    parameter("mpt2sas.", STORAGE),
    parameter("mpt3sas.", STORAGE),
    parameter("nvme", STORAGE),
    parameter("rootdelay=", STORAGE),
    parameter("scsi_mod.", STORAGE),
    parameter("smartpqi.", STORAGE),
    parameter("usb-storage.", STORAGE),
    parameter("usb_storage.", STORAGE),
    parameter(
        "edd=",
        "a firmware that hangs where it is asked for its disks",
    ),
    parameter("mem=", MEMORY),
    parameter("memmap=", MEMORY),
    parameter("memory_corruption_check=", MEMORY),
    parameter("processor.", POWER),
    parameter("intel_idle.", POWER),
    parameter("idle=", POWER),
    parameter("cpuidle.", POWER),
    parameter("nomodeset", "a screen that stays dark"),
    parameter(
        "reboot=",
        "a machine that does not start again when it is told to",
    ),
    parameter(
        "mce=",
        "a machine that is reset for errors that its memory corrects",
    ),
    parameter(
        "efi=",
        "a firmware that hangs where its services are called",
    ),
];

/// The old OS's parameters that are there for the hardware.
pub(crate) fn hardware_parameters(cmdline: &str) -> Vec<String> {
    cmdline
        .split_whitespace()
        .filter(|word| {
            let begins = |p: &Parameter| word.starts_with(p.start);
            HARDWARE_PARAMETERS.iter().any(begins)
        })
        .filter(|word| is_plain(word))
        .map(str::to_owned)
        .collect()
}

/// Words with characters that a shell or GRUB reads in its own way are left out: none of them needs any.
/// (`memmap=4G$1G` is such a one: GRUB has to be told of the `$` in a way that differs from release to
/// release.)
fn is_plain(word: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.,:=@/".contains(c);
    !word.is_empty() && word.chars().all(plain)
}

#[cfg(test)]
#[path = "ram_cmdline_tests.rs"]
mod tests;
