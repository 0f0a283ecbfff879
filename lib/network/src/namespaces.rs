//! Reading, bringing up and asking, on links in network namespaces that these tests make.
//!
//! They need root, and `ip` of iproute2 to build what is read. Each namespace belongs to a thread
//! and is gone with it; nothing of the machine's own network is touched.

use std::net::IpAddr;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{channel, Sender};
use std::thread;
use std::time::{Duration, Instant};

use formats::network::{Address, Link, LinkKind, Network, Origin, Prefix};
use nix::mount::{mount, MsFlags};
use nix::sched::{unshare, CloneFlags};

use super::bring_up::bring_up_with;
use super::kernel::Kernel;
use super::{
    gateways, options, probe, probe_all, sysfs, understand, BroughtUp, Dumps, NetworkError, Sysfs,
};

type Job = Box<dyn FnOnce() + Send>;

/// A thread in a network namespace of its own, with /sys to match.
struct Namespace {
    jobs: Sender<Job>,
    thread: i32,
}

impl Namespace {
    fn new() -> Namespace {
        let (jobs, queue) = channel::<Job>();
        let (ready, started) = channel();
        thread::spawn(move || {
            let made = enter().map(|()| nix::unistd::gettid().as_raw());
            let _ = ready.send(made);
            for job in queue {
                job();
            }
        });
        let thread = started.recv().unwrap().unwrap_or_else(|e| {
            panic!("make a network namespace: {e}; run `sudo -E cargo test -p machine network::`")
        });
        Namespace { jobs, thread }
    }

    /// Runs something in there.
    fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (answer, answers) = channel();
        let job = move || {
            let _ = answer.send(job());
        };
        self.jobs.send(Box::new(job)).unwrap();
        answers.recv().expect("the job in the namespace panicked")
    }

    /// Runs lines of `ip` in there. `PEER` stands for the other namespace.
    fn ip(&self, peer: Option<&Namespace>, lines: &str) {
        let peer = peer.map_or(0, |p| p.thread).to_string();
        let lines = lines.replace("PEER", &peer);
        self.run(move || {
            for line in lines.lines().map(str::trim).filter(|l| !l.is_empty()) {
                let done = Command::new("ip").args(line.split(' ')).output();
                let done = done.expect("`ip` of iproute2 is needed");
                let said = String::from_utf8_lossy(&done.stderr).into_owned();
                assert!(done.status.success(), "ip {line}: {said}");
            }
        });
    }

    fn read(&self) -> Network {
        self.run(|| {
            let dumps = Dumps::take(&mut Kernel::open().unwrap()).unwrap();
            understand(&dumps, &facts()).unwrap()
        })
    }

    fn bring_up(&self, network: &Network) -> Result<Vec<BroughtUp>, NetworkError> {
        let network = network.clone();
        self.run(move || bring_up_with(&network, &facts))
    }

    fn probe(&self, link: &'static str, gateway: &str, patience: Duration) -> bool {
        let gateway: IpAddr = gateway.parse().unwrap();
        self.run(move || probe(link, gateway, patience).unwrap())
    }
}

fn enter() -> nix::Result<()> {
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)?;
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::empty(), none)
}

/// What sysfs says, with the ends of cables (`eth…`, `nic…`) taken for hardware.
fn facts() -> Sysfs {
    let mut facts = sysfs::read();
    for (name, hardware) in &mut facts {
        if name.starts_with("eth") || name.starts_with("nic") {
            hardware.physical = true;
        }
    }
    facts
}

const CABLE: &str = "link add eth0 address 52:54:00:00:00:01 type veth peer name eth0 netns PEER
    link add eth1 address 52:54:00:00:00:02 type veth peer name eth1 netns PEER";
/// The same hardware, with other names, as another kernel may find it.
const CABLE_ELSEWHERE: &str =
    "link add nic7 address 52:54:00:00:00:02 type veth peer name eth1 netns PEER
    link add nic8 address 52:54:00:00:00:01 type veth peer name eth0 netns PEER";
const OTHER_END: &str = "link set eth0 up
    link set eth1 up
    addr add 192.0.2.1/24 dev eth0
    addr add 2001:db8::1/64 dev eth0 nodad
    addr add 203.0.113.1/32 dev eth1
    addr add 2001:db8:ffff::1/128 dev eth1 nodad";
