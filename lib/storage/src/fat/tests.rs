//! Against mtools and fsck.fat, on filesystems that mkfs.fat makes.

use std::cell::RefCell;
use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use super::*;

const NAME: &[u8; 11] = b"REROOT  EFI";

fn run(program: &str, arguments: &[&str]) -> String {
    let found = Command::new(program).args(arguments).output();
    let found = found.unwrap_or_else(|e| panic!("{program}: {e}: see scripts/packages.txt"));
    let said = String::from_utf8_lossy(&found.stdout).into_owned();
    assert!(found.status.success(), "{program} {arguments:?}: {said}");
    said
}

/// A filesystem with the loaders of a Debian on it, and its size.
fn partition(arguments: &[&str], mib: u64) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(mib << 20).unwrap();
    let path = file.path().to_str().unwrap();
    run("mkfs.fat", &[arguments, &[path]].concat());
    let loader = tempfile::NamedTempFile::new().unwrap();
    fs::write(loader.path(), old()).unwrap();
    run(
        "mmd",
        &["-i", path, "::/EFI", "::/EFI/BOOT", "::/EFI/almalinux-9"],
    );
    let from = loader.path().to_str().unwrap();
    for to in ["BOOT/BOOTX64.EFI", "almalinux-9/grubx64.efi"] {
        run("mcopy", &["-i", path, from, &format!("::/EFI/{to}")]);
    }
    file
}

fn old() -> Vec<u8> {
    (0..150_001u32).map(|n| (n / 7) as u8).collect()
}

fn new() -> Vec<u8> {
    (0..230_017u32).map(|n| (n / 11) as u8).collect()
}

fn reading(file: &fs::File) -> impl Fn(u64, usize) -> io::Result<Vec<u8>> + '_ {
    |at, length| {
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, at)?;
        Ok(bytes)
    }
}

fn apply(file: &fs::File, edit: &Edit) {
    for write in edit.iter().flatten() {
        assert_eq!(write.bytes.len() % 512, 0);
        file.write_all_at(&write.bytes, write.at).unwrap();
    }
}

/// Nothing is wrong with it; clusters that nothing leads to may be there where a power cut left them.
fn is_sound(path: &Path) {
    let found = Command::new("fsck.fat")
        .arg("-n")
        .arg(path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&found.stdout);
    let bad: Vec<&str> = said
        .lines()
        .skip(1)
        .filter(|line| {
            !line.contains("files,") && !line.contains("eclaimed") && !line.contains("Orphaned")
        })
        .filter(|line| !line.contains("Leaving filesystem unchanged") && !line.trim().is_empty())
        .filter(|line| !line.contains("Free cluster summary uninitialized"))
        .collect();
    assert!(bad.is_empty(), "{said}");
}

const KINDS: [(&[&str], u64); 5] = [
    (&["-F", "16"], 32),
    (&["-F", "32", "-s", "1"], 124),
    (&["-F", "32", "-s", "8", "-f", "1"], 600),
    (&["-F", "16", "-s", "64"], 500),
    // Larger sectors than those of the disk, which writes no more than its own at once.
    (&["-F", "16", "-S", "4096", "-s", "1"], 64),
];

#[test]
fn files_are_found_in_whatever_case_and_read() {
    for (arguments, mib) in KINDS {
        let made = partition(arguments, mib);
        let read = reading(made.as_file());
        let volume = Volume::open(&read).unwrap();
        for path in [
            "EFI/BOOT/BOOTX64.EFI",
            "/efi/boot/bootx64.efi",
            "/EFI/AlmaLinux-9/grubx64.efi",
        ] {
            let file = volume.find(path).unwrap().unwrap();
            assert_eq!(volume.contents(&file).unwrap(), old(), "{path}");
        }
        for path in [
            "",
            "EFI/BOOT/X",
            "EFI/BOOT/BOOTX64.EFI/x",
            "EFI/BOOTX64.EFI",
        ] {
            assert_eq!(volume.find(path).unwrap(), None, "{path}");
        }
    }
}

