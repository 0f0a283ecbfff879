//! Making payloads, sound ones and others, and unpacking them.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use formats::keep::KeepSet;
use formats::payload::{Frame, Payload};
use formats::Digest;
use tree::{pack, unpack, PackOptions, Source, UnpackOptions};

use super::{quiet, snapshot, Seen};

/// Small frames, so that a small tree has many.
pub fn options(threads: usize) -> PackOptions {
    PackOptions {
        level: 3,
        threads,
        frame_bytes: 100_000,
        exclude: Vec::new(),
    }
}

/// Packs a tree with small frames.
pub fn pack_tree(top: &Path) -> (Vec<u8>, Payload) {
    let mut stored = Vec::new();
    let root = File::open(top).unwrap();
    let payload = pack(root.as_fd(), &mut stored, &options(2), &quiet).unwrap();
    payload.validate().unwrap();
    assert_eq!(payload.length(), stored.len() as u64);
    (stored, payload)
}

/// Unpacks a payload with three threads.
pub fn unpack_tree(top: &Path, stored: &[u8], payload: &Payload, keep: &KeepSet) {
    let root = File::open(top).unwrap();
    let source = source_of(stored, 0);
    unpack(
        root.as_fd(),
        &source,
        payload,
        keep,
        &UnpackOptions {
            threads: 3,
            ..UnpackOptions::default()
        },
        &quiet,
    )
    .unwrap();
}

/// What two trees must have in common.
pub fn portable(top: &Path) -> BTreeMap<PathBuf, Seen> {
    snapshot(top)
        .into_iter()
        .map(|(path, seen)| (path, seen.portable()))
        .collect()
}

/// One entry of a plain archive.
pub fn entry(name: &str, entry_type: tar::EntryType, link: &str, body: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_entry_type(entry_type);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(body.len() as u64);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(body);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

/// A payload made of plain archives, one frame each, as a file to unpack from. The counts are
/// what the caller says, for a hostile archive may say anything.
pub fn payload_of(frames: &[(&[u8], u64)]) -> (Source, Payload) {
    let mut stored = vec![0x55; 100];
    let mut payload = Payload {
        entries: frames.iter().map(|(_, entries)| entries).sum(),
        inodes: 0,
        unpacked_bytes: frames.iter().map(|(tar, _)| tar.len() as u64).sum(),
        disk_bytes: 0,
        directory_links: Vec::new(),
        directories: Vec::new(),
        frames: Vec::new(),
    };
    for (tar, entries) in frames {
        let compressed = zstd::bulk::compress(tar, 3).unwrap();
        payload.frames.push(Frame {
            offset: payload.length(),
            length: compressed.len() as u64,
            unpacked: tar.len() as u64,
            entries: *entries,
            digest: Digest::of(&compressed),
        });
        stored.extend(compressed);
    }
    (source_of(&stored, 100), payload)
}

/// A source that reads these bytes.
pub fn source_of(stored: &[u8], base: u64) -> Source {
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, stored).unwrap();
    Source::new(file, base)
}
