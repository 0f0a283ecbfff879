//! `reroot build`: from an image folder to an image.

use std::fs::File;
use std::io::Write;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use formats::counted::counted;
use formats::facts::RootType;
use formats::hooks::Hooks;
use formats::manifest::{Boot, Initramfs, Kernel, Manifest, USUAL_INIT_SIZE};
use formats::payload::Payload;
use formats::payload_drivers::PayloadDrivers;
use formats::tools::Tools;
use formats::Document;
use kexec_loader::bzimage;
use tree::{pack, PackOptions};

use crate::called;
use crate::cli;
use crate::elf;
use crate::failure::refusal;
use crate::image_file::{folder_of, ImageWriter};
use crate::initramfs;
use crate::inside::run_inside;
use crate::narrow;
use crate::new_identity;
use crate::payload_drivers;
use crate::progress::{mib, step, step_of_bytes};
use crate::recipe::{self, Recipe};
use crate::requirements::{self, NewOs};
use crate::root_tree::RootTree;
use crate::settle::settle;
use crate::source::make_root;
use crate::stage_loader::{self, LoaderFile};
use crate::suite::Overrides;
use crate::tools;

/// What the kernel's own documentation calls the magic of its real-mode header, and where it is.
const BZIMAGE_MAGIC: (usize, &[u8]) = (0x202, b"HdrS");

/// Builds an image.
pub fn build(arguments: &cli::Build) -> Result<()> {
    let recipe = read_recipe(&arguments.image_dir)?;
    require_root()?;
    let launcher = own_program("reroot-launch", arguments.launcher.as_deref(), "--launcher")?;
    let launcher = narrow::with_word(&launcher)
        .context("put a word for 32-bit kernels behind the launcher: its text holds every end")?;
    let init = own_program("reroot-init", arguments.init.as_deref(), "--init")?;
    // Before the long work: a target that cannot be written is known at once.
    let mut image = ImageWriter::begin(&arguments.output)?;

    let work = Work::make(arguments.keep_work.as_deref())?;
    let overrides = Overrides {
        mirror: arguments.mirror.clone(),
        security_mirror: arguments.security_mirror.clone(),
        keyring: arguments.keyring.clone(),
    };
    make_root(&recipe.source, &overrides, work.root())?;
    run_hooks(&recipe, work.root())?;
    let tree = RootTree::open(work.root()).context("open the new root")?;
    let os = requirements::check(&tree, recipe.boot.loader)?;
    settle(&tree, &recipe.source, &recipe.boot)?;

    let identity = new_identity::look(&tree, &recipe, &os)?;
    let hooks = called::look(&tree)?;
    let mut tools = tools::look(&tree, &os.kernel)?;
    let payload_drivers = payload_drivers::look(&tree, &os, &recipe.drivers)
        .context("look at what the new OS can drive")?;
    let kernel = read_kernel(&tree, &os)?;
    let loader = stage_loader::make(work.root())?;
    let sectors = |filesystem: RootType| loader.new_core_sectors.get(filesystem.name()).copied();
    tools.grub_core_sectors = sectors(RootType::Ext4);
    tools.lvm_core_sectors = loader.lvm_core_sectors;
    if let Some(xfs) = &mut tools.xfs {
        xfs.grub_core_sectors = sectors(RootType::Xfs);
    }
    if let Some(btrfs) = &mut tools.btrfs {
        btrfs.grub_core_sectors = sectors(RootType::Btrfs);
    }
    let base = make_initramfs(&tree, &os, &recipe, init, loader.files)?;
    image.part(|out| Ok(out.write_all(&launcher)?))?;
    image.part(|out| Ok(out.write_all(&kernel)?))?;
    image.part(|out| Ok(out.write_all(&base.archive)?))?;
    let payload = image.part(|out| pack_payload(work.root(), out, arguments))?;
    let found = Found {
        payload_drivers,
        identity,
        tools,
        hooks,
    };
    let manifest = describe(&recipe, os, &kernel, &base, payload, found);
    image.part(|out| Ok(out.write_all(manifest.to_json().as_bytes())?))?;
    let length = image.finish()?;
    println!(
        "{}: {}, {} for {}",
        arguments.output.display(),
        mib(length),
        manifest.os.pretty_name,
        manifest.architecture
    );
    Ok(())
}

