//! `reroot unpack`: the parts of an image as files, for a boot server or a hand-made loader entry.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result};
use formats::trailer::PartKind;

use crate::cli;
use crate::failure::refusal;
use crate::image_file::{folder_of, ImageFile};
use crate::progress::{mib, step_of_bytes};

/// The file that a part is written to.
fn file_name(kind: PartKind) -> &'static str {
    match kind {
        PartKind::Payload => "payload.tar.zst",
        PartKind::Manifest => "manifest.json",
        PartKind::Launcher | PartKind::Kernel | PartKind::Initramfs => kind.name(),
    }
}

/// Writes the parts into a directory, which gets its name when all of them are there.
pub fn unpack(arguments: &cli::Unpack) -> Result<()> {
    let image = ImageFile::open(&arguments.file)
        .with_context(|| format!("unpack {}", arguments.file.display()))?;
    let target = &arguments.dir;
    require_absent_or_empty(target)?;
    let folder = folder_of(target);
    let partial = tempfile::Builder::new()
        .prefix(".reroot-")
        .tempdir_in(folder)
        .with_context(|| format!("make a directory in {}", folder.display()))?;
    let progress = step_of_bytes(
        &format!("unpacking {}", arguments.file.display()),
        image.length,
    );
    let mut written = Vec::new();
    for kind in PartKind::ALL {
        image.verify_part(kind, &|_| ())?;
        let name = file_name(kind);
        let path = target.join(name);
        let context = || format!("write {}", path.display());
        let mut file = File::create(partial.path().join(name)).with_context(context)?;
        let part = image.trailer.part(kind);
        let bytes = std::io::copy(&mut image.reader(part), &mut file).with_context(context)?;
        file.sync_all().with_context(context)?;
        progress.add(bytes);
        written.push(format!("{}: {}", path.display(), mib(bytes)));
    }
    let context = || format!("name the directory {}", target.display());
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(partial.path(), mode).with_context(context)?;
    std::fs::rename(partial.path(), target).with_context(context)?;
    // It has its name now; there is nothing left to remove.
    let _ = partial.keep();
    progress.done("done");
    println!("{}", written.join("\n"));
    Ok(())
}

fn require_absent_or_empty(target: &Path) -> Result<()> {
    let full = match std::fs::read_dir(target) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        Err(error) => return Err(error).with_context(|| format!("look at {}", target.display())),
    };
    if full {
        return Err(refusal(
            format!("{} is not empty", target.display()),
            "name a directory that is absent or empty",
        ));
    }
    Ok(())
}
