//! `make bench`: every number that docs/testing.md states, measured in one run.
//!
//! Times are of this machine's processors and of a filesystem in a file, the least of several rounds,
//! and only their ratios mean anything elsewhere. The smallest memory is tried in virtual machines.

#[path = "bench/entries.rs"]
mod entries;
#[path = "bench/kexec.rs"]
mod kexec;

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{ensure, Context, Result};
use formats::facts::RootType;
use formats::keep::{KeepPath, KeepSet};
use formats::payload::Payload;
use formats::trailer::PartKind;
use formats::{Document, Manifest};
use reroot_tests::command::run;
use reroot_tests::crafted::trailer_of;
use reroot_tests::images::image;
use reroot_tests::old_server::{cloud_server, old_server, OldServer};
use reroot_tests::paths;
use reroot_tests::reinstall::{self, Outcome, KEEP};
use reroot_tests::vm::Machine;
use tree::{Source, UnpackOptions};

/// Rounds of each measurement.
const ROUNDS: u32 = 5;
/// Inodes for a million kept files and a tree.
const INODES: u64 = 1_200_000;
const FEW: u32 = 1_000;
const MANY: u32 = 1_000_000;
/// Memory sizes to try, in MiB, until one does not do.
const MEMORY_MIB: [u32; 6] = [512, 384, 320, 256, 224, 208];

/// Measures and prints.
type Part = fn(&Path) -> Result<()>;

/// What there is to measure, by the name that selects it on the command line.
const PARTS: [(&str, Part); 6] = [
    ("sizes", sizes),
    ("trees", against_others),
    ("kept", kept_files),
    ("kexec", kexec::loading),
    ("entries", entries::entering),
    ("memory", smallest_memory),
];

fn main() -> Result<()> {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    for name in &asked {
        let known: Vec<&str> = PARTS.iter().map(|(known, _)| *known).collect();
        ensure!(
            known.contains(&name.as_str()),
            "no part {name}; there are {}",
            known.join(", ")
        );
    }
    let image = image("trixie")?;
    for (name, measure) in PARTS {
        if asked.is_empty() || asked.iter().any(|asked| asked == name) {
            measure(&image)?;
        }
    }
    Ok(())
}

fn sizes(image: &Path) -> Result<()> {
    println!("\nSizes");
    for program in ["reroot-launch", "reroot-init"] {
        println!(
            "  {program:<14} {:.2} MiB (below 4)",
            mebibytes(&paths::program(program))?
        );
    }
    println!("  {:<14} {:.1} MiB", "image", mebibytes(image)?);
    Ok(())
}

fn mebibytes(file: &Path) -> Result<f64> {
    let size = fs::metadata(file)
        .with_context(|| format!("stat {}", file.display()))?
        .len();
    Ok(size as f64 / f64::from(1 << 20))
}

fn against_others(image: &Path) -> Result<()> {
    RootType::ALL
        .into_iter()
        .try_for_each(|filesystem| against_others_on(filesystem, image))
}

/// Every way begins with a whole tree that is on the disk and ends the same way.
fn against_others_on(filesystem: RootType, image: &Path) -> Result<()> {
    let bench = Bench::new(image, filesystem)?;
    bench.unpack()?;
    run(Command::new("mksquashfs")
        .arg(bench.root())
        .arg(bench.at("squashed"))
        .args(["-quiet", "-no-progress", "-comp", "zstd"])
        .args(["-wildcards", "-e", "lost+found", "keep"]))?;

    let [mut own, mut tar, mut unsquashfs] = [Duration::MAX; 3];
    for _ in 0..ROUNDS {
        own = own.min(bench.timed(|| bench.wipe().and_then(|()| bench.unpack()))?);
        tar = tar.min(bench.timed(|| {
            bench.remove()?;
            bench.shell(
                "zstd -dc \"$PAYLOAD\" \
                 | tar -x -p --xattrs --xattrs-include='*' --numeric-owner",
            )
        })?);
        unsquashfs = unsquashfs.min(bench.timed(|| {
            bench.remove()?;
            bench.shell("unsquashfs -quiet -no-progress -force -dest . \"$SQUASHED\"")
        })?);
    }
    println!(
        "\nReplacing a tree of {} entries, {} MiB, by itself, on {}, sync included",
        bench.payload.entries,
        bench.payload.unpacked_bytes >> 20,
        filesystem.name()
    );
    println!(
        "  reroot's wipe and unpack      {:>6.2} s",
        own.as_secs_f64()
    );
    println!(
        "  rm -rf; zstd -dc | tar -x     {:>6.2} s",
        tar.as_secs_f64()
    );
    println!(
        "  rm -rf; unsquashfs            {:>6.2} s",
        unsquashfs.as_secs_f64()
    );
    println!(
        "  reroot / tar                  {:>6.2} (at most 0.6)",
        ratio(own, tar)
    );
    println!(
        "  reroot / unsquashfs           {:>6.2}",
        ratio(own, unsquashfs)
    );
    Ok(())
}

