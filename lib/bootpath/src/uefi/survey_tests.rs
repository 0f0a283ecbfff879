//! On the bytes of a disk with an EFI system partition that mkfs.fat and mtools fill.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use storage::fat::Write;

use super::super::load_option::{LoadOption, Target};
use super::super::FALLBACK;
use super::*;

const GUID: &str = "6f726572-746f-0b4d-9c36-d1f1c6a0be15";
const START: usize = 2048 * 512;
const MIB: usize = 24;

fn run(program: &str, arguments: &[&str]) {
    let done = Command::new(program).args(arguments).output();
    let done = done.unwrap_or_else(|e| panic!("{program}: {e}: see scripts/packages.txt"));
    assert!(done.status.success(), "{program} {arguments:?}: {done:?}");
}

/// A program for this machine, of this loader.
fn program(machine: u16, mark: &str) -> Vec<u8> {
    let mut bytes = vec![0; 0x80];
    bytes[..2].copy_from_slice(b"MZ");
    bytes[0x3c] = 0x40;
    bytes[0x40..0x44].copy_from_slice(b"PE\0\0");
    bytes[0x44..0x46].copy_from_slice(&machine.to_le_bytes());
    bytes.extend(mark.encode_utf16().flat_map(u16::to_le_bytes));
    bytes.extend(mark.bytes());
    bytes
}

fn grub() -> Vec<u8> {
    program(0x8664, "grub_dl_")
}

/// A disk with these files on its EFI system partition.
fn disk(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let script = format!(
        "label: gpt\nstart=2048, size={}, uuid={GUID}, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B\n",
        MIB * 2048
    );
    let mut bytes = fixtures::disk::partitioned(&script);
    let dir = tempfile::tempdir().unwrap();
    let fat = dir.path().join("fat");
    std::fs::File::create(&fat)
        .unwrap()
        .set_len((MIB << 20) as u64)
        .unwrap();
    let fat = fat.to_str().unwrap();
    run("mkfs.fat", &["-F", "16", fat]);
    run(
        "mmd",
        &[
            "-i",
            fat,
            "::/EFI",
            "::/EFI/BOOT",
            "::/EFI/debian",
            "::/EFI/other",
        ],
    );
    for (to, contents) in files {
        let from = dir.path().join("file");
        std::fs::write(&from, contents).unwrap();
        run(
            "mcopy",
            &["-i", fat, from.to_str().unwrap(), &format!("::{to}")],
        );
    }
    let part = std::fs::read(Path::new(fat)).unwrap();
    bytes[START..START + part.len()].copy_from_slice(&part);
    bytes
}

fn looked_at(disk: &[u8], started: Option<Result<Variables, String>>) -> EfiFacts {
    let read = |at: u64, count: usize| {
        let at = at as usize * 512;
        let bytes = disk.get(at..at + count * 512);
        bytes
            .map(<[u8]>::to_vec)
            .ok_or(std::io::ErrorKind::UnexpectedEof.into())
    };
    let started = started.map(|variables| (None, variables));
    facts(started, &read, &|_| false, &["root-uuid".to_owned()])
}

/// A firmware that starts this file, and others after it.
fn by(files: &[&str]) -> Variables {
    let options = (1..).zip(files).map(|(number, file)| {
        let option = LoadOption {
            description: "x".into(),
            tried: true,
            target: Target::Partition(GUID.into(), Some((*file).into())),
        };
        (number, option)
    });
    let options: BTreeMap<u16, LoadOption> = options.collect();
    Variables {
        current: 1,
        once: None,
        order: options.keys().copied().collect(),
        options,
    }
}

fn paths(facts: &EfiFacts) -> Vec<&str> {
    facts.files.iter().map(|file| file.path.as_str()).collect()
}

#[test]
fn the_file_in_use_comes_first_and_the_fallback_is_among_the_others() {
    let disk = disk(&[
        (FALLBACK, grub()),
        ("/EFI/debian/shimx64.efi", program(0x8664, "grubx64.efi")),
        ("/EFI/debian/grubx64.efi", grub()),
    ]);
    let (shim, core) = ("/EFI/debian/shimx64.efi", "/EFI/debian/grubx64.efi");
    let found = looked_at(&disk, Some(Ok(by(&[shim, core]))));
    assert_eq!(paths(&found), [shim, core, FALLBACK]);
    assert_eq!(
        (found.unknown, found.no_room, found.bits),
        (None, None, Some(64))
    );
    let found = looked_at(&disk, None);
    assert_eq!((paths(&found), found.bits), (vec![FALLBACK], None));
    let found = looked_at(&disk, Some(Err("unread".into())));
    assert_eq!(found.unknown.as_deref(), Some("unread"));
    let found = looked_at(&disk, Some(Ok(by(&["/EFI/gone.efi"]))));
    assert!(found.unknown.unwrap().contains("not there"));
}

