//! What a machine's further network cards are cabled to: a network namespace that is router and
//! client at once, and the switches in between.
//!
//! A cable is a Unix socket of datagrams, one frame each, so that QEMU needs nothing of the host's
//! network. In the namespace each switch ends in a TAP; an idle QEMU moves its frames between the
//! TAP and a socket, since a TAP's file takes ioctls. Tags of IEEE 802.1Q are put on and taken off
//! here, for the kernel of a build machine may know neither VLANs nor bonds. The namespace is named
//! after this process, removed on drop, and by the next run where this one was killed.

use std::collections::BTreeMap;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{bail, Context, Result};
use tempfile::TempDir;

use crate::command::{explain, run, shown, stdout_of};

/// Namespaces of tests begin with this; then come the process and a count.
const PREFIX: &str = "reroot-";

/// How long a switch listens before it looks whether it is to end.
const LISTEN: Duration = Duration::from_millis(200);

/// The largest frame: what a TAP of the usual MTU takes, with room to spare.
const FRAME: usize = 65_536;

/// Where the tag of a frame begins: behind the two addresses.
const TAG: usize = 12;

/// The type of frames with a tag, by IEEE 802.1Q.
const TAGGED: [u8; 2] = [0x81, 0x00];

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A network card of a machine, beside the one that every machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Card {
    /// Its slot on the PCI bus, from 6 on. The predictable name of slot 6 is ens6.
    pub slot: u8,
    /// Its MAC address.
    pub mac: &'static str,
    /// The TAP in the namespace that its switch ends in. Cards with the same are on one switch.
    pub tap: &'static str,
    /// Frames to and from the machine carry this VLAN's tag, the TAP's do not; others are dropped.
    pub vlan: Option<u16>,
}

/// The namespace, with everything that leads to it.
#[derive(Debug)]
pub struct Outside {
    name: String,
    cards: Vec<Card>,
    /// Removed after the processes and threads that use it.
    sockets: TempDir,
    cables: Child,
    stop: Arc<AtomicBool>,
    switches: Vec<JoinHandle<()>>,
}