/// Two filesystems, in turns: what differs is how much is kept, and nothing else.
fn kept_files(image: &Path) -> Result<()> {
    let [few, many] = [
        Bench::new(image, RootType::Ext4)?,
        Bench::new(image, RootType::Ext4)?,
    ];
    few.keep_files(FEW)?;
    many.keep_files(MANY)?;
    let mut least = [Duration::MAX; 2];
    for _ in 0..ROUNDS {
        for (bench, least) in [&few, &many].into_iter().zip(&mut least) {
            bench.unpack()?;
            // As in the RAM environment, which has seen nothing of the filesystem before.
            bench.unmount()?;
            bench.mount()?;
            *least = (*least).min(bench.timed(|| bench.wipe())?);
        }
    }
    println!("\nWiping the tree beside kept files, sync included");
    for (files, time) in [FEW, MANY].into_iter().zip(least) {
        println!("  {files:>7} files  {:.3} s", time.as_secs_f64());
    }
    println!(
        "  many / few     {:.2} (at most 1.1)",
        ratio(least[1], least[0])
    );
    Ok(())
}

/// A filesystem with the payload of an image beside it.
struct Bench {
    scratch: tempfile::TempDir,
    payload: Payload,
}

impl Bench {
    fn new(image: &Path, filesystem: RootType) -> Result<Self> {
        let bytes = fs::read(image).with_context(|| format!("read {}", image.display()))?;
        let scratch =
            tempfile::tempdir_in(paths::target()).context("create a scratch directory")?;
        let trailer = trailer_of(&bytes)?;
        let part = |kind: PartKind| {
            let part = trailer.part(kind);
            &bytes[part.offset as usize..(part.offset + part.length) as usize]
        };
        let manifest = Manifest::from_json(part(PartKind::Manifest)).context("the manifest")?;
        let at = |name: &str| scratch.path().join(name);
        fs::write(at("payload"), part(PartKind::Payload)).context("write the payload")?;
        File::create(at("disk"))?
            .set_len(8 << 30)
            .context("size the disk")?;
        let inodes = INODES.to_string();
        let mut mkfs = Command::new(format!("mkfs.{}", filesystem.name()));
        match filesystem {
            RootType::Ext4 => {
                mkfs.args(["-q", "-F", "-N", &inodes, "-E", "lazy_itable_init=0"]);
            }
            RootType::Xfs | RootType::Btrfs => {
                mkfs.arg("-q");
            }
        }
        run(mkfs.arg(at("disk")))?;
        fs::create_dir(at("root"))?;
        let bench = Self {
            payload: manifest.payload,
            scratch,
        };
        bench.mount()?;
        fs::create_dir(bench.root().join("keep"))?;
        // Which ext4 is born with, and every way leaves alone.
        fs::create_dir_all(bench.root().join("lost+found"))?;
        Ok(bench)
    }

    fn mount(&self) -> Result<()> {
        run(Command::new("mount")
            .args(["-o", "loop"])
            .arg(self.at("disk"))
            .arg(self.root()))?;
        Ok(())
    }