/// A static address, one with a lease, gateways outside every prefix, a table and a rule.
const OLD_OS: &str = "link set lo up
    link set eth0 mtu 1400
    link set eth0 up
    link set eth1 up
    addr add 192.0.2.7/24 broadcast 192.0.2.255 dev eth0
    addr add 192.0.2.8/24 dev eth0 label eth0:1 valid_lft 3600 preferred_lft 3600
    addr add 2001:db8::7/64 dev eth0 nodad
    addr add 198.51.100.7/32 dev eth1
    addr add 2001:db8:1::7/128 dev eth1 nodad
    route add default via 203.0.113.1 dev eth1 onlink metric 50
    route add 2001:db8:ffff::1 dev eth1
    route add default via 2001:db8:ffff::1 dev eth1 metric 70
    route add default via 192.0.2.1 dev eth0 table 100
    route add 198.51.100.128/25 via 192.0.2.1 src 192.0.2.7 mtu 1300
    route add 198.51.100.64/26 via 192.0.2.1 proto dhcp metric 9
    route add blackhole 10.0.0.0/8
    rule add from 192.0.2.0/24 table 100 priority 1000
    rule add fwmark 0x10/0xff iif eth0 table 100000 priority 1001
    rule add to 198.51.100.9 lookup 7 suppress_prefixlength 0 priority 1002
    -6 rule add from 2001:db8::/64 table 100 priority 1000";

/// A machine and what its cables lead to.
fn old_machine() -> (Namespace, Namespace) {
    let (machine, world) = (Namespace::new(), Namespace::new());
    machine.ip(Some(&world), CABLE);
    world.ip(None, OTHER_END);
    machine.ip(None, OLD_OS);
    (machine, world)
}

fn link<'n>(network: &'n Network, name: &str) -> &'n Link {
    let found = network.links.iter().find(|l| l.name == name);
    found.unwrap_or_else(|| panic!("no link {name} in {network:#?}"))
}

fn address<'n>(network: &'n Network, link_name: &str, ip: &str) -> &'n Address {
    let ip: IpAddr = ip.parse().unwrap();
    let mut addresses = link(network, link_name).addresses.iter();
    addresses
        .find(|a| a.ip == ip)
        .unwrap_or_else(|| panic!("no address {ip} in {network:#?}"))
}

#[test]
fn reads_what_the_kernel_has() {
    let (machine, _world) = old_machine();
    let network = machine.read();
    println!("{network:#?}");
    let eth0 = link(&network, "eth0");
    assert_eq!(eth0.mac, "52:54:00:00:00:01".parse().ok());
    assert_eq!((eth0.mtu, eth0.up), (1400, true));
    assert_eq!(eth0.kind, LinkKind::Physical);
    let fixed = address(&network, "eth0", "192.0.2.7");
    assert_eq!(
        (fixed.origin, fixed.prefix, fixed.valid),
        (Origin::Static, 24, None)
    );
    assert_eq!(fixed.broadcast, "192.0.2.255".parse().ok());
    assert_eq!(fixed.label, None);
    let leased = address(&network, "eth0", "192.0.2.8");
    assert_eq!(leased.origin, Origin::Dhcp);
    assert_eq!(leased.label.as_deref(), Some("eth0:1"));
    assert!(leased.valid.is_some_and(|s| s > 3500), "{leased:?}");
    assert!(eth0
        .dhcp4
        .as_ref()
        .is_some_and(|e| e.starts_with("192.0.2.8/24")));
    assert_eq!(link(&network, "eth1").dhcp4, None);
    assert_eq!(
        address(&network, "eth0", "2001:db8::7").origin,
        Origin::Static
    );
    let local = eth0.addresses.iter().find(|a| a.scope == 253);
    assert_eq!(local.map(|a| a.origin), Some(Origin::Kernel));

    let shown: Vec<String> = network
        .routes
        .iter()
        .map(|r| {
            format!(
                "{} {:?} {:?} {:?} metric {} table {} onlink {} src {:?} mtu {:?} {:?}",
                r.destination,
                r.kind,
                r.gateway,
                r.link,
                r.metric,
                r.table,
                r.onlink,
                r.source,
                r.mtu,
                r.origin,
            )
        })
        .collect();
    let has = |want: &str| assert!(shown.iter().any(|s| s == want), "{want} in {shown:#?}");
    has("0.0.0.0/0 Unicast Some(203.0.113.1) Some(\"eth1\") metric 50 table 254 onlink true src None mtu None Static");
    has("0.0.0.0/0 Unicast Some(192.0.2.1) Some(\"eth0\") metric 0 table 100 onlink false src None mtu None Static");
    has("198.51.100.128/25 Unicast Some(192.0.2.1) Some(\"eth0\") metric 0 table 254 onlink false src Some(192.0.2.7) mtu Some(1300) Static");
    has("198.51.100.64/26 Unicast Some(192.0.2.1) Some(\"eth0\") metric 9 table 254 onlink false src None mtu None Dhcp");
    has("10.0.0.0/8 Blackhole None None metric 0 table 254 onlink false src None mtu None Static");
    has("::/0 Unicast Some(2001:db8:ffff::1) Some(\"eth1\") metric 70 table 254 onlink false src None mtu None Static");
    has("2001:db8:ffff::1/128 Unicast None Some(\"eth1\") metric 1024 table 254 onlink false src None mtu None Static");
    assert_eq!(shown.len(), 7, "{shown:#?}");

    let rules: Vec<(bool, u32, u32)> = network
        .rules
        .iter()
        .map(|r| (r.ipv6, r.priority, r.table))
        .collect();
    assert_eq!(
        rules,
        [
            (false, 1000, 100),
            (false, 1001, 100_000),
            (true, 1000, 100)
        ]
    );
    assert_eq!(network.rules[0].from, "192.0.2.0/24".parse::<Prefix>().ok());
    assert_eq!(network.rules[1].fwmark, Some((0x10, 0xff)));
    assert_eq!(network.rules[1].iif.as_deref(), Some("eth0"));
    assert_eq!(
        network.unsaid,
        ["IPv4 rule of priority 1002: its attribute number 14"]
    );
}

