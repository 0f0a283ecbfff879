//! The names of the machine's arrays, for the new OS: without a line of its own each would get a number of the
//! moment, and the initrd that the new OS makes next would not know it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use formats::facts::{Array, ArrayIdentity};
use formats::tools::MDADM;
use tree::Gate;

use crate::root::target;
use crate::run::data::Run;

const DIRECTORY: &str = "/etc/mdadm";
const FILE: &str = "/etc/mdadm/mdadm.conf";

/// Adds a line for each to the payload's own configuration of mdadm. Where that is kept, it has them already.
pub fn name(run: &Run, gate: &Gate) -> Result<()> {
    let arrays = &run.plan.arrays;
    if arrays.is_empty() || !run.manifest.tools.has(MDADM) || gate.is_kept(FILE) {
        return Ok(());
    }
    let path = target::at(FILE);
    let before = match fs::read_to_string(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
        other => other.with_context(|| format!("read {}", path.display()))?,
    };
    gate.make_directories(DIRECTORY)?;
    gate.write(FILE, text(&before, arrays).as_bytes(), 0o644)?;
    log::info!("wrote {FILE}");
    Ok(())
}

/// What is there, and behind it a line for each array that it does not name yet.
fn text(before: &str, arrays: &[Array]) -> String {
    let mut text = before.to_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    for Array {
        node,
        metadata,
        uuid,
    } in arrays.iter().filter(|array| !before.contains(&array.uuid))
    {
        let _ = writeln!(text, "ARRAY {node} metadata={metadata} UUID={uuid}");
    }
    text
}

/// Where mdadm of the new OS looks up an array that nothing of its own has put together; memory, as long as
/// programs are called in its root.
const MAP: &str = "/run/mdadm/map";

/// Tells mdadm of the root's mirror, which GRUB's programs ask for its UUID: by itself it may not ask the array,
/// for the programs called here cannot do everything that root can.
pub fn tell_of_root(run: &Run) -> Result<()> {
    let Some(array) = &run.plan.root.array else {
        return Ok(());
    };
    let line = map_line(array, &run.root.device);
    let path = target::at(MAP);
    let directory = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(directory).with_context(|| format!("make {}", directory.display()))?;
    fs::write(&path, line).with_context(|| format!("write {}", path.display()))
}

/// A line of that file: name, metadata, UUID, node. The UUID is of four numbers of the processor's, where
/// metadata of version 1 has sixteen bytes.
fn map_line(array: &ArrayIdentity, node: &Path) -> String {
    let swapped = |word: &str| -> String {
        let bytes = word.as_bytes().chunks(2).rev();
        bytes.map(String::from_utf8_lossy).collect()
    };
    let uuid = match &array.metadata[..] {
        "0.90" => array.uuid.clone(),
        _ => array
            .uuid
            .split(':')
            .map(swapped)
            .collect::<Vec<_>>()
            .join(":"),
    };
    let name = node.file_name().unwrap_or_default().to_string_lossy();
    format!("{name} {} {uuid} {}\n", array.metadata, node.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_has_the_uuid_as_the_processors_numbers() {
        let array = |metadata: &str| ArrayIdentity {
            uuid: "8aa7b4de:01020304:a0b0c0d0:0000ff01".to_owned(),
            metadata: metadata.to_owned(),
            members: vec![],
        };
        let line = |metadata| map_line(&array(metadata), Path::new("/dev/md127"));
        assert_eq!(
            line("1.2"),
            "md127 1.2 deb4a78a:04030201:d0c0b0a0:01ff0000 /dev/md127\n"
        );
        assert_eq!(
            line("0.90"),
            "md127 0.90 8aa7b4de:01020304:a0b0c0d0:0000ff01 /dev/md127\n"
        );
    }

    #[test]
    fn every_array_has_one_line_however_often_it_is_written() {
        let array = |node: &str, uuid: &str| Array {
            node: node.to_owned(),
            metadata: "1.2".to_owned(),
            uuid: uuid.to_owned(),
        };
        let arrays = [array("/dev/md0", "a:b:c:d"), array("/dev/md1", "e:f:0:1")];
        let first = text("MAILADDR root", &arrays);
        assert_eq!(
            first,
            "MAILADDR root\nARRAY /dev/md0 metadata=1.2 UUID=a:b:c:d\n\
             ARRAY /dev/md1 metadata=1.2 UUID=e:f:0:1\n"
        );
        assert_eq!(text(&first, &arrays), first);
    }
}