impl Outside {
    /// A namespace with a TAP for each switch; addresses are for the caller to add, by
    /// [`Outside::ip`].
    pub fn new(cards: &[Card]) -> Result<Self> {
        forget_dead();
        let name = format!(
            "{PREFIX}{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        run(Command::new("ip").args(["netns", "add", &name]))
            .context("make a network namespace")?;
        let namespace = Namespace(name);
        let sockets = tempfile::Builder::new()
            .prefix("reroot-")
            .tempdir()
            .context("create a directory for cables")?;
        ip(&namespace.0, "link set lo up")?;
        let mut taps = BTreeMap::<&str, Vec<usize>>::new();
        for (index, card) in cards.iter().enumerate() {
            taps.entry(card.tap).or_default().push(index);
        }
        let mut cables = idle_qemu(&namespace.0);
        for tap in taps.keys() {
            ip(&namespace.0, &format!("tuntap add dev {tap} mode tap"))?;
            ip(&namespace.0, &format!("link set {tap} up"))?;
            cables.args(cable(tap, sockets.path()));
        }
        let stop = Arc::new(AtomicBool::new(false));
        let mut switches = Vec::new();
        for (tap, ports) in &taps {
            switches.extend(switch(tap, ports, cards, sockets.path(), &stop)?);
        }
        let mut cables = cables.spawn().map_err(|error| explain(&cables, error))?;
        wait_for_carrier(&namespace.0, taps.keys().copied(), &mut cables)?;
        Ok(Self {
            name: namespace.keep(),
            cards: cards.to_vec(),
            sockets,
            cables,
            stop,
            switches,
        })
    }

    /// The namespace's name, as ip-netns(8) takes it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A program in the namespace, not started yet.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// Runs ip(8) in the namespace, with the words of one line.
    pub fn ip(&self, words: &str) -> Result<String> {
        ip(&self.name, words)
    }

    /// Whether an address answers an echo request, asked for up to `limit`.
    pub fn pings(&self, address: &str, limit: Duration) -> Result<bool> {
        let program = if address.contains(':') {
            "ping6"
        } else {
            "ping"
        };
        let deadline = Instant::now() + limit;
        loop {
            let mut command = self.command("busybox");
            command.args([program, "-c", "1", "-W", "2", address]);
            if output(&mut command)?.status.success() {
                return Ok(true);
            }
            if Instant::now() > deadline {
                return Ok(false);
            }
            std::thread::sleep(LISTEN);
        }
    }

    /// The MAC address that answers for `address` on the TAP `tap`, asked by ARP or neighbour
    /// discovery.
    pub fn neighbour(&self, address: &str, tap: &str) -> Result<Option<String>> {
        self.ip(&format!("neigh flush dev {tap}"))?;
        self.pings(address, Duration::ZERO)?;
        let text = self.ip(&format!("neigh show {address} dev {tap}"))?;
        let mut words = text.split_whitespace();
        Ok(words
            .find(|word| *word == "lladdr")
            .and_then(|_| words.next())
            .map(str::to_owned))
    }

    /// The host keys that an address shows: lines `ADDRESS TYPE KEY`, sorted.
    pub fn host_keys(&self, address: &str) -> Result<Vec<String>> {
        let mut command = self.command("ssh-keyscan");
        command.args(["-T", "60", "-t", "rsa,ecdsa,ed25519", address]);
        let output = output(&mut command)?;
        let text = String::from_utf8_lossy(&output.stdout);
        let mut keys: Vec<String> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(str::to_owned)
            .collect();
        keys.sort();
        if keys.is_empty() {
            bail!(
                "{address} shows no host keys: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(keys)
    }

    /// QEMU's options for the machine's side of the cables.
    pub(crate) fn options(&self) -> Vec<String> {
        let mut options = Vec::new();
        for (index, card) in self.cards.iter().enumerate() {
            let sockets = self.sockets.path();
            options.extend([
                "-netdev".to_owned(),
                socket(
                    &format!("card{index}"),
                    &at(sockets, &format!("card{index}")),
                    &at(sockets, &format!("port{index}")),
                ),
                "-device".to_owned(),
                // Without the filter for VLANs: QEMU forgets what it let pass when a machine is saved.
                format!(
                    "virtio-net-pci,netdev=card{index},addr={},mac={},ctrl_vlan=off,romfile=",
                    card.slot, card.mac
                ),
            ]);
        }
        options
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for switch in self.switches.drain(..) {
            // A switch that panicked has said so already.
            let _ = switch.join();
        }
        // It may have ended already.
        let _ = self.cables.kill();
        let _ = self.cables.wait();
        remove(&self.name);
    }
}

/// A namespace until it has found its owner.
struct Namespace(String);

impl Namespace {
    fn keep(mut self) -> String {
        std::mem::take(&mut self.0)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if !self.0.is_empty() {
            remove(&self.0);
        }
    }
}

fn remove(name: &str) {
    // A drop cannot fail; the next run tries again.
    if let Err(error) = run(Command::new("ip").args(["netns", "delete", name])) {
        eprintln!("harness: {error:#}");
    }
}

/// Removes the namespaces of test processes that are no more.
fn forget_dead() {
    let Ok(names) = stdout_of(Command::new("ip").args(["netns", "list"])) else {
        return;
    };
    for name in names
        .lines()
        .filter_map(|line| line.split_whitespace().next())
    {
        if owner(name).is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            remove(name);
        }
    }
}

/// The process that a namespace is named after.
fn owner(name: &str) -> Option<u32> {
    let (pid, count) = name.strip_prefix(PREFIX)?.split_once('-')?;
    count.parse::<u32>().ok()?;
    pid.parse().ok()
}

fn ip(namespace: &str, words: &str) -> Result<String> {
    stdout_of(
        Command::new("ip")
            .args(["-n", namespace])
            .args(words.split_whitespace()),
    )
}

fn output(command: &mut Command) -> Result<Output> {
    command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| explain(command, error))
}

/// A QEMU in the namespace, without a machine in it.
fn idle_qemu(namespace: &str) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "ip", "netns", "exec", namespace])
        .args(["qemu-system-x86_64", "-machine", "none", "-nodefaults"])
        .args(["-accel", "tcg", "-display", "none"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        // It warns of a hub without a card, which is what it is for.
        .stderr(Stdio::null());
    command
}

/// Options that join a TAP of the namespace with a socket.
fn cable(tap: &str, sockets: &Path) -> Vec<String> {
    [
        format!("tap,id={tap},ifname={tap},script=no,downscript=no,vhost=off"),
        socket(
            &format!("s-{tap}"),
            &at(sockets, &format!("tap-{tap}")),
            &at(sockets, &format!("switch-{tap}")),
        ),
        format!("hubport,id=h-{tap},hubid={},netdev={tap}", hub(tap)),
        format!("hubport,id=i-{tap},hubid={},netdev=s-{tap}", hub(tap)),
    ]
    .into_iter()
    .flat_map(|value| ["-netdev".to_owned(), value])
    .collect()
}

/// A number for a TAP's hub, the same for the same name.
fn hub(tap: &str) -> u32 {
    tap.bytes()
        .fold(0, |sum, byte| (sum * 31 + u32::from(byte)) % 65_521)
}

fn socket(id: &str, here: &Path, there: &Path) -> String {
    format!(
        "dgram,id={id},local.type=unix,local.path={},remote.type=unix,remote.path={}",
        here.display(),
        there.display()
    )
}

fn at(sockets: &Path, name: &str) -> PathBuf {
    sockets.join(name)
}

/// The threads of a switch: one for each port, and one for the TAP.
fn switch(
    tap: &str,
    ports: &[usize],
    cards: &[Card],
    sockets: &Path,
    stop: &Arc<AtomicBool>,
) -> Result<Vec<JoinHandle<()>>> {
    let end = listen(&at(sockets, &format!("switch-{tap}")))?;
    let to_tap = at(sockets, &format!("tap-{tap}"));
    let mut threads = Vec::new();
    let mut outlets = Vec::new();
    for port in ports {
        let vlan = cards[*port].vlan;
        let inlet = listen(&at(sockets, &format!("port{port}")))?;
        outlets.push((
            inlet.try_clone().context("duplicate a cable")?,
            at(sockets, &format!("card{port}")),
            vlan,
        ));
        let sender = end.try_clone().context("duplicate a cable")?;
        let (to_tap, stop) = (to_tap.clone(), Arc::clone(stop));
        threads.push(std::thread::spawn(move || {
            relay(&inlet, &stop, |frame| {
                if let Some(frame) = untagged(frame, vlan) {
                    // A cable whose other end is not plugged in yet loses frames.
                    let _ = sender.send_to(&frame, &to_tap);
                }
            });
        }));
    }
    let stop = Arc::clone(stop);
    threads.push(std::thread::spawn(move || {
        relay(&end, &stop, |frame| {
            for (sender, path, vlan) in &outlets {
                // As above.
                let _ = sender.send_to(&tagged(frame, *vlan), path);
            }
        });
    }));
    Ok(threads)
}

fn listen(path: &Path) -> Result<UnixDatagram> {
    let socket = UnixDatagram::bind(path).with_context(|| format!("bind {}", path.display()))?;
    socket
        .set_read_timeout(Some(LISTEN))
        .and_then(|()| socket.set_write_timeout(Some(LISTEN)))
        .context("set a time limit")?;
    Ok(socket)
}

fn relay(from: &UnixDatagram, stop: &AtomicBool, pass: impl Fn(&[u8])) {
    let mut frame = vec![0; FRAME];
    while !stop.load(Ordering::Relaxed) {
        // An error is nothing heard in time.
        if let Ok(length) = from.recv(&mut frame) {
            pass(&frame[..length]);
        }
    }
}

/// The frame with the tag of `vlan`.
fn tagged(frame: &[u8], vlan: Option<u16>) -> Vec<u8> {
    match vlan {
        Some(id) if frame.len() >= TAG => {
            [&frame[..TAG], &TAGGED, &id.to_be_bytes(), &frame[TAG..]].concat()
        }
        _ => frame.to_vec(),
    }
}

/// The frame without the tag of `vlan`; none where it has no or another tag.
fn untagged(frame: &[u8], vlan: Option<u16>) -> Option<Vec<u8>> {
    let Some(id) = vlan else {
        return Some(frame.to_vec());
    };
    let tag = frame.get(TAG..TAG + 4)?;
    // The upper four bits are a priority.
    let number = u16::from_be_bytes([tag[2], tag[3]]) & 0x0fff;
    (tag[..2] == TAGGED && number == id).then(|| [&frame[..TAG], &frame[TAG + 4..]].concat())
}

/// Waits until QEMU has taken the TAPs.
fn wait_for_carrier<'a>(
    namespace: &str,
    taps: impl Iterator<Item = &'a str>,
    cables: &mut Child,
) -> Result<()> {
    let deadline = Instant::now() + Duration::from_mins(2);
    for tap in taps {
        while !ip(namespace, &format!("link show {tap}"))?.contains("LOWER_UP") {
            if let Some(status) = cables.try_wait().context("ask after QEMU")? {
                bail!("the QEMU that moves frames ended by itself: {status}");
            }
            if Instant::now() > deadline {
                // The caller's error path does not know the process yet.
                let _ = cables.kill();
                let _ = cables.wait();
                bail!("nobody took the TAP {tap} within 20 s");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    Ok(())
}

/// Runs a command of [`Outside::command`] that must succeed, and gives its stdout.
pub fn expect(command: &mut Command) -> Result<String> {
    stdout_of(command).with_context(|| format!("outside: {}", shown(command)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_put_on_and_taken_off() {
        let frame: Vec<u8> = (0..60).collect();
        let with = tagged(&frame, Some(100));
        assert_eq!(with[12..16], [0x81, 0, 0, 100]);
        assert_eq!(with.len(), 64);
        assert_eq!(untagged(&with, Some(100)), Some(frame.clone()));
        assert_eq!(untagged(&with, Some(101)), None);
        assert_eq!(untagged(&frame, Some(100)), None);
        assert_eq!(untagged(&frame[..10], Some(100)), None);
        assert_eq!(untagged(&frame, None), Some(frame.clone()));
        assert_eq!(tagged(&frame, None), frame);
    }

    #[test]
    fn the_owner_of_a_namespace_is_in_its_name() {
        assert_eq!(owner("reroot-12-0"), Some(12));
        for other in ["reroot-12", "reroot-x-1", "reroot-1-x", "other-1-1"] {
            assert_eq!(owner(other), None, "{other}");
        }
    }
}
