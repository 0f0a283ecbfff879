//! What launcher and init need of a kernel beside system calls: files of /proc and /sys, ioctls,
//! mount options, and the version of Linux that brought each. The floor, Linux 3.2, has them, or the
//! program that looks for them goes on without.
//!
//! System calls are in [`floor`](crate::floor), rtnetlink's attributes in
//! `lib/network/src/floor.rs`. After kexec and the boot loader the init runs on the image's own
//! kernel; in a takeover it runs on the old one, and so everything of it counts here.
//!
//! Versions are from the kernel's history and the manual pages proc(5), sysfs(5) and `ioctl_*(2)`.

use Missing::{Needed, NotNeeded, Optional};

/// A version of Linux.
pub type Version = (u32, u32);

/// The oldest kernel that is taken.
pub const FLOOR: Version = (3, 2);

/// What happens where a kernel does not have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Nothing goes without it; the floor has it, in every kernel that a server has.
    Needed,
    /// It is an option of the kernel's build, or newer than the floor: what is done then.
    Optional(&'static str),
    /// It is shown to people, or named to them.
    NotNeeded,
}

/// Something of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// Its path, with `*` for what differs, or its name.
    pub what: &'static str,
    /// The version that brought it; 2.6 where it is older than 2.6.32.
    pub since: Version,
    /// What happens without it.
    pub missing: Missing,
}

const fn need(what: &'static str, since: Version, missing: Missing) -> Need {
    Need {
        what,
        since,
        missing,
    }
}

const OLD: Version = (2, 6);