    fn unmount(&self) -> Result<()> {
        run(Command::new("umount").arg(self.root()))?;
        Ok(())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    fn root(&self) -> PathBuf {
        self.at("root")
    }

    fn keep_files(&self, count: u32) -> Result<()> {
        for number in 0..count {
            let directory = self.root().join("keep").join((number / 1000).to_string());
            if number % 1000 == 0 {
                fs::create_dir(&directory).context("create a kept directory")?;
            }
            File::create(directory.join(number.to_string())).context("create a kept file")?;
        }
        Ok(())
    }

    /// The time of `work` with all before it on the disk already, and all of it on the disk too.
    fn timed(&self, work: impl FnOnce() -> Result<()>) -> Result<Duration> {
        let root = File::open(self.root())?;
        rustix::fs::syncfs(&root).context("sync before")?;
        let start = Instant::now();
        work()?;
        rustix::fs::syncfs(&root).context("sync after")?;
        Ok(start.elapsed())
    }

    fn keep() -> Result<KeepSet> {
        let keep = KeepPath::parse("/keep").context("the kept path")?;
        KeepSet::new([&keep])
            .with_internal("/lost+found")
            .context("the filesystem's own directory")
    }

    fn wipe(&self) -> Result<()> {
        let root = File::open(self.root())?;
        tree::wipe(root.as_fd(), &Self::keep()?, &|_| {}).context("wipe")?;
        Ok(())
    }

    fn unpack(&self) -> Result<()> {
        let root = File::open(self.root())?;
        let source = Source::new(File::open(self.at("payload"))?, 0);
        let options = UnpackOptions::default();
        tree::unpack(
            root.as_fd(),
            &source,
            &self.payload,
            &Self::keep()?,
            &options,
            &|_| {},
        )
        .context("unpack")?;
        Ok(())
    }

    fn remove(&self) -> Result<()> {
        self.shell("find . -mindepth 1 -maxdepth 1 ! -name keep ! -name lost+found -print0 | xargs -0 rm -rf --")
    }

    fn shell(&self, line: &str) -> Result<()> {
        run(Command::new("bash")
            .args(["-euo", "pipefail", "-c", line])
            .current_dir(self.root())
            .env("PAYLOAD", self.at("payload"))
            .env("SQUASHED", self.at("squashed")))?;
        Ok(())
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // A drop cannot fail; what stays mounted is said.
        if let Err(error) = self.unmount() {
            eprintln!("bench: {error:#}");
        }
    }
}

fn ratio(this: Duration, that: Duration) -> f64 {
    this.as_secs_f64() / that.as_secs_f64()
}

/// Reinstalls the old server with less and less memory, on the disk that Debian's installer makes and on a cloud's.
fn smallest_memory(image: &Path) -> Result<()> {
    smallest_memory_of("the old server", &old_server()?, image);
    smallest_memory_of("the old server on a cloud's disk", &cloud_server()?, image);
    Ok(())
}

fn smallest_memory_of(which: &str, server: &OldServer, image: &Path) {
    println!("\nMemory that is enough to reinstall {which} ({KEEP})");
    for memory_mib in MEMORY_MIB {
        let ended = with_memory(server, image, memory_mib);
        match &ended {
            Ok(Outcome::Booted) => println!("  {memory_mib} MiB: reinstalled"),
            Ok(other) => println!("  {memory_mib} MiB: {other:?}"),
            // A machine that dies of too little memory is a finding here, not a failure.
            Err(error) => {
                let text = format!("{error:#}");
                println!(
                    "  {memory_mib} MiB: {}",
                    text.lines().next().unwrap_or_default()
                );
            }
        }
        if !matches!(ended, Ok(Outcome::Booted)) {
            break;
        }
    }
}

fn with_memory(server: &OldServer, image: &Path, memory_mib: u32) -> Result<Outcome> {
    let mut machine = Machine::boot(server, "memory", memory_mib)?;
    machine.wait_for_ssh()?;
    let started = reinstall::start(&machine, image, "")?;
    let limit = machine.patience(reinstall::LIMIT);
    reinstall::wait(&mut machine, started, limit, |_| {})
}
