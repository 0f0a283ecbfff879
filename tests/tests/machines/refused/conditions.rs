//! Conditions of a machine, made for real, several at a time: each check must find its own.

use std::time::Duration;

use anyhow::{ensure, Context, Result};
use reroot_tests::disk::Disk;
use reroot_tests::reinstall::{boot_id, IMAGE_ON_MACHINE, KEEP};
use reroot_tests::vm::Machine;

/// Verdicts of the checks that do not just pass, by code.
fn asked(machine: &Machine, arguments: &str) -> Result<Vec<(String, String)>> {
    let answer = machine.ssh(&format!(
        "{IMAGE_ON_MACHINE} check --json {KEEP} {arguments}"
    ))?;
    println!(
        "check {arguments}: exit {}\n{}",
        answer.status, answer.stderr
    );
    let findings: serde_json::Value = serde_json::from_str(&answer.stdout)
        .with_context(|| format!("the findings are no JSON: {}", answer.stdout))?;
    let text = |finding: &serde_json::Value, key: &str| {
        finding[key].as_str().unwrap_or_default().to_owned()
    };
    let findings = findings.as_array().context("the findings are no array")?;
    ensure!(
        findings.iter().all(|f| !text(f, "reads").is_empty()),
        "a finding does not say what it reads"
    );
    let fired: Vec<_> = findings
        .iter()
        .filter(|f| text(f, "verdict") != "pass")
        .inspect(|f| println!("  {} {}: {}", f["verdict"], f["code"], f["found"]))
        .map(|f| (text(f, "code"), text(f, "verdict")))
        .collect();
    let refused = fired.iter().any(|(_, verdict)| verdict == "refuse");
    ensure!(
        answer.status == i32::from(refused),
        "exit status {} does not go with {fired:?}",
        answer.status
    );
    Ok(fired)
}

fn expect(found: &[(String, String)], expected: &[(&str, &str)]) -> Result<()> {
    let found: Vec<_> = found
        .iter()
        .map(|(c, v)| (c.as_str(), v.as_str()))
        .collect();
    ensure!(found == expected, "found {found:?}, expected {expected:?}");
    Ok(())
}

/// Everything that can be there at once without standing in another's way.
const MAKE: &str = r"
set -e
# A package manager holds its lock.
cat >/root/lock.pl <<'PERL'
use Fcntl;
open(F, '+<', '/var/lib/dpkg/lock') or die;
my $lock = pack('s s l! l! i', F_WRLCK, 0, 0, 0, 0);
fcntl(F, F_SETLK, $lock) or die;
sleep 3600;
PERL
perl /root/lock.pl >/dev/null 2>&1 &
echo $! >/root/pids
# Something is exported.
mkdir -p /var/lib/nfs && printf '/srv\t192.0.2.0/24(rw,sync)\n' >/var/lib/nfs/etab
# A file is swapped to, below a kept path.
fallocate -l 16M /srv/swap && chmod 600 /srv/swap && mkswap /srv/swap && swapon /srv/swap
# A kept path is shown twice, and a kept file has a name outside.
mkdir -p /opt/shop && mount --bind /srv/shop /opt/shop
echo 1 >/srv/linked && ln /srv/linked /opt/linked
# A mount does not answer: FUSE, and nobody who reads its requests.
modprobe fuse
mkdir -p /media/hangs
(exec 9<>/dev/fuse
 mount -i -t fuse -o fd=9,rootmode=40000,user_id=0,group_id=0 hangs /media/hangs
 exec sleep 3600) >/dev/null 2>&1 &
echo $! >>/root/pids
# A process waits for a filesystem that is frozen.
truncate -s 32M /srv/volume && mkfs.ext4 -q /srv/volume && mkdir -p /media/frozen
mount -o loop /srv/volume /media/frozen && fsfreeze --freeze /media/frozen
touch /media/frozen/never >/dev/null 2>&1 &
# Somebody writes in a session.
systemd-run --quiet --collect --scope --slice user.slice \
    sh -c 'exec 5>/opt/notes; sleep 3600' >/dev/null 2>&1 &
echo $! >>/root/pids
# The operator wants a backup, and there is none.
mkdir -p /etc/reroot/checks.d
for i in $(seq 100); do
    grep -q hangs /proc/mounts && [ -e /opt/notes ] && [ -s /root/pids ] && exit 0
    sleep 0.1
done
exit 1
";

const UNMAKE: &str = r"
set -e
fsfreeze --unfreeze /media/frozen
kill $(cat /root/pids) || true
pkill -x sleep || true
umount -l /media/hangs
sleep 0.5
umount /media/frozen /opt/shop
swapoff /srv/swap
rm -r /srv/swap /srv/volume /srv/linked /opt/linked /opt/shop /opt/notes /root/pids /root/lock.pl \
    /var/lib/nfs /media/frozen /media/hangs
";