fn read_recipe(folder: &Path) -> Result<Recipe> {
    let file = folder.join(recipe::FILE);
    let text = match std::fs::read_to_string(&file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(refusal(
                format!("{} does not exist", file.display()),
                "name a folder that holds an image.toml, such as images/trixie",
            ));
        }
        other => other.with_context(|| format!("read {}", file.display()))?,
    };
    Ok(recipe::parse(&text, &file)?)
}

fn require_root() -> Result<()> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    Err(refusal(
        "only root can make a root filesystem with its owners and devices",
        "run the command again with sudo",
    ))
}

/// Reads the launcher or the init and proves that it can do its work anywhere.
fn own_program(name: &str, given: Option<&Path>, option: &str) -> Result<Vec<u8>> {
    let path = if let Some(path) = given {
        path.to_owned()
    } else {
        let own = std::env::current_exe().context("find this program's own file")?;
        folder_of(&own).join(name)
    };
    let bytes = match std::fs::read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(refusal(
                format!("{} does not exist", path.display()),
                format!("build it (cargo build --release), or name it: {option} PATH"),
            ));
        }
        other => other.with_context(|| format!("read {}", path.display()))?,
    };
    elf::require_static(&bytes).map_err(|why| {
        refusal(
            format!("{} cannot be {name}: {why}", path.display()),
            format!("name a static x86-64 program: {option} PATH"),
        )
    })?;
    Ok(bytes)
}

/// Where the root filesystem is made.
struct Work {
    root: PathBuf,
    /// Goes with everything in it when the work is done, or has failed.
    _temporary: Option<tempfile::TempDir>,
}

impl Work {
    fn make(kept: Option<&Path>) -> Result<Work> {
        if let Some(path) = kept {
            std::fs::create_dir_all(path).with_context(|| format!("make {}", path.display()))?;
            let mut entries =
                std::fs::read_dir(path).with_context(|| format!("list {}", path.display()))?;
            if entries.next().is_some() {
                return Err(refusal(
                    format!("{} is not empty", path.display()),
                    "name a directory that is absent or empty",
                ));
            }
            return Ok(Work {
                root: path.to_owned(),
                _temporary: None,
            });
        }
        let folder = std::env::var_os("TMPDIR").map_or_else(|| "/var/tmp".into(), PathBuf::from);
        let folder = tempfile::Builder::new()
            .prefix("reroot-build-")
            .tempdir_in(&folder)
            .with_context(|| format!("make a directory in {}", folder.display()))?;
        let root = folder.path().join("root");
        std::fs::create_dir(&root).with_context(|| format!("make {}", root.display()))?;
        Ok(Work {
            root,
            _temporary: Some(folder),
        })
    }

    fn root(&self) -> &Path {
        &self.root
    }
}

fn run_hooks(recipe: &Recipe, root: &Path) -> Result<()> {
    for hook in &recipe.hooks {
        let progress = step(&format!("running {}", hook.display()));
        run_inside(root, hook, &[], &progress)
            .with_context(|| format!("run the hook {}", hook.display()))?;
        progress.done("done");
    }
    Ok(())
}

fn read_kernel(tree: &RootTree, os: &NewOs) -> Result<Vec<u8>> {
    let path = format!("boot/vmlinuz-{}", os.kernel);
    let bytes = tree
        .read(&path)
        .with_context(|| format!("read /{path} in the new root"))?;
    let (at, magic) = BZIMAGE_MAGIC;
    if bytes.get(at..at + magic.len()) == Some(magic) {
        return Ok(bytes);
    }
    Err(refusal(
        format!("/{path} in the new root is no x86 kernel (bzImage)"),
        "use a source for the architecture amd64",
    ))
}