/// Files of /proc and /sys.
#[rustfmt::skip]
pub const FILES: &[Need] = &[
    need("/proc/bc", OLD, Optional("it is no OpenVZ host")),
    need("/proc/cmdline", OLD, Needed),
    need("/proc/cpuinfo", OLD, Needed),
    need("/proc/fs/nfsd/exports", OLD, Optional("nothing is exported")),
    need("/proc/iomem", OLD, Needed),
    need("/proc/loadavg", OLD, Optional("the machine is taken to have room, and limits of time run as they are")),
    need("/proc/mdstat", OLD, NotNeeded),
    need("/proc/meminfo", OLD, Needed),
    need("/proc/meminfo: MemAvailable", (3, 14), Optional("free memory, page cache and reclaimable slabs are added up")),
    need("/proc/net/bonding/*", OLD, Optional("there are no bonds")),
    // An option of the build, too.
    need("/proc/pressure/*", (4, 20), Optional("/proc/loadavg alone says how busy the machine is")),
    need("/proc/swaps", OLD, Needed),
    need("/proc/sysrq-trigger", OLD, Optional("CONFIG_MAGIC_SYSRQ: reboot(2) alone")),
    need("/proc/uptime", OLD, Needed),
    need("/proc/vz", OLD, Optional("it is no OpenVZ guest")),
    need("/proc/xen/capabilities", OLD, Optional("told by /sys/hypervisor")),
    need("/proc/self/exe", OLD, Needed),
    need("/proc/self/fd/*", OLD, Needed),
    need("/proc/self/fdinfo/*", OLD, Needed),
    need("/proc/self/fdinfo/*: mnt_id", (3, 15), Optional("name_to_handle_at(2), else the list of mounts")),
    need("/proc/self/mountinfo", OLD, Needed),
    need("/proc/self/task/*/mountinfo", OLD, Needed),
    need("/proc/self/oom_score_adj", OLD, Optional("the worker is not spared when memory is short")),
    need("/proc/*/cgroup", OLD, Optional("control groups are not left")),
    need("/proc/*/cmdline", OLD, NotNeeded),
    need("/proc/*/comm", OLD, Needed),
    need("/proc/*/environ", OLD, Optional("it is no container")),
    need("/proc/*/exe", OLD, Needed),
    need("/proc/*/fd", OLD, NotNeeded),
    need("/proc/*/fdinfo/*", OLD, NotNeeded),
    // Hardened kernels show one of zeros.
    need("/proc/*/maps", OLD, Optional("PID 1 is held in a call; its stack is where its registers say")),
    need("/proc/*/mem", OLD, Optional("the check `takeover` refuses")),
    need("/proc/*/ns/mnt", (3, 8), Optional("that PID 1 has the same mounts shows when it is taken over")),
    need("/proc/*/root", OLD, Needed),
    need("/proc/*/schedstat", OLD, Optional("CONFIG_SCHEDSTATS: turns on the processor are not counted")),
    need("/proc/*/stack", OLD, NotNeeded),
    need("/proc/*/stat", OLD, Needed),
    need("/proc/*/status", OLD, Needed),
    need("/proc/sys/kernel/bootloader_type", OLD, Optional("what started the kernel is told by BOOT_IMAGE alone")),
    need("/proc/sys/kernel/core_pattern", OLD, Optional("nobody has changed it")),
    need("/proc/sys/kernel/hostname", OLD, Needed),
    need("/proc/sys/kernel/hung_task_panic", OLD, Optional("CONFIG_DETECT_HUNG_TASK: nothing panics")),
    need("/proc/sys/kernel/kexec_load_disabled", (3, 14), Optional("kexec is not disabled")),
    need("/proc/sys/kernel/modprobe", OLD, Optional("CONFIG_MODULES: nothing is loaded")),
    need("/proc/sys/kernel/panic", OLD, Needed),
    need("/proc/sys/kernel/printk", OLD, Optional("CONFIG_PRINTK")),
    need("/proc/sys/kernel/random/boot_id", OLD, Needed),
    need("/proc/sys/kernel/sysrq", OLD, Optional("CONFIG_MAGIC_SYSRQ: reboot(2) alone")),
    need("/proc/sys/kernel/yama/ptrace_scope", (3, 4), Optional("nobody has forbidden ptrace by it")),
    need("/proc/sys/net/ipv4/ip_local_port_range", OLD, Optional("Linux's usual range")),
    need("/proc/sys/net/ipv6/conf/*/*", OLD, Optional("there is no IPv6")),
    need("/proc/sys/vm/overcommit_memory", OLD, Needed),
    need("/proc/sys/vm/panic_on_oom", OLD, Needed),
    need("/sys/block", OLD, Needed),
    need("/sys/block/*/md/*", OLD, Optional("it is no array")),
    need("/sys/bus/pci/devices", OLD, Optional("it has no PCI")),
    need("/sys/class/block", OLD, Needed),
    need("/sys/class/net/*", OLD, Needed),
    need("/sys/class/net/*/ifindex", OLD, Needed),
    need("/sys/class/net/*/bonding/*", OLD, Optional("it is no bond")),
    need("/sys/class/net/*/bridge/*", OLD, Optional("it is no bridge")),
    need("/sys/class/net/*/brport/bridge", OLD, Optional("it is no port")),
    need("/sys/class/net/*/master", (3, 9), Optional("brport/bridge, and for bonds IFLA_MASTER")),
    need("/sys/class/tty/console/active", (2, 6), Optional("the kernel's command line names consoles")),
    need("/sys/class/tty/*", OLD, Needed),
    need("/sys/class/watchdog/*/state", (4, 5), Optional("a watchdog that does not tell is taken as quiet")),
    need("/sys/dev/block/*", OLD, Needed),
    need("/sys/dev/block/*/loop/backing_file", (2, 6), Optional("there are no loop devices")),
    need("/sys/devices", OLD, Needed),
    need("/sys/class/dmi/id/*", OLD, Optional("CONFIG_DMIID: no hypervisor is known but Xen")),
    need("/sys/firmware/edd", OLD, Optional("CONFIG_EDD: how far the firmware reads is not known, and the plan says so")),
    need("/sys/firmware/efi/*", OLD, Optional("the machine was started by a BIOS")),
    need("/sys/firmware/efi/efivars/*", (3, 10), Optional("/sys/firmware/efi/vars")),
    need("/sys/firmware/efi/fw_platform_size", (4, 0), Optional("the firmware is as wide as the kernel")),
    need("/sys/firmware/efi/vars/*/data", OLD, Optional("Secure Boot is not told, and a machine that UEFI started is refused")),
    need("/sys/firmware/efi/runtime-map", (3, 14), Optional("EFI's runtime services are not handed on")),
    need("/sys/firmware/memmap", OLD, Optional("CONFIG_FIRMWARE_MEMMAP: /proc/iomem")),
    need("/sys/fs/cgroup/*", OLD, Optional("control groups are not left")),
    need("/sys/module/md_mod/parameters/start_ro", OLD, Optional("an array is begun as ever, which writes when it was last used")),
    need("/sys/hypervisor/*", OLD, Optional("it is no guest of Xen")),
    need("/sys/hypervisor/properties/features", OLD, Optional("it is no guest of Xen")),
    need("/sys/hypervisor/guest_type", (4, 13), Optional("told by the features and by /proc/xen")),
    need("/sys/kernel/boot_params/data", (2, 6), Optional("the screen is text, 80 by 25")),
    need("/sys/kernel/kexec_crash_loaded", OLD, Optional("no crash kernel is loaded")),
    need("/sys/kernel/kexec_loaded", OLD, Needed),
    need("/sys/kernel/security/lockdown", (5, 4), Optional("the kernel is not locked down")),
    need("/sys/module", OLD, Needed),
];

/// Ioctls.
#[rustfmt::skip]
pub const IOCTLS: &[Need] = &[
    need("BLKFLSBUF", OLD, Needed),
    need("FIFREEZE", OLD, Needed),
    need("FITHAW", OLD, Needed),
    need("FS_IOC_FIEMAP", OLD, Needed),
    need("SG_IO", OLD, Optional("the disk does not tell its health: a note")),
    need("NVME_IOCTL_ADMIN_CMD", (3, 3), Optional("as SG_IO")),
    need("WDIOC_SETTIMEOUT", OLD, Optional("the watchdog keeps its own time")),
    need("WDIOC_KEEPALIVE", OLD, Optional("writing to the device does the same")),
    need("FS_IOC_GETFLAGS", OLD, Optional("there are no attributes that hinder a removal")),
    need("FS_IOC_SETFLAGS", OLD, Optional("there are no attributes that hinder a removal")),
];

