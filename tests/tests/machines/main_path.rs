//! The main path: an old server becomes a new one, everything kept is as it was, and nothing else
//! of the old OS is left.

use std::fs::{self, Metadata};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{ensure, Context, Result};
use reroot_tests::confirmed;
use reroot_tests::disk::Mounted;
use reroot_tests::evidence;
use reroot_tests::fenced;
use reroot_tests::images::image;
use reroot_tests::old_server::ROOT_UUID;
use reroot_tests::reinstall::reinstall;
use reroot_tests::shop_data::KEPT;
use reroot_tests::snapshot::running_old_server;
use reroot_tests::vm::{Machine, USUAL_MEMORY_MIB};
use rustix::fs::{lgetxattr, lstat};

/// Makes the old OS hard to remove and the kept data hard to keep.
const PLANT: &str = r#"
set -e
mkdir -p /opt/old-stuff /opt/fixed /usr/local/bin
echo '#!/bin/sh' >/usr/local/bin/old-tool
chmod 4755 /usr/local/bin/old-tool
perl -e 'chdir "/opt"; for (1..10000) { mkdir "d" or die; chdir "d" or die } open F, ">end"'
cd /opt/old-stuff
printf x >"$(printf 'with\na newline')"
printf x >"$(printf 'invalid \377\376 utf-8')"
printf x >"$(head -c 255 /dev/zero | tr '\0' n)"
printf x >' blanks '
printf x >-rf
ln -s / to-the-root
ln -s /srv/shop to-the-shop
ln -s /home/alice/documents "to alice"
mkfifo fifo
mknod null c 1 3
perl -e 'use Socket; socket(S, PF_UNIX, SOCK_STREAM, 0); bind(S, sockaddr_un("socket")) or die'
echo a >attributed
setfattr -n user.a -v b attributed
echo i >/opt/fixed/immutable
echo a >/opt/fixed/append-only
chattr +i /opt/fixed/immutable
chattr +a /opt/fixed/append-only
chattr +i /opt/fixed

# Its change time is the wipe's to change, since its other name goes: it lies apart.
mkdir /home/alice/crossing
echo 'linked from both sides' >/home/alice/crossing/inside
ln /home/alice/crossing/inside /opt/old-stuff/outside

cd /srv/shop/exports
echo kept >immutable
chattr +i immutable
echo capable >capable
setcap cap_net_bind_service+ep capable
echo acl >acl
setfacl -m u:alice:r acl
mknod zero c 1 5
perl -e 'use Socket; socket(S, PF_UNIX, SOCK_STREAM, 0); bind(S, sockaddr_un("socket")) or die'
setfattr -n user.b -v c .
sync
"#;

/// What the new OS is asked about itself.
fn assert_new_os(machine: &Machine, codename: &str) -> Result<()> {
    let os_release = machine.expect("cat /etc/os-release")?;
    ensure!(
        os_release.contains(&format!("VERSION_CODENAME={codename}")),
        "{os_release}"
    );
    let root = machine.expect("findmnt -no UUID,FSTYPE /")?;
    ensure!(
        root.split_whitespace().collect::<Vec<_>>() == [ROOT_UUID, "ext4"],
        "{root}"
    );
    ensure!(
        machine.expect("findmnt -no OPTIONS /")?.contains("rw"),
        "the root is read-only"
    );
    let kernel = machine.expect("uname -r")?;
    machine.expect(&format!("test -d /lib/modules/{}", kernel.trim()))?;
    // Whatever state the units are in, none has failed.
    let failed = machine.expect("systemctl --failed --no-legend --plain")?;
    ensure!(failed.trim().is_empty(), "failed units: {failed}");
    assert_closed(machine)?;
    machine.expect("dpkg --audit")?;
    machine.expect("ls /var/log/reroot/*/report.json /var/log/reroot/*/plan.json")?;
    Ok(())
}