/// The network with the names of `brought` and without what differs by itself: lifetimes, what
/// the kernel makes, what is told only by configuration.
fn comparable(network: &Network, brought: &[BroughtUp]) -> Network {
    let now = |name: &str| {
        let found = brought.iter().find(|b| b.old == name);
        found.map_or_else(|| name.to_owned(), |b| b.now.clone())
    };
    let mut network = network.clone();
    for link in &mut network.links {
        let old = link.name.clone();
        link.name = now(&old);
        link.master = link.master.as_deref().map(now);
        if let LinkKind::Vlan { parent, .. } = &mut link.kind {
            *parent = now(parent);
        }
        link.dhcp4 = None;
        link.router = None;
        // It takes its time, a bridge's most of all.
        link.carrier = true;
        link.addresses.retain(|a| a.origin != Origin::Kernel);
        for address in &mut link.addresses {
            address.valid = None;
            address.origin = Origin::Static;
            address.evidence.clear();
            if let Some(label) = &mut address.label {
                *label = label.replace(&old, &link.name);
            }
        }
        link.addresses.sort_by_key(|a| (a.ip, a.prefix));
    }
    network.links.sort_by_key(|l| l.name.clone());
    for route in &mut network.routes {
        route.link = route.link.as_deref().map(now);
    }
    for rule in &mut network.rules {
        rule.iif = rule.iif.as_deref().map(now);
    }
    network.routes.sort_by_key(|r| format!("{r:?}"));
    network.unsaid.clear();
    network
}

fn assert_comes_back(old: &Network, new: &Namespace, brought: &[BroughtUp]) {
    let back = new.read();
    let (want, got) = (comparable(old, brought), comparable(&back, &[]));
    assert_eq!(want.links, got.links);
    assert_eq!(want.routes, got.routes);
    assert_eq!(want.rules, got.rules);
}

#[test]
fn a_network_comes_back_under_other_names() {
    let (machine, _world) = old_machine();
    let old = machine.read();
    let (new, world) = (Namespace::new(), Namespace::new());
    new.ip(Some(&world), CABLE_ELSEWHERE);
    world.ip(None, OTHER_END);
    let brought = new.bring_up(&old).unwrap();
    let names: Vec<(&str, &str)> = brought
        .iter()
        .map(|b| (b.old.as_str(), b.now.as_str()))
        .collect();
    assert_eq!(names.len(), 2);
    for pair in [("eth0", "nic8"), ("eth1", "nic7")] {
        assert!(names.contains(&pair), "{names:?}");
    }
    assert_comes_back(&old, &new, &brought);
    // And a second time.
    assert_eq!(new.bring_up(&old).unwrap(), brought);
    assert_comes_back(&old, &new, &brought);

    let of = gateways(&old);
    let now = move |old: &str| brought.iter().find(|b| b.old == old).map(|b| b.now.clone());
    let probed = new.run(move || probe_all(&of, &now, Duration::from_secs(8)));
    let answers: Vec<(String, bool)> = probed
        .iter()
        .map(|g| (format!("{} {}", g.address, g.link), g.answers))
        .collect();
    let want = [
        "203.0.113.1 eth1",
        "192.0.2.1 eth0",
        "2001:db8:ffff::1 eth1",
    ];
    assert_eq!(answers.len(), want.len(), "{answers:?}");
    for want in want {
        assert!(
            answers.contains(&(want.to_owned(), true)),
            "{want} in {answers:?}"
        );
    }
}