/// Filesystems that are mounted, and options that are given.
#[rustfmt::skip]
pub const MOUNTS: &[Need] = &[
    need("proc", OLD, Needed),
    need("sysfs", OLD, Needed),
    need("tmpfs: mode, size", OLD, Needed),
    // An option of the build; the floor's servers have udev, which demands it since version 176.
    need("devtmpfs: mode", (2, 6), Needed),
    need("ext4", OLD, Needed),
    need("xfs", OLD, Optional("a root on it was not there before either")),
    need("MS_NOATIME, MS_RDONLY, MS_REMOUNT, MS_PRIVATE, MNT_DETACH", OLD, Needed),
];

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;

    #[test]
    fn what_is_newer_than_the_floor_is_done_without_there() {
        for row in FILES.iter().chain(IOCTLS).chain(MOUNTS) {
            assert!(
                row.since <= FLOOR || row.missing != Needed,
                "{} came with {:?}",
                row.what,
                row.since
            );
        }
    }

    /// Source files that run on a machine, tests left out.
    fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).unwrap().flatten() {
            let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
            if path.is_dir() && !["tests", "target", "fuzz"].contains(&name.as_str()) {
                sources(&path, found);
            } else if Path::new(&*name).extension().is_some_and(|e| e == "rs")
                && !name.ends_with("tests.rs")
            {
                found.push(path);
            }
        }
    }

    /// The paths of /proc and /sys in string literals of a text, with `*` for what is put in.
    fn paths(text: &str) -> Vec<String> {
        let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or(text);
        let lines = text.lines().filter(|l| !l.trim_start().starts_with("//"));
        let mut found = Vec::new();
        for literal in lines.flat_map(|l| l.split('"').skip(1).step_by(2)) {
            for word in literal.split([' ', ',', '`', '(', ')', ';']) {
                let word = word.trim_end_matches(['/', ':', '.']);
                let deep = word.starts_with("/proc/") || word.starts_with("/sys/");
                if !deep {
                    continue;
                }
                let mut path = String::new();
                for (at, part) in word.split('{').enumerate() {
                    path.push_str(match at {
                        0 => part,
                        _ => part.split_once('}').map_or("", |(_, rest)| rest),
                    });
                    path.push('*');
                }
                path.pop();
                found.push(path);
            }
        }
        found
    }

    /// Name by name, `*` for any; right below /proc it is a process.
    fn covers(row: &str, path: &str) -> bool {
        let row = row.split(':').next().unwrap_or(row);
        let is_process = |name: &str| {
            ["*", "self", "PID"].contains(&name) || name.bytes().all(|byte| byte.is_ascii_digit())
        };
        let of_process = |rest: &str| is_process(rest.split('/').next().unwrap_or(rest));
        if row.starts_with("/proc/*") && !path.strip_prefix("/proc/").is_none_or(of_process) {
            return false;
        }
        let (mut rows, mut names) = (row.split('/'), path.split('/'));
        loop {
            match (rows.next(), names.next()) {
                // What is read may be a directory of it.
                (None | Some(_), None) => return true,
                (Some(row), Some(name)) if row == "*" || row == name || name == "*" => {}
                _ => return false,
            }
        }
    }

    #[test]
    fn every_file_of_the_kernel_that_is_named_has_its_row() {
        let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut files = Vec::new();
        for place in ["machine", "syscalls", "lib", "kexec-tools", "init"] {
            if top.join(place).is_dir() {
                sources(&top.join(place), &mut files);
            }
        }
        assert!(files.len() > 50, "{files:?}");
        let mut count = 0;
        let mut without = Vec::new();
        for file in files {
            for path in paths(&fs::read_to_string(&file).unwrap()) {
                count += 1;
                if !FILES.iter().any(|row| covers(row.what, &path)) {
                    without.push(format!("{path} in {}", file.display()));
                }
            }
        }
        assert!(count > 50, "{count}");
        assert!(
            without.is_empty(),
            "give each a row, with the version of Linux that brought it: {without:#?}"
        );
    }

    #[test]
    fn a_path_is_covered_name_by_name() {
        assert!(covers("/proc/*/ns/mnt", "/proc/1/ns/mnt"));
        assert!(covers("/sys/class/net/*", "/sys/class/net"));
        assert!(covers("/proc/self/fdinfo/*: mnt_id", "/proc/self/fdinfo/*"));
        assert!(!covers("/proc/meminfo", "/proc/meminfo/x"));
        assert!(!covers("/proc/*/ns/mnt", "/proc/pressure"));
        assert!(covers("/proc/*/ns/mnt", "/proc/self/ns"));
        assert!(!covers("/sys/class/net/*", "/sys/class/drm/card0"));
        assert_eq!(paths("let x = \"/proc/{pid}/stat\";"), ["/proc/*/stat"]);
    }
}
