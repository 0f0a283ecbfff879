//! Which files of a disk the firmware tries, by its variables and in their order (UEFI specification,
//! 3.1). Pure.
//!
//! What started the machine is only a proof of what starts it next where the two are the same. So a
//! machine is taken where the first thing that `BootOrder` finds on this disk is what `BootCurrent` names;
//! what comes before it must be something that did not start the machine and will not.

use formats::boot_path::{EfiFile, EfiPartition};

use super::load_option::{LoadOption, Target};
use super::variables::Variables;
use super::FALLBACK;

/// What is asked of the machine's disks.
pub struct Disks<'a> {
    /// The EFI system partitions of the root's disk.
    pub partitions: &'a [EfiPartition],
    /// Whether there is a file of this path; an error says why that cannot be told.
    pub holding: &'a dyn Fn(&EfiPartition, &str) -> Result<bool, String>,
    /// Whether another disk of the machine has a partition of this GUID, too.
    pub elsewhere: &'a dyn Fn(&str) -> bool,
}

/// What a variable leads to.
enum Place {
    File(EfiFile),
    /// Nothing that starts this machine, or that is not there; why.
    Nothing(String),
    /// Something else than this disk's files; why.
    Elsewhere(String),
}

/// The files that the firmware tries, in its order: the first started the machine, and starts it next.
pub fn files(variables: &Variables, disks: &Disks) -> Result<Vec<EfiFile>, String> {
    let current = variables.name(variables.current);
    let started = match place(variables, variables.current, disks)? {
        Place::File(file) => file,
        Place::Nothing(why) | Place::Elsewhere(why) => return Err(why),
    };
    if let Some(once) = variables.once.filter(|&once| once != variables.current) {
        return Err(format!(
            "BootNext has the firmware start {} next, once; {current} started the machine",
            variables.name(once)
        ));
    }
    let is_device = |number: u16| {
        let option = variables.options.get(&number);
        option.is_some_and(|option| option.target == Target::Device(None))
    };
    let mut files: Vec<EfiFile> = Vec::new();
    for &number in &variables.order {
        let option = variables.options.get(&number);
        if !option.is_some_and(|option| option.tried) {
            continue;
        }
        // It is another device: if it were this disk, its fallback file would have started the machine.
        if files.is_empty() && is_device(number) && !is_device(variables.current) {
            continue;
        }
        match place(variables, number, disks) {
            Ok(Place::File(file)) if !files.iter().any(|other| is_same(other, &file)) => {
                files.push(file);
            }
            Ok(Place::Elsewhere(why)) | Err(why) if files.is_empty() => {
                return Err(format!("{why}, and it is tried before {current}"))
            }
            _ => {}
        }
    }
    match files.first() {
        Some(first) if is_same(first, &started) => Ok(files),
        Some(first) => Err(format!(
            "BootOrder has the firmware start {first} next; {current} started the machine"
        )),
        None => Err(format!(
            "{current} started the machine, and BootOrder does not have it"
        )),
    }
}

/// The files of a further disk of a mirror that variables name, in the firmware's order: it starts them where the
/// first disk is not there.
pub fn named(variables: &Variables, disks: &Disks) -> Vec<EfiFile> {
    let mut files: Vec<EfiFile> = Vec::new();
    for &number in &variables.order {
        let option = variables.options.get(&number);
        let names = |option: &LoadOption| matches!(option.target, Target::Partition(_, Some(_)));
        if !option.is_some_and(names) {
            continue;
        }
        if let Ok(Place::File(file)) = place(variables, number, disks) {
            if !files.iter().any(|other| is_same(other, &file)) {
                files.push(file);
            }
        }
    }
    files
}

/// Whether two are one file. Names on FAT have no case.
pub fn is_same(one: &EfiFile, other: &EfiFile) -> bool {
    one.partition == other.partition && one.path.eq_ignore_ascii_case(&other.path)
}

/// The file that a firmware starts without a variable that names another.
pub fn fallback(partition: &EfiPartition) -> EfiFile {
    EfiFile {
        partition: partition.clone(),
        path: FALLBACK.to_owned(),
        variable: None,
    }
}

