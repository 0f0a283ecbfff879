//! Reading the old OS's network configuration for evidence: which addresses are static, which came
//! by DHCP, who the name servers are. The kernel's state is the truth; these files explain it.
//!
//! Every parser takes arbitrary text and never fails: what it does not understand is passed over
//! or noted. Nothing here reads a machine; files come as [`OldFile`]s.

mod addresses;
mod commands;
mod decide;
mod derived;
mod dhclient;
mod dhcp_client;
mod dhcpcd;
mod evidence;
pub mod glob;
mod hint;
mod ifcfg;
mod ini;
pub mod interfaces;
mod leases;
mod name_servers;
mod netplan;
mod network_manager;
mod networkd;
mod old_file;
mod packet;
mod resolv;
mod said;
mod yaml;

#[cfg(test)]
mod decide_link_tests;
#[cfg(test)]
mod decide_tests;
#[cfg(test)]
mod dhcp_client_tests;
#[cfg(test)]
mod name_server_tests;

pub use decide::{decide, not_called, unplugged};
pub use evidence::{Evidence, RunningClient};
pub use leases::Lease;
pub use old_file::OldFile;
pub use resolv::ResolvConf;

impl Evidence {
    /// Evidence from files, in any order, and from the programs that run.
    pub fn from_files(files: &[OldFile], clients: &[RunningClient]) -> Evidence {
        let mut evidence = Evidence {
            clients: clients.to_vec(),
            ..Evidence::default()
        };
        for file in files {
            let number = file
                .path
                .strip_prefix("/sys/class/net/")
                .and_then(|rest| rest.strip_suffix("/ifindex"))
                .and_then(|name| Some((file.text.trim().parse().ok()?, name.to_owned())));
            evidence.numbers.extend(number);
        }
        let notes = &mut evidence.notes;
        evidence.hints.extend(interfaces::hints(files, notes));
        evidence.hints.extend(netplan::hints(files, notes));
        evidence.hints.extend(networkd::hints(files));
        evidence.hints.extend(network_manager::hints(files));
        evidence.hints.extend(ifcfg::hints(files));
        evidence.leases = leases::current(files, &evidence.numbers);
        evidence.said = dhclient::said(files);
        evidence.said.extend(dhcpcd::said(files));
        evidence
            .said
            .extend(networkd::said(files, &evidence.numbers));
        let id = files.iter().find(|f| f.path == "/etc/machine-id");
        evidence.machine_id = id.and_then(|f| derived::machine_id(&f.text));
        evidence.resolvers = resolv::files(files);
        for file in &evidence.resolvers {
            let lines = file.says.unreadable.iter();
            let unread = lines.map(|l| format!("{}: `{l}` names no address", file.path));
            evidence.notes.extend(unread);
        }
        let local = name_servers::local_resolver(&evidence);
        evidence.notes.extend(local);
        evidence
    }
}
