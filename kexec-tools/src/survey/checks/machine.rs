//! The machine as such: what it is, whether it can be entered anew, who else is at work on it.

use formats::counted::counted;
use formats::entry::Entry;
use formats::facts::Firmware;
use plan::entry;
use plan::version::Version;

use super::check::Force::{Allowed, Never, NotNeeded};
use super::check::Moment::Stop;
use super::check::{Check, Context};

/// In the order in which a person would ask.
pub(super) const CHECKS: &[Check] = &[
    Check {
        code: "architecture",
        question: "Is the image for this architecture?",
        reads: "uname(2), the image's manifest",
        force: Never,
        again: &[],
        remedy: "build an image for this machine's architecture",
        against: |c| {
            (c.facts.architecture != c.manifest.architecture)
                .then(|| format!("machine {}, image {}", c.facts.architecture, c.manifest.architecture))
        },
    },
    Check {
        code: "kernel",
        question: "Is the running kernel one that this program works on?",
        reads: "uname(2)",
        force: Never,
        again: &[],
        remedy: "Linux 3.2 is the oldest; boot a newer kernel of the old OS first",
        against: |c| {
            let floor = Version { major: 3, minor: 2 };
            // What cannot be read is no older kernel.
            let old = Version::parse(&c.facts.kernel).is_some_and(|v| v < floor);
            old.then(|| format!("it is Linux {}", c.facts.kernel))
        },
    },
    Check {
        code: "container",
        question: "Is this a machine with a kernel of its own?",
        reads: "/proc/1/environ, /.dockerenv, /proc/vz",
        force: Never,
        again: &[],
        remedy: "make a new container and move the data over: a container has no kernel to replace",
        against: |c| c.facts.container.clone().map(|k| format!("this is a {k} container")),
    },
    Check {
        code: "xen-host",
        question: "Does the machine have no guests of its own?",
        reads: "/proc/xen/capabilities",
        force: Never,
        again: &[],
        remedy: "move its guests to another host first",
        against: |c| {
            let host = c.facts.condition.xen.as_deref() == Some("control domain");
            host.then(|| "it is the control domain of a Xen host".to_owned())
        },
    },
    Check {
        code: "xen",
        question: "Does the machine start from its own disk?",
        reads: "/sys/hypervisor, /proc/xen",
        force: Allowed,
        again: &[],
        remedy: "force it if the host starts this guest by /boot/grub/grub.cfg on its root (pvgrub2, pygrub); PV-GRUB \
                 of old reads /boot/grub/menu.lst alone",
        against: |c| {
            let guest = c.facts.condition.xen.as_deref() == Some("PV");
            guest.then(|| "it is a PV guest of Xen, which its host starts, not its master boot record".to_owned())
        },
    },
    Check {
        code: "other-run",
        question: "Is no other run in progress?",
        reads: "the lock /.reroot/lock",
        force: Never,
        again: &[],
        remedy: "wait for it, or break it off with `abort` while services still run",
        against: |c| c.facts.other_run.clone().map(|r| format!("run {r} is in progress")),
    },
    Check {
        code: "firmware",
        question: "Is it known what the firmware starts next, and can it start the image's loader?",
        reads: "/sys/firmware/efi, the firmware's variables BootCurrent, BootNext, BootOrder and Boot####, the EFI \
                system partitions, the image's manifest",
        force: Never,
        again: &[Stop],
        remedy: "with UEFI: an image with GRUB for it (grub-efi-amd64-bin); efivarfs mounted at \
                 /sys/firmware/efi/efivars; a plain reboot, so that what comes first in BootOrder is what has \
                 started the machine; where that is not the root's disk, `efibootmgr --bootorder` first, and \
                 `efibootmgr --delete-bootnext`",
        against: |c| {
            let efi = &c.facts.efi;
            if c.facts.firmware == Firmware::Bios {
                return None;
            }
            if let Some(bits) = efi.bits.filter(|&bits| bits != 64) {
                return Some(format!("it is a UEFI of {bits} bits, for which GRUB is not installed"));
            }
            if !c.manifest.tools.boots_by_uefi() {
                return Some("it was started by UEFI, and the image has no GRUB for that".to_owned());
            }
            efi.unknown.clone()
        },
    },
    Check {
        code: "secure-boot",
        question: "Is Secure Boot off?",
        reads: "the firmware's variable SecureBoot",
        force: Never,
        again: &[],
        remedy: "turn it off in the firmware, and leave it off: neither the staged image's loader nor the new OS's is \
                 signed by a key that it knows",
        against: |c| {
            let condition = &c.facts.condition;
            let on = condition.secure_boot == Some(true);
            let on = on.then(|| "the firmware starts signed loaders only".to_owned());
            on.or_else(|| condition.secure_boot_unread.clone())
        },
    },
    Check {
        code: "entry",
        question: "Is there a way into the RAM environment?",
        reads: "kexec's system calls and switches, whether PID 1 may be traced, /boot/grub/grub.cfg",
        force: Never,
        again: &[],
        remedy: "open one: kexec takes kernel.kexec_load_disabled=0 (set at boot); takeover takes \
                 kernel.yama.ptrace_scope below 3 (set at boot) and no tracer of PID 1; boot takes GRUB 2 \
                 with its one grub.cfg on the root filesystem",
        against: |c| match c.choices.entry {
            // The entry's own check says whether it can be taken.
            Some(_) => None,
            None => entry::no_way(c.facts),
        },
    },
    Check {
        code: "kexec",
        question: "Can the running kernel enter another one, if that was asked for?",
        reads: "kexec's system calls, kernel.kexec_load_disabled, /sys/kernel/security/lockdown, drivers \
                of network cards",
        force: Never,
        again: &[],
        remedy: "leave out --entry; else a kernel with kexec_load or kexec_file_load, \
                 kernel.kexec_load_disabled=0 (set at boot); under lockdown one with kexec_file_load; \
                 before Linux 3.5 drivers of network cards that can be unbound",
        against: |c| against_wished(c, Entry::Kexec),
    },
    Check {
        code: "takeover",
        question: "Can PID 1 be taken over, if that was asked for?",
        reads: "/proc/1, kernel.yama.ptrace_scope",
        force: Never,
        again: &[],
        remedy: "end its tracer; run this in PID 1's own root directory and mounts; boot with \
                 kernel.yama.ptrace_scope below 3; or leave out --entry",
        against: |c| against_wished(c, Entry::Takeover),
    },
    Check {
        code: "boot-entry",
        question: "Can the boot loader enter, if that was asked for?",
        reads: "/boot/grub/grub.cfg, the filesystem that it is on",
        force: Never,
        again: &[],
        remedy: "GRUB 2 with its one grub.cfg on the root filesystem; or leave out --entry",
        against: |c| against_wished(c, Entry::Boot),
    },
    Check {
        code: "watchdog",
        question: "Is no watchdog going to reset the machine?",
        reads: "/sys/class/watchdog/*/state",
        force: Allowed,
        again: &[Stop],
        remedy: "stop it: RuntimeWatchdogSec=0 in /etc/systemd/system.conf, `systemctl daemon-reexec`, \
                 and the watchdog service",
        against: |c| {
            let w = &c.facts.watchdogs;
            (!w.is_empty()).then(|| format!("running: {}", w.join(", ")))
        },
    },
    Check {
        code: "crash-kernel",
        question: "Is no kernel loaded for a crash?",
        reads: "/sys/kernel/kexec_crash_loaded",
        force: NotNeeded,
        again: &[],
        remedy: "nothing: until the RAM environment is entered a crash still starts it; the new OS does not set it up",
        against: |c| {
            let loaded = c.facts.condition.crash_kernel;
            loaded.then(|| "one is loaded, with memory set apart for it (kdump)".to_owned())
        },
    },
    Check {
        code: "clock",
        question: "Is the clock about right?",
        reads: "clock_gettime(2), the image's manifest",
        force: Allowed,
        again: &[],
        remedy: "set it (`timedatectl`, `date`, `hwclock --systohc`): certificates, leases and logs go by it",
        against: |c| {
            let (now, made) = (c.facts.condition.clock, c.manifest.tools.kernel_time);
            if now + DAY < made {
                Some(format!(
                    "it is {} before the day on which the image's kernel was made",
                    counted((made - now) / DAY, "day", "days")
                ))
            } else {
                (now > YEAR_2100).then(|| "it is past the year 2100".to_owned())
            }
        },
    },
];

/// Seconds of a day: clocks and builders may be in different time zones.
const DAY: u64 = 86_400;
/// 2100-01-01, in seconds since 1970. Batteries that fail also bring such dates.
const YEAR_2100: u64 = 4_102_444_800;

/// What speaks against an entry, where it was wished for.
fn against_wished(c: &Context, entry: Entry) -> Option<String> {
    (c.choices.entry == Some(entry))
        .then(|| entry::against(entry, c.facts))
        .flatten()
}
