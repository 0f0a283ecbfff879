//! An operator's files for one machine: a directory, or a tar archive as any tar writes it, read whole
//! and turned into the archive that [`super::archive`] unpacks.
//!
//! Of a directory everything becomes root's: whoever copied it here is nobody in the new OS. An
//! archive tells its owners by name, and what those are as numbers is for the caller to say. Devices,
//! pipes and sockets are refused, and so are names that are no UTF-8 or do not print: each is shown to
//! somebody who agrees to it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Read;
use std::os::fd::BorrowedFd;

use formats::{printable, Digest};

use super::error::TreeError;
use super::header::{parse_decimal, Entry, Kind, Time, BLOCK, END};
use super::lookup::Lookup;
use super::pack::{open, unchanged};
use super::parents::Parents;
use super::read::clean;
use super::scan::list;

/// The largest overlay. It is held in memory here, and again in the RAM environment.
const MOST: u64 = 256 << 20;
/// The most entries; each is named in the plan.
const MOST_ENTRIES: usize = 20_000;
/// What a zstd or gzip archive, which is not read, begins with.
const COMPRESSED: [&[u8]; 3] = [&[0x28, 0xb5, 0x2f, 0xfd], &[0x1f, 0x8b], b"\xfd7zXZ"];

/// Whose something is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Owner {
    Number(u32),
    Name(String),
}

struct Item {
    entry: Entry,
    owner: (Owner, Owner),
    body: Vec<u8>,
}

/// An overlay in memory.
pub struct Overlay {
    /// Directories, then everything else, then hard links, each by path.
    items: Vec<Item>,
}

/// Names of owners as numbers of the new OS.
pub trait Numbers {
    /// The user's.
    fn user(&self, name: &str) -> Option<u32>;
    /// The group's.
    fn group(&self, name: &str) -> Option<u32>;
}

impl Overlay {
    /// Reads a directory.
    ///
    /// # Errors
    /// What is in it is no file, directory or link, is too large, changes meanwhile, or has a mount in it.
    pub fn of_directory(directory: BorrowedFd<'_>) -> Result<Overlay, TreeError> {
        let lookup = Lookup::detect(directory);
        let mut parents = Parents::new(lookup, directory);
        let listing = list(lookup, directory, &[])?;
        let all = [listing.directories, listing.files, listing.hard_links];
        let mut overlay = Overlay { items: Vec::new() };
        let mut size = 0;
        for found in all.into_iter().flatten() {
            let mut entry = found.entry.clone();
            (entry.uid, entry.gid) = (0, 0);
            let mut body = Vec::new();
            if let Kind::File { size: length } = entry.kind {
                size += length;
                ensure_small(size)?;
                let mut file = open(&mut parents, &found)?;
                (&mut file)
                    .take(length)
                    .read_to_end(&mut body)
                    .map_err(|e| TreeError::io("read", &entry.path, e))?;
                unchanged(&file, &found)?;
            }
            overlay.add(entry, (Owner::Number(0), Owner::Number(0)), body)?;
        }
        Ok(overlay)
    }

    /// Reads a tar archive.
    ///
    /// # Errors
    /// It is none, or compressed, too large, or has what an overlay may not have.
    pub fn of_tar(mut reader: impl Read) -> Result<Overlay, TreeError> {
        let broken = |what: String| TreeError::Archive {
            place: "the overlay".to_owned(),
            what,
        };
        let mut bytes = Vec::new();
        reader
            .by_ref()
            .take(MOST + 1)
            .read_to_end(&mut bytes)
            .map_err(|e| broken(e.to_string()))?;
        ensure_small(bytes.len() as u64)?;
        if COMPRESSED.iter().any(|magic| bytes.starts_with(magic)) {
            return Err(broken("it is compressed; unpack it to a plain tar".into()));
        }
        let mut overlay = Overlay { items: Vec::new() };
        let mut size = 0;
        let mut archive = tar::Archive::new(bytes.as_slice());
        for entry in archive.entries().map_err(|e| broken(e.to_string()))? {
            let mut found = entry.map_err(|e| broken(e.to_string()))?;
            if found.header().entry_type() == tar::EntryType::XGlobalHeader {
                // A comment, as git writes it.
                continue;
            }
            size += found.size();
            ensure_small(size)?;
            let (entry, owner) = parsed(&mut found)?;
            let mut body = Vec::new();
            if matches!(entry.kind, Kind::File { .. }) {
                found
                    .read_to_end(&mut body)
                    .map_err(|e| TreeError::entry(&entry.path, e.to_string()))?;
                if body.len() as u64 != entry.body_size() {
                    return Err(TreeError::entry(&entry.path, "it is cut short"));
                }
            }
            overlay.add(entry, owner, body)?;
        }
        overlay.sort()?;
        Ok(overlay)
    }