#[test]
fn what_another_os_starts_by_is_left_alone_and_told() {
    let windows = || (FALLBACK, program(0x8664, "bootmgfw"));
    let core = "/EFI/debian/grubx64.efi";
    let found = looked_at(&disk(&[windows(), (core, grub())]), Some(Ok(by(&[core]))));
    assert_eq!(paths(&found), [core]);
    assert!(found.others[0].ends_with(": Windows"), "{:?}", found.others);
    assert_eq!(found.other_loader, None);
    // In use it is not left alone, and told all the same.
    let found = looked_at(&disk(&[windows()]), Some(Ok(by(&[FALLBACK]))));
    assert_eq!(
        (paths(&found), found.other_loader.as_deref()),
        (vec![FALLBACK], Some("Windows"))
    );
    let found = looked_at(&disk(&[windows()]), None);
    assert_eq!((paths(&found), found.others.len()), (vec![], 1));
}

#[test]
fn the_file_in_use_says_which_firmware_it_is_for() {
    let core = "/EFI/debian/grubx64.efi";
    let found = |bytes: Vec<u8>| looked_at(&self::disk(&[(core, bytes)]), Some(Ok(by(&[core]))));
    assert_eq!(found(program(0x014c, "grub_dl_")).bits, Some(32));
    // What the kernel says of the firmware, and the file that is taken for the one in use, have to agree.
    let disk = disk(&[(core, grub())]);
    let read = |at: u64, count: usize| {
        let at = at as usize * 512;
        Ok(disk[at..at + count * 512].to_vec())
    };
    let by_32 = facts(Some((Some(32), Ok(by(&[core])))), &read, &|_| false, &[]);
    assert!(by_32.unknown.unwrap().contains("32 bits"));
    let twice = facts(Some((None, Ok(by(&[core])))), &read, &|_| true, &[]);
    assert!(twice.unknown.unwrap().contains("two disks"));
    let unknown = found(b"text".to_vec()).unknown.unwrap();
    assert!(unknown.contains("no program for UEFI"), "{unknown}");
}

/// Another Linux on the same disk keeps its loader; this one's is known by the filesystem that it reads.
#[test]
fn the_grub_of_another_system_is_left_alone() {
    let (own, other) = ("/EFI/debian/grubx64.efi", "/EFI/other/grubx64.efi");
    let at = |config: &str| {
        let config = config.as_bytes().to_vec();
        let disk = disk(&[
            (own, grub()),
            (other, grub()),
            ("/EFI/other/grub.cfg", config),
        ]);
        looked_at(&disk, Some(Ok(by(&[own, other]))))
    };
    let found = at("search.fs_uuid another-uuid root");
    assert_eq!((paths(&found), found.others.len()), (vec![own], 1));
    let found = at("search.fs_uuid root-uuid root");
    assert_eq!((paths(&found), found.others.len()), (vec![own, other], 0));
}

/// Of a mirror's further disk: what the first is started by is this OS's there too, and a staged image's loader is
/// known as such.
#[test]
fn a_further_disk_of_a_mirror_has_its_own_files() {
    let core = "/EFI/debian/grubx64.efi";
    let staged = [grub(), b"linux ($root)8+3 reroot.committed=x".to_vec()].concat();
    let disk = disk(&[
        (core, grub()),
        (FALLBACK, staged),
        ("/EFI/other/grubx64.efi", grub()),
    ]);
    let read = |at: u64, count: usize| {
        let at = at as usize * 512;
        Ok(disk[at..at + count * 512].to_vec())
    };
    let in_use = EfiFile {
        path: core.into(),
        ..order::fallback(&partitions(&read).unwrap()[0])
    };
    let named = by(&["/EFI/other/grubx64.efi", core]);
    let found = of_copy(Some(&named), &read, &|_| false, &[], Some(&in_use));
    assert_eq!(paths(&found), [core, FALLBACK]);
    assert_eq!((found.others.len(), found.staged.len()), (1, 1));
    assert!(found.staged[0].contains("BOOTX64"), "{:?}", found.staged);
    assert_eq!((found.no_room, found.unknown), (None, None));
    let found = of_copy(None, &read, &|_| false, &[], None);
    assert_eq!(paths(&found), [FALLBACK]);
}

