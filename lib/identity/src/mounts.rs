//! The mounts and the swap space of the old fstab(5) that are not the root, for the new OS.
//!
//! A device is named by what is on it (`UUID=`), for its node may get another name; but a logical volume that the initrd
//! mounts by its own name, see `source`. What would keep the new OS from booting is refused: a device that cannot be found, a filesystem that the kernel
//! cannot mount, an option that nothing knows. What the old OS would not have waited for either
//! (`noauto`, `nofail`) becomes a comment instead.

use super::fstab::{self, Fields};
use super::mount_options::{translate, Translated};
use formats::facts::RootIdentity;
use formats::filesystems::{contents, Contents};
use formats::identity::{DeviceFacts, NewIdentity, OldIdentity, PlannedMount};
use formats::keep::is_below;
use formats::keep::Reach::{self, Below, Exactly};
use formats::keep::SITE;
use formats::printable;

/// Where an OS has memory mounted for itself.
const OS_TMPFS: [&str; 8] = [
    "/run",
    "/var/run",
    "/var/lock",
    "/dev",
    "/lib/init/rw",
    "/dev/hugepages",
    "/proc",
    "/sys",
];

/// Where a mount would hide what belongs to the new OS. Below these it would hide a part of that: settings that the run
/// has proved, programs, who may log in.
#[rustfmt::skip]
const COVERS: [(&str, Reach); 17] = [
    ("/bin",             Below),
    ("/dev",             Exactly),
    ("/etc",             Below),
    ("/lib",             Below),
    ("/lib32",           Below),
    ("/lib64",           Below),
    ("/libx32",          Below),
    ("/proc",            Exactly),
    ("/root",            Below),
    ("/run",             Exactly),
    ("/sbin",            Below),
    ("/sys",             Exactly),
    ("/usr",             Below),
    ("/var",             Exactly),
    ("/var/lib",         Exactly),
    ("/var/lib/dpkg",    Below),
    ("/var/lib/systemd", Below),
];

/// Whether what is mounted there would hide what belongs to the new OS.
fn covers(target: &str) -> bool {
    let hides = |(place, reach): &(&str, Reach)| reach.has(place, target);
    let of_site = SITE.iter().any(|site| is_below(target, site));
    COVERS.iter().any(hides) && !of_site
}

/// Its filesystem is not needed.
const BOOT: &str = "/boot";

/// What an initrd mounts beside the root, by its line of the root's fstab.
pub const MOUNTED_BY_INITRD: &str = "/usr";

/// Filesystems that every kernel has.
const EVERYWHERE: [&str; 4] = ["tmpfs", "ramfs", "swap", "none"];

/// Where the device-mapper's devices have their names, and what udev calls those of LVM.
const MAPPED: &str = "/dev/mapper/";
const LOGICAL_VOLUME: &str = "/dev/disk/by-id/dm-uuid-LVM-";

/// Tags that name a device by what is on it or around it.
const TAGS: [&str; 5] = ["UUID", "LABEL", "PARTUUID", "PARTLABEL", "ID"];

/// What becomes of the old lines.
#[derive(Default)]
pub(super) struct Mounts {
    /// Lines of the new fstab.
    pub(super) lines: Vec<String>,
    /// What they mount.
    pub(super) planned: Vec<PlannedMount>,
    /// What to know.
    pub(super) notes: Vec<String>,
    /// Lines that cannot be carried, with the reason.
    pub(super) refused: Vec<String>,
}

/// What becomes of a line that has fields.
enum Outcome {
    /// It is carried; the text says what could not be kept of it.
    Carried(Fields),
    /// It goes, for this reason; nothing is lost.
    Gone(String),
    /// It cannot be carried, for this reason.
    Not(String),
}

