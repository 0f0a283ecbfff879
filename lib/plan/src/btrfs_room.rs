//! Whether a Btrfs has room for a run in its own trees (metadata), beside the room for data that `needs` computes.
//!
//! Names, attributes, files of up to 2 KiB and the sums of all data lie in trees. These have parts of the device of
//! their own, and where nothing is left to be given to them they are full, however much is free for data. In the
//! wipe they grow before they shrink where a snapshot shares them: what is changed of a shared tree is copied.

use formats::facts::BtrfsRoom;
use formats::measure::Occupied;

const MIB: u64 = 1 << 20;
/// What a file or directory takes in the trees: 1.2 KiB each were measured of a Debian, half of whose files lie in
/// the trees with what is in them, up to 2.7 KiB of such files alone.
const TREES_PER_INODE: u64 = 3 << 10;
/// One byte in the trees for so many bytes of data: their sums, and where they are.
const DATA_PER_TREES_BYTE: u64 = 512;
/// What stays free in the trees, at the least: each change asks for more than it takes. With nothing free beside the
/// reserve the wipe, which asks for some before it gives any, was seen to come to a stop at once; with 5 MiB it was not.
const TREES_SPARE: u64 = 16 * MIB;
/// What stays allowed of a quota, at the least.
const QUOTA_SPARE: u64 = 64 * MIB;
/// The kernel gives the trees a further piece once they are full to so many parts of ten.
const FULL_TENTHS: u64 = 8;
/// The largest piece that is given to data at once, and to the trees of a filesystem of at most 50 GiB, and larger.
const DATA_PIECE: u64 = 1 << 30;
const TREES_PIECE: u64 = 256 * MIB;
const TREES_PIECE_OF_LARGE: u64 = 1 << 30;
const LARGE: u64 = 50 << 30;

/// What a run takes of a Btrfs.
#[derive(Clone, Copy, Debug)]
pub struct Taken<'s> {
    /// The numbers of the subvolumes that are wiped.
    pub wiped: &'s [u64],
    /// What the new OS puts there, without anything for the filesystem itself.
    pub part: Occupied,
    /// Bytes that come beside it.
    pub beside: u64,
    /// What the wipe leaves in those subvolumes.
    pub kept: Occupied,
}

/// What is missing, in words; `None` where everything fits.
pub fn lack(room: &BtrfsRoom, taken: Taken<'_>) -> Option<String> {
    lack_by_quota(room, taken).or_else(|| lack_of_room(room, taken))
}

/// The quota that has no room for what will be there; `None` where there is none. Which of several subvolumes takes how
/// much of the new OS is not looked at: each has to be allowed all of it.
fn lack_by_quota(room: &BtrfsRoom, taken: Taken<'_>) -> Option<String> {
    let new = taken.part.bytes + of_files(taken.part.inodes, taken.part.bytes);
    let stays = taken.kept.bytes + of_files(taken.kept.inodes, 0);
    let needed = new + stays + taken.beside + QUOTA_SPARE;
    room.limits.iter().find_map(|limit| {
        let wiped = |(id, _): &&(u64, u64)| taken.wiped.contains(id);
        let own: u64 = limit.subvolumes.iter().filter(wiped).map(|(_, used)| used).sum();
        let is_concerned = limit.subvolumes.iter().any(|member| wiped(&member));
        let others = limit.used.saturating_sub(own);
        (is_concerned && others + needed > limit.most).then(|| {
            format!(
                "quota group {} of the root's Btrfs is limited to {} MiB: {} MiB are others' in it, and {} MiB are \
                 needed for the new OS and what is kept",
                limit.group,
                limit.most / MIB,
                others.div_ceil(MIB),
                needed.div_ceil(MIB)
            )
        })
    })
}

fn lack_of_room(room: &BtrfsRoom, taken: Taken<'_>) -> Option<String> {
    let trees = Trees::of(room, taken);
    let data = taken.part.bytes + taken.beside;
    let copies = room.copies.max(1);
    if room.mixed {
        let there =
            (room.trees + room.unallocated / copies).saturating_sub(room.trees_used + room.reserve);
        let lacks = there < TREES_SPARE || there + trees.freed < trees.needed() + data;
        return lacks.then(|| trees.words(room, there));
    }
    // Whichever of both grows first takes whole pieces, of which it may need but a part.
    let data_short = data.saturating_sub(room.data_free);
    let data_piece = DATA_PIECE.min(room.device / 10).max(1);
    let data_takes = data_short.div_ceil(data_piece) * data_piece;
    let left = room.unallocated.saturating_sub(data_takes) / copies;
    let there = (room.trees + left).saturating_sub(room.trees_used + room.reserve);
    if there < TREES_SPARE || there + trees.freed < trees.needed() {
        return Some(trees.words(room, there));
    }
    let trees_take = trees.pieces(room) * copies;
    let left = room.unallocated.saturating_sub(trees_take);
    (left < data_short).then(|| {
        format!(
            "the new OS takes {} MiB of data on the root filesystem; there are {} MiB free in what its Btrfs has given \
             to data, and {} MiB that it has given to nothing, of which its trees (metadata) may take {} MiB first",
            data.div_ceil(MIB),
            room.data_free / MIB,
            room.unallocated / MIB,
            trees_take / MIB
        )
    })
}