/// Nothing but ssh, and the DHCP client, listens to the outside.
fn assert_closed(machine: &Machine) -> Result<()> {
    let open = machine.expect(
        "ss -Hltun | awk '{ print $1, $5 }' | grep -vE ' (127\\.|\\[::1\\])|:(22|68|546)$' || true",
    )?;
    ensure!(open.trim().is_empty(), "open to the outside: {open}");
    Ok(())
}

/// Names, keys, accounts and addresses: who the machine is for others.
const IDENTITY: &str = "cat /etc/hostname /etc/machine-id; sha256sum /etc/ssh/ssh_host_*_key; \
    stat -c '%a %u %g' /etc/ssh/ssh_host_*_key; cat /root/.ssh/authorized_keys; \
    for key in /etc/ssh/ssh_host_*_key.pub; do ssh-keygen -lf $key; done; \
    for name in alice shop mysql; do id $name; done; \
    getent passwd alice shop | cut -d: -f1,3,4,6; getent shadow alice | cut -d: -f1,2; \
    stat -c '%n %u:%g %U:%G' /home/alice /srv/shop /var/lib/mysql; \
    ip -4 -o address show scope global | tr -s ' ' | cut -d ' ' -f 2-4; \
    ip -j route show default | grep -o '\"gateway\":\"[^\"]*\"'";

/// The one card has its address by DHCP: a static one would not be renewed, and one day be another's.
fn assert_dhcp(machine: &Machine) -> Result<()> {
    let text = machine.expect("ip -j -4 addr show dev ens3")?;
    let links: serde_json::Value = serde_json::from_str(&text).context("ip -j")?;
    let addresses = links[0]["addr_info"].as_array().context("addresses")?;
    let own: Vec<_> = addresses
        .iter()
        .filter(|address| address["scope"] == "global")
        .collect();
    ensure!(
        own.len() == 1 && own[0]["dynamic"] == true && own[0]["local"] == "10.0.2.15",
        "{own:?}"
    );
    Ok(())
}

#[test]
fn debian_11_becomes_13_with_its_data_untouched_and_nothing_else_left() -> Result<()> {
    let image = image("trixie")?;
    let mut machine = running_old_server("to-13", USUAL_MEMORY_MIB)?;
    machine.script(PLANT)?;
    let crossing = "find /home/alice/crossing/inside -printf '%i %m %U %G %s %T@'";
    let inside = machine.expect(crossing)?;

    let kept = ["/srv/shop", "/var/lib/mysql"];
    let before = evidence::gather(&machine, &kept)?;
    let identity = machine.expect(IDENTITY)?;
    let started: u64 = machine
        .expect("date +%s")?
        .trim()
        .parse()
        .context("the machine's clock")?;
    assert_dhcp(&machine)?;
    fenced::reinstall(&mut machine, &image, "--payload ram")?;

    // On a real kernel: right before the jump no driver had the network card any more.
    let unbound = machine
        .console()
        .contains("is stopped: no driver has it any more");
    ensure!(unbound, "the network card was not unbound before the jump");
    assert_new_os(&machine, "trixie")?;
    confirmed::assert_passed(&machine)?;
    assert_dhcp(&machine)?;
    assert_eq!(evidence::gather(&machine, &kept)?, before);
    assert_eq!(machine.expect(crossing)?, inside);
    assert_eq!(
        machine
            .expect("stat -c %h /home/alice/crossing/inside")?
            .trim(),
        "1"
    );
    assert_eq!(machine.expect(IDENTITY)?, identity);
    machine.expect("sync")?;

    let off = machine.cut_power()?;
    let disk = off.disk.look_into()?;
    let started = SystemTime::UNIX_EPOCH + Duration::from_secs(started);
    let old = older_than(&disk, started)?;
    ensure!(old.is_empty(), "left of the old OS: {old:#?}");
    kept_attributes(&disk)
}

