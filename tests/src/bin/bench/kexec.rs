//! Loading and entering by our own loader, beside the kernel's and kexec-tools': the image's kernel
//! and initramfs with its payload, on a bare machine.
//!
//! kexec-tools is fetched as a package and unpacked under `target/`, never installed: its package
//! would change how this machine reboots.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{ensure, Context, Result};
use formats::trailer::PartKind;
use kexec_loader::initrd::{member, trailer};
use reroot_tests::bare::{initramfs, stripped, Bare, File};
use reroot_tests::command::{run, stdout_of};
use reroot_tests::crafted::trailer_of;
use reroot_tests::old_server::old_server;
use reroot_tests::paths;

/// On real hardware; the emulated digests take most of it.
const LIMIT: Duration = Duration::from_mins(4);
/// The files three times over: in the archive, unpacked, loaded.
const MEMORY_MIB: u32 = 2048;
/// The ways, as the guest names them and as they are printed.
const WAYS: [(&str, &str); 4] = [
    ("own", "reroot, kexec_load"),
    ("file", "reroot, kexec_file_load"),
    ("tools", "kexec -c -l"),
    ("tools-file", "kexec -s -l"),
];
/// Of these, what is entered: the fourth enters as the second does.
const ENTERED: usize = 3;

/// Measures and prints.
pub fn loading(image: &Path) -> Result<()> {
    let server = old_server()?;
    let initramfs = guest(image)?;
    let bare = Bare {
        kernel: &server.kernel,
        initramfs: &initramfs,
        cmdline: "rootfstype=ramfs quiet guest=times",
        memory_mib: MEMORY_MIB,
        board: "pc",
        more: &[],
    };
    let console = bare.run(LIMIT)?;
    let times = WAYS.map(|(name, _)| time(&console, name));
    let mut seconds = Vec::new();
    println!("\nLoading kernel and initramfs of the image, payload included");
    for ((_, title), time) in WAYS.iter().zip(times) {
        let time = time.with_context(|| format!("no time of {title}\n{console}"))?;
        println!("  {title:<26} {time:>6.2} s");
        seconds.push(time);
    }
    println!(
        "  reroot / kexec -c          {:>6.2}",
        seconds[0] / seconds[2]
    );
    println!(
        "  reroot / kexec -s          {:>6.2}",
        seconds[0] / seconds[3]
    );

    println!("\nFrom entering to the init's first line");
    let loaded = seconds;
    let mut seconds = Vec::new();
    for (name, title) in &WAYS[..ENTERED] {
        let cmdline = format!("rootfstype=ramfs quiet guest=enter guest.way={name}");
        let entered = Bare {
            cmdline: &cmdline,
            ..bare.clone()
        };
        let between = entered.between("GUEST enter", "reroot: ", LIMIT);
        let between = between.with_context(|| format!("enter by {title}"))?;
        println!("  {title:<26} {:>6.2} s", between.as_secs_f64());
        seconds.push(between.as_secs_f64());
    }
    println!(
        "  kexec_load / kexec_file_load {:>4.2}",
        seconds[0] / seconds[1]
    );
    println!(
        "  kexec_load / kexec -c        {:>4.2}",
        seconds[0] / seconds[2]
    );
    println!("\nBoth together, from the call to the init's first line");
    println!(
        "  kexec_load / kexec -c        {:>4.2} (at most 1.0)",
        (loaded[0] + seconds[0]) / (loaded[2] + seconds[2])
    );
    Ok(())
}

/// The seconds that the guest tells of a way.
fn time(console: &str, name: &str) -> Option<f64> {
    let start = format!("GUEST time {name} ");
    let micros = console
        .lines()
        .find_map(|l| l.trim().strip_prefix(&start))?;
    Some(micros.parse::<f64>().ok()? / 1e6)
}

/// The guest's initramfs with the image's parts and kexec-tools in it.
fn guest(image: &Path) -> Result<Vec<u8>> {
    run(Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--quiet"])
        .args(["-p", "reroot-tests", "--bin", "kexec-guest"])
        .current_dir(paths::workspace()))?;
    let bytes = fs::read(image).with_context(|| format!("read {}", image.display()))?;
    let trailer_read = trailer_of(&bytes)?;
    let part = |kind: PartKind| {
        let part = trailer_read.part(kind);
        &bytes[part.offset as usize..(part.offset + part.length) as usize]
    };
    let payload = part(PartKind::Payload);
    let header = member("reroot-payload", u32::try_from(payload.len())?);
    let mut initrd = part(PartKind::Initramfs).to_vec();
    initrd.resize(initrd.len().next_multiple_of(4), 0);
    initrd.extend(header.context("name the payload")?);
    initrd.extend_from_slice(payload);
    initrd.resize(initrd.len().next_multiple_of(4), 0);
    initrd.extend(trailer());
    println!(
        "\nkernel {} MiB, initrd {} MiB",
        part(PartKind::Kernel).len() >> 20,
        initrd.len() >> 20
    );
    let file = |name: &str, bytes: Vec<u8>| File {
        name: name.to_owned(),
        bytes,
    };
    let mut files = vec![
        file("init", stripped(&paths::program("kexec-guest"))?),
        file("bench/kernel", part(PartKind::Kernel).to_vec()),
        file("bench/initrd", initrd),
    ];
    files.extend(kexec_tools()?);
    initramfs(&files)
}

/// The program and every library that it needs.
fn kexec_tools() -> Result<Vec<File>> {
    let root = paths::target().join("bench/kexec-tools");
    let program = root.join("sbin/kexec");
    if !program.exists() {
        unpack_packages(&root)?;
    }
    let libraries = root.join("usr/lib/x86_64-linux-gnu");
    let listed = stdout_of(
        Command::new("ldd")
            .arg(&program)
            .env("LD_LIBRARY_PATH", &libraries),
    )?;
    let mut files = Vec::new();
    let mut add = |name: String, from: &Path| -> Result<()> {
        let bytes = fs::read(from).with_context(|| format!("read {}", from.display()))?;
        files.push(File { name, bytes });
        Ok(())
    };
    add("bench/tools/kexec".to_owned(), &program)?;
    for line in listed.lines() {
        let path = line.split_whitespace().find(|word| word.starts_with('/'));
        let Some(path) = path.map(PathBuf::from) else {
            continue;
        };
        let name = path
            .file_name()
            .context("a library's name")?
            .to_string_lossy();
        // The loader is looked for at its own path, the others in the program's directory.
        let name = if path.starts_with("/lib64") {
            path.to_string_lossy().trim_start_matches('/').to_owned()
        } else {
            format!("bench/tools/{name}")
        };
        add(name, &path)?;
    }
    Ok(files)
}

/// Fetches the package, and those that it needs and this machine lacks.
fn unpack_packages(root: &Path) -> Result<()> {
    let packages = paths::target().join("bench/packages");
    fs::create_dir_all(packages.join("partial")).context("create a directory for packages")?;
    run(Command::new("apt-get")
        .args(["install", "--yes", "--download-only", "-o"])
        .arg(format!("Dir::Cache::archives={}", packages.display()))
        .arg("kexec-tools"))?;
    let mut unpacked = 0;
    for entry in fs::read_dir(&packages)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            run(Command::new("dpkg-deb").arg("-x").arg(path).arg(root))?;
            unpacked += 1;
        }
    }
    ensure!(
        unpacked > 0,
        "apt-get fetched no package: is kexec-tools installed here?"
    );
    Ok(())
}
