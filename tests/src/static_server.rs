//! The old server as a provider's customer has it: a static address with a router outside its
//! subnet, a bond with a VLAN, routes by source, disks of its own, names of cards from the kernel.
//!
//! It is made from the saved server by a script, then booted with the further hardware. What is on
//! the other side of the cables answers as the routers do, and nothing more.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::additions::Additions;
use crate::command::run;
use crate::disk::Disk;
use crate::old_server::{old_server, OldServer};
use crate::outside::{Card, Outside};
use crate::snapshot;
use crate::snapshot::running_old_server;
use crate::vm::{directory, Machine};

/// The cards behind the first, which asks QEMU for its address: eth1 to eth3 of the old server,
/// ens6 to ens8 by the predictable scheme.
pub const CARDS: [Card; 3] = [
    Card {
        slot: 6,
        mac: "52:54:00:00:00:06",
        tap: PROVIDER,
        vlan: None,
    },
    Card {
        slot: 7,
        mac: "52:54:00:00:00:07",
        tap: INSIDE,
        vlan: Some(VLAN),
    },
    Card {
        slot: 8,
        mac: "52:54:00:00:00:08",
        tap: INSIDE,
        vlan: Some(VLAN),
    },
];

/// The TAP on the provider's side.
pub const PROVIDER: &str = "provider";
/// The TAP on the side of the bond, in the VLAN.
pub const INSIDE: &str = "inside";
/// The number of the VLAN on the bond.
pub const VLAN: u16 = 100;
/// The server's address at the provider; its prefix has 32 bits.
pub const ADDRESS: &str = "192.0.2.10";
/// The same for IPv6; 128 bits.
pub const ADDRESS6: &str = "2001:db8:1::10";
/// The server's address in the VLAN; 24 bits.
pub const VLAN_ADDRESS: &str = "203.0.113.10";
/// The provider's routers, in none of the server's networks.
pub const ROUTER: &str = "198.51.100.1";
/// The same for IPv6.
pub const ROUTER6: &str = "2001:db8:ffff::1";
/// The router in the VLAN.
pub const VLAN_ROUTER: &str = "203.0.113.1";
/// The UUID of the swap space, which is all of the third disk.
pub const SWAP_UUID: &str = "7d1b6cf5-5b84-4e52-9d1b-0f7a3c0c5d11";
/// The label of the filesystem on the second disk.
pub const DATA_LABEL: &str = "data";

const SCRIPT: &str = include_str!("static_server.sh");

/// The further disks, `/dev/vdb` and on.
const DISKS: [&str; 2] = ["data.qcow2", "swap.qcow2"];

const DISK_SIZE: u64 = 64 << 20;

/// The server, booted, with everything configured and everybody answering; from a state that is
/// saved at the first call.
pub fn running_static_server(name: &str, memory_mib: u32) -> Result<Machine> {
    let server = old_server()?;
    let key = [
        SCRIPT,
        include_str!("static_server.rs"),
        include_str!("outside.rs"),
    ];
    let saved = snapshot::saved(&server, "static", memory_mib, &key, |made| {
        make(&server, made, memory_mib)
    })?;
    let machine = snapshot::take_up(&server, &saved, name, memory_mib, || {
        let layers = directory(name)?;
        let disks = DISKS.map(|disk| {
            let base = saved.directory.join(disk);
            Disk::over(&base, &layers.path().join(disk))
        });
        Ok(Additions {
            outside: Some(outside()?),
            disks: disks.into_iter().collect::<Result<_>>()?,
            layers: Some(layers),
            ..Additions::default()
        })
    })?;
    // The routers of the saved machine had other MAC addresses.
    machine.expect("ip neigh flush all")?;
    Ok(machine)
}

/// Configures a server, boots it with the further hardware, and saves it.
fn make(server: &OldServer, made: &Path, memory_mib: u32) -> Result<()> {
    let machine = running_old_server("static", memory_mib)?;
    machine.script(SCRIPT)?;
    let disk = machine
        .cut_power()?
        .disk
        .moved_to(&made.join("disk.qcow2"))?;
    let additions = Additions {
        outside: Some(outside()?),
        disks: disks(made)?,
        ..Additions::default()
    };
    snapshot::save(server, made, disk, memory_mib, additions)
}

/// The provider's routers and the one in the VLAN.
fn outside() -> Result<Outside> {
    let outside = Outside::new(&CARDS)?;
    for words in [
        format!("addr add {ROUTER}/32 dev {PROVIDER}"),
        format!("route add {ADDRESS}/32 dev {PROVIDER}"),
        format!("addr add {ROUTER6}/128 dev {PROVIDER} nodad"),
        format!("-6 route add {ADDRESS6}/128 dev {PROVIDER}"),
        format!("addr add {VLAN_ROUTER}/24 dev {INSIDE}"),
    ] {
        outside.ip(&words)?;
    }
    Ok(outside)
}

/// A disk with data and one of swap space.
fn disks(directory: &Path) -> Result<Vec<Disk>> {
    let [data, swap] = DISKS.map(|disk| directory.join(disk));
    let hash_seed = format!("hash_seed={SWAP_UUID}");
    Ok(vec![
        formatted(
            &data,
            Command::new("mkfs.ext4").args(["-q", "-F", "-L", DATA_LABEL, "-E", &hash_seed]),
        )?,
        formatted(
            &swap,
            Command::new("mkswap").args(["--quiet", "--uuid", SWAP_UUID]),
        )?,
    ])
}

/// A disk at `path` that is one filesystem from its first byte, made by a program that is told the
/// file.
fn formatted(path: &Path, program: &mut Command) -> Result<Disk> {
    let raw = path.with_extension("raw");
    File::create_new(&raw)
        .and_then(|file| file.set_len(DISK_SIZE))
        .with_context(|| format!("create {}", raw.display()))?;
    run(program.arg(&raw))?;
    let disk = Disk::empty(path, DISK_SIZE)?;
    run(Command::new("qemu-img")
        .args(["convert", "-n", "-O", "qcow2"])
        .arg(&raw)
        .arg(path))?;
    std::fs::remove_file(&raw).with_context(|| format!("remove {}", raw.display()))?;
    Ok(disk)
}
