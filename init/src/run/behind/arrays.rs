//! The names of the machine's arrays, for the new OS: without a line of its own each would get a number of the
//! moment, and the initrd that the new OS makes next would not know it.

use std::fmt::Write as _;
use std::fs;

use anyhow::{Context, Result};
use formats::facts::Array;
use formats::tools::MDADM;
use tree::Gate;

use crate::root::target;
use crate::run::data::Run;

const DIRECTORY: &str = "/etc/mdadm";
const FILE: &str = "/etc/mdadm/mdadm.conf";

/// Adds a line for each to the payload's own configuration of mdadm. Where that is kept, it has them already.
pub fn name(run: &Run, gate: &Gate) -> Result<()> {
    let arrays = &run.plan.arrays;
    let has_mdadm = run
        .manifest
        .tools
        .programs
        .iter()
        .any(|program| program == MDADM);
    if arrays.is_empty() || !has_mdadm || gate.is_kept(FILE) {
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

#[cfg(test)]
mod tests {
    use super::*;

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