/// The other folder that is shipped, whole.
#[test]
#[ignore = "one more reinstallation: make prove"]
fn debian_11_becomes_12_with_the_payload_on_disk() -> Result<()> {
    let image = image("bookworm")?;
    let mut machine = running_old_server("to-12", USUAL_MEMORY_MIB)?;
    let before = evidence::gather(&machine, &KEPT)?;
    let identity = machine.expect(IDENTITY)?;
    reinstall(&mut machine, &image, "--payload disk")?;
    assert_new_os(&machine, "bookworm")?;
    assert_eq!(evidence::gather(&machine, &KEPT)?, before);
    assert_eq!(machine.expect(IDENTITY)?, identity);
    // The staged payload has done its work.
    confirmed::assert_passed(&machine)?;
    assert_dhcp(&machine)?;
    Ok(())
}

/// Every path outside the kept trees whose inode was made before `moment`. An inode's birth time
/// cannot be set, so nothing of the old OS escapes.
fn older_than(disk: &Mounted, moment: SystemTime) -> Result<Vec<String>> {
    let mut found = Vec::new();
    collect_older(&disk.path("/"), &disk.path("/"), moment, &mut found)?;
    Ok(found)
}

/// Directories that have to stay: those of the filesystem, those that lead to what is kept.
const ANCESTORS: [&str; 4] = ["", "lost+found", "var", "var/lib"];

/// What is kept: the images' own list, and what is asked for with it.
const KEPT_TREES: [&str; 3] = ["home", "srv", "var/lib/mysql"];

fn collect_older(
    root: &Path,
    directory: &Path,
    moment: SystemTime,
    found: &mut Vec<String>,
) -> Result<()> {
    let inside = directory.strip_prefix(root).context("a path on the disk")?;
    if KEPT_TREES.iter().any(|kept| Path::new(kept) == inside) {
        return Ok(());
    }
    let metadata = fs::symlink_metadata(directory)?;
    let spared = ANCESTORS
        .iter()
        .any(|ancestor| Path::new(ancestor) == inside);
    if !spared && born(&metadata)? < moment {
        found.push(inside.display().to_string());
    }
    if metadata.is_dir() {
        for entry in fs::read_dir(directory)? {
            collect_older(root, &entry?.path(), moment, found)?;
        }
    }
    Ok(())
}

fn born(metadata: &Metadata) -> Result<SystemTime> {
    metadata.created().context("read a birth time")
}

/// What the evidence taken on the machine does not cover: attributes, kinds, holes.
fn kept_attributes(disk: &Mounted) -> Result<()> {
    let exports = |name: &str| disk.path("/srv/shop/exports").join(name);
    let attribute = |name: &str, key: &str| -> Result<Vec<u8>> {
        let mut value = [0; 256];
        let length = lgetxattr(exports(name), key, &mut value)
            .with_context(|| format!("read {key} of {name}"))?;
        Ok(value[..length].to_vec())
    };
    assert_eq!(attribute("attributed", "user.origin")?, b"till 4");
    assert_eq!(attribute("", "user.b")?, b"c");
    assert_eq!(attribute("capable", "security.capability")?.len(), 20);
    assert!(attribute("acl", "system.posix_acl_access")?.len() > 4);
    assert!(fs::symlink_metadata(exports("fifo"))?.file_type().is_fifo());
    assert!(fs::symlink_metadata(exports("socket"))?
        .file_type()
        .is_socket());
    let device = lstat(exports("zero"))?.st_rdev;
    assert_eq!(
        (rustix::fs::major(device), rustix::fs::minor(device)),
        (1, 5)
    );
    let sparse = fs::metadata(exports("sparse.img"))?;
    assert_eq!(sparse.len(), 64 << 20);
    assert!(
        sparse.blocks() * 512 < 1 << 20,
        "the holes are filled: {} blocks",
        sparse.blocks()
    );
    assert_eq!(
        fs::metadata(exports("linked-1"))?.ino(),
        fs::metadata(exports("linked-2"))?.ino()
    );
    assert!(
        fs::write(exports("immutable"), "x").is_err(),
        "the immutable flag is gone"
    );
    Ok(())
}