    fn add(&mut self, entry: Entry, owner: (Owner, Owner), body: Vec<u8>) -> Result<(), TreeError> {
        let refuse = |what: &str| Err(TreeError::entry(&entry.path, what));
        if !matches!(
            entry.kind,
            Kind::File { .. } | Kind::Directory | Kind::Symlink { .. } | Kind::HardLink { .. }
        ) {
            return refuse("an overlay has files, directories and links only");
        }
        let plain = std::str::from_utf8(&entry.path).is_ok_and(|p| printable::line(p) == p);
        if !plain {
            return refuse("the name is no UTF-8, or has characters that do not print");
        }
        if entry.path.is_empty() {
            // The new OS's own root stays as it is.
            return Ok(());
        }
        if self.items.len() == MOST_ENTRIES {
            return refuse("the overlay has more than 20000 entries; put it into the image");
        }
        self.items.push(Item { entry, owner, body });
        Ok(())
    }

    /// In the order of an archive, as [`super::archive`] wants it; a name that comes twice is refused.
    fn sort(&mut self) -> Result<(), TreeError> {
        let rank = |kind: &Kind| match kind {
            Kind::Directory => 0,
            Kind::HardLink { .. } => 2,
            _ => 1,
        };
        self.items.sort_by(|a, b| {
            let key = |item: &Item| rank(&item.entry.kind);
            (key(a), &a.entry.path).cmp(&(key(b), &b.entry.path))
        });
        let mut names = BTreeSet::new();
        for item in &self.items {
            if !names.insert(&item.entry.path) {
                return Err(TreeError::entry(&item.entry.path, "the name comes twice"));
            }
        }
        let files: BTreeSet<_> = self
            .items
            .iter()
            .filter(|item| matches!(item.entry.kind, Kind::File { .. } | Kind::Symlink { .. }))
            .map(|item| &item.entry.path)
            .collect();
        for item in &self.items {
            if let Kind::HardLink { target } = &item.entry.kind {
                if !files.contains(target) {
                    return Err(TreeError::entry(
                        &item.entry.path,
                        "the hard link does not name a file of the overlay",
                    ));
                }
            }
        }
        Ok(())
    }

    /// What it is known by: names, kinds, owners, permissions, contents.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut text = String::new();
        for item in &self.items {
            let kind = match &item.entry.kind {
                Kind::Symlink { target } => format!("link {}", Digest::of(target)),
                Kind::HardLink { target } => format!("name {}", Digest::of(target)),
                Kind::File { .. } => format!("file {}", Digest::of(&item.body)),
                _ => "directory".to_owned(),
            };
            let attributes = format!("{:?}", item.entry.attributes);
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "{} {kind} {:o} {:?} {}",
                Digest::of(&item.entry.path),
                item.entry.mode,
                item.owner,
                Digest::of(attributes.as_bytes())
            );
        }
        Digest::of(text.as_bytes())
    }

    /// The absolute paths of its directories, and of everything else.
    #[must_use]
    pub fn paths(&self) -> (Vec<String>, Vec<String>) {
        let path = |item: &Item| format!("/{}", String::from_utf8_lossy(&item.entry.path));
        let (directories, mut files): (Vec<_>, Vec<_>) = self
            .items
            .iter()
            .partition(|item| item.entry.kind == Kind::Directory);
        files.sort_by(|a, b| a.entry.path.cmp(&b.entry.path));
        (
            directories.into_iter().map(path).collect(),
            files.into_iter().map(path).collect(),
        )
    }

    /// Names of users and of groups, each once.
    #[must_use]
    pub fn owners(&self) -> (Vec<String>, Vec<String>) {
        let names = |pick: fn(&Item) -> &Owner| {
            let names: BTreeSet<String> = self
                .items
                .iter()
                .filter_map(|item| match pick(item) {
                    Owner::Name(name) => Some(name.clone()),
                    Owner::Number(_) => None,
                })
                .collect();
            names.into_iter().collect()
        };
        (names(|item| &item.owner.0), names(|item| &item.owner.1))
    }

    /// Bytes of the archive.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let each = |item: &Item| {
            let header = item.entry.header().map_or(0, |header| header.len() as u64);
            header + (item.body.len() as u64).next_multiple_of(BLOCK)
        };
        self.items.iter().map(each).sum::<u64>() + END
    }

    /// The archive, for [`super::unpack_tar`], its owners as numbers.
    ///
    /// # Errors
    /// A name has no number.
    pub fn to_tar(&self, numbers: &dyn Numbers) -> Result<Vec<u8>, TreeError> {
        let mut bytes = Vec::new();
        for item in &self.items {
            let mut entry = item.entry.clone();
            let unknown = || TreeError::entry(&item.entry.path, "its owner is not known");
            entry.uid = match &item.owner.0 {
                Owner::Number(number) => *number,
                Owner::Name(name) => numbers.user(name).ok_or_else(unknown)?,
            };
            entry.gid = match &item.owner.1 {
                Owner::Number(number) => *number,
                Owner::Name(name) => numbers.group(name).ok_or_else(unknown)?,
            };
            let header = entry.header();
            bytes.extend(header.map_err(|e| TreeError::io("describe", &entry.path, e))?);
            bytes.extend_from_slice(&item.body);
            bytes.resize(bytes.len().next_multiple_of(BLOCK as usize), 0);
        }
        bytes.resize(bytes.len() + END as usize, 0);
        Ok(bytes)
    }
}

