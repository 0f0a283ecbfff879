//! The checks of what a machine is known by: its network, its people, its names and mounts.

use formats::entry::Entry;
use identity::access::{decided, gained, locked, operator, server};
use identity::network::select;
use plan::{brought, carried, choices, drivers};

use super::check::Force::{Allowed, Never, NotNeeded};
use super::check::Moment::Ram;
use super::check::{joined, Check, Context};

/// In the order in which a person would ask.
pub(super) const CHECKS: &[Check] = &[
    Check {
        code: "network-stack",
        question: "Does the new OS have a network configuration that is known?",
        reads: "the image's manifest",
        force: Never,
        again: &[],
        remedy: "have the image install and enable ifupdown, netplan, systemd-networkd or NetworkManager",
        against: |c| {
            c.manifest
                .network
                .is_none()
                .then(|| "none of the four was found in the payload".to_owned())
        },
    },
    Check {
        code: "network-dialect",
        question: "Can the new OS be told all of the network?",
        reads: "netlink, sysfs, the old OS's network files",
        force: Never,
        again: &[],
        remedy: "use an image with another network configuration, or simplify this machine's first",
        against: |c| {
            c.manifest.network.as_ref()?;
            // A check of its own says more about these.
            if unfit(c, "network-macs").is_some() {
                return None;
            }
            joined(&carried::network(c.facts, c.manifest).err()?)
        },
    },
    Check {
        code: "network-unsaid",
        question: "Is the network without anything that this release cannot read?",
        reads: "netlink",
        force: Allowed,
        again: &[],
        remedy: "force it if the new OS does not need that; it will not come along",
        against: |c| unfit(c, "network-unsaid"),
    },
    Check {
        code: "network-macs",
        question: "Can the network interfaces be told apart?",
        reads: "netlink",
        force: Never,
        again: &[],
        remedy: "give one of them another MAC address, or take it away",
        against: |c| unfit(c, "network-macs"),
    },
    Check {
        code: "network-dns",
        question: "Are the name servers known?",
        reads: "/etc/resolv.conf and what it comes from",
        force: Allowed,
        again: &[],
        remedy: "name them in /etc/resolv.conf, or force it and configure them in the new OS",
        against: |c| unfit(c, "network-dns"),
    },
    Check {
        code: "network-kind",
        question: "Are addresses and routes on links of kinds that come along?",
        reads: "netlink",
        force: Allowed,
        again: &[],
        remedy: "force it if you will configure that link in the new OS yourself",
        against: |c| unfit(c, "network-kind"),
    },
    Check {
        code: "network-driver",
        question: "Does the image have the drivers of the network?",
        reads: "drivers in sysfs, the image's manifest",
        force: Allowed,
        again: &[],
        remedy: "add a class of network drivers to `drivers` in image.toml; for a driver that the new OS \
                 itself lacks, install the package that brings it (some kernels have an extra one for \
                 modules); forced, the network is not tried before the commit point, and the new OS may \
                 have none",
        against: |c| {
            let network = carried::network(c.facts, c.manifest).ok()?;
            let mut found = Vec::new();
            let in_ram = drivers::missing_network_drivers(&network, c.manifest);
            // In a takeover the kernel that drives the network now goes on.
            if choices::entry_plan(c.facts, c.choices).entry != Entry::Takeover && !in_ram.is_empty() {
                found.push(format!("not in the image: {}", in_ram.join(", ")));
            }
            // That kernel ends with the run, and the new OS is alone with the card.
            let in_payload = drivers::network_drivers_missing_in_payload(&network, c.manifest);
            if !in_payload.is_empty() {
                found.push(format!("not in the new OS: {}", in_payload.join(", ")));
            }
            joined(&found)
        },
    },
    Check {
        code: "firmware-files",
        question: "Does the new OS have the firmware that the network cards and the root disk need?",
        reads: "drivers in sysfs, the image's manifest",
        force: Allowed,
        again: &[],
        remedy: "have the image install the package with these files (Debian: firmware-bnx2, \
                 firmware-bnx2x and others of non-free-firmware; Ubuntu: linux-firmware); force it if the \
                 hardware works without",
        against: |c| joined(&drivers::firmware(c.facts, c.manifest).fatal),
    },
    Check {
        code: "firmware-some",
        question: "Does the new OS have every firmware file that these drivers name?",
        reads: "the same",
        force: NotNeeded,
        again: &[],
        remedy: "nothing, where the hardware is of a kind that needs none of these: a driver names files for \
                 every kind that it drives; else install the package that has them",
        against: |c| joined(&drivers::firmware(c.facts, c.manifest).some),
    },
    Check {
        code: "network-gateway",
        question: "Does a gateway answer?",
        reads: "an ARP or neighbour request to every gateway",
        force: Allowed,
        again: &[Ram],
        remedy: "force it if no gateway ever answers ARP here; the network is then only brought up, not proved",
        against: |c| {
            let gateways = &c.facts.gateways;
            let all: Vec<_> = gateways.iter().map(|g| format!("{} on {}", g.address, g.link)).collect();
            (!gateways.is_empty() && gateways.iter().all(|g| !g.answers))
                .then(|| format!("none answers: {}", all.join(", ")))
        },
    },
    Check {
        code: "accounts",
        question: "Can users and groups be merged?",
        reads: "/etc/passwd, group, shadow, gshadow, subuid, subgid, login.defs",
        force: Never,
        again: &[],
        remedy: "mend the file and line named (`vipw`, `vigr`, `pwck`, `grpck`)",
        against: |c| joined(&carried::accounts(c.facts, c.manifest).err()?),
    },
    Check {
        code: "identity",
        question: "Can names, keys and mounts be carried?",
        reads: "/etc/fstab, hosts, hostname, host keys, block devices",
        force: Never,
        again: &[],
        remedy: "mend the file and line named; a line that mounts something may go only if the new OS can do without it",
        against: |c| joined(&carried::identity(c.facts, c.manifest).err()?),
    },
    Check {
        code: "ssh-restrictions",
        question: "Does nobody get more by ssh than they had?",
        reads: "/etc/ssh/sshd_config and what it includes, /etc/hosts.deny, PAM's files of the server and of su with what they include, /etc/shadow, sudoers, doas.conf, processes that listen, systemd's units, the keep list, the image's carry list and manifest",
        force: Allowed,
        again: &[],
        remedy: "have the image carry the file that says so (`carry` in image.toml; files in /etc/ssh/sshd_config.d count where the new OS's sshd_config includes them, which takes OpenSSH 8.2), or write it into the image; where somebody would become root by less than now, have the image not give it; force it if the new OS's own settings are enough",
        against: |c| {
            // Without a server nobody gets in.
            let served = !c.manifest.identity.host_key_types.is_empty();
            let mut lost = c.facts.identity.ssh_restrictions.clone();
            if let (Ok(old), Ok(merged)) = (&c.facts.accounts, carried::accounts(c.facts, c.manifest)) {
                let sides = (&c.facts.identity, &c.manifest.identity);
                lost.extend(decided::unlocked(sides, (old, &c.manifest.accounts), &merged));
                if let Ok(plan) = carried::identity(c.facts, c.manifest) {
                    lost.extend(gained::gained(&plan, sides, old));
                }
            }
            joined(&lost).filter(|_| served)
        },
    },
    Check {
        code: "login",
        question: "Do those who become root by ssh still become it in the new OS?",
        reads: "the ssh server's configuration and greeting, `sshd -T`, authorized_keys, /etc/shadow, sudoers, nsswitch.conf, SSH_CONNECTION, the server's log, PAM's files that come along, the image's manifest",
        force: Allowed,
        again: &[],
        remedy: "give the image what is missing (sudo, an ssh server that is started at boot, a module of PAM), or yourself a key or a \
                 password that the new OS takes and a rule of sudo for everything (`ALL=(ALL) ALL`), come in by an address \
                 that stays, and look again; force it if there is another way in, such as a console",
        against: |c| {
            let plan = carried::identity(c.facts, c.manifest).ok()?;
            let session = c.facts.identity.session.as_ref();
            let mut lost = Vec::new();
            // Accounts that cannot be merged refuse by a check of their own.
            let accounts = (&c.facts.accounts, carried::accounts(c.facts, c.manifest));
            if let (Some(new), (Ok(old), Ok(merged))) = (&c.manifest.identity.doors, accounts) {
                lost = decided::lost(&plan, &c.facts.identity);
                if !lost.is_empty() {
                    lost.extend(decided::lacks(&plan, new));
                    lost.extend(plan.missing_commands.iter().cloned());
                    lost.extend(locked::lost(&plan, new, (old, &c.manifest.accounts), &merged));
                }
                lost.extend(decided::lost_elsewhere(&plan, &c.facts.identity.doors));
                // A server that asks nobody reads none of these.
                let asks = new.server && server::asks_pam(new);
                lost.extend(c.facts.identity.shut.iter().filter(|_| asks).cloned());
            }
            if let (Some(session), Ok(accounts)) = (session, carried::accounts(c.facts, c.manifest)) {
                let then = carried::network(c.facts, c.manifest).ok();
                let then = then.as_ref().map(|planned| &planned.network);
                lost.extend(operator::lost(&plan, &accounts, (&c.facts.network, then), session));
            }
            joined(&lost)
        },
    },
    Check {
        code: "login-elsewhere",
        question: "Does nobody get in by something that is not known here?",
        reads: "the ssh server's configuration, /etc/nsswitch.conf, /etc/passwd",
        force: NotNeeded,
        again: &[],
        remedy: "set it up in the image, with its files in `carry` of image.toml, if people get in by it; those who \
                 get in by keys and passwords of this machine do as before",
        against: |c| {
            // Without a server nobody gets in.
            let served = c.manifest.identity.doors.as_ref().is_some_and(|doors| doors.server);
            joined(&c.facts.identity.doors.elsewhere).filter(|_| served)
        },
    },
    Check {
        code: "carry",
        question: "Can everything that was asked for be carried?",
        reads: "the paths of --carry and of the image's carry list, what the plan writes, the keep list, links of the payload",
        force: Never,
        again: &[],
        remedy: "leave those paths out, or name what is beside them; what the run writes itself it writes from this \
                 machine's own files, and what shall differ from that belongs into the image",
        against: |c| joined(&brought::against_carried(c.facts, c.manifest)),
    },
    Check {
        code: "overlay",
        question: "Can the overlay be put into the new OS?",
        reads: "the files of --overlay, what the plan writes and carries, the keep list, links of the payload, accounts",
        force: Never,
        again: &[],
        remedy: "take those files out of the overlay, or give them the place that is named; who gets in and what the \
                 network is follows from this machine, and what shall differ belongs into the image",
        against: |c| joined(&brought::against_overlay(c.facts, c.manifest)),
    },
    Check {
        code: "hooks",
        question: "Can the operator's programs be called?",
        reads: "/etc/reroot/before-stop.d",
        force: Never,
        again: &[],
        remedy: "directory and programs have to be root's, and writable by nobody else (`chown root:root`, `chmod go-w`)",
        against: |c| joined(&c.facts.unfit_hooks),
    },
    Check {
        code: "identity-keep",
        question: "Is nothing that the new OS needs written, made or removed where something is kept?",
        reads: "the keep list, what the plan writes, the network's files, host keys",
        force: Never,
        again: &[],
        remedy: "keep what is yours below that path instead, name by name with --keep, and copy the rest elsewhere first: \
                 what is not kept is wiped",
        against: |c| joined(&carried::against_kept(c.facts, c.manifest)),
    },
];

fn unfit(c: &Context, code: &str) -> Option<String> {
    let found = select::unfit(&c.facts.network).into_iter();
    let of_code: Vec<_> = found
        .filter(|(of, _)| *of == code)
        .map(|(_, what)| what)
        .collect();
    joined(&of_code)
}
