//! The data on the old server that people would miss: a shop, a database, a home directory.
//!
//! Made from nothing but names, so that every build gives the same bytes, and not without the
//! things that copying tools get wrong: names with newlines, blanks, 255 bytes or invalid UTF-8,
//! sparse files, hard links, symbolic links out of the tree, FIFOs, extended attributes, old times.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{symlink, PermissionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use rustix::fs::{mknodat, setxattr, FileType, Mode, XattrFlags, CWD};

/// Who owns what, as numbers in the tree that is filled.
#[derive(Debug, Clone, Copy)]
pub struct Owners {
    /// The database's account.
    pub mysql: (u32, u32),
    /// A person.
    pub alice: (u32, u32),
    /// The shop's account.
    pub shop: (u32, u32),
}

/// The paths that this module fills, which are also what the images keep.
pub const KEPT: [&str; 3] = ["/srv/shop", "/var/lib/mysql", "/home/alice"];

/// Writes everything into the tree at `root`.
pub fn fill(root: &Path, owners: Owners) -> Result<()> {
    shop(&root.join("srv/shop")).context("fill /srv/shop")?;
    own_all(&root.join("srv/shop"), owners.shop)?;
    database(&root.join("var/lib/mysql")).context("fill /var/lib/mysql")?;
    own_all(&root.join("var/lib/mysql"), owners.mysql)?;
    home(&root.join("home/alice")).context("fill /home/alice")?;
    own_all(&root.join("home/alice"), owners.alice)
}

fn shop(root: &Path) -> Result<()> {
    for year in 2013..=2015 {
        for month in 1..=12 {
            let directory = root.join(format!("orders/{year}/{month:02}"));
            fs::create_dir_all(&directory)?;
            for order in 0..80 {
                let name = format!("order-{year}{month:02}{order:04}.json");
                write_noise(&directory.join(name), 400 + (order * 37) % 3000)?;
            }
        }
    }
    fs::create_dir_all(root.join("www/images"))?;
    fs::write(root.join("www/index.html"), "<h1>The shop is open</h1>\n")?;
    for picture in 0..60 {
        let name = format!("www/images/product-{picture:03}.jpg");
        write_noise(&root.join(name), 60_000 + picture * 1000)?;
    }
    odd_names(&root.join("uploads"))?;
    odd_files(&root.join("exports"))
}

fn odd_names(directory: &Path) -> Result<()> {
    fs::create_dir_all(directory)?;
    let long = "n".repeat(255);
    let names: [&[u8]; 10] = [
        b"with blanks  in it ",
        b"with\na newline",
        b"-rf",
        b"*",
        b"$(reboot)",
        b"invalid \xff\xfe utf-8",
        "gr\u{fc}n \u{2192} \u{1f6d2}".as_bytes(),
        b"\\backslash",
        b"tab\there",
        long.as_bytes(),
    ];
    for name in names {
        write_noise(&directory.join(OsStr::from_bytes(name)), name.len() * 10)?;
    }
    let mut deep = directory.to_path_buf();
    for _ in 0..40 {
        deep.push("deep");
    }
    fs::create_dir_all(&deep)?;
    write_noise(&deep.join("bottom"), 1000)
}

fn odd_files(directory: &Path) -> Result<()> {
    fs::create_dir_all(directory.join("empty directory"))?;
    let sparse = directory.join("sparse.img");
    let mut file = File::create(&sparse)?;
    for offset in [0, 20 << 20, 63 << 20] {
        file.seek(SeekFrom::Start(offset))?;
        file.write_all(&noise_bytes("sparse", 4096))?;
    }
    file.set_len(64 << 20)?;
    write_noise(&directory.join("linked-1"), 5000)?;
    fs::hard_link(directory.join("linked-1"), directory.join("linked-2"))?;
    symlink("/etc/passwd", directory.join("out-of-the-tree"))?;
    symlink("/", directory.join("to-the-root"))?;
    symlink("nowhere", directory.join("dangling"))?;
    mknodat(
        CWD,
        directory.join("fifo"),
        FileType::Fifo,
        Mode::from(0o640),
        0,
    )?;
    fs::write(directory.join("attributed"), "has an attribute\n")?;
    let attributed = directory.join("attributed");
    setxattr(&attributed, "user.origin", b"till 4", XattrFlags::CREATE)?;
    fs::write(directory.join("secret"), "for the owner alone\n")?;
    fs::set_permissions(directory.join("secret"), fs::Permissions::from_mode(0o400))?;
    Ok(())
}