#[test]
fn a_bridge_comes_back_with_its_port() {
    let (machine, world) = (Namespace::new(), Namespace::new());
    machine.ip(Some(&world), CABLE);
    machine.ip(
        None,
        "link add br0 address 52:54:00:00:00:01 mtu 1450 type bridge stp_state 1 forward_delay 300
        link set eth0 master br0
        link set eth0 up
        link set br0 up
        addr add 192.0.2.7/24 dev br0
        route add default via 192.0.2.1",
    );
    world.ip(None, "link set eth0 up\naddr add 192.0.2.1/24 dev eth0");
    let old = machine.read();
    let kind = LinkKind::Bridge {
        stp: true,
        forward_delay: 3,
    };
    assert_eq!(link(&old, "br0").kind, kind);
    assert_eq!(link(&old, "eth0").master.as_deref(), Some("br0"));

    let (new, world) = (Namespace::new(), Namespace::new());
    new.ip(Some(&world), CABLE_ELSEWHERE);
    // Something else has the bridge's name.
    new.ip(None, "link add br0 type ifb");
    world.ip(None, "link set eth0 up\naddr add 192.0.2.1/24 dev eth0");
    let brought = new.bring_up(&old).unwrap();
    let bridge = brought.iter().find(|b| b.old == "br0").unwrap();
    assert_eq!(bridge.now, "rr0");
    let back = new.read();
    let want = comparable(&old, &brought);
    for name in ["rr0", "nic8"] {
        assert_eq!(link(&want, name), link(&comparable(&back, &[]), name));
    }
    assert_eq!(new.bring_up(&old).unwrap(), brought);
    assert!(new.probe("rr0", "192.0.2.1", Duration::from_secs(15)));
}

/// Kernels before 3.18 make a bridge as they like and say nothing; this one is made so here.
#[test]
fn a_bridge_that_was_made_without_its_options_gets_them_from_sysfs() {
    let machine = Namespace::new();
    machine.ip(None, "link add br0 type bridge");
    let plain = LinkKind::Bridge {
        stp: false,
        forward_delay: 15,
    };
    assert_eq!(link(&machine.read(), "br0").kind, plain);
    for (stp, forward_delay) in [(false, 0), (true, 4), (false, 0)] {
        let wanted = LinkKind::Bridge { stp, forward_delay };
        let found = link(&machine.read(), "br0").kind.clone();
        let settings = options::missing(&wanted, &found);
        assert!(!settings.is_empty());
        machine
            .run(move || options::write(Path::new(options::CLASS_NET), "br0", &settings))
            .unwrap();
        assert_eq!(link(&machine.read(), "br0").kind, wanted);
    }
}