fn place(variables: &Variables, number: u16, disks: &Disks) -> Result<Place, String> {
    let name = variables.name(number);
    let Some(option) = variables.options.get(&number) else {
        return Ok(Place::Nothing(format!("the firmware has no {name}")));
    };
    let nothing = |why: String| Ok(Place::Nothing(format!("{name} {why}")));
    match &option.target {
        Target::Partition(guid, path) => {
            let found = disks
                .partitions
                .iter()
                .find(|partition| partition.guid == *guid);
            let is_elsewhere = (disks.elsewhere)(guid);
            let partition = match found {
                Some(partition) if !is_elsewhere => partition,
                Some(_) => {
                    return Ok(Place::Elsewhere(format!(
                        "{name} names partition {guid}, and two disks have one of that GUID"
                    )))
                }
                None => {
                    let why = format!(
                        "{name} names partition {guid}, which is no EFI system partition of the root's disk"
                    );
                    return Ok(if is_elsewhere {
                        Place::Elsewhere(why)
                    } else {
                        Place::Nothing(why)
                    });
                }
            };
            let file = match path {
                None => fallback(partition),
                Some(path) => EfiFile {
                    partition: partition.clone(),
                    path: path.clone(),
                    variable: Some(name.clone()),
                },
            };
            if (disks.holding)(partition, &file.path)? {
                return Ok(Place::File(file));
            }
            nothing(format!("names {}, which is not there", file.path))
        }
        // The name of a device, as firmware makes them up itself.
        Target::Device(None) => {
            for partition in disks.partitions {
                if (disks.holding)(partition, FALLBACK)? {
                    return Ok(Place::File(fallback(partition)));
                }
            }
            nothing("names no file, and the root's disk has no \\EFI\\BOOT\\BOOTX64.EFI".to_owned())
        }
        Target::Device(Some(path)) => Ok(Place::Elsewhere(format!(
            "{name} names {path}, and no partition"
        ))),
        Target::Network => nothing("starts from the network".to_owned()),
        Target::Removable => nothing("starts a disc or a USB device".to_owned()),
        Target::Unknown => nothing("names a device of a kind that is not known".to_owned()),
        Target::Other(what) => Ok(Place::Elsewhere(format!("{name} is {what}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRUB: &str = "/EFI/debian/grubx64.efi";
    const SHIM: &str = "/EFI/debian/shimx64.efi";

    fn partition(guid: &str) -> EfiPartition {
        EfiPartition {
            number: 15,
            guid: guid.into(),
            start: 8192,
            sectors: 65536,
        }
    }

    fn on(guid: &str, path: &str) -> Target {
        Target::Partition(guid.into(), Some(path.into()))
    }

    /// By `current`, of these in this order; on the disk are GRUB, shim and the fallback file.
    fn found(
        current: u16,
        once: Option<u16>,
        order: &[(u16, Target)],
    ) -> Result<Vec<String>, String> {
        let options = order.iter().map(|(number, target)| {
            let option = LoadOption {
                description: "x".into(),
                tried: *number < 0x100,
                target: target.clone(),
            };
            (*number, option)
        });
        let variables = Variables {
            current,
            once,
            order: order.iter().map(|(number, _)| *number).collect(),
            options: options.collect(),
        };
        let holding = |_: &EfiPartition, path: &str| Ok([GRUB, SHIM, FALLBACK].contains(&path));
        let disks = Disks {
            partitions: &[partition("a")],
            holding: &holding,
            elsewhere: &|guid| guid == "b",
        };
        let files = files(&variables, &disks)?;
        Ok(files.into_iter().map(|file| file.path).collect())
    }

    #[test]
    fn what_is_tried_first_is_what_started_the_machine_and_the_others_follow() {
        let grub = || (1, on("a", GRUB));
        for (current, order, expected) in [
            (1, vec![grub()], &[GRUB][..]),
            (1, vec![grub(), (2, on("a", SHIM))], &[GRUB, SHIM]),
            // Two variables of one file, one in other letters.
            (2, vec![grub(), (2, on("a", GRUB))], &[GRUB]),
            // Devices and partitions stand for the fallback file.
            (
                3,
                vec![(3, Target::Device(None)), grub()],
                &[FALLBACK, GRUB],
            ),
            (
                3,
                vec![(3, Target::Partition("a".into(), None))],
                &[FALLBACK],
            ),
            // What came before did not start it: networks, discs, what is not there, what a menu has.
            (
                1,
                vec![
                    (5, Target::Network),
                    (6, Target::Removable),
                    (7, on("a", "/EFI/gone.efi")),
                    (8, on("c", GRUB)),
                    (0x109, Target::Other("a program of the firmware's own")),
                    grub(),
                ],
                &[GRUB],
            ),
            // What comes behind does not matter.
            (
                1,
                vec![grub(), (8, on("b", GRUB)), (9, Target::Other("?"))],
                &[GRUB],
            ),
        ] {
            assert_eq!(found(current, None, &order).unwrap(), expected, "{order:?}");
        }
        // The one that started it, once more.
        assert_eq!(found(1, Some(1), &[grub()]).unwrap(), [GRUB]);
    }

    #[test]
    fn what_variables_name_of_a_further_disk_is_known_whether_it_is_tried_first_or_last() {
        let option = |target| LoadOption {
            description: "x".into(),
            tried: true,
            target,
        };
        let options = [
            (1, option(on("b", GRUB))),
            (2, option(on("a", GRUB))),
            (3, option(on("a", "/EFI/gone.efi"))),
            (4, option(Target::Device(None))),
            (5, option(on("a", GRUB))),
            (6, option(on("a", SHIM))),
        ];
        let variables = Variables {
            current: 1,
            once: None,
            order: vec![1, 2, 3, 4, 5, 6, 7],
            options: options.into(),
        };
        let holding = |_: &EfiPartition, path: &str| Ok([GRUB, SHIM, FALLBACK].contains(&path));
        let disks = Disks {
            partitions: &[partition("a")],
            holding: &holding,
            elsewhere: &|guid| guid == "b",
        };
        let files: Vec<_> = named(&variables, &disks)
            .into_iter()
            .map(|file| file.path)
            .collect();
        assert_eq!(files, [GRUB, SHIM]);
    }

    #[test]
    fn what_is_started_next_has_to_be_what_started_the_machine() {
        let grub = || (1, on("a", GRUB));
        let shim = || (2, on("a", SHIM));
        for (current, once, order, why) in [
            (
                2,
                None,
                vec![grub(), shim()],
                "start \\EFI\\debian\\grubx64.efi on partition 15 (Boot0001 (x)) next",
            ),
            (
                1,
                Some(2),
                vec![grub(), shim()],
                "BootNext has the firmware start Boot0002 (x) next",
            ),
            (
                0x101,
                None,
                vec![(0x101, on("a", GRUB))],
                "BootOrder does not have it",
            ),
            (
                1,
                None,
                vec![(8, on("b", GRUB)), grub()],
                "before Boot0001 (x)",
            ),
            (
                1,
                None,
                vec![(9, Target::Other("a disk in memory")), grub()],
                "is a disk in memory",
            ),
            (
                1,
                None,
                vec![(9, Target::Device(Some("/x.efi".into()))), grub()],
                "no partition",
            ),
            (
                5,
                None,
                vec![(5, Target::Network), grub()],
                "from the network",
            ),
            (
                6,
                None,
                vec![(6, Target::Removable), grub()],
                "a USB device",
            ),
            (
                8,
                None,
                vec![(8, on("b", GRUB))],
                "no EFI system partition of the root's disk",
            ),
            (7, None, vec![(7, on("a", "/x.efi"))], "not there"),
            (4, None, vec![grub()], "has no Boot0004"),
        ] {
            let found = found(current, once, &order).unwrap_err();
            assert!(found.contains(why), "{found}");
        }
    }

    /// A drive without a disc is named as a disk is.
    #[test]
    fn a_device_before_a_file_that_is_named_is_another() {
        let order = [(1, Target::Device(None)), (2, on("a", GRUB))];
        assert_eq!(found(2, None, &order).unwrap(), [GRUB]);
        let order = [(1, Target::Unknown), (2, on("a", GRUB))];
        assert_eq!(found(2, None, &order).unwrap(), [GRUB]);
        assert!(found(1, None, &order).unwrap_err().contains("not known"));
    }

    #[test]
    fn a_file_that_cannot_be_looked_for_is_no_file_that_is_not_there() {
        let options = [(
            1,
            LoadOption {
                description: "x".into(),
                tried: true,
                target: on("a", GRUB),
            },
        )];
        let variables = Variables {
            current: 1,
            once: None,
            order: vec![1],
            options: options.into(),
        };
        let disks = Disks {
            partitions: &[partition("a")],
            holding: &|_, _| Err("unread".into()),
            elsewhere: &|_| false,
        };
        assert_eq!(files(&variables, &disks).unwrap_err(), "unread");
    }
}