/// What the new OS's fstab calls the filesystem with this UUID that is mounted at `target`, on a logical volume that the
/// device-mapper calls by this name, if it is on one.
///
/// An initrd of Debian's up to 11 puts together a volume that it has the name of, and none for a UUID; from 12 on udev
/// does, and either is found.
fn source(target: &str, uuid: &str, logical: Option<&str>) -> String {
    match logical {
        Some(name) if target == MOUNTED_BY_INITRD => format!("/dev/mapper/{name}"),
        _ => format!("UUID={uuid}"),
    }
}

/// What it calls a filesystem that is wiped with the root.
pub fn source_of(target: &str, identity: &RootIdentity) -> String {
    let logical = identity.logical.as_ref().map(|volume| volume.name.as_str());
    source(target, &identity.fs_uuid, logical)
}

/// Whether two of these are the same: of a UUID the case is of no matter.
pub fn is_same_source(one: &str, other: &str) -> bool {
    one == other || one.starts_with("UUID=") && one.eq_ignore_ascii_case(other)
}

/// Decides about every line.
///
/// `systems` are where filesystems are mounted that the new OS is unpacked on, beside the root: it does not do
/// without any of them.
pub(super) fn mounts(
    old: &OldIdentity,
    new: &NewIdentity,
    root_uuid: &str,
    systems: &[&str],
) -> Mounts {
    let mut out = Mounts::default();
    let mut seen: Vec<(usize, Fields)> = Vec::new();
    for line in fstab::parse(&old.fstab) {
        let place = format!("line {} of /etc/fstab ({})", line.number, shown(&line.text));
        let fields = match line.fields {
            Ok(fields) => fields,
            Err(why) => {
                out.notes.push(format!("{place} is left out: {why}"));
                continue;
            }
        };
        if fields.target == "/" || fields.fstype == "ignore" {
            continue;
        }
        let at_boot = !fields.has("noauto");
        let may_fail = ["nofail", "nobootwait", "optional"]
            .map(|o| fields.has(o))
            .contains(&true);
        let of_system = systems.contains(&fields.target.as_str());
        match decide(&fields, old, new, root_uuid, systems) {
            Outcome::Not(why) if of_system => out.refused.push(format!(
                "{place}: {why}; the new OS is unpacked there and has to mount it: mend the line"
            )),
            Outcome::Gone(why) => out.notes.push(format!("{place} is left out: {why}")),
            Outcome::Not(why) if at_boot && !may_fail => {
                out.refused.push(format!(
                    "{place}: {why}; take the line out, or add `nofail` if the machine can do without"
                ));
            }
            Outcome::Not(why) => {
                out.notes
                    .push(format!("{place} is carried as a comment: {why}"));
                out.lines.push(format!("# {}", shown(&line.text)));
            }
            Outcome::Carried(fields) => {
                let twin = seen.iter().find(|(_, other)| {
                    at_boot && fields.target.starts_with('/') && other.target == fields.target
                });
                match twin {
                    Some((first, other)) if other.source == fields.source => {
                        out.notes
                            .push(format!("{place} is left out: line {first} says the same"));
                        continue;
                    }
                    Some((first, _)) => {
                        out.refused.push(format!(
                            "{place}: line {first} mounts something else at {}; take one of them out",
                            fields.target
                        ));
                        continue;
                    }
                    None => {}
                }
                out.planned.push(PlannedMount {
                    source: fields.source.clone(),
                    target: fields.target.clone(),
                    fstype: fields.fstype.clone(),
                    required: at_boot && !fields.has("nofail"),
                    checked: fields.pass != "0",
                });
                out.lines.push(fields.line());
                if at_boot {
                    seen.push((line.number, fields));
                }
            }
        }
    }
    for target in systems {
        let at_boot = out
            .planned
            .iter()
            .any(|m| m.target == *target && m.required);
        let refused = out
            .refused
            .iter()
            .any(|line| line.contains(&format!("{target} ")));
        if !at_boot && !refused {
            out.refused.push(format!(
                "{target} is mounted, and /etc/fstab does not mount it at every boot, although the new OS is \
                 unpacked there; add a line for it, without `noauto` and `nofail`"
            ));
        }
    }
    out
}