#[test]
fn a_partition_without_the_fallback_is_told_where_a_bios_started() {
    let found = looked_at(&disk(&[("/EFI/debian/grubx64.efi", grub())]), None);
    assert!(found.left[0].contains("without"), "{:?}", found.left);
    assert_eq!((found.files.len(), found.unknown), (0, None));
}

#[test]
fn a_filesystem_that_is_damaged_is_no_missing_file() {
    let core = "/EFI/debian/grubx64.efi";
    let mut disk = disk(&[(core, grub())]);
    // Both tables of the chains; the file's own cluster then leads to a free one.
    let reserved = 512 * usize::from(disk[START + 0x0e]);
    let table = START + reserved;
    let bytes = 512 * usize::from(disk[START + 0x16]);
    disk[table..table + 2 * bytes].fill(0);
    let found = looked_at(&disk, Some(Ok(by(&[core]))));
    let unknown = found.unknown.unwrap();
    assert!(unknown.contains("contradicts itself"), "{unknown}");
}

#[test]
fn every_file_needs_room_for_its_own_loader() {
    let (shim, core) = ("/EFI/debian/shimx64.efi", "/EFI/debian/grubx64.efi");
    let named = || Some(Ok(by(&[core, shim])));
    // Of 24 MiB some 15 are taken: room for two loaders of 4 MiB, and for three it is not enough.
    let filled = |files: &[&str]| {
        let mut all = vec![("/filler", vec![1; 15 << 20])];
        all.extend(files.iter().map(|file| (*file, grub())));
        looked_at(&disk(&all), named()).no_room
    };
    assert_eq!(filled(&[core, shim]), None);
    let why = filled(&[core, shim, FALLBACK]).unwrap();
    assert!(why.contains("12288 are needed"), "{why}");
    // The same name with another ending would be the same file beside.
    let old = "/EFI/debian/grubx64.bak";
    let disk = disk(&[(core, grub()), (old, grub())]);
    let why = looked_at(&disk, Some(Ok(by(&[core, old]))))
        .no_room
        .unwrap();
    assert!(why.contains("but for its ending"), "{why}");
}

/// Two files of one directory are switched one after the other, and nothing stays beside them.
#[test]
fn each_file_has_its_own_beside_it() {
    let paths = ["/EFI/debian/grubx64.efi", "/EFI/debian/shimx64.efi"];
    let mut disk = disk(&[
        (paths[0], b"old grub".to_vec()),
        (paths[1], b"old shim".to_vec()),
    ]);
    let apply = |disk: &mut Vec<u8>, writes: &[Write]| {
        for write in writes {
            let at = START + write.at as usize;
            disk[at..at + write.bytes.len()].copy_from_slice(&write.bytes);
        }
    };
    let looked = |disk: &[u8], look: &dyn Fn(&Volume) -> Vec<Vec<Write>>| {
        let read = |at: u64, length: usize| {
            Ok(disk[START + at as usize..START + at as usize + length].to_vec())
        };
        look(&Volume::open(&read).unwrap())
    };
    let step = |disk: &mut Vec<u8>, look: &dyn Fn(&Volume) -> Vec<Vec<Write>>| {
        for group in looked(disk, look) {
            apply(disk, &group);
        }
    };
    for path in paths {
        step(&mut disk, &|volume| {
            beside::put(volume, path, path.as_bytes()).unwrap()
        });
    }
    for path in paths {
        step(&mut disk, &|volume| {
            assert!(beside::is_beside(volume, path, path.as_bytes()).unwrap());
            vec![vec![beside::switch(volume, path).unwrap()]]
        });
    }
    for path in paths {
        step(&mut disk, &|volume| {
            assert!(beside::starts(volume, path, path.as_bytes()).unwrap());
            beside::remove(volume, path).unwrap().unwrap()
        });
    }
    looked(&disk, &|volume| {
        for path in paths {
            assert!(beside::starts(volume, path, path.as_bytes()).unwrap());
            assert!(beside::remove(volume, path).unwrap().is_none());
        }
        vec![]
    });
}