/// What happens to the trees, in bytes, once.
struct Trees {
    /// What the new OS takes.
    new: u64,
    /// What the wipe copies.
    copied: u64,
    /// What the wipe gives back.
    freed: u64,
}

impl Trees {
    fn of(room: &BtrfsRoom, taken: Taken<'_>) -> Trees {
        let wiped = |shared| -> u64 {
            let trees = room.subvolumes.iter();
            trees
                .filter(|tree| taken.wiped.contains(&tree.id) && tree.shared == shared)
                .map(|tree| tree.bytes)
                .sum()
        };
        let kept = of_files(taken.kept.inodes, 0);
        Trees {
            new: of_files(taken.part.inodes, taken.part.bytes + taken.beside),
            copied: wiped(true),
            freed: wiped(false).saturating_sub(kept),
        }
    }

    fn needed(&self) -> u64 {
        self.new + self.copied + TREES_SPARE
    }

    /// The most that the trees may be given before they are full.
    fn pieces(&self, room: &BtrfsRoom) -> u64 {
        let largest = if room.device > LARGE {
            TREES_PIECE_OF_LARGE
        } else {
            TREES_PIECE
        };
        let piece = largest.min(room.device / 10).max(1);
        let used = room.trees_used + self.new + self.copied;
        let wanted = (used * 10).div_ceil(FULL_TENTHS);
        wanted.saturating_sub(room.trees).div_ceil(piece) * piece
    }

    fn words(&self, room: &BtrfsRoom, there: u64) -> String {
        let copied = if self.copied > 0 {
            format!(
                " and the wipe {} MiB, for what a snapshot shares is copied before it is removed",
                self.copied.div_ceil(MIB)
            )
        } else {
            String::new()
        };
        format!(
            "of the trees (metadata) of the root's Btrfs the new OS takes {} MiB{copied}; there are {} MiB beside {} \
             MiB that are to stay free: {} of {} MiB are in use, {} MiB are its reserve, and {} MiB of the device are \
             given to nothing",
            self.new.div_ceil(MIB),
            (there + self.freed) / MIB,
            TREES_SPARE / MIB,
            room.trees_used / MIB,
            room.trees / MIB,
            room.reserve / MIB,
            room.unallocated / MIB,
        )
    }
}

/// What files take in the trees.
fn of_files(inodes: u64, bytes: u64) -> u64 {
    inodes * TREES_PER_INODE + bytes / DATA_PER_TREES_BYTE
}

#[cfg(test)]
mod tests {
    use formats::facts::{QuotaLimit, SubvolumeTree};

    use super::*;

    const GIB: u64 = 1 << 30;

    /// One of 40 GiB on which everything is given away: half of what data has is free, and of the trees 200 MiB.
    fn given_away() -> BtrfsRoom {
        let tree = |id, mib, shared| SubvolumeTree {
            id,
            bytes: mib * MIB,
            shared,
        };
        BtrfsRoom {
            device: 40 * GIB,
            unallocated: 0,
            data_free: 19 * GIB,
            trees: GIB,
            trees_used: 724 * MIB,
            reserve: 100 * MIB,
            copies: 2,
            mixed: false,
            subvolumes: vec![tree(256, 150, true), tree(257, 300, false)],
            limits: vec![],
        }
    }

    fn lack_of(room: &BtrfsRoom, wiped: &[u64], inodes: u64) -> Option<String> {
        let taken = Taken {
            wiped,
            part: Occupied {
                bytes: 3 * GIB,
                inodes,
            },
            beside: GIB,
            kept: Occupied::default(),
        };
        lack(room, taken)
    }