fn decide(
    fields: &Fields,
    old: &OldIdentity,
    new: &NewIdentity,
    root_uuid: &str,
    systems: &[&str],
) -> Outcome {
    let mut fields = fields.clone();
    let of_system = systems.contains(&fields.target.as_str());
    let of = contents(&fields.fstype, &fields.source);
    if of == Contents::Kernel {
        return Outcome::Gone(format!("the new OS mounts {} by itself", fields.fstype));
    }
    if of == Contents::Memory && OS_TMPFS.iter().any(|own| is_below(&fields.target, own)) {
        return Outcome::Gone(format!("the new OS mounts {} by itself", fields.target));
    }
    let swap = fields.fstype == "swap";
    if swap {
        "none".clone_into(&mut fields.target);
    } else if !fields.target.starts_with('/') || fields.target.split('/').any(|name| name == "..") {
        return Outcome::Not(format!("{:?} is no place to mount at", fields.target));
    } else if fields.target == BOOT {
        return Outcome::Gone(
            "the new OS has its /boot on the root filesystem; what is on the old one stays there"
                .to_owned(),
        );
    } else if covers(&fields.target) && !of_system {
        return Outcome::Not(format!("it would hide the new OS's own {}", fields.target));
    }
    if let Some(why) = settle_source(&mut fields, old, root_uuid, systems) {
        return why;
    }
    if let Some(why) = settle_type(&fields, new) {
        return Outcome::Not(why);
    }
    if let Some(file) = credentials(&fields).filter(|file| !has(old, file)) {
        return Outcome::Not(format!(
            "it needs {file}, which neither the keep list nor the carry list names"
        ));
    }
    let mut options: Vec<String> = Vec::new();
    for option in &fields.options {
        match translate(&fields.fstype, option) {
            Translated::As(text) if options.contains(&text) => {}
            Translated::As(text) => options.push(text),
            Translated::Dropped => {}
            Translated::Unknown => {
                return Outcome::Not(format!(
                    "{} has no option `{option}` in the new OS",
                    fields.fstype
                ))
            }
        }
    }
    if fields.target == MOUNTED_BY_INITRD {
        // They are systemd's, and the initrd's own mount gives all that it does not know to the kernel, which refuses it.
        options.retain(|option| !option.starts_with("x-") && !option.starts_with("X-"));
    }
    fields.options = options;
    Outcome::Carried(fields)
}

/// Names a device by its UUID, and its filesystem by its type. Gives the outcome where the line
/// is done with.
fn settle_source(
    fields: &mut Fields,
    old: &OldIdentity,
    root_uuid: &str,
    systems: &[&str],
) -> Option<Outcome> {
    let swap = fields.fstype == "swap";
    if is_device(&fields.source) {
        let device = match find(&fields.source, &old.devices) {
            Ok(device) => device,
            Err(why) => return Some(Outcome::Not(why)),
        };
        let name = match name_of(&fields.target, device, &old.devices) {
            Ok(name) => name,
            Err(why) => return Some(Outcome::Not(why)),
        };
        let uuid = device.uuid.as_deref().unwrap_or_default();
        if swap && uuid.eq_ignore_ascii_case(root_uuid) {
            return Some(Outcome::Not("it is the root filesystem".to_owned()));
        }
        let found = device.fstype.as_deref();
        if fields.fstype == "auto" || fields.fstype.contains(',') {
            match found {
                Some(found) => found.clone_into(&mut fields.fstype),
                None => {
                    return Some(Outcome::Not(format!(
                        "what is on {} is not known",
                        device.node
                    )))
                }
            }
        } else if swap != (found == Some("swap")) && found.is_some() {
            let found = found.unwrap_or_default();
            return Some(Outcome::Not(format!("there is {found} on {}", device.node)));
        }
        fields.source = name;
        return None;
    }
    if !fields.source.starts_with('/') || fields.source.starts_with("//") {
        return None;
    }
    // A file or a directory of the old OS.
    if old.keeps(&fields.source) || elsewhere(old, &fields.source, systems) {
        return None;
    }
    let source = &fields.source;
    if swap {
        return Some(Outcome::Gone(format!(
            "the swap file {source} goes with the old OS"
        )));
    }
    (fields.is_bind()
        || fields
            .options
            .iter()
            .any(|o| o == "loop" || o.starts_with("loop=")))
    .then(|| {
        Outcome::Not(format!(
            "{source} is not kept, and is wiped: keep it with --keep if it holds data"
        ))
    })
}