/// What the kernel takes where it is loaded. One that the launcher's own loader does not take is loaded
/// by the running kernel, and counted as a usual one.
fn init_size(kernel: &[u8]) -> u64 {
    let head = &kernel[..kernel.len().min(bzimage::HEAD)];
    bzimage::Kernel::parse(head, kernel.len() as u64)
        .map_or(USUAL_INIT_SIZE, |parsed| parsed.init_size.0)
}

fn make_initramfs(
    tree: &RootTree,
    os: &NewOs,
    recipe: &Recipe,
    init: Vec<u8>,
    loader: Vec<LoaderFile>,
) -> Result<initramfs::Base> {
    let progress = step("making the RAM environment");
    let base = initramfs::make(tree, os, &recipe.drivers, init, &recipe.rescue, loader)
        .context("make the RAM environment")?;
    let ssh = match (&base.ssh, &base.ssh_lacks) {
        (Some(ssh), _) => format!(
            "of which ssh {} and {}",
            mib(ssh.packed_bytes),
            mib(ssh.unpacked_bytes)
        ),
        (None, Some(why)) => format!("no ssh server: {why}"),
        (None, None) => "no ssh server: the payload has none".to_owned(),
    };
    progress.done(&format!(
        "{} of {}, {} packed, {} in memory, {ssh}",
        counted(base.modules as u64, "module", "modules"),
        os.kernel,
        mib(base.archive.len() as u64),
        mib(base.unpacked_bytes + base.ssh.map_or(0, |ssh| ssh.unpacked_bytes))
    ));
    Ok(base)
}

fn pack_payload(root: &Path, out: &mut dyn Write, arguments: &cli::Build) -> Result<Payload> {
    let progress = step_of_bytes("packing the new root", size_of(root));
    let mut options = PackOptions {
        level: arguments.level,
        ..PackOptions::default()
    };
    options.threads = arguments.threads.map_or(options.threads, NonZeroUsize::get);
    let root = File::open(root).context("open the new root")?;
    let payload = pack(root.as_fd(), out, &options, &|bytes| progress.add(bytes))
        .context("pack the new root")?;
    progress.done(&format!(
        "{}, {} to {}",
        counted(payload.entries, "entry", "entries"),
        mib(payload.unpacked_bytes),
        mib(payload.length())
    ));
    Ok(payload)
}

/// About how many bytes there are to pack. It only scales a bar, so whatever cannot be looked at
/// is left out.
fn size_of(root: &Path) -> u64 {
    let mut folders = vec![root.to_owned()];
    let mut bytes = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let Ok(found) = entry.metadata() else {
                continue;
            };
            if found.is_dir() {
                folders.push(entry.path());
            }
            bytes += 512
                + if found.is_file() {
                    found.len().next_multiple_of(512)
                } else {
                    0
                };
        }
    }
    bytes
}

/// What was found in the new root, for the manifest.
struct Found {
    payload_drivers: PayloadDrivers,
    identity: new_identity::Found,
    tools: Tools,
    hooks: Hooks,
}

fn describe(
    recipe: &Recipe,
    os: NewOs,
    kernel: &[u8],
    base: &initramfs::Base,
    payload: Payload,
    found: Found,
) -> Manifest {
    let Found {
        payload_drivers,
        identity,
        tools,
        hooks,
    } = found;
    Manifest {
        name: recipe.name.clone(),
        built_by: format!("reroot {}", env!("CARGO_PKG_VERSION")),
        architecture: "x86_64".to_owned(),
        os: os.release,
        kernel: Kernel {
            release: os.kernel,
            init_size: init_size(kernel),
            load: base.load.clone(),
            drivers: base.drivers.clone(),
        },
        initramfs: Initramfs {
            unpacked_bytes: base.unpacked_bytes,
            ssh: base.ssh,
        },
        boot: Boot {
            loader: recipe.boot.loader,
            cmdline: recipe.boot.cmdline.clone(),
            consoles: recipe.boot.consoles.clone(),
        },
        network: identity.network,
        accounts: identity.accounts,
        identity: identity.identity,
        keep: recipe.keep.clone(),
        payload_drivers: Some(payload_drivers),
        tools,
        hooks,
        payload,
    }
}
