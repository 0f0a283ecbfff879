//! Devices of machines as sysfs shows them, made in a directory.

use std::os::unix::fs::symlink;

use super::*;

/// A sysfs of its own.
struct Sys(tempfile::TempDir);

impl Sys {
    fn new() -> Sys {
        let dir = tempfile::tempdir().unwrap();
        for name in ["class/net", "class/block", "bus/pci/devices", "devices"] {
            fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        Sys(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A PCI device of a class, below `devices`; with a driver that can be unbound.
    fn pci(&self, place: &str, class: &str, driver: Option<&str>, master: bool) {
        let device = self.path("devices").join(place);
        fs::create_dir_all(&device).unwrap();
        fs::write(device.join("class"), format!("{class}\n")).unwrap();
        let mut config = [0; 64];
        config[4] = if master { 0x07 } else { 0x03 };
        fs::write(device.join("config"), config).unwrap();
        let name = last(&device);
        symlink(&device, self.path("bus/pci/devices").join(name)).unwrap();
        if let Some(driver) = driver {
            self.bind(&device, driver);
        }
    }

    fn bind(&self, device: &Path, driver: &str) {
        let home = self.path("bus/drivers").join(driver);
        fs::create_dir_all(&home).unwrap();
        fs::write(home.join("unbind"), "").unwrap();
        symlink(home, device.join("driver")).unwrap();
    }

    fn below(&self, place: &str, driver: &str) {
        let device = self.path("devices").join(place);
        fs::create_dir_all(&device).unwrap();
        self.bind(&device, driver);
    }

    /// A link of a class with its device.
    fn of_class(&self, class: &str, name: &str, place: &str) {
        let here = self.path("devices").join(place).join(class).join(name);
        fs::create_dir_all(&here).unwrap();
        symlink(self.path("devices").join(place), here.join("device")).unwrap();
        symlink(&here, self.path("class").join(class).join(name)).unwrap();
    }

    fn names(&self) -> Vec<String> {
        find(self.0.path()).into_iter().map(|m| m.name).collect()
    }
}

const NETWORK: &str = "0x020000";

/// A machine with one of everything.
fn machine() -> Sys {
    let sys = Sys::new();
    let root = "pci0000:00";
    let at = |name: &str| format!("{root}/{name}");
    sys.pci(&at("0000:00:03.0"), NETWORK, Some("virtio-pci"), true);
    sys.below(&at("0000:00:03.0/virtio0"), "virtio_net");
    sys.of_class("net", "eth0", &at("0000:00:03.0/virtio0"));
    sys.pci(&at("0000:00:04.0"), "0x010000", Some("virtio-pci"), true);
    sys.below(&at("0000:00:04.0/virtio1"), "virtio_blk");
    sys.of_class("block", "vda", &at("0000:00:04.0/virtio1"));
    sys.pci(&at("0000:02:00.0"), NETWORK, Some("tg3"), true);
    sys.of_class("net", "eth1", &at("0000:02:00.0"));
    // One without a driver that the firmware left running.
    sys.pci(&at("0000:02:00.1"), NETWORK, None, true);
    // And one that is quiet.
    sys.pci(&at("0000:02:00.2"), NETWORK, None, false);
    // A card that is a network card and a disk's way.
    sys.pci(&at("0000:03:00.0"), NETWORK, Some("cnic"), true);
    sys.of_class("net", "eth2", &at("0000:03:00.0"));
    sys.of_class("block", "sda", &at("0000:03:00.0/host0"));
    sys.pci(&at("0000:00:1a.0"), "0x0c0310", Some("uhci_hcd"), true);
    sys.below(&at("0000:00:1a.0/usb1/1-1/1-1:1.0"), "asix");
    sys.of_class("net", "eth3", &at("0000:00:1a.0/usb1/1-1/1-1:1.0"));
    sys.pci(&at("0000:00:02.0"), "0x030000", Some("cirrus"), true);
    sys.pci(&at("0000:04:00.0"), "0x0c0600", Some("ib_mthca"), true);
    sys.pci(&at("0000:00:1b.0"), "0x040300", Some("snd_hda"), true);
    fs::create_dir_all(sys.path("class/net/bond0")).unwrap();
    sys
}

#[test]
fn what_writes_by_itself_is_found_and_no_disk_is_touched() {
    assert_eq!(
        machine().names(),
        [
            "eth0 (virtio0)",
            "eth1 (0000:02:00.0)",
            "eth2 (0000:03:00.0)",
            "eth3 (1-1:1.0)",
            "a sound card (0000:00:1b.0)",
            "a network card (0000:02:00.1)",
            "an InfiniBand card (0000:04:00.0)",
        ]
    );
}

#[test]
fn each_is_let_go_of_by_its_own_name_and_is_no_master_any_more() {
    let sys = machine();
    let masters = find(sys.0.path());
    let stopped = stop(&masters);
    for (master, stopped) in masters.iter().zip(&stopped) {
        match &master.driver {
            Some(_) if master.carries_disk => {
                let why = "a disk is on it too".to_owned();
                assert_eq!(*stopped, Stopped::No(why), "{}", master.name);
                assert_eq!(master.name, "eth2 (0000:03:00.0)");
            }
            Some(driver) => {
                assert_eq!(*stopped, Stopped::Unbound, "{}", master.name);
                let written = fs::read_to_string(driver.join("unbind")).unwrap();
                assert_eq!(written, last(&master.device));
            }
            None => assert_eq!(*stopped, Stopped::Silenced("it has no driver".into())),
        }
        if let Some(pci) = &master.pci {
            assert!(!is_master(pci), "{}", master.name);
        }
    }
    for spared in [
        "0000:00:04.0",
        "0000:03:00.0",
        "0000:00:1a.0",
        "0000:00:02.0",
    ] {
        assert!(is_master(&sys.path("bus/pci/devices").join(spared)));
    }
    for driver in ["virtio-pci", "virtio_blk", "cnic", "uhci_hcd", "cirrus"] {
        let file = sys.path("bus/drivers").join(driver).join("unbind");
        assert_eq!(fs::read_to_string(file).unwrap(), "", "{driver}");
    }
}

#[test]
fn a_driver_that_hangs_holds_up_nobody() {
    let sys = machine();
    let masters = find(sys.0.path());
    let hangs = |master: &BusMaster| -> io::Result<()> {
        if master.name.starts_with("eth1") || master.name.starts_with("eth3") {
            std::thread::sleep(Duration::from_mins(10));
        }
        Ok(())
    };
    let start = Instant::now();
    let stopped = stop_by(&masters, Duration::from_millis(300), hangs);
    assert!(start.elapsed() < Duration::from_mins(1));
    let of = |name: &str| {
        let at = masters.iter().position(|m| m.name.starts_with(name));
        &stopped[at.unwrap()]
    };
    assert_eq!(*of("eth0"), Stopped::Unbound);
    assert!(matches!(of("eth1"), Stopped::Silenced(why) if why.contains("did not end")));
    // It is not on PCI itself, and its controller is not a card.
    assert!(matches!(of("eth3"), Stopped::No(_)));
}

#[test]
fn a_driver_that_cannot_let_go_is_known_before() {
    let sys = machine();
    fs::remove_file(sys.path("bus/drivers/tg3/unbind")).unwrap();
    let masters = find(sys.0.path());
    let bound: Vec<_> = masters
        .iter()
        .filter(|m| m.is_bound_for_good())
        .map(|m| m.name.as_str())
        .collect();
    // The latter must not: a disk is on it.
    assert_eq!(bound, ["eth1 (0000:02:00.0)", "eth2 (0000:03:00.0)"]);
    let at = masters.iter().position(|m| m.name.starts_with("eth1"));
    let stopped = stop(&masters);
    assert!(matches!(&stopped[at.unwrap()], Stopped::Silenced(why) if why.contains("unbind")));
}
