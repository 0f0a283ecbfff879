//! Devices that write to memory by themselves, and stopping them before another kernel is entered.
//!
//! A network card that was given buffers writes every packet that arrives into them, whoever owns
//! that memory by then. Linux takes the right to write (bus mastering) from every PCI device at
//! kexec since 3.5; before that only drivers with a shutdown handler do, and `virtio_net`, tg3 and
//! bnx2 have none there. A link that is down is not enough either. So the driver is made to let go
//! of the device (`unbind`), which stops it in the way that the device wants, on every kernel; where
//! that fails, bus mastering is taken from it by its configuration space.
//!
//! Nothing here comes near a disk. A storage controller writes when it is asked, nobody asks it any
//! more, and this very program is still read from one.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// A class of PCI devices (`linux/pci_ids.h`), by the first digits of its number.
struct Class(&'static str, &'static str);

/// Those that are stopped: they write when something comes from outside, not when they are asked.
///
/// Not here, and why:
/// - `01` storage, `0c04` Fibre Channel: see above; their drivers have shutdown handlers, which
///   write caches back.
/// - `03` displays: nothing comes to them from outside, and the console may be on one.
/// - `0c03` USB: every driver of the floor halts its controller at shutdown, and takes its bus
///   mastering. A keyboard and a serial line, the last ways to see what goes wrong, may be on it.
/// - `06` bridges: what is behind them needs them.
/// - `08`, `0b`, `10`, `12` DMA engines, coprocessors: they write when they are asked.
const CLASSES: [Class; 6] = [
    Class("0x02", "a network card"),
    Class("0x0c06", "an InfiniBand card"),
    Class("0x0d", "a radio"),
    // Another machine may write to this one's memory through it.
    Class("0x0c00", "a FireWire port"),
    // A stream that plays or records goes on by itself.
    Class("0x0401", "a sound card"),
    Class("0x0403", "a sound card"),
];

/// Offset of the command in a PCI device's configuration, and its bit for bus mastering.
const COMMAND: u64 = 4;
const BUS_MASTER: u16 = 4;

/// How long all of them together may take. A driver waits for its card's firmware, seconds each, one
/// after the other; a reference to a network device that somebody lost is waited for without end.
const PATIENCE: Duration = Duration::from_secs(45);

/// A device that writes to memory by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusMaster {
    /// What people know it by: `eth0 (virtio0)`, `a sound card (0000:00:1b.0)`.
    pub name: String,
    /// The device, in sysfs.
    pub device: PathBuf,
    /// The driver that it is bound to, in sysfs.
    pub driver: Option<PathBuf>,
    /// The PCI device that it is, or that it is on, where that is of a class to be stopped.
    pub pci: Option<PathBuf>,
    /// A disk hangs on it too, as on a card with a storage protocol of its own: it is left alone.
    pub carries_disk: bool,
}

impl BusMaster {
    /// A driver has it now. What a driver says when it is told to let go is one thing, this another.
    pub fn has_driver(&self) -> bool {
        self.device.join("driver").exists()
    }

    /// Its driver cannot be made to let go of it, or must not.
    pub fn is_bound_for_good(&self) -> bool {
        let mut driver = self.driver.iter();
        self.carries_disk || driver.any(|driver| !driver.join("unbind").exists())
    }
}

/// Every device that has to be stopped, by `sys`, where sysfs is mounted. One that a block device hangs on
/// is among them, and is not stopped.
pub fn find(sys: &Path) -> Vec<BusMaster> {
    let disks: Vec<PathBuf> = children(&sys.join("class/block"))
        .iter()
        .filter_map(|link| fs::canonicalize(link).ok())
        .collect();
    let carries_disk = |device: &Path| disks.iter().any(|disk| disk.starts_with(device));
    let pci: Vec<(PathBuf, &Class)> = children(&sys.join("bus/pci/devices"))
        .iter()
        .filter_map(|link| fs::canonicalize(link).ok())
        .filter_map(|device| class(&device).map(|class| (device, class)))
        .collect();
    let mut found: Vec<BusMaster> = Vec::new();
    for link in children(&sys.join("class/net")) {
        // What is made of software has no device.
        let Ok(device) = fs::canonicalize(link.join("device")) else {
            continue;
        };
        if found.iter().any(|f| f.device == device) {
            continue;
        }
        let above = pci.iter().map(|(path, _)| path);
        found.push(BusMaster {
            name: format!("{} ({})", last(&link), last(&device)),
            driver: fs::canonicalize(device.join("driver")).ok(),
            pci: above
                .filter(|path| device.starts_with(path) && !carries_disk(path))
                .max_by_key(|path| path.components().count())
                .cloned(),
            carries_disk: carries_disk(&device),
            device,
        });
    }
    for (device, Class(_, what)) in &pci {
        let known = found.iter().any(|f| f.device.starts_with(device));
        if !known && is_master(device) {
            found.push(BusMaster {
                name: format!("{what} ({})", last(device)),
                driver: fs::canonicalize(device.join("driver")).ok(),
                pci: Some(device.clone()).filter(|device| !carries_disk(device)),
                carries_disk: carries_disk(device),
                device: device.clone(),
            });
        }
    }
    found
}

