//! What LVM has written on a physical volume: its label, and in the group's metadata the number that counts
//! every change, which physical volumes there are, and which logical volumes wait to be asked for. Reads only, and
//! a part only: the rest of the metadata is LVM's affair, and what a volume is made of the kernel says (`logical`).
//!
//! By `lib/format_text/layout.h` and `lib/label/label.h` of LVM2.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Bytes from the start of a device in one of whose sectors the label is.
const LABEL_IN: usize = 4 * SECTOR;
const SECTOR: usize = 512;
const LABEL: &[u8] = b"LABELONE";
/// The kind of label that LVM has had since 2001.
const KIND: &[u8] = b"LVM2 001";
/// What a metadata area's header has behind its checksum.
const AREA: &[u8] = b" LVM2 x[5A%r0N*>";
/// Bytes of that header; the text begins over behind it when it has come to the area's end.
const AREA_HEADER: u64 = 512;
/// Bytes of a text that are looked at: more than an area has as a rule, and little enough to read.
const TEXT_MOST: u64 = 16 << 20;

/// What a physical volume says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Its UUID, without hyphens.
    pub uuid: String,
    /// Where its metadata areas begin, in bytes.
    areas: Vec<u64>,
}

/// The label of a device; `Ok(None)` where it is no physical volume.
pub fn label(node: &Path) -> io::Result<Option<Label>> {
    let mut head = vec![0; LABEL_IN];
    match File::open(node)?.read_exact_at(&mut head, 0) {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        read => read.map(|()| parse_label(&head)),
    }
}

/// A volume group, by its metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The number that counts every change (`seqno`).
    pub sequence: u64,
    /// The UUIDs of its physical volumes, without hyphens.
    pub volumes: Vec<String>,
    /// Its logical volumes.
    pub logical: Vec<Logical>,
}

/// A logical volume of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Logical {
    /// `GROUP/VOLUME`
    pub name: String,
    /// Without hyphens.
    pub uuid: String,
    /// What keeps it from being activated with its group; `None` where nothing does.
    pub kept_back: Option<KeptBack>,
}

/// Why a logical volume is not activated by whoever knows nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeptBack {
    /// `lvchange --setautoactivation n`
    Itself,
    /// `vgchange --setautoactivation n`
    WithGroup,
    /// `lvchange --setactivationskip y`
    Skipped,
    /// Its group is that of one system alone, lvmsystemid(7): `vgchange --systemid`
    OfOneSystem,
    /// Its group is shared by several machines, lvmlockd(8): `vgchange --lock-type`
    Shared,
}

/// How the metadata has [`KeptBack::Itself`], and of a group [`KeptBack::WithGroup`].
const NO_AUTOACTIVATION: &str = "\"NOAUTOACTIVATE\"";
/// The same of [`KeptBack::Skipped`].
const SKIPPED: &str = "\"ACTIVATION_SKIP\"";

/// What the newest metadata on a physical volume says of the group that it is in; `Ok(None)` where this one has none.
pub fn group(node: &Path, label: &Label) -> io::Result<Option<Group>> {
    let file = File::open(node)?;
    let mut found: Option<Group> = None;
    for area in &label.areas {
        let mut header = vec![0; AREA_HEADER as usize];
        file.read_exact_at(&mut header, *area)?;
        let Some((at, length)) = text_of(&header) else {
            continue;
        };
        let size = number(&header, 32).unwrap_or(0);
        // It may begin at the area's end and go on at its start.
        let whole = length.min(size).min(TEXT_MOST);
        let first = whole.min(size.saturating_sub(at));
        let mut text = vec![0; whole as usize];
        let (behind, over) = text.split_at_mut(first as usize);
        file.read_exact_at(behind, area + at)?;
        file.read_exact_at(over, area + AREA_HEADER)?;
        let text = String::from_utf8_lossy(&text);
        let newer = parse_group(&text)
            .filter(|group| found.as_ref().is_none_or(|f| f.sequence < group.sequence));
        found = newer.or(found);
    }
    Ok(found)
}

fn parse_label(head: &[u8]) -> Option<Label> {
    let sectors = head.chunks_exact(SECTOR);
    let at = sectors.enumerate().position(|(sector, bytes)| {
        bytes.starts_with(LABEL)
            && bytes.get(24..32) == Some(KIND)
            // It says in which sector it is: a copy of a disk's start within another device is none.
            && number(bytes, 8) == Some(sector as u64)
    })?;
    let label = head.get(at * SECTOR..(at + 1) * SECTOR)?;
    let offset = u32::from_le_bytes(label.get(20..24)?.try_into().ok()?) as usize;
    let body = label.get(offset..)?;
    let uuid = std::str::from_utf8(body.get(..32)?).ok()?;
    // Data areas and metadata areas, each list with zeros at its end.
    let mut lists = [Vec::new(), Vec::new()];
    let mut place = 40;
    for list in &mut lists {
        loop {
            let area = number(body, place)?;
            place += 16;
            if area == 0 {
                break;
            }
            list.push(area);
        }
    }
    let [_, areas] = lists;
    let plain = uuid.bytes().all(|byte| byte.is_ascii_alphanumeric());
    plain.then(|| Label {
        uuid: uuid.to_owned(),
        areas,
    })
}