/// A file comes beside another, they are exchanged, the old one goes, on every kind; and the filesystem
/// is sound after each group of writes, with the one name leading to the old bytes or to the new ones.
#[test]
fn after_every_write_a_loader_is_whole_and_the_filesystem_sound() {
    for (arguments, mib) in KINDS {
        let made = partition(arguments, mib);
        let file = made.as_file();
        let read = reading(file);
        let name = "EFI/BOOT/BOOTX64.EFI";
        let holds = |name: &str| {
            let volume = Volume::open(&read).unwrap();
            let found = volume.find(name).unwrap();
            found.map(|found| volume.contents(&found).unwrap())
        };
        let step = |edit: Edit, expected: &[u8]| {
            for group in edit {
                apply(file, &vec![group]);
                is_sound(made.path());
                assert_eq!(holds(name).unwrap(), expected);
            }
        };
        let entries = || {
            let volume = Volume::open(&read).unwrap();
            let one = volume.find(name).unwrap().unwrap();
            (one, volume.find("EFI/BOOT/REROOT.EFI").unwrap())
        };
        let put = |bytes: &[u8]| {
            let volume = Volume::open(&read).unwrap();
            volume.put_beside(&entries().0, NAME, bytes).unwrap()
        };
        step(put(&new()), &old());
        let (one, other) = entries();
        let exchange = {
            let volume = Volume::open(&read).unwrap();
            volume.exchange(&one, &other.unwrap()).unwrap()
        };
        assert_eq!(exchange.bytes.len(), 512);
        step(vec![vec![exchange]], &new());
        assert_eq!(holds("EFI/BOOT/REROOT.EFI").unwrap(), old());
        let remove = |entry: Entry| Volume::open(&read).unwrap().remove(&entry).unwrap();
        step(remove(entries().1.unwrap()), &new());
        assert_eq!(entries().1, None);
        // The place is free again.
        step(put(b"x"), &new());
        step(remove(entries().1.unwrap()), &new());
        let path = made.path().to_str().unwrap();
        assert!(!run("mtype", &["-i", path, "::/EFI/almalinux-9/grubx64.efi"]).is_empty());
        // No cluster is lost in the end.
        let said = run("fsck.fat", &["-n", path]);
        assert!(!said.contains("eclaimed"), "{said}");
    }
}

#[test]
fn what_has_no_room_is_refused() {
    let made = partition(&["-F", "16"], 16);
    let read = reading(made.as_file());
    let volume = Volume::open(&read).unwrap();
    let one = volume.find("EFI/BOOT/BOOTX64.EFI").unwrap().unwrap();
    let large = vec![1; 17 << 20];
    let found = volume.put_beside(&one, NAME, &large).unwrap_err();
    assert!(found.to_string().contains("are free"), "{found}");
    // Its sector has 16 entries: two of a directory's own, and the file's.
    let path = made.path().to_str().unwrap();
    let empty = tempfile::NamedTempFile::new().unwrap();
    for n in 0..13 {
        let to = format!("::/EFI/BOOT/X{n}");
        run("mcopy", &["-i", path, empty.path().to_str().unwrap(), &to]);
    }
    let volume = Volume::open(&read).unwrap();
    let one = volume.find("EFI/BOOT/BOOTX64.EFI").unwrap().unwrap();
    let found = volume.put_beside(&one, NAME, b"x").unwrap_err();
    assert!(found.to_string().contains("no free entry"), "{found}");
}

/// Whatever is in the first sector and the tables: an error, and no panic.
#[test]
fn nonsense_is_refused() {
    let made = partition(&["-F", "16"], 16);
    let mut head = vec![0; 1 << 20];
    made.as_file().read_exact_at(&mut head, 0).unwrap();
    let head = RefCell::new(head);
    for at in (0..64).chain(512..540) {
        for value in [0, 1, 0x7f, 0xff] {
            let before = std::mem::replace(&mut head.borrow_mut()[at], value);
            let read = |at: u64, length: usize| {
                let bytes = head.borrow();
                let range = usize::try_from(at)
                    .ok()
                    .and_then(|at| bytes.get(at..at.checked_add(length)?));
                range
                    .map(<[u8]>::to_vec)
                    .ok_or_else(|| io::Error::other("behind the end"))
            };
            if let Ok(volume) = Volume::open(&read) {
                if let Ok(Some(file)) = volume.find("EFI/BOOT/BOOTX64.EFI") {
                    let _ = volume.contents(&file);
                    let _ = volume.put_beside(&file, NAME, b"x");
                    let _ = volume.remove(&file);
                }
            }
            head.borrow_mut()[at] = before;
        }
    }
}