/// What the new OS knows a device by: the UUID of what is on it, where nothing else has that. Of two that have it, a
/// volume and its snapshot, a disk and its copy, whichever appeared first would be mounted.
fn name_of(target: &str, device: &DeviceFacts, devices: &[DeviceFacts]) -> Result<String, String> {
    let twins = |of: fn(&DeviceFacts) -> &Option<String>| -> Vec<&DeviceFacts> {
        let is_same = |other: &&DeviceFacts| {
            let (own, found) = (of(device).as_deref(), of(other).as_deref());
            other.node != device.node
                && own.is_some_and(|own| found.is_some_and(|f| f.eq_ignore_ascii_case(own)))
        };
        devices.iter().filter(is_same).collect()
    };
    let same = twins(|device| &device.uuid);
    match &device.uuid {
        Some(uuid) if same.is_empty() || are_of_one_filesystem(device, &same) => {
            return Ok(source(target, uuid, device.logical.as_deref()));
        }
        _ => {}
    }
    // A FAT without a serial number has the name of its partition, which stays what it is.
    if let Some(partition) = device
        .part_uuid
        .as_ref()
        .filter(|_| twins(|d| &d.part_uuid).is_empty())
    {
        return Ok(format!("PARTUUID={partition}"));
    }
    let Some(twin) = same.first() else {
        return Err(format!("what is on {} has no UUID", device.node));
    };
    // That of a logical volume is made of its group's name and its own.
    let is_volume = device
        .links
        .iter()
        .any(|link| link.starts_with(LOGICAL_VOLUME));
    let mut mapped = device.links.iter().filter(|link| link.starts_with(MAPPED));
    mapped.next().filter(|_| is_volume).cloned().ok_or_else(|| {
        format!(
            "{} has the same UUID as {}, and nothing else tells them apart at every boot; give the copy another one",
            twin.node, device.node
        )
    })
}

/// Whether a device and those that have its UUID too are together one filesystem, each a part of it.
fn are_of_one_filesystem(device: &DeviceFacts, same: &[&DeviceFacts]) -> bool {
    let mut members: Vec<_> = same.iter().map(|other| &other.member).collect();
    members.push(&device.member);
    members.sort();
    let number = members.len();
    members.dedup();
    members.len() == number && members.iter().all(|member| member.is_some())
}

/// Why the new OS cannot mount this type.
fn settle_type(fields: &Fields, new: &NewIdentity) -> Option<String> {
    let fstype = fields.fstype.as_str();
    // One driver mounts all three since 4.3.
    let ext = ["ext2", "ext3"].contains(&fstype) && new.can_mount("ext4");
    let nfs = fstype == "nfs4" && new.can_mount("nfs");
    let there =
        fields.is_bind() || EVERYWHERE.contains(&fstype) || new.can_mount(fstype) || ext || nfs;
    (!there).then(|| format!("the new OS cannot mount {fstype:?}"))
}

/// The file with the name and the password for a share.
fn credentials(fields: &Fields) -> Option<&str> {
    let of = |option: &'static str| {
        fields
            .options
            .iter()
            .find_map(move |o| o.strip_prefix(option))
    };
    of("credentials=").or_else(|| of("cred="))
}

fn is_device(source: &str) -> bool {
    source.starts_with("/dev/")
        || source
            .split_once('=')
            .is_some_and(|(tag, _)| TAGS.contains(&tag))
}

