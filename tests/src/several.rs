//! Several old servers at once, each with a name of its own: a small fleet.
//!
//! They share one place among the machines that run at a time, since whoever works on them lets them take
//! turns: one that waits costs next to nothing. All come from one saved state, so what makes each of them
//! itself is written when it goes on.

use std::sync::Arc;

use anyhow::{Context, Result};

use crate::additions::Additions;
use crate::disk::Disk;
use crate::lock;
use crate::old_server::old_server;
use crate::snapshot::{save, saved, take_up};
use crate::vm::Machine;

/// What makes a machine one of its own.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its host name.
    pub name: String,
    /// The version that its old OS says it has: machines of another one are another class.
    pub version: String,
    /// What is wrong with it.
    pub trouble: Option<Trouble>,
}

/// What makes a machine fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The kernel itself holds a file of its root open, so that its old OS cannot be left: the run is undone.
    Clings,
    /// A directory of the old OS has a wrong checksum on the disk. The old kernel has compared it already and
    /// does not look again; in RAM it cannot be read, so the wipe fails: the run holds. e2fsck mends it by itself.
    Torn,
}

/// Tears the directory. The block's last four bytes are its checksum. Written through the device, so that the
/// kernel's own copy is the one that changes.
const TEAR: &str = "mkdir /var/torn && touch /var/torn/one /var/torn/two && sync
    device=$(findmnt -n -o SOURCE /) inode=$(stat -c %i /var/torn)
    block=$(debugfs -R \"bmap <$inode> 0\" $device 2>/dev/null)
    printf '\\0\\0\\0\\0' | dd of=$device bs=1 seek=$((block * 4096 + 4092)) conv=notrunc status=none
    sync && ls /var/torn/two";

/// Boots the members, one after the other; each can be logged in to.
pub fn running_old_servers(members: &[Member], memory_mib: u32) -> Result<Vec<Machine>> {
    let server = &old_server()?;
    let saved = saved(server, "booted", memory_mib, &[], |made| {
        let disk = Disk::over(&server.disk, &made.join("disk.qcow2"))?;
        save(server, made, disk, memory_mib, Additions::default())
    })?;
    let place = Arc::new(lock::machine_slot()?);
    let one = |member: &Member| {
        let machine = take_up(server, &saved, &member.name, memory_mib, || {
            Ok(Additions {
                place: Some(Arc::clone(&place)),
                ..Additions::default()
            })
        })?;
        become_one(&machine, member).with_context(|| format!("make it {}", member.name))?;
        Ok(machine)
    };
    members.iter().map(one).collect()
}

fn become_one(machine: &Machine, member: &Member) -> Result<()> {
    let Member { name, version, .. } = member;
    machine.script(&format!(
        "set -eu\n\
         echo {name} >/etc/hostname && hostname {name}\n\
         sed -i 's/shop1/{name}/g' /etc/hosts\n\
         sed -i 's/^VERSION_ID=.*/VERSION_ID=\"{version}\"/' /etc/os-release\n"
    ))?;
    match member.trouble {
        Some(Trouble::Clings) => {
            machine.expect("truncate -s 8M /root/held && losetup -f /root/held")?;
        }
        Some(Trouble::Torn) => {
            machine.script(&format!("set -eu\n{TEAR}\n"))?;
        }
        None => {}
    }
    Ok(())
}
