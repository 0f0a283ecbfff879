//! A machine that is as the plan of the fixtures says.

use fixtures::plan::{host_key, measure, plan};
use formats::confirm::KeptFound;
use formats::facts::Kept;
use formats::keep::KeepPath;
use formats::listening::{Listener, Protocol};
use formats::plan::KeptPath;

use super::super::*;

pub fn baseline() -> Baseline {
    Baseline {
        kept: vec![KeptPath {
            path: KeepPath::parse("/home").unwrap(),
            measure: measure(2),
        }],
        machine_id: Some("0123".to_owned()),
        ..Baseline::default()
    }
}

fn probed(address: &str, link: Option<&str>, answers: bool) -> Probed {
    Probed {
        address: address.parse().unwrap(),
        link: link.map(str::to_owned),
        answers: Ok(answers),
    }
}

/// A socket of TCP that listens.
pub fn listener(port: u16, address: &str, process: &str) -> Listener {
    Listener {
        protocol: Protocol::Tcp,
        port,
        address: address.parse().unwrap(),
        process: Some(process.to_owned()),
    }
}

/// The machine as the plan has it, with another name for the second link.
pub fn live() -> Live {
    let mut network = plan().network.network;
    network.links[1].name = "ens4".to_owned();
    network.routes[2].link = Some("ens4".to_owned());
    let accounts = |all: &[(&str, u32)]| {
        let all = all
            .iter()
            .map(|(name, number)| ((*name).to_owned(), *number));
        Ok(all.collect())
    };
    Live {
        network: Ok(network),
        gateways: vec![probed("192.0.2.1", Some("eth0"), true)],
        servers: vec![probed("192.0.2.53", None, true)],
        resolver: vec![probed("127.0.0.53", None, true)],
        hostname: "web1".to_owned(),
        machine_id: Some("0123".to_owned()),
        host_keys: vec![host_key()],
        ssh: vec![(22, SshPort::Greets)],
        access: vec![(
            crate::access::written::SETTINGS.to_owned(),
            "Port 22\n".to_owned(),
        )],
        users: accounts(&[
            ("root", 0),
            ("mysql", 27),
            ("anna", 1000),
            ("svc", 4000),
            ("games", 5),
        ]),
        groups: accounts(&[("mysql", 27)]),
        mounts: vec!["/".to_owned(), "/srv/a b".to_owned()],
        swaps: vec!["UUID=78".to_owned()],
        listening: Ok(vec![
            listener(22, "0.0.0.0", "sshd"),
            listener(80, "::", "nginx"),
        ]),
        kept: Ok(KeptFound {
            ended: true,
            kept: vec![Kept {
                path: KeepPath::parse("/home").unwrap(),
                found: Ok(measure(2)),
            }],
        }),
    }
}
