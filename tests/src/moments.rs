//! The moments of a recorded run at which a power cut is worth a try, found in the record itself: the
//! write that arms GRUB, the two that switch what the firmware starts, the journal's.

use std::path::Path;

use anyhow::{bail, ensure, Context, Result};
use formats::trailer::PartKind;
use storage::mbr::MBR_SIZE;

use crate::crafted::trailer_of;
use crate::old_server::Firmware;
use crate::power::{Recording, Write};

/// How records of the journal begin; the phase's number follows the version.
const JOURNAL: &[u8] = b"\x89rrjnl\r\n";
const WIPE: u8 = 2;
const UNPACK: u8 = 3;
const CARRY: u8 = 4;
const LOADER: u8 = 5;

/// The moments of a run, as the number of writes before them.
#[derive(Debug)]
pub struct Moments {
    /// The payload is being staged.
    pub staging: usize,
    /// GRUB's configuration names the run, where that was begun with the entry `boot`.
    pub armed: Option<usize>,
    /// What the firmware starts is switched to the staged image's loader.
    pub committed: usize,
    /// The wipe begins.
    pub wipe: usize,
    /// The unpack begins.
    pub unpack: usize,
    /// Identity is carried.
    pub carry: usize,
    /// The new OS's loader is made.
    pub loader: usize,
    /// What the firmware starts is switched to the new OS's loader.
    pub switched: usize,
}

impl Moments {
    /// Finds them, in their order, in the record of a run that this firmware's machine made. `payload` is as of
    /// [`block_of_payload`]; it has to have been staged on the disk.
    pub fn find(
        firmware: Firmware,
        recording: &Recording,
        writes: &[Write],
        payload: &[u8],
    ) -> Result<Moments> {
        let first =
            |from: usize, is_it: &dyn Fn(&Write) -> Result<bool>| -> Result<Option<usize>> {
                for (at, write) in writes.iter().enumerate().skip(from) {
                    if is_it(write)? {
                        return Ok(Some(at));
                    }
                }
                Ok(None)
            };
        let staging = first(0, &|write| holds(recording, write, payload))?;
        let staging = staging.context("the payload was not staged")?;
        let armed = first(staging, &|write| {
            Ok(write.sectors <= 8 && holds(recording, write, b"\nreroot_once=2")?)
        })?;
        let Switches {
            committed,
            switched,
        } = Switches::of(firmware, recording, writes, staging)?;
        // Btrfs has a small file among others, in a node of a tree.
        let phase = |number: u8| {
            let found = first(committed, &|write| {
                let data = recording.data(write)?;
                let mut windows = data.windows(JOURNAL.len()).enumerate();
                let is_of = |at: usize| data.get(at + 12) == Some(&number);
                Ok(windows.any(|(at, window)| window == JOURNAL && is_of(at)))
            })?;
            found.with_context(|| format!("no write of phase {number}"))
        };
        let at = Moments {
            staging,
            armed,
            committed,
            wipe: phase(WIPE)?,
            unpack: phase(UNPACK)?,
            carry: phase(CARRY)?,
            loader: phase(LOADER)?,
            switched,
        };
        let in_place = |armed| at.staging < armed && armed < at.committed;
        ensure!(
            at.staging < at.committed
                && at.armed.is_none_or(in_place)
                && at.committed < at.wipe
                && at.wipe < at.unpack
                && at.unpack < at.carry
                && at.carry < at.loader
                && at.loader < at.switched,
            "the moments are in another order: {at:?}"
        );
        Ok(at)
    }
}

/// The entry of a loader beside the one in use, where UEFI starts the fallback file.
const BESIDE: &[u8] = b"BOOTX64 RER";

/// The two writes that decide, by the path in use, as the number of writes before them. Whichever entry a run began
/// with, and whatever its root is on, it has these.
#[derive(Debug, Clone, Copy)]
pub struct Switches {
    /// To the staged image's loader.
    pub committed: usize,
    /// To the new OS's loader.
    pub switched: usize,
}

impl Switches {
    /// Those of what this firmware starts, from the write `from` on.
    pub fn of(
        firmware: Firmware,
        recording: &Recording,
        writes: &[Write],
        from: usize,
    ) -> Result<Switches> {
        match firmware {
            Firmware::Bios => Switches::of_record(recording, writes, from),
            Firmware::Uefi | Firmware::UefiSecure => Ok(Switches::of_file(recording, writes)?.1),
        }
    }

    /// Those of the master boot record, which must have been changed exactly twice from the write `from` on: what is
    /// written to the sectors beside it may bring it along as it is.
    pub fn of_record(recording: &Recording, writes: &[Write], from: usize) -> Result<Switches> {
        let (mut records, mut last) = (Vec::new(), Vec::new());
        for at in (from..writes.len()).filter(|&at| writes[at].covers(0)) {
            let mut record = recording.data(&writes[at])?;
            record.truncate(MBR_SIZE);
            if record != last {
                records.push(at);
                last = record;
            }
        }
        let [committed, switched] = records[..] else {
            bail!("the master boot record was changed at {records:?}, expected twice");
        };
        Ok(Switches {
            committed,
            switched,
        })
    }

    /// Those of the entry of UEFI's fallback file, and before them the writes that put a loader beside it.
    pub fn of_file(recording: &Recording, writes: &[Write]) -> Result<([usize; 2], Switches)> {
        let mut files = Vec::new();
        for (at, write) in writes.iter().enumerate() {
            if write.sectors <= 8 && holds(recording, write, BESIDE)? {
                files.push(at);
            }
        }
        let [.., beside, committed, new_beside, switched] = files[..] else {
            bail!("entries of loaders were written at {files:?}");
        };
        let switches = Switches {
            committed,
            switched,
        };
        Ok(([beside, new_beside], switches))
    }
}

fn holds(recording: &Recording, write: &Write, text: &[u8]) -> Result<bool> {
    let data = recording.data(write)?;
    Ok(data.windows(text.len()).any(|window| window == text))
}

/// The second 4096 bytes of the payload: they are nowhere else.
pub fn block_of_payload(image: &Path) -> Result<Vec<u8>> {
    let bytes = std::fs::read(image).with_context(|| format!("read {}", image.display()))?;
    let start = trailer_of(&bytes)?.part(PartKind::Payload).offset as usize + 4096;
    Ok(bytes[start..start + 4096].to_vec())
}

/// A pseudo-random half, the same in every run.
pub fn half(at: usize) -> bool {
    (at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 63 == 1
}