fn database(root: &Path) -> Result<()> {
    fs::create_dir_all(root.join("mysql"))?;
    fs::create_dir_all(root.join("shop"))?;
    fs::create_dir_all(root.join("performance_schema"))?;
    fs::write(
        root.join("auto.cnf"),
        "[auto]\nserver-uuid=5d1e8a30-0f6e-11e4-8a5c-525400123456\n",
    )?;
    write_noise(&root.join("ibdata1"), 24 << 20)?;
    write_noise(&root.join("ib_logfile0"), 8 << 20)?;
    write_noise(&root.join("ib_logfile1"), 8 << 20)?;
    for table in [
        "user",
        "db",
        "host",
        "proc",
        "event",
        "func",
        "tables_priv",
        "columns_priv",
    ] {
        for (extension, size) in [("frm", 9000), ("MYD", 400), ("MYI", 2048)] {
            write_noise(&root.join(format!("mysql/{table}.{extension}")), size)?;
        }
    }
    fs::write(root.join("shop/db.opt"), "default-character-set=utf8\n")?;
    for table in ["orders", "customers", "products", "payments", "stock"] {
        write_noise(&root.join(format!("shop/{table}.frm")), 8700)?;
        write_noise(&root.join(format!("shop/{table}.ibd")), 2 << 20)?;
    }
    fs::set_permissions(root, fs::Permissions::from_mode(0o700))?;
    Ok(())
}

fn home(root: &Path) -> Result<()> {
    fs::create_dir_all(root.join("Maildir/cur"))?;
    fs::create_dir_all(root.join("documents"))?;
    for mail in 0..300 {
        let name = format!(
            "Maildir/cur/{}.M{mail}P1.shop1:2,S",
            1_400_000_000 + mail * 977
        );
        write_noise(&root.join(name), 900 + (mail * 131) % 9000)?;
    }
    write_noise(&root.join("documents/thesis.odt"), 700_000)?;
    fs::set_permissions(root, fs::Permissions::from_mode(0o750))?;
    Ok(())
}

/// Gives the tree to `owner` and to a past that nobody would take for today.
fn own_all(path: &Path, owner: (u32, u32)) -> Result<()> {
    let kind = fs::symlink_metadata(path)?.file_type();
    if kind.is_dir() {
        for entry in fs::read_dir(path)? {
            own_all(&entry?.path(), owner)?;
        }
    }
    std::os::unix::fs::lchown(path, Some(owner.0), Some(owner.1))
        .with_context(|| format!("chown {}", path.display()))?;
    if kind.is_dir() || kind.is_file() {
        let age = blake3::hash(path.file_name().unwrap_or_default().as_bytes()).as_bytes()[0];
        let time = SystemTime::UNIX_EPOCH
            + Duration::new(
                1_400_000_000 + u64::from(age) * 86_400,
                u32::from(age) * 1_000_003,
            );
        File::open(path)?.set_modified(time)?;
    }
    Ok(())
}

/// A file of `size` bytes that no compressor makes smaller.
fn write_noise(path: &Path, size: usize) -> Result<()> {
    let name = path.file_name().unwrap_or_default();
    let mut file = BufWriter::new(File::create(path)?);
    file.write_all(&noise_bytes(&name.to_string_lossy(), size))?;
    file.flush()
        .with_context(|| format!("write {}", path.display()))
}

/// The first `size` bytes of the stream that belongs to `seed`.
fn noise_bytes(seed: &str, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    blake3::Hasher::new()
        .update(seed.as_bytes())
        .finalize_xof()
        .fill(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_name_gives_the_same_bytes() {
        assert_eq!(noise_bytes("a", 100), noise_bytes("a", 100));
        assert_ne!(noise_bytes("a", 100), noise_bytes("b", 100));
    }
}
