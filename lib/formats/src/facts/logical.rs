//! A logical volume that a filesystem of the system is on: where its sectors are on the disk, and by what it is found.

use serde::{Deserialize, Serialize};

/// A logical volume that is linear, on partitions of one disk. Sectors are of 512 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogicalVolume {
    /// What the device-mapper calls it: the name in `/dev/mapper`, hyphens of group and volume doubled.
    pub name: String,
    /// Its identifier there: `LVM-`, and the UUIDs of volume group and volume without their hyphens.
    pub uuid: String,
    /// Its segments, in its own order; each begins where the one before ends.
    pub segments: Vec<Segment>,
    /// The physical volumes that these are on, each once.
    pub volumes: Vec<PhysicalVolume>,
    /// The number of the group's metadata (`seqno`), which counts every change; `None` where none of these
    /// physical volumes has any of it.
    pub sequence: Option<u64>,
}

/// Sectors that lie together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// How many.
    pub sectors: u64,
    /// Which of [`LogicalVolume::volumes`] they are on, from 0.
    pub volume: usize,
    /// The first of them, counted from the start of that partition.
    pub start: u64,
}

/// A partition that is a physical volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhysicalVolume {
    /// Its UUID in its label, without hyphens.
    pub uuid: String,
    /// Number of the partition, from 1.
    pub partition: u32,
    /// First sector of the partition.
    pub start: u64,
    /// Sectors of the partition.
    pub sectors: u64,
    /// The partition's GUID, where the disk has a GUID partition table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guid: Option<String>,
}

impl LogicalVolume {
    /// Its sectors.
    pub fn sectors(&self) -> u64 {
        self.segments.iter().map(|segment| segment.sectors).sum()
    }

    /// The sector of the disk that has its sector `sector`, and how many behind that, itself among them, lie
    /// together there within one segment; `None` behind its end.
    fn run_at(&self, sector: u64) -> Option<(u64, u64)> {
        let mut begin = 0;
        for segment in &self.segments {
            let end = begin + segment.sectors;
            if sector < end {
                let volume = self.volumes.get(segment.volume)?;
                return Some((
                    volume.start + segment.start + (sector - begin),
                    end - sector,
                ));
            }
            begin = end;
        }
        None
    }

    /// Where on the disk some of its sectors begin, if they lie together there.
    pub fn on_disk(&self, first: u64, sectors: u64) -> Option<u64> {
        let (place, mut together) = self.run_at(first)?;
        while together < sectors {
            let (next, more) = self.run_at(first + together)?;
            if next != place + together {
                return None;
            }
            together += more;
        }
        Some(place)
    }

    /// The sector of the disk behind its last one there.
    pub fn end(&self) -> u64 {
        let ends = self.segments.iter().filter_map(|segment| {
            let volume = self.volumes.get(segment.volume)?;
            Some(volume.start + segment.start + segment.sectors)
        });
        ends.max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::RootIdentity;

    /// As `lvextend` leaves it where something else was behind the first part, on two partitions.
    fn volume() -> LogicalVolume {
        let physical = |partition: u32, start: u64| PhysicalVolume {
            uuid: format!("p{partition}"),
            partition,
            start,
            sectors: 100_000,
            guid: None,
        };
        let segment = |sectors, volume, start| Segment {
            sectors,
            volume,
            start,
        };
        LogicalVolume {
            name: "vg-root".into(),
            uuid: "LVM-x".into(),
            segments: vec![
                segment(8192, 0, 2048),
                segment(8192, 1, 2048),
                // Right behind the one before: one run, in two segments.
                segment(16384, 1, 10240),
                segment(8192, 0, 26624),
            ],
            volumes: vec![physical(3, 1_000_000), physical(5, 3_000_000)],
            sequence: Some(7),
        }
    }

    #[test]
    fn sectors_are_found_through_the_segments_and_only_where_they_lie_together() {
        let volume = volume();
        assert_eq!(volume.sectors(), 40960);
        for (first, sectors, place) in [
            (0, 1, Some(1_002_048)),
            (0, 8192, Some(1_002_048)),
            // Over the seam to another partition.
            (0, 8193, None),
            (8191, 1, Some(1_010_239)),
            (8191, 2, None),
            (8192, 8192, Some(3_002_048)),
            // Over a seam that is none on the disk.
            (8192, 24576, Some(3_002_048)),
            (16000, 1000, Some(3_009_856)),
            (8192, 24577, None),
            (32768, 8192, Some(1_026_624)),
            // Behind the end.
            (32768, 8193, None),
            (40960, 1, None),
            (40959, 1, Some(1_034_815)),
        ] {
            assert_eq!(volume.on_disk(first, sectors), place, "{first}+{sectors}");
        }
        assert_eq!(volume.end(), 3_026_624);
    }

    /// Of releases that knew no logical volumes; and what they would read is as they wrote it.
    #[test]
    fn an_identity_without_one_reads_and_is_written_as_before() {
        let text = r#"{"filesystem":"ext4","fs_uuid":"u","disk_signature":1,"partition":1,"start":2048,"sectors":8192}"#;
        let identity: RootIdentity = serde_json::from_str(text).unwrap();
        assert_eq!(identity.logical, None);
        assert_eq!(serde_json::to_string(&identity).unwrap(), text);
        assert_eq!(
            (identity.on_disk(0, 4096, 1), identity.end()),
            (Some(2056), 10240)
        );
        let on_volume = RootIdentity {
            logical: Some(volume()),
            ..identity
        };
        let text = serde_json::to_string(&on_volume).unwrap();
        assert_eq!(
            serde_json::from_str::<RootIdentity>(&text).unwrap(),
            on_volume
        );
        assert_eq!(on_volume.on_disk(0, 4096, 512), Some(1_002_056));
        // One byte more is one sector more.
        assert_eq!(on_volume.on_disk(0, 8191 * 512, 512), Some(1_010_239));
        assert_eq!(on_volume.on_disk(0, 8191 * 512, 513), None);
    }

    #[test]
    fn a_segment_on_no_volume_is_nowhere() {
        let mut volume = volume();
        volume.segments[1].volume = 9;
        assert_eq!(volume.on_disk(8192, 1), None);
        assert_eq!(volume.on_disk(0, 1), Some(1_002_048));
    }
}
