//! The base of the RAM environment: a gzip-compressed newc cpio archive with the init, the rescue
//! shell, the checker of the root filesystem, the drivers and the boot loader for the staged image.
//!
//! gzip, because every kernel that is configured for an initramfs reads it. Modules lie in it
//! decompressed, so that the init can hand them to kernels that cannot decompress them. The same
//! inputs give the same bytes: no times, inodes counted, a fixed order. The format is that of the
//! kernel's Documentation/driver-api/early-userspace/buffer-format.rst.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::Path;

use anyhow::{Context, Result};
use cpio::newc;
use flate2::{Compression, GzBuilder};
use formats::manifest::SshArchive;
use machine::modinfo;
use machine::modules::Alias;

use crate::checker;
use crate::drivers::{self, Lists, Selection};
use crate::elf;
use crate::failure::{missing_tool, refusal};
use crate::payload_drivers::{firmware_path, read_module};
use crate::requirements::NewOs;
use crate::root_tree::RootTree;
use crate::source::decompressor;
use crate::ssh_server;
use crate::stage_loader::LoaderFile;

const DIRECTORY: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_000;
const CHARACTER_DEVICE: u32 = 0o020_000;

/// Directories that are there from the start: mount points, and where the init puts things.
const FOLDERS: [&str; 8] = ["bin", "dev", "etc", "mnt", "proc", "root", "run", "sys"];
/// Devices that have to be there before devtmpfs is: name, major, minor, mode.
const DEVICES: [(&str, u32, u32, u32); 2] =
    [("dev/console", 5, 1, 0o600), ("dev/null", 1, 3, 0o666)];

/// What an inode and its name take in the kernel's memory.
const INODE_BYTES: u64 = 1024;
const PAGE: u64 = 4096;

enum Node {
    Folder,
    File { mode: u32, bytes: Vec<u8> },
    Link(String),
    Device { major: u32, minor: u32, mode: u32 },
}

/// A finished base.
pub struct Base {
    /// The archive, compressed; behind it the ssh server's, where there is one.
    pub archive: Vec<u8>,
    /// What it takes in memory once unpacked, without the ssh server.
    pub unpacked_bytes: u64,
    /// The ssh server.
    pub ssh: Option<SshArchive>,
    /// Why there is none although the payload has one.
    pub ssh_lacks: Option<String>,
    /// Modules that are loaded whatever the hardware is.
    pub load: Vec<String>,
    /// The drivers in it and those that are part of the kernel.
    pub drivers: Vec<String>,
    /// How many modules it holds.
    pub modules: usize,
}

/// Makes the base for the kernel of a new OS.
pub fn make(
    tree: &RootTree,
    os: &NewOs,
    classes: &[String],
    init: Vec<u8>,
    rescue: &Path,
    loader: Vec<LoaderFile>,
) -> Result<Base> {
    let lists = read_lists(tree, os)?;
    let selection = drivers::select(&lists, classes)
        .with_context(|| format!("choose the modules of kernel {}", os.kernel))?;
    let mut nodes = BTreeMap::new();
    for folder in FOLDERS {
        nodes.insert(folder.to_owned(), Node::Folder);
    }
    for (name, major, minor, mode) in DEVICES {
        nodes.insert(name.to_owned(), Node::Device { major, minor, mode });
    }
    nodes.insert(
        "init".to_owned(),
        Node::File {
            mode: 0o755,
            bytes: init,
        },
    );
    let busybox = read_rescue(rescue)?;
    nodes.insert(
        "bin/busybox".to_owned(),
        Node::File {
            mode: 0o755,
            bytes: busybox,
        },
    );
    nodes.insert("bin/sh".to_owned(), Node::Link("busybox".to_owned()));
    add_modules(&mut nodes, tree, os, &lists, &selection)?;
    for (path, bytes) in checker::files(tree)? {
        add_program(&mut nodes, &path, bytes);
    }
    for (path, bytes) in loader {
        add_file(&mut nodes, &path, bytes);
    }
    let unpacked_bytes = nodes.values().map(in_memory).sum();
    let mut archive = compress(&nodes).context("write the initramfs")?;
    let (ssh, ssh_lacks) = match ssh_server::files(tree) {
        Ok(files) => (ssh_nodes(&nodes, files), None),
        Err(why) => (BTreeMap::new(), Some(why)),
    };
    // The kernel unpacks archives that follow each other, and a plan leaves the last one out.
    let ssh = if ssh.is_empty() {
        None
    } else {
        let packed = compress(&ssh).context("write the ssh server's archive")?;
        archive.extend_from_slice(&packed);
        Some(SshArchive {
            packed_bytes: packed.len() as u64,
            unpacked_bytes: ssh.values().map(in_memory).sum(),
        })
    };
    Ok(Base {
        archive,
        unpacked_bytes,
        ssh,
        ssh_lacks,
        modules: selection.modules.len(),
        load: selection.load,
        drivers: selection.drivers.into_iter().collect(),
    })
}

