//! The journal of a run: `/.reroot/journal`, two 512-byte records in different 4 KiB blocks.
//!
//! Records are written in turn, so that a torn write can only harm the one that is being
//! replaced; the valid record with the highest sequence number counts.
//!
//! ```text
//! offset  size  field (little endian)
//!      0     8  magic 89 72 72 6a 6e 6c 0d 0a ("\x89rrjnl\r\n")
//!      8     4  version, 1
//!     12     4  phase, see [`Phase`]
//!     16     8  sequence number, from 1
//!     24     4  length of the run id
//!     28    64  run id, ASCII, zero padded
//!     92     4  how often the run was taken up behind the commit point
//!     96     4  1 where the commit was taken back: the old OS is whole, and in use
//!    480    32  BLAKE3 of bytes 0..480
//! ```

use serde::{Deserialize, Serialize};

use crate::Digest;

/// Bytes of one record.
pub const RECORD_SIZE: usize = 512;
/// Distance between the two records in the journal file, in bytes.
pub(crate) const RECORD_STRIDE: u64 = 4096;
/// Length of the journal file in bytes.
pub const JOURNAL_SIZE: u64 = 2 * RECORD_STRIDE;

const MAGIC: &[u8; 8] = b"\x89rrjnl\r\n";
const VERSION: u32 = 1;
const RUN_ID_MAX: usize = 64;
const TAKEN_UP_AT: usize = 92;
const TAKEN_BACK_AT: usize = 96;
const DIGEST_AT: usize = 480;

/// How far a run has come on the disk. Each phase is recorded before its first write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The commit point is passed; from here on only forwards.
    Commit = 1,
    /// The old OS is being removed.
    Wipe,
    /// The payload is being unpacked.
    Unpack,
    /// The carried identity is being written.
    Carry,
    /// The boot loader is being installed.
    Loader,
    /// The new OS was checked and may be booted.
    Done,
}

impl Phase {
    const ALL: [Phase; 6] = [
        Phase::Commit,
        Phase::Wipe,
        Phase::Unpack,
        Phase::Carry,
        Phase::Loader,
        Phase::Done,
    ];

    /// The phase's name, as on the console.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Commit => "commit",
            Phase::Wipe => "wipe",
            Phase::Unpack => "unpack",
            Phase::Carry => "carry",
            Phase::Loader => "loader",
            Phase::Done => "done",
        }
    }
}

/// One record of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Counts up by one with each record.
    pub sequence: u64,
    /// The phase that begins.
    pub phase: Phase,
    /// The run that wrote it.
    pub run: String,
    /// How often the run was taken up behind the commit point.
    pub taken_up: u32,
    /// The commit was taken back: whatever starts the staged image leads back to the old OS, which was not touched and
    /// is in use.
    pub taken_back: bool,
}

impl Record {
    /// The byte offset in the journal file at which this record belongs.
    pub fn offset(&self) -> u64 {
        (self.sequence % 2) * RECORD_STRIDE
    }

    /// The record's 512 bytes. A run id longer than 64 bytes is cut.
    pub fn encode(&self) -> [u8; RECORD_SIZE] {
        let run = &self.run.as_bytes()[..self.run.len().min(RUN_ID_MAX)];
        let mut bytes = [0; RECORD_SIZE];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&(self.phase as u32).to_le_bytes());
        bytes[16..24].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[24..28].copy_from_slice(&(run.len() as u32).to_le_bytes());
        bytes[28..28 + run.len()].copy_from_slice(run);
        bytes[TAKEN_UP_AT..TAKEN_UP_AT + 4].copy_from_slice(&self.taken_up.to_le_bytes());
        bytes[TAKEN_BACK_AT] = u8::from(self.taken_back);
        let digest = Digest::of(&bytes[..DIGEST_AT]);
        bytes[DIGEST_AT..].copy_from_slice(&digest.0);
        bytes
    }

    /// Reads one record; `None` where there is none, or only a torn one.
    pub fn decode(bytes: &[u8]) -> Option<Record> {
        let bytes: &[u8; RECORD_SIZE] = bytes.get(..RECORD_SIZE)?.try_into().ok()?;
        if &bytes[..8] != MAGIC || Digest::of(&bytes[..DIGEST_AT]).0 != bytes[DIGEST_AT..] {
            return None;
        }
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap_or([0; 4]));
        if word(8) != VERSION {
            return None;
        }
        let length = word(24) as usize;
        let run = bytes.get(28..28 + length.min(RUN_ID_MAX))?;
        Some(Record {
            sequence: u64::from(word(16)) | u64::from(word(20)) << 32,
            phase: Phase::ALL.into_iter().find(|&p| p as u32 == word(12))?,
            run: String::from_utf8(run.to_vec()).ok()?,
            taken_up: word(TAKEN_UP_AT),
            taken_back: word(TAKEN_BACK_AT) != 0,
        })
    }
}

/// The record that counts in a journal file's bytes, if there is one.
pub fn latest(journal: &[u8]) -> Option<Record> {
    let second = journal.get(RECORD_STRIDE as usize..).unwrap_or_default();
    [Record::decode(journal), Record::decode(second)]
        .into_iter()
        .flatten()
        .max_by_key(|r| r.sequence)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(sequence: u64, phase: Phase) -> Record {
        Record {
            sequence,
            phase,
            run: "20260102T030405Z-0a1b".into(),
            taken_up: 0x0102_0304,
            taken_back: sequence.is_multiple_of(2),
        }
    }

    fn journal(records: &[Record]) -> Vec<u8> {
        let mut bytes = vec![0; JOURNAL_SIZE as usize];
        for r in records {
            let at = r.offset() as usize;
            bytes[at..at + RECORD_SIZE].copy_from_slice(&r.encode());
        }
        bytes
    }

    #[test]
    fn the_highest_sequence_counts() {
        let bytes = journal(&[
            record(1, Phase::Commit),
            record(2, Phase::Wipe),
            record(3, Phase::Unpack),
        ]);
        assert_eq!(latest(&bytes), Some(record(3, Phase::Unpack)));
        assert_eq!(latest(&[]), None);
        assert_eq!(latest(&vec![0; 8192]), None);
    }

    #[test]
    fn a_record_torn_anywhere_leaves_the_one_before() {
        let old = journal(&[record(1, Phase::Commit), record(2, Phase::Wipe)]);
        let new = record(3, Phase::Unpack);
        let at = new.offset() as usize;
        for torn in 0..RECORD_SIZE {
            let mut bytes = old.clone();
            bytes[at..at + torn].copy_from_slice(&new.encode()[..torn]);
            let found = latest(&bytes);
            let whole = bytes[at..at + RECORD_SIZE] == new.encode();
            let expected = if whole {
                new.clone()
            } else {
                record(2, Phase::Wipe)
            };
            assert_eq!(found, Some(expected), "torn after {torn} bytes");
        }
    }
}