/// The one device that a source names.
fn find<'a>(source: &str, devices: &'a [DeviceFacts]) -> Result<&'a DeviceFacts, String> {
    let same = |field: &Option<String>, value: &str| {
        field
            .as_ref()
            .is_some_and(|f| f.eq_ignore_ascii_case(value))
    };
    let linked = |device: &DeviceFacts, folder: &str, value: &str| {
        device.links.iter().any(|link| {
            link.strip_prefix("/dev/disk/")
                .and_then(|rest| rest.strip_prefix(folder)?.strip_prefix('/'))
                .is_some_and(|name| name == value || udev_text(name) == value)
        })
    };
    let value_of = |tag: &str, folder: &str| {
        let path = source
            .strip_prefix("/dev/disk/")
            .and_then(|rest| rest.strip_prefix(folder)?.strip_prefix('/'));
        let tagged = source
            .split_once('=')
            .filter(|(found, _)| *found == tag)
            .map(|(_, value)| value.to_owned());
        path.map(udev_text).or(tagged)
    };
    let found: Vec<&DeviceFacts> = if let Some(uuid) = value_of("UUID", "by-uuid") {
        devices.iter().filter(|d| same(&d.uuid, &uuid)).collect()
    } else if let Some(label) = value_of("LABEL", "by-label") {
        devices
            .iter()
            .filter(|d| d.label.as_deref() == Some(&label))
            .collect()
    } else if let Some(uuid) = value_of("PARTUUID", "by-partuuid") {
        devices
            .iter()
            .filter(|d| same(&d.part_uuid, &uuid))
            .collect()
    } else if let Some(label) = value_of("PARTLABEL", "by-partlabel") {
        devices
            .iter()
            .filter(|d| linked(d, "by-partlabel", &label))
            .collect()
    } else if let Some(id) = value_of("ID", "by-id") {
        devices.iter().filter(|d| linked(d, "by-id", &id)).collect()
    } else {
        let named = |d: &&DeviceFacts| d.node == source || d.links.iter().any(|l| l == source);
        devices.iter().filter(named).collect()
    };
    match found.as_slice() {
        [one] => Ok(one),
        [] => Err(format!("no device is {source}")),
        [first, others @ ..] if are_of_one_filesystem(first, others) => Ok(first),
        many => {
            let nodes: Vec<_> = many.iter().map(|d| d.node.as_str()).collect();
            Err(format!(
                "{source} is more than one device: {}",
                nodes.join(", ")
            ))
        }
    }
}

/// A name in /dev/disk without udev's `\x20` and the like.
fn udev_text(name: &str) -> String {
    let mut out = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = after
            .strip_prefix(b"x")
            .filter(|_| first == b'\\')
            .and_then(|digits| std::str::from_utf8(digits.get(..2)?).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if let Some(byte) = hex {
            out.push(byte);
            rest = &after[3..];
        } else {
            out.push(first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// A line as it can be shown and written behind `#`.
fn shown(text: &str) -> String {
    printable::line(text).into_owned()
}

/// Is a file of the old OS there in the new one?
fn has(old: &OldIdentity, path: &str) -> bool {
    old.keeps(path) || old.copied.iter().any(|copied| is_below(path, copied))
}

/// Is a path of the old OS on a filesystem that fstab mounts, and that is not wiped as the root is?
fn elsewhere(old: &OldIdentity, path: &str, systems: &[&str]) -> bool {
    let lines = fstab::parse(&old.fstab).into_iter();
    let above = lines.filter_map(|line| line.fields.ok()).filter(|f| {
        f.target != "/"
            && f.target.starts_with('/')
            && f.source != path
            && !f.is_bind()
            && is_below(path, &f.target)
    });
    let on = above.max_by_key(|f| f.target.len());
    on.is_some_and(|f| !systems.contains(&f.target.as_str()))
}