/// The ssh server's archive: what the base does not have already.
fn ssh_nodes(
    base: &BTreeMap<String, Node>,
    files: BTreeMap<String, Vec<u8>>,
) -> BTreeMap<String, Node> {
    let mut nodes = BTreeMap::new();
    for (path, bytes) in files {
        if !base.contains_key(&path) {
            add_program(&mut nodes, &path, bytes);
        }
    }
    nodes
}

fn read_lists(tree: &RootTree, os: &NewOs) -> Result<Lists> {
    let read = |name: &str| {
        let path = format!("{}/{name}", os.modules);
        match tree.text(&path) {
            // Only modules.dep is always written; the others are as good as empty.
            Err(error) if error.kind() == io::ErrorKind::NotFound && name != "modules.dep" => {
                Ok(String::new())
            }
            other => other.with_context(|| format!("read /{path} in the new root")),
        }
    };
    Ok(Lists {
        dep: read("modules.dep")?,
        alias: read("modules.alias")?,
        softdep: read("modules.softdep")?,
        builtin: read("modules.builtin")?,
    })
}

fn read_rescue(path: &Path) -> Result<Vec<u8>> {
    let bytes = match std::fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(missing_tool(&path.display().to_string(), "busybox-static"));
        }
        other => other.with_context(|| format!("read the rescue shell {}", path.display()))?,
    };
    elf::require_static(&bytes).map_err(|why| {
        refusal(
            format!("{} cannot be the rescue shell: {why}", path.display()),
            "install the package busybox-static, or name a static one with rescue in image.toml",
        )
    })?;
    Ok(bytes)
}

fn add_modules(
    nodes: &mut BTreeMap<String, Node>,
    tree: &RootTree,
    os: &NewOs,
    lists: &Lists,
    selection: &Selection,
) -> Result<()> {
    let folder = format!("lib/modules/{}", os.kernel);
    for name in &selection.modules {
        let Some(module) = selection.dependencies.get(name) else {
            continue;
        };
        let from = format!("{}/{}", os.modules, module.path);
        let bytes = read_module(tree, &from)?;
        elf::require_x86_64(&bytes)
            .map_err(anyhow::Error::msg)
            .with_context(|| format!("read the module /{from} in the new root"))?;
        add_firmware(nodes, tree, os, &bytes)?;
        add_file(
            nodes,
            &format!("{folder}/{}", decompressed_name(&module.path)),
            bytes,
        );
    }
    let dep = selection
        .dependencies
        .to_text(&selection.modules, decompressed_name);
    let mut alias = String::new();
    for Alias { pattern, module } in &selection.aliases {
        alias.extend(["alias ", pattern, " ", module, "\n"]);
    }
    add_file(nodes, &format!("{folder}/modules.dep"), dep.into_bytes());
    add_file(
        nodes,
        &format!("{folder}/modules.alias"),
        alias.into_bytes(),
    );
    add_file(
        nodes,
        &format!("{folder}/modules.builtin"),
        lists.builtin.clone().into_bytes(),
    );
    Ok(())
}

