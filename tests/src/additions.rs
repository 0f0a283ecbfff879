//! What a machine may have beside what every machine has, and what QEMU is told of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use crate::disk::Disk;
use crate::lock::Lock;
use crate::outside::Outside;
use crate::recorder;

/// What the second serial line shows, in the machine's directory.
pub(crate) const SECOND_LINE: &str = "second-line.log";

/// The PCI slot of the first further disk; those below are for network cards.
const FIRST_DISK_SLOT: u8 = 16;

/// What a machine has beside what every machine has.
#[derive(Debug, Default)]
pub struct Additions {
    /// Further network cards, and what they are cabled to.
    pub outside: Option<Outside>,
    /// Further disks, `/dev/vdb` and on.
    pub disks: Vec<Disk>,
    /// A directory that the machine sees as a read-only FAT filesystem with the label `config-2`,
    /// on the disk behind the others.
    pub config_drive: Option<PathBuf>,
    /// The directory that the further disks are in, where it is to go with the machine.
    pub layers: Option<TempDir>,
    /// A file that every write to the root disk is recorded in; see `power.rs`.
    pub recording: Option<PathBuf>,
    /// The same for the first of the further disks.
    pub recording_of_further: Option<PathBuf>,
    /// A second serial line, whose text is kept; nobody types there.
    pub second_line: bool,
    /// Its place among the machines that run at a time, where it shares one; see `several.rs`.
    pub place: Option<Arc<Lock>>,
}

impl Additions {
    /// What QEMU is told of it. `directory` is the machine's.
    pub(crate) fn options(&self, directory: &Path) -> Vec<String> {
        let mut options = self
            .outside
            .as_ref()
            .map_or_else(Vec::new, Outside::options);
        if self.second_line {
            // Behind the console's own, which is the first.
            let log = directory.join(SECOND_LINE);
            options.extend([
                "-chardev".to_owned(),
                format!("file,id=second,path={}", log.display()),
                "-serial".to_owned(),
                "chardev:second".to_owned(),
            ]);
        }
        let recorded = &self.recording_of_further;
        if let (Some(disk), Some(log)) = (self.disks.first(), recorded) {
            let slot = FIRST_DISK_SLOT;
            let node = format!("disk{slot}");
            options.extend(recorder::nodes(&node, disk.path(), log));
            options.extend([
                "-device".to_owned(),
                format!("virtio-blk-pci,drive={node},addr={slot}"),
            ]);
        }
        let skip = usize::from(recorded.is_some());
        let drives = self
            .disks
            .iter()
            .skip(skip)
            .map(|disk| format!("format=qcow2,file={}", disk.path().display()))
            .chain(self.config_drive.iter().map(|directory| {
                format!(
                    "driver=vvfat,label=config-2,read-only=on,dir={}",
                    directory.display()
                )
            }));
        for (drive, slot) in drives.zip(FIRST_DISK_SLOT + skip as u8..) {
            options.extend([
                "-drive".to_owned(),
                format!("if=none,id=disk{slot},{drive}"),
                "-device".to_owned(),
                format!("virtio-blk-pci,drive=disk{slot},addr={slot}"),
            ]);
        }
        options
    }
}
