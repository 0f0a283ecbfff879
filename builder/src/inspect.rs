//! `reroot inspect`: what an image contains, for people or as JSON.

use std::fmt::Write;
use std::io::Read;

use anyhow::{Context, Result};
use formats::counted::counted;
use formats::manifest::Manifest;
use formats::trailer::{PartKind, TRAILER_VERSION};

use crate::cli;
use crate::image_file::ImageFile;
use crate::narrow;
use crate::progress::mib;

/// Prints what an image contains.
pub fn inspect(arguments: &cli::Inspect) -> Result<()> {
    let context = || format!("inspect {}", arguments.file.display());
    let image = ImageFile::open(&arguments.file).with_context(context)?;
    let manifest = image.manifest().with_context(context)?;
    let word = has_word(&image).with_context(context)?;
    if arguments.json {
        let json = json(&image, &manifest, word);
        let text = serde_json::to_string_pretty(&json).with_context(context)?;
        println!("{text}");
    } else {
        print!("{}", text(&image, &manifest, word));
    }
    Ok(())
}

/// Whether shells of 32-bit kernels find a word in it.
fn has_word(image: &ImageFile) -> Result<bool> {
    let launcher = image.trailer.part(PartKind::Launcher);
    let mut head = Vec::new();
    let mut start = image.reader(launcher).take(HEADER);
    start.read_to_end(&mut head).context("read its header")?;
    Ok(narrow::has_word(&head))
}

/// Bytes of an ELF header's identification.
const HEADER: u64 = 16;

fn json(image: &ImageFile, manifest: &Manifest, word: bool) -> serde_json::Value {
    let parts: Vec<_> = PartKind::ALL
        .into_iter()
        .map(|kind| {
            let part = image.trailer.part(kind);
            serde_json::json!({
                "name": kind.name(),
                "offset": part.offset,
                "length": part.length,
                "digest": part.digest,
            })
        })
        .collect();
    serde_json::json!({
        "kind": "reroot-inspect",
        "version": 1,
        "format": TRAILER_VERSION,
        "length": image.length,
        "word_for_32_bit": word.then(narrow::word),
        "parts": parts,
        "manifest": manifest,
    })
}

fn text(image: &ImageFile, manifest: &Manifest, word: bool) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{name:<12}{value}");
    };
    let payload = &manifest.payload;
    let list = |items: Vec<&str>| {
        if items.is_empty() {
            "none".into()
        } else {
            items.join(" ")
        }
    };
    line(
        "image",
        &format!(
            "{}, format {TRAILER_VERSION}, by {}",
            manifest.name, manifest.built_by
        ),
    );
    line(
        "new OS",
        &format!("{}, {}", manifest.os.pretty_name, manifest.architecture),
    );
    line(
        "32-bit",
        &if word {
            format!("a shell there says {:?}", narrow::word())
        } else {
            "no word for a shell there; built by an earlier release".to_owned()
        },
    );
    line("kernel", &manifest.kernel.release);
    line(
        "drivers",
        &format!(
            "{} in the RAM environment or its kernel",
            manifest.kernel.drivers.len()
        ),
    );
    if let Some(own) = &manifest.payload_drivers {
        let lacking: Vec<&str> = own
            .firmware
            .iter()
            .filter(|found| found.is_fatal())
            .map(|found| found.driver.as_str())
            .collect();
        line(
            "  new OS",
            &format!("{} in its kernel and modules", own.modules.len()),
        );
        line("  firmware", &format!("none for {}", list(lacking)));
    }
    line(
        "consoles",
        &list(manifest.boot.consoles.iter().map(String::as_str).collect()),
    );
    line(
        "keep list",
        &list(
            manifest
                .keep
                .iter()
                .map(formats::keep::KeepPath::as_str)
                .collect(),
        ),
    );
    line(
        "new root",
        &format!(
            "{}, {} on the disk, {}",
            counted(payload.entries, "entry", "entries"),
            mib(payload.disk_bytes),
            counted(payload.frames.len() as u64, "frame", "frames")
        ),
    );
    line(
        "in memory",
        &format!("{} of initramfs", mib(manifest.initramfs.unpacked_bytes)),
    );
    line(
        "ssh in RAM",
        &manifest.initramfs.ssh.map_or("none".to_owned(), |ssh| {
            format!(
                "{} of initramfs more, {} packed",
                mib(ssh.unpacked_bytes),
                mib(ssh.packed_bytes)
            )
        }),
    );
    line("size", &mib(image.length));
    for kind in PartKind::ALL {
        let part = image.trailer.part(kind);
        line(
            &format!("  {}", kind.name()),
            &format!(
                "{:>11}  at {:>11}  {}",
                mib(part.length),
                part.offset,
                part.digest
            ),
        );
    }
    out
}