/// The machine is fit before and after.
pub fn conditions(machine: &mut Machine) -> Result<()> {
    let example = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../docs/examples/checks.d/fresh-backup"
    );
    let nvme = Disk::empty(&machine.file("nvme.qcow2"), 64 << 20)?;
    machine.plug_in_nvme(&nvme, "worn", 0x04)?;
    machine.script(MAKE)?;
    machine.copy_to(example.as_ref(), "/etc/reroot/checks.d/fresh-backup")?;
    machine.expect(
        "chmod 755 /etc/reroot/checks.d/fresh-backup; echo STAMP=/opt/backup >/etc/reroot/fresh-backup.conf
         for i in $(seq 100); do [ -e /dev/nvme0n1 ] && exit 0; sleep 0.1; done; exit 1",
    )?;
    let found = asked(machine, "--force packages")?;
    expect(
        &found,
        &[
            ("disk-other", "note"),
            ("mounts-silent", "refuse"),
            ("nfs-exports", "refuse"),
            ("swap-file", "note"),
            ("gone", "note"),
            ("keep-binds", "refuse"),
            ("keep-hard-links", "note"),
            ("keep-symlinks", "note"),
            ("packages", "forced"),
            ("processes", "refuse"),
            ("sessions", "note"),
            ("own:fresh-backup", "refuse"),
        ],
    )?;
    machine.script(UNMAKE)?;
    machine.unplug("worn")?;
    gone_stale(machine)?;
    a_kept_path_of_its_own(machine)?;
    a_clock_that_stands(machine)
}

/// A kept path is a filesystem of its own: nothing would mount it again, and then fstab does.
fn a_kept_path_of_its_own(machine: &Machine) -> Result<()> {
    machine.script(
        "set -e; truncate -s 32M /srv/own.img; mkfs.ext4 -q /srv/own.img; mkdir /opt/own
         mount -o loop /srv/own.img /opt/own",
    )?;
    for path in ["/opt/own", "/opt/own/orders"] {
        expect(
            &asked(machine, &format!("--keep {path}"))?,
            &[
                ("keep-mounts", "refuse"),
                ("gone", "note"),
                ("keep-symlinks", "note"),
            ],
        )?;
    }
    machine.expect("echo '/srv/own.img /opt/own ext4 loop 0 0' >>/etc/fstab")?;
    expect(
        &asked(machine, "--keep /opt/own/orders")?,
        &[
            ("keep-mounted", "note"),
            ("gone", "note"),
            ("keep-symlinks", "note"),
        ],
    )?;
    let plan = machine.expect(&format!(
        "{IMAGE_ON_MACHINE} plan {KEEP} --keep /opt/own/orders"
    ))?;
    ensure!(plan.contains("mounted again: /opt/own (ext4 on"), "{plan}");
    machine.expect(
        "sed -i '\\|/opt/own|d' /etc/fstab; umount /opt/own; rmdir /opt/own; rm /srv/own.img",
    )?;
    Ok(())
}

/// The backup is fresh when the operator agrees, and gone when services are about to be stopped:
/// the run is broken off, and nobody notices.
fn gone_stale(machine: &Machine) -> Result<()> {
    machine.expect("echo done >/opt/backup")?;
    expect(
        &asked(machine, "")?,
        &[("gone", "note"), ("keep-symlinks", "note")],
    )?;
    let before = boot_id(machine)?;
    // It goes as soon as the run has begun: the worker has not loaded anything by then.
    let go = machine.ssh(&format!(
        "(until ls -d /.reroot/2* >/dev/null 2>&1; do sleep 0.1; done; rm /opt/backup) &
         {IMAGE_ON_MACHINE} go --yes {KEEP} 2>&1"
    ))?;
    println!("go: exit {}\n{}", go.status, go.stdout);
    ensure!(go.status == 3, "go ended with {}", go.status);
    ensure!(
        go.stdout.contains("own:fresh-backup"),
        "it does not say why"
    );
    ensure!(boot_id(machine)? == before, "the machine was booted again");
    machine.expect(
        "set -e; systemctl is-active nginx; [ $(cat /sys/kernel/kexec_loaded) = 0 ]; touch /root/writable
         [ -z \"$(find /.reroot -size +8M)\" ]; rm -r /.reroot /etc/reroot",
    )?;
    Ok(())
}

fn a_clock_that_stands(machine: &Machine) -> Result<()> {
    machine.expect("cat /proc/uptime >/root/then; date +%s >/root/now; date -s @1000000000")?;
    let found = asked(machine, "");
    machine.expect(
        "date -s @$(awk 'NR == 1 { then = $1 } NR == 2 { now = $1 } NR == 3 { print int(now + $1 - then) }' \
         /root/then /root/now /proc/uptime); rm /root/then /root/now",
    )?;
    expect(
        &found?,
        &[
            ("clock", "refuse"),
            ("gone", "note"),
            ("keep-symlinks", "note"),
        ],
    )
}

/// The kernel finds an error, which it writes into the superblock, and makes the root read-only.
/// The machine is of no use afterwards.
pub fn errors_of_the_root(machine: &Machine) -> Result<()> {
    machine.expect("echo trouble >/sys/fs/ext4/vda1/trigger_fs_error; sync; true")?;
    std::thread::sleep(Duration::from_millis(500));
    let found = asked(machine, "")?;
    expect(
        &found,
        &[
            ("root-read-only", "refuse"),
            ("root-errors", "refuse"),
            ("gone", "note"),
            ("keep-symlinks", "note"),
        ],
    )
}