    #[test]
    fn trees_that_are_nearly_full_are_refused_whatever_is_free_for_data() {
        let room = given_away();
        let found = lack_of(&room, &[256], 10_000).unwrap();
        for words in [
            "the new OS takes 38 MiB",
            "the wipe 150 MiB",
            "there are 200 MiB beside 16 MiB",
            "724 of 1024 MiB are in use, 100 MiB are its reserve, and 0 MiB",
        ] {
            assert!(found.contains(words), "{words}: {found}");
        }
        // Without a snapshot nothing is copied.
        let mut alone = room.clone();
        alone.subvolumes[0].shared = false;
        assert_eq!(lack_of(&alone, &[256], 10_000), None);
        // What is not wiped is neither copied nor given back.
        assert_eq!(lack_of(&room, &[], 10_000), None);
        assert!(lack_of(&room, &[], 80_000).is_some());
        // What the wipe gives back counts, but the wipe cannot begin with nothing.
        assert_eq!(lack_of(&room, &[257], 80_000), None);
        let mut full = room.clone();
        full.trees_used += 190 * MIB;
        assert!(lack_of(&full, &[257], 10_000).is_some());
        // More of the device can be given to them, of which twice as much goes.
        for (unallocated, copies, fits) in
            [(40, 2, true), (4, 2, false), (10, 2, true), (10, 1, true)]
        {
            let room = BtrfsRoom {
                unallocated: unallocated * MIB,
                copies,
                ..room.clone()
            };
            let found = lack_of(&room, &[256], 10_000);
            assert_eq!(found.is_none(), fits, "{unallocated} {copies}: {found:?}");
        }
    }

    #[test]
    fn what_is_kept_gives_nothing_back() {
        let mut room = given_away();
        room.trees_used = GIB - 120 * MIB;
        let taken = |inodes| Taken {
            wiped: &[257],
            part: Occupied {
                bytes: GIB,
                inodes: 60_000,
            },
            beside: 0,
            kept: Occupied { bytes: GIB, inodes },
        };
        assert_eq!(lack(&room, taken(10_000)), None);
        assert!(lack(&room, taken(90_000)).is_some());
    }

    /// The new OS takes 4.2 GiB.
    #[test]
    fn what_a_quota_does_not_allow_is_refused() {
        for (wiped, most, used, subvolumes, fits) in [
            (&[256][..], 5, 4, &[(256, 4)][..], true),
            (&[256], 4, 4, &[(256, 4)], false),
            (&[257], 4, 4, &[(256, 4)], true),
            (&[256, 257], 4, 1, &[(257, 1)], false),
            // Others are in the same group.
            (&[256], 8, 5, &[(256, 2), (300, 3)], true),
            (&[256], 7, 5, &[(256, 2), (300, 3)], false),
            (&[256], 4, 3, &[(300, 3)], true),
        ] {
            let mut room = given_away();
            room.trees = 2 * GIB;
            room.limits = vec![QuotaLimit {
                group: "0/256".to_owned(),
                most: most * GIB,
                used: used * GIB,
                subvolumes: subvolumes
                    .iter()
                    .map(|(id, used)| (*id, used * GIB))
                    .collect(),
            }];
            let found = lack_of(&room, wiped, 10_000);
            assert_eq!(
                found.is_none(),
                fits,
                "{wiped:?} {:?}: {found:?}",
                room.limits
            );
        }
    }

    #[test]
    fn whole_pieces_are_given_to_data_and_to_the_trees() {
        // All that is left is given to data, of which it needs a tenth.
        let mut room = given_away();
        room.unallocated = GIB;
        room.data_free = 4 * GIB - 100 * MIB;
        assert!(lack_of(&room, &[256], 10_000).is_some());
        room.data_free = 5 * GIB;
        assert_eq!(lack_of(&room, &[256], 10_000), None);
        // And the trees, which would do without, take what data needs.
        room.unallocated = 700 * MIB;
        room.data_free = 4 * GIB - 300 * MIB;
        room.trees_used = 650 * MIB;
        room.subvolumes[0].bytes = 30 * MIB;
        assert_eq!(lack_of(&room, &[256], 10_000), None);
        room.trees_used = 800 * MIB;
        let found = lack_of(&room, &[256], 10_000).unwrap();
        assert!(found.contains("may take 512 MiB first"), "{found}");
    }

    #[test]
    fn where_both_are_mixed_each_counts_for_the_other() {
        let mut room = given_away();
        room.mixed = true;
        room.data_free = 0;
        room.copies = 1;
        room.trees = 6 * GIB;
        assert_eq!(lack_of(&room, &[256], 10_000), None);
        room.trees = 4 * GIB;
        assert!(lack_of(&room, &[256], 10_000).is_some());
        room.unallocated = 2 * GIB;
        assert_eq!(lack_of(&room, &[256], 10_000), None);
    }
}