/// Where an area's text begins, counted from the area, and how long it is.
fn text_of(header: &[u8]) -> Option<(u64, u64)> {
    if header.get(4..20) != Some(AREA) {
        return None;
    }
    let (at, length) = (number(header, 40)?, number(header, 48)?);
    (at >= AREA_HEADER && length > 0).then_some((at, length))
}

fn number(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at + 8)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

/// What a text says of a group; `None` where it does not say how often that was changed.
///
/// ```text
/// vg0 {
/// seqno = 4
/// flags = []
/// physical_volumes {
/// pv0 {
/// id = "Qk3bQ2-fUm0-dLr7-Wc1J-t5Zp-8Xn4-Vs6YaE"
/// }
/// }
/// logical_volumes {
/// root {
/// id = "ASJQHp-i1xi-W4nq-ThW7-EQRh-z10J-fboLUi"
/// flags = ["NOAUTOACTIVATE"]
/// ```
fn parse_group(text: &str) -> Option<Group> {
    let mut sequence = None;
    let mut volumes = Vec::new();
    let mut of_group = None;
    let mut logical: Vec<Logical> = Vec::new();
    let mut path: Vec<&str> = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_suffix('{') {
            path.push(name.trim());
            if let [group, "logical_volumes", volume] = path[..] {
                logical.push(Logical {
                    name: format!("{group}/{volume}"),
                    ..Logical::default()
                });
            }
            continue;
        }
        if line == "}" {
            path.pop();
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            continue;
        };
        let value = value.trim();
        let identifier = || value.trim_matches('"').replace('-', "");
        match (&path[..], key.trim()) {
            ([_], "seqno") => sequence = value.parse().ok(),
            ([_], "flags") if value.contains(NO_AUTOACTIVATION) => {
                of_group = of_group.or(Some(KeptBack::WithGroup));
            }
            ([_], "system_id") if value != "\"\"" => of_group = Some(KeptBack::OfOneSystem),
            ([_], "lock_type") if value != "\"none\"" => of_group = Some(KeptBack::Shared),
            ([_, "physical_volumes", _], "id") => volumes.push(identifier()),
            ([_, "logical_volumes", _], "id") => logical.last_mut()?.uuid = identifier(),
            ([_, "logical_volumes", _], "flags") => {
                let flags = [
                    (NO_AUTOACTIVATION, KeptBack::Itself),
                    (SKIPPED, KeptBack::Skipped),
                ];
                let by = flags.into_iter().find(|(flag, _)| value.contains(flag));
                logical.last_mut()?.kept_back = by.map(|(_, by)| by);
            }
            _ => {}
        }
    }
    for volume in &mut logical {
        volume.kept_back = of_group.or(volume.kept_back);
    }
    Some(Group {
        sequence: sequence?,
        volumes,
        logical,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "Qk3bQ2fUm0dLr7Wc1Jt5Zp8Xn4Vs6YaE";

    /// The first bytes of a physical volume with one area of metadata at 4096, whose text begins at `at`.
    fn volume(at: u64, text: &str) -> tempfile::NamedTempFile {
        let size = 16384;
        let file = tempfile::NamedTempFile::new().unwrap();
        let put = |at: u64, bytes: &[u8]| file.as_file().write_all_at(bytes, at).unwrap();
        file.as_file().set_len(1 << 20).unwrap();
        put(512, LABEL);
        put(520, &1_u64.to_le_bytes());
        put(532, &32_u32.to_le_bytes());
        put(536, KIND);
        put(544, UUID.as_bytes());
        let numbers = [1_u64 << 20, 1 << 20, 0, 0, 0, 4096, size, 0, 0];
        for (index, number) in numbers.iter().enumerate() {
            put(576 + 8 * index as u64, &number.to_le_bytes());
        }
        put(4096 + 4, AREA);
        for (place, number) in [(24, 4096), (32, size), (40, at), (48, text.len() as u64)] {
            put(4096 + place, &number.to_le_bytes());
        }
        let (behind, over) = text
            .as_bytes()
            .split_at(text.len().min((size - at) as usize));
        put(4096 + at, behind);
        put(4096 + AREA_HEADER, over);
        file
    }

    /// As vgcreate of Debian 13 writes it, shortened.
    const TEXT: &str = r#"vg0 {
id = "g1"
seqno = 42
format = "lvm2"
flags = []

physical_volumes {

pv0 {
id = "Qk3bQ2-fUm0-dLr7-Wc1J-t5Zp-8Xn4-Vs6YaE"
device = "/dev/vda5"

status = ["ALLOCATABLE"]
}

pv1 {
id = "aaaaaa-bbbb-cccc-dddd-eeee-ffff-gggggg"
device = "/dev/vdb1"

flags = ["MISSING"]
}
}

logical_volumes {

root {
id = "ASJQHp-i1xi-W4nq-ThW7-EQRh-z10J-fboLUi"
status = ["READ", "WRITE", "VISIBLE"]
flags = []
segment1 {
start_extent = 0
type = "striped"
stripes = [
"pv0", 0
]
}
}

quiet {
id = "VtpmYd-YSvt-nUVk-DIyw-9dUa-vqWq-k7C8EM"
status = ["READ", "WRITE", "VISIBLE"]
flags = ["NOAUTOACTIVATE"]
creation_time = 1796044181	# 2026-11-30
}

skipped {
id = "Zimwmv-XPtT-fH5q-Oup7-j2qI-QZNk-t5hUeY"
status = ["READ", "WRITE", "VISIBLE"]
flags = ["ACTIVATION_SKIP"]
}
}

}
# Generated by LVM2 version 2.03.31(2)

contents = "Text Format Volume Group"
"#;

    #[test]
    fn a_physical_volume_says_which_it_is_and_how_often_its_group_was_changed() {
        // At the start, in the middle, and over the end of the area.
        for at in [512, 5000, 16384 - 20] {
            let file = volume(at, TEXT);
            let label = label(file.path()).unwrap().unwrap();
            assert_eq!((&*label.uuid, &label.areas[..]), (UUID, &[4096][..]));
            let group = group(file.path(), &label).unwrap().unwrap();
            assert_eq!(group.sequence, 42, "{at}");
            let others = "aaaaaabbbbccccddddeeeeffffgggggg".to_owned();
            assert_eq!(group.volumes, [UUID.to_owned(), others], "{at}");
        }
    }

    #[test]
    fn a_logical_volume_that_waits_to_be_asked_for_is_known() {
        let quiet = "VtpmYdYSvtnUVkDIyw9dUavqWqk7C8EM";
        let skipped = "ZimwmvXPtTfH5qOup7j2qIQZNkt5hUeY";
        let found = |text: &str| -> Vec<(String, String, KeptBack)> {
            let all = parse_group(text).unwrap().logical.into_iter();
            all.filter_map(|volume| Some((volume.name, volume.uuid, volume.kept_back?)))
                .collect()
        };
        let of = |name: &str, uuid: &str, by| (format!("vg0/{name}"), uuid.to_owned(), by);
        assert_eq!(
            found(TEXT),
            [
                of("quiet", quiet, KeptBack::Itself),
                of("skipped", skipped, KeptBack::Skipped)
            ]
        );
        let all = found(&TEXT.replacen("flags = []", "flags = [\"NOAUTOACTIVATE\"]", 1));
        assert_eq!(all.len(), 3);
        assert!(all.iter().all(|(_, _, by)| *by == KeptBack::WithGroup));
        // As vgchange writes them, above the flags.
        for (line, by) in [
            ("system_id = \"shop1\"", KeptBack::OfOneSystem),
            ("lock_type = \"sanlock\"", KeptBack::Shared),
        ] {
            let all = found(&TEXT.replacen("flags = []", &format!("{line}\nflags = []"), 1));
            assert!(all.iter().all(|(_, _, found)| *found == by), "{line}");
        }
        let none = found(&TEXT.replacen("flags = []", "lock_type = \"none\"\nflags = []", 1));
        assert_eq!(none, found(TEXT));
    }

    #[test]
    fn a_text_that_does_not_say_how_often_it_was_changed_is_none() {
        for text in ["", "vg0 {", "}}}", "vg0 {\nseqno = x\n}", "seqno = 4"] {
            assert_eq!(parse_group(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_label_is_none() {
        let file = volume(512, TEXT);
        let put = |at: u64, bytes: &[u8]| file.as_file().write_all_at(bytes, at).unwrap();
        put(520, &2_u64.to_le_bytes());
        assert_eq!(label(file.path()).unwrap(), None);
        put(520, &1_u64.to_le_bytes());
        put(544, b"\0");
        assert_eq!(label(file.path()).unwrap(), None);
        let short = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(label(short.path()).unwrap(), None);
    }

    #[test]
    fn a_volume_without_metadata_of_its_own_says_nothing_of_its_group() {
        let file = volume(512, TEXT);
        file.as_file().write_all_at(&[0; 16], 4096 + 4).unwrap();
        let label = label(file.path()).unwrap().unwrap();
        assert_eq!(group(file.path(), &label).unwrap(), None);
    }
}