/// Adds the firmware that a module names, as far as the payload has it: decompressed, since not every
/// kernel decompresses it.
fn add_firmware(
    nodes: &mut BTreeMap<String, Node>,
    tree: &RootTree,
    os: &NewOs,
    module: &[u8],
) -> Result<()> {
    for name in modinfo::firmware(module).unwrap_or_default() {
        let Some(from) = firmware_path(tree, &os.kernel, &name) else {
            continue;
        };
        let packed = tree
            .read(&from)
            .with_context(|| format!("read the firmware /{from} in the new root"))?;
        let mut bytes = Vec::new();
        if from.ends_with(&name) {
            bytes = packed;
        } else {
            decompressor(&packed[..])
                .and_then(|mut out| Ok(out.read_to_end(&mut bytes)?))
                .with_context(|| format!("decompress the firmware /{from} in the new root"))?;
        }
        add_file(nodes, &format!("lib/firmware/{name}"), bytes);
    }
    Ok(())
}

/// `….ko` for `….ko.xz`.
fn decompressed_name(path: &str) -> String {
    match path.rsplit_once(".ko.") {
        Some((stem, _)) => format!("{stem}.ko"),
        None => path.to_owned(),
    }
}

/// Adds a file and the directories above it.
fn add_file(nodes: &mut BTreeMap<String, Node>, path: &str, bytes: Vec<u8>) {
    for (at, _) in path.match_indices('/') {
        nodes.entry(path[..at].to_owned()).or_insert(Node::Folder);
    }
    nodes.insert(path.to_owned(), Node::File { mode: 0o644, bytes });
}

/// The same with a file that is run.
fn add_program(nodes: &mut BTreeMap<String, Node>, path: &str, bytes: Vec<u8>) {
    add_file(nodes, path, bytes);
    if let Some(Node::File { mode, .. }) = nodes.get_mut(path) {
        *mode = 0o755;
    }
}

fn in_memory(node: &Node) -> u64 {
    let bytes = match node {
        Node::File { bytes, .. } => bytes.len() as u64,
        _ => 0,
    };
    INODE_BYTES + bytes.next_multiple_of(PAGE)
}

/// A path sorts behind the directory that it is in, so the map's order is one to unpack in.
fn compress(nodes: &BTreeMap<String, Node>) -> io::Result<Vec<u8>> {
    let mut out = GzBuilder::new()
        .mtime(0)
        .write(Vec::new(), Compression::best());
    for (inode, (path, node)) in (1..).zip(nodes) {
        let entry = newc::Builder::new(path)
            .ino(inode)
            .nlink(1)
            .mtime(0)
            .uid(0)
            .gid(0);
        let (entry, bytes): (_, &[u8]) = match node {
            Node::Folder => (entry.mode(DIRECTORY | 0o755).nlink(2), &[]),
            Node::File { mode, bytes } => (entry.mode(FILE | mode), bytes),
            Node::Link(target) => (entry.mode(LINK | 0o777), target.as_bytes()),
            Node::Device { major, minor, mode } => (
                entry
                    .mode(CHARACTER_DEVICE | mode)
                    .rdev_major(*major)
                    .rdev_minor(*minor),
                &[],
            ),
        };
        let size = u32::try_from(bytes.len())
            .map_err(|_| io::Error::other(format!("{path} is larger than newc cpio allows")))?;
        let mut writer = entry.write(&mut out, size);
        writer.write_all(bytes)?;
        writer.finish()?;
    }
    newc::trailer(&mut out)?;
    out.finish()
}

#[cfg(test)]
mod tests {
    use flate2::read::MultiGzDecoder;