/// An answer that stays is given at once, and once.
#[test]
fn what_the_kernel_will_never_do_is_not_waited_for() {
    let (machine, _world) = old_machine();
    let mut network = machine.read();
    let route = network.routes.iter_mut().find(|r| r.gateway.is_some());
    let route = route.unwrap();
    // No kernel takes a route of IPv4 whose prefix has bits behind its length.
    route.destination = "198.51.100.1/24".parse().unwrap();
    route.gateway = None;
    route.source = None;
    route.link = Some("eth0".to_owned());
    let start = Instant::now();
    let error = machine.bring_up(&network).unwrap_err();
    assert!(error.is_lasting(), "{error}");
    assert!(error.to_string().contains("198.51.100.1/24"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(2), "{error}");
}

#[test]
fn hardware_that_is_missing_or_double_is_named() {
    let (machine, _world) = old_machine();
    let old = machine.read();
    let bare = Namespace::new();
    let error = bare.bring_up(&old).unwrap_err();
    assert!(
        matches!(&error, NetworkError::Missing { name, address }
            if name == "eth0" && address == "52:54:00:00:00:01"),
        "{error}"
    );
    let (doubled, world) = (Namespace::new(), Namespace::new());
    doubled.ip(Some(&world), &CABLE.replace("00:02 ", "00:01 "));
    let error = doubled.bring_up(&old).unwrap_err();
    assert!(
        matches!(&error, NetworkError::Ambiguous { name, .. } if name == "eth0"),
        "{error}"
    );
}

#[test]
fn only_who_is_there_answers() {
    let (machine, world) = old_machine();
    let (long, short) = (Duration::from_secs(8), Duration::from_secs(2));
    let cases = [
        ("IPv4", "eth0", "192.0.2.1", long, true),
        ("IPv4, nobody", "eth0", "192.0.2.99", short, false),
        (
            "IPv4, outside every prefix",
            "eth1",
            "203.0.113.1",
            long,
            true,
        ),
        (
            "IPv4, on the other link",
            "eth0",
            "203.0.113.77",
            short,
            false,
        ),
        ("IPv6", "eth0", "2001:db8::1", long, true),
        ("IPv6, nobody", "eth0", "2001:db8::99", short, false),
        (
            "IPv6, outside every prefix",
            "eth1",
            "2001:db8:ffff::1",
            long,
            true,
        ),
    ];
    for (name, link, gateway, patience, answers) in cases {
        assert_eq!(machine.probe(link, gateway, patience), answers, "{name}");
    }
    // It answered a moment ago and is gone: the table still knows it.
    world.ip(
        None,
        "addr del 192.0.2.1/24 dev eth0\naddr del 2001:db8::1/64 dev eth0",
    );
    assert!(!machine.probe("eth0", "192.0.2.1", short));
    assert!(!machine.probe("eth0", "2001:db8::1", short));
    // Back again; an old entry does not stand in the way.
    world.ip(None, "addr add 192.0.2.1/24 dev eth0");
    machine.ip(
        None,
        "neigh replace 192.0.2.1 lladdr 52:54:00:00:00:99 nud stale dev eth0",
    );
    assert!(machine.probe("eth0", "192.0.2.1", long));
    machine.ip(
        None,
        "neigh add 192.0.2.50 lladdr 52:54:00:00:00:99 nud permanent dev eth0",
    );
    assert!(machine.probe("eth0", "192.0.2.50", short));
    let missing = machine.run(move || probe("eth9", "192.0.2.1".parse().unwrap(), short));
    assert!(matches!(missing, Err(NetworkError::NoLink(name)) if name == "eth9"));
}

#[test]
#[ignore = "needs a kernel with bonding and 8021q"]
fn a_bond_with_a_vlan_comes_back() {
    let (machine, world) = (Namespace::new(), Namespace::new());
    machine.ip(Some(&world), CABLE);
    machine.ip(
        None,
        "link add bond0 address 52:54:00:00:00:01 type bond mode active-backup miimon 100
        link set eth0 master bond0
        link set eth1 master bond0
        link set bond0 type bond primary eth1
        link set bond0 up
        link add link bond0 name bond0.100 type vlan id 100
        link set bond0.100 up
        addr add 192.0.2.7/24 dev bond0.100
        addr add 2001:db8::7/64 dev bond0.100 nodad
        route add default via 203.0.113.1 dev bond0.100 onlink",
    );
    let old = machine.read();
    let LinkKind::Bond(bond) = &link(&old, "bond0").kind else {
        panic!("{old:#?}");
    };
    assert_eq!((bond.mode.as_str(), bond.miimon), ("active-backup", 100));
    assert_eq!(bond.primary.as_deref(), Some("eth1"));
    let parent = "bond0".to_owned();
    assert_eq!(
        link(&old, "bond0.100").kind,
        LinkKind::Vlan { parent, id: 100 }
    );
    let (new, world) = (Namespace::new(), Namespace::new());
    new.ip(Some(&world), CABLE_ELSEWHERE);
    world.ip(None, OTHER_END);
    let brought = new.bring_up(&old).unwrap();
    assert_comes_back(&old, &new, &brought);
    assert_eq!(new.bring_up(&old).unwrap(), brought);
}

/// Writes the dumps that `recorded_tests` reads: `cargo test -p machine record_dumps -- --ignored`.
#[test]
#[ignore = "writes into the source tree"]
fn record_dumps() {
    let (machine, _world) = old_machine();
    machine.ip(
        None,
        "link add br0 type bridge stp_state 1 forward_delay 1500
        link set br0 up
        addr add fe80::1/64 dev br0 nodad
        addr add fd00::1/64 dev br0 nodad noprefixroute
        route add 203.0.113.128/25 nexthop via 192.0.2.1 nexthop via 203.0.113.1 dev eth1 onlink
        route add local 203.0.113.64/26 dev lo",
    );
    machine.run(|| {
        let dumps = Dumps::take(&mut Kernel::open().unwrap()).unwrap();
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/network/recorded");
        for (name, bytes) in [
            ("links", &dumps.links),
            ("addresses", &dumps.addresses),
            ("routes4", &dumps.routes4),
            ("routes6", &dumps.routes6),
            ("rules4", &dumps.rules4),
            ("rules6", &dumps.rules6),
        ] {
            std::fs::write(dir.join(format!("{name}.bin")), bytes).unwrap();
        }
    });
}