fn ensure_small(bytes: u64) -> Result<(), TreeError> {
    if bytes > MOST {
        return Err(TreeError::Archive {
            place: "the overlay".to_owned(),
            what: "it is larger than 256 MiB; keep it or put it into the image instead".to_owned(),
        });
    }
    Ok(())
}

/// An entry of an archive of somebody's, and whose it is there.
fn parsed<R: Read>(found: &mut tar::Entry<'_, R>) -> Result<(Entry, (Owner, Owner)), TreeError> {
    let raw = found.path_bytes().into_owned();
    let bad = |what: &str| TreeError::entry(&raw, what);
    let path = clean(&raw).ok_or_else(|| {
        bad("the name is empty, absolute, too long, or contains `.`, `..` or a NUL byte")
    })?;
    let target = found.link_name_bytes().map(std::borrow::Cow::into_owned);
    let target = || {
        let sound = |target: &Vec<u8>| !target.is_empty() && !target.contains(&0);
        target
            .filter(sound)
            .ok_or_else(|| bad("the link leads nowhere"))
    };
    let header = found.header();
    let kind = match header.entry_type() {
        tar::EntryType::Directory => Kind::Directory,
        tar::EntryType::Regular | tar::EntryType::Continuous | tar::EntryType::GNUSparse => {
            Kind::File { size: found.size() }
        }
        tar::EntryType::Symlink => Kind::Symlink { target: target()? },
        tar::EntryType::Link => Kind::HardLink {
            target: clean(&target()?)
                .filter(|target| !target.is_empty())
                .ok_or_else(|| bad("the hard link does not name a file of the overlay"))?,
        },
        _ => return Err(bad("an overlay has files, directories and links only")),
    };
    let text = |value: Result<u64, std::io::Error>| value.map_err(|e| bad(&e.to_string()));
    let mode = header.mode().map_err(|e| bad(&e.to_string()))? & 0o7777;
    let mut mtime = Time {
        seconds: i64::try_from(text(header.mtime())?).unwrap_or_default(),
        nanoseconds: 0,
    };
    let number = |value| u32::try_from(text(value)?).map_err(|_| bad("its owner is no number"));
    let mut numbers = (number(header.uid())?, number(header.gid())?);
    let name = |bytes: Option<&[u8]>| {
        let name = bytes.and_then(|b| std::str::from_utf8(b).ok());
        name.filter(|n| !n.is_empty()).map(str::to_owned)
    };
    let mut names = (
        name(header.username_bytes()),
        name(header.groupname_bytes()),
    );
    let records = found.pax_extensions().map_err(|e| bad(&e.to_string()))?;
    for record in records.into_iter().flatten() {
        let record = record.map_err(|e| bad(&e.to_string()))?;
        let key = record.key_bytes();
        let value = std::str::from_utf8(record.value_bytes());
        let digits = || value.ok().and_then(|v| v.parse().ok());
        match key {
            b"uname" => names.0 = value.ok().filter(|v| !v.is_empty()).map(str::to_owned),
            b"gname" => names.1 = value.ok().filter(|v| !v.is_empty()).map(str::to_owned),
            b"uid" => numbers.0 = digits().ok_or_else(|| bad("its owner is no number"))?,
            b"gid" => numbers.1 = digits().ok_or_else(|| bad("its group is no number"))?,
            b"mtime" => mtime = value.ok().and_then(parse_decimal).unwrap_or(mtime),
            _ if key.starts_with(b"SCHILY.xattr.") || key.starts_with(b"SCHILY.acl.") => {
                return Err(bad(
                    "it has extended attributes or an access control list, which an archive of an overlay cannot bring",
                ))
            }
            _ => {}
        }
    }
    let owner = |name: Option<String>, number| name.map_or(Owner::Number(number), Owner::Name);
    Ok((
        Entry {
            path,
            kind,
            mode,
            uid: 0,
            gid: 0,
            mtime,
            attributes: Vec::new(),
        },
        (owner(names.0, numbers.0), owner(names.1, numbers.1)),
    ))
}