    use super::*;

    fn nodes() -> BTreeMap<String, Node> {
        let mut nodes = BTreeMap::new();
        nodes.insert("bin".to_owned(), Node::Folder);
        nodes.insert("bin/sh".to_owned(), Node::Link("busybox".to_owned()));
        nodes.insert("dev".to_owned(), Node::Folder);
        let console = Node::Device {
            major: 5,
            minor: 1,
            mode: 0o600,
        };
        nodes.insert("dev/console".to_owned(), console);
        add_file(
            &mut nodes,
            "lib/modules/6.1/kernel/a.ko",
            b"module".to_vec(),
        );
        nodes.insert(
            "init".to_owned(),
            Node::File {
                mode: 0o755,
                bytes: b"init".to_vec(),
            },
        );
        nodes
    }

    #[test]
    fn the_archive_reads_back_parents_first() {
        let archive = compress(&nodes()).unwrap();
        let mut input = MultiGzDecoder::new(&archive[..]);
        let mut found = Vec::new();
        loop {
            let reader = newc::Reader::new(&mut input).unwrap();
            if reader.entry().is_trailer() {
                break;
            }
            let entry = reader.entry();
            found.push((
                entry.name().to_owned(),
                entry.mode(),
                entry.ino(),
                entry.file_size(),
            ));
            assert_eq!(entry.mtime(), 0);
            reader.finish().unwrap();
        }
        let expected: Vec<(String, u32, u32, u32)> = [
            ("bin", 0o040_755, 0),
            ("bin/sh", 0o120_777, 7),
            ("dev", 0o040_755, 0),
            ("dev/console", 0o020_600, 0),
            ("init", 0o100_755, 4),
            ("lib", 0o040_755, 0),
            ("lib/modules", 0o040_755, 0),
            ("lib/modules/6.1", 0o040_755, 0),
            ("lib/modules/6.1/kernel", 0o040_755, 0),
            ("lib/modules/6.1/kernel/a.ko", 0o100_644, 6),
        ]
        .into_iter()
        .zip(1..)
        .map(|((name, mode, size), inode)| (name.to_owned(), mode, inode, size))
        .collect();
        assert_eq!(found, expected);
        assert_eq!(compress(&nodes()).unwrap(), archive);
    }

    #[test]
    fn the_ssh_server_brings_what_the_base_does_not_have() {
        let mut base = nodes();
        add_program(&mut base, "lib/libc.so.6", b"c".to_vec());
        let files = ["lib/libc.so.6", "usr/sbin/sshd"].map(|path| (path.to_owned(), vec![1]));
        let ssh = ssh_nodes(&base, files.into());
        let paths: Vec<_> = ssh.keys().map(String::as_str).collect();
        assert_eq!(paths, ["usr", "usr/sbin", "usr/sbin/sshd"]);
        assert!(matches!(
            ssh["usr/sbin/sshd"],
            Node::File { mode: 0o755, .. }
        ));
        assert!(ssh_nodes(&base, BTreeMap::new()).is_empty());
    }

    #[test]
    fn memory_is_counted_in_pages_and_inodes() {
        let file = |length| Node::File {
            mode: 0,
            bytes: vec![0; length],
        };
        assert_eq!(in_memory(&Node::Folder), 1024);
        assert_eq!(in_memory(&file(1)), 1024 + 4096);
        assert_eq!(in_memory(&file(4097)), 1024 + 8192);
    }

    #[test]
    fn a_dynamic_or_absent_rescue_shell_is_refused() {
        let error = read_rescue(Path::new("/nonexistent/busybox")).unwrap_err();
        assert!(error.to_string().contains("not installed"), "{error}");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "#!/bin/sh\n").unwrap();
        let error = read_rescue(file.path()).unwrap_err();
        assert!(
            error.to_string().contains("cannot be the rescue shell"),
            "{error}"
        );
    }
}