fn children(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|e| e.path()).collect();
    paths.sort_unstable();
    paths
}

fn last(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn class(device: &Path) -> Option<&'static Class> {
    let text = fs::read_to_string(device.join("class")).ok()?;
    CLASSES.iter().find(|c| text.starts_with(c.0))
}

fn command(device: &Path) -> io::Result<u16> {
    let mut bytes = [0; 2];
    File::open(device.join("config"))?.read_exact_at(&mut bytes, COMMAND)?;
    Ok(u16::from_le_bytes(bytes))
}

fn is_master(device: &Path) -> bool {
    // A device that does not tell is taken for one.
    command(device).map_or(true, |command| command & BUS_MASTER != 0)
}

/// What became of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Its driver has let go of it.
    Unbound,
    /// It has no driver, or that did not let go; bus mastering was taken from it. The reason.
    Silenced(String),
    /// It may go on. Why.
    No(String),
}

/// Stops all of them, and tells what became of each. This cannot be undone, and it takes no longer
/// than its patience: a driver that hangs is left behind.
pub fn stop(masters: &[BusMaster]) -> Vec<Stopped> {
    stop_by(masters, PATIENCE, unbind)
}

fn stop_by(
    masters: &[BusMaster],
    patience: Duration,
    unbind: fn(&BusMaster) -> io::Result<()>,
) -> Vec<Stopped> {
    let (done, answers) = mpsc::channel();
    let mut unbound: Vec<Option<io::Result<()>>> = Vec::new();
    unbound.resize_with(masters.len(), || None);
    let alone = masters.iter().enumerate().filter(|(_, m)| !m.carries_disk);
    for (at, master) in alone {
        // A thread each: one that hangs in the kernel holds up nobody else.
        let (done, master) = (done.clone(), master.clone());
        std::thread::spawn(move || done.send((at, unbind(&master))));
    }
    drop(done);
    let start = Instant::now();
    while let Ok((at, answer)) = answers.recv_timeout(patience.saturating_sub(start.elapsed())) {
        unbound[at] = Some(answer);
    }
    masters
        .iter()
        .zip(unbound)
        .map(|(master, answer)| {
            let why = match answer {
                _ if master.carries_disk => Some("a disk is on it too".to_owned()),
                Some(Ok(())) => None,
                Some(Err(e)) => Some(e.to_string()),
                None => Some(format!("it did not end within {} s", patience.as_secs())),
            };
            outcome(why, master.pci.as_deref().map(silence))
        })
        .collect()
}

/// `silenced` is whether the device's bus mastering is off now, for a device on PCI.
fn outcome(not_unbound: Option<String>, silenced: Option<io::Result<()>>) -> Stopped {
    match (not_unbound, silenced) {
        (None, _) => Stopped::Unbound,
        (Some(why), Some(Ok(()))) => Stopped::Silenced(why),
        (Some(why), Some(Err(e))) => Stopped::No(format!("{why}; take its bus mastering: {e}")),
        (Some(why), None) => Stopped::No(why),
    }
}

fn unbind(master: &BusMaster) -> io::Result<()> {
    let Some(driver) = &master.driver else {
        return Err(io::Error::new(io::ErrorKind::NotFound, "it has no driver"));
    };
    let file = driver.join("unbind");
    let named = |e: io::Error| io::Error::new(e.kind(), format!("write {}: {e}", file.display()));
    let mut options = fs::OpenOptions::new();
    let opened = options.write(true).open(&file).map_err(named)?;
    // One write(2): the kernel takes it for the whole name.
    let name = last(&master.device);
    match rustix::io::write(&opened, name.as_bytes()) {
        Ok(n) if n == name.len() => Ok(()),
        Ok(_) => Err(named(io::ErrorKind::WriteZero.into())),
        Err(e) => Err(named(e.into())),
    }
}

/// Takes a PCI device's bus mastering, if it has that still, and looks whether it is gone.
fn silence(device: &Path) -> io::Result<()> {
    let before = command(device)?;
    if before & BUS_MASTER == 0 {
        return Ok(());
    }
    let mut options = fs::OpenOptions::new();
    let config = options.read(true).write(true).open(device.join("config"))?;
    config.write_all_at(&(before & !BUS_MASTER).to_le_bytes(), COMMAND)?;
    if command(device)? & BUS_MASTER == 0 {
        Ok(())
    } else {
        Err(io::Error::other("it stays on"))
    }
}

#[cfg(test)]
#[path = "bus_masters_tests.rs"]
mod tests;
