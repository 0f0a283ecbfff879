//! The plan of a run: everything that will be done, before it is done. The crate `plan` makes
//! it; the launcher shows it; the init executes it and trusts nothing else.

use serde::{Deserialize, Serialize};

use crate::access::RamSsh;
use crate::accounts::AccountPlan;
use crate::boot_path::BootPath;
use crate::entry::EntryPlan;
use crate::facts::{Array, Firmware, OsRelease, RootIdentity, Weight};
use crate::hooks::{self, Hooks};
use crate::identity::IdentityPlan;
use crate::keep::{self, is_below, KeepPath};
use crate::listening::Listener;
use crate::measure::Measure;
use crate::network::{Dialect, Gateway, Network, Written};
use crate::overlay::Overlay;
use crate::steps::{Mode, Step};
use crate::told::ReportTo;
use crate::Digest;

/// A resolved plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The run's id, `YYYYMMDDTHHMMSSZ-xxxx`.
    pub run: String,
    /// What the run is for.
    #[serde(default)]
    pub mode: Mode,
    /// The machine's name.
    pub hostname: String,
    /// The image's name.
    pub image: String,
    /// Digest of the image's manifest part: the plan is for this very image.
    pub manifest_digest: Digest,
    /// The old OS.
    pub old_os: OsRelease,
    /// The new OS.
    pub new_os: OsRelease,
    /// How the RAM environment is entered.
    pub entry: EntryPlan,
    /// Firmware of the machine.
    pub firmware: Firmware,
    /// The ways in which a firmware starts the disk, each of which is switched; the one in use first. Of a
    /// mirror they are those of its first disk.
    #[serde(default)]
    pub boot_paths: Vec<BootPath>,
    /// Further disks that have the whole root filesystem, in the order of the identity's members behind the
    /// first, each with its own ways to start.
    #[serde(default)]
    pub copies: Vec<PlanCopy>,
    /// The staged image's loader for a BIOS is a file on the root filesystem.
    #[serde(default)]
    pub loader_apart: bool,
    /// Where the payload waits while the machine is being wiped.
    pub payload_at: PayloadAt,
    /// Why it waits there.
    pub payload_reason: String,
    /// The ssh server of the RAM environment.
    #[serde(default)]
    pub ram_ssh: RamSsh,
    /// The root filesystem.
    pub root: RootIdentity,
    /// The root's device in the old OS, for people only.
    pub root_device: String,
    /// The disk whose boot sectors are rewritten, as the old OS calls it, for people only.
    pub disk: String,
    /// The disk's name for the new OS's package configuration, where there is a stable one.
    pub disk_by_id: Option<String>,
    /// The machine's arrays, which the new OS is told the names of.
    #[serde(default)]
    pub arrays: Vec<Array>,
    /// What becomes of each filesystem that is mounted beside the root from a block device; where one is
    /// mounted in another one, that comes first.
    #[serde(default)]
    pub filesystems: Vec<FilesystemPlan>,
    /// What is kept, as measured when the plan was made.
    pub keep: Vec<KeptPath>,
    /// What goes.
    pub wiped: Amount,
    /// What comes.
    pub unpacked: Amount,
    /// The network.
    pub network: NetworkPlan,
    /// Users and groups.
    pub accounts: AccountPlan,
    /// Names, keys and mounts.
    pub identity: IdentityPlan,
    /// Files of the operator's that are put into the new OS.
    #[serde(default)]
    pub overlay: Option<Overlay>,
    /// Programs that are called on the way.
    #[serde(default)]
    pub hooks: Hooks,
    /// What is written on the machine and will be gone.
    #[serde(default)]
    pub gone: Gone,
    /// What listened to the outside in the old OS, which the first boot is compared with; `None` where
    /// it could not be read.
    #[serde(default)]
    pub listening: Option<Vec<Listener>>,
    /// What to know about the kept paths: what is mounted below them, and links that will lead
    /// nowhere.
    #[serde(default)]
    pub about_kept: Vec<String>,
    /// Filesystems that are not touched and not mounted by the new OS either.
    pub left_alone: Vec<String>,
    /// Kernel parameters of the old OS that are there for the hardware; the RAM environment and the
    /// new OS get them too.
    pub hardware_parameters: Vec<String>,
    /// Consoles that the old OS's command line names and that are there, in order and with their options;
    /// the new OS speaks on them too.
    #[serde(default)]
    pub consoles: Vec<String>,
    /// Command line of the RAM environment's kernel.
    pub cmdline: String,
    /// Who is told of each step, beside the machine's own records.
    #[serde(default)]
    pub report_to: Option<ReportTo>,
    /// What to know although no check refused it.
    pub warnings: Vec<String>,
    /// The steps, in order.
    pub steps: Vec<Step>,
}

/// A further disk of a mirror that the root filesystem is on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanCopy {
    /// As the old OS calls it, for people only.
    pub disk: String,
    /// Its name for the new OS's package configuration, where there is a stable one.
    pub disk_by_id: Option<String>,
    /// The ways in which a firmware starts it.
    pub boot_paths: Vec<BootPath>,
}

/// A filesystem beside the root, and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilesystemPlan {
    /// Where it is mounted.
    pub target: String,
    /// Its device in the old OS, for people only.
    pub device: String,
    /// What becomes of it.
    pub becomes: Becomes,
    /// The rule that decided, in words.
    pub rule: String,
    /// How it is found again, where it is the system's: nobody looks for one that is data.
    pub identity: Option<RootIdentity>,
}

/// What becomes of a mounted filesystem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Becomes {
    /// The system's: it is wiped as the root is, and what is kept on it stays.
    System,
    /// Data: it is unmounted and left alone.
    Data,
}

/// What is written on a machine and will be gone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    /// Places, what is in use first, then by size.
    pub places: Vec<GonePlace>,
    /// How many small directories of services are not among them.
    pub small: u64,
    /// Bytes in those.
    pub small_bytes: u64,
    /// People who are in the new OS and whose home is not, in words.
    pub people: Vec<String>,
}

/// A place in which something is written that will be gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GonePlace {
    /// Its path.
    pub path: String,
    /// What is there, where that is known.
    pub what: Option<String>,
    /// Every machine has it, and it goes with every reinstall.
    pub usual: bool,
    /// How much, outside of what is kept or carried; `None` where only open files speak of it.
    pub found: Option<Weight>,
    /// Who has files in it open for writing.
    pub writers: Vec<String>,
}

/// What becomes of the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkPlan {
    /// What the machine had and will have: without the links that no configuration accounts for.
    pub network: Network,
    /// The gateways that must answer before the commit point and at the first boot, if they
    /// answered in the old OS.
    pub gateways: Vec<Gateway>,
    /// Kernel drivers of the physical links, by module name with `_` for `-`.
    pub drivers: Vec<String>,
    /// It is brought up in the RAM environment, and the gateways are asked, before the commit
    /// point.
    pub proved: bool,
    /// The dialect of the files.
    pub dialect: Dialect,
    /// The files.
    pub written: Written,
    /// Links that do not come along, with the reason.
    pub left: Vec<String>,
}

/// Where the payload waits while the machine is being wiped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PayloadAt {
    /// In the initramfs, in memory. A copy waits on disk all the same, for a run that has to be
    /// taken up after a power cut.
    Ram,
    /// In the run directory on the root filesystem alone, which the wipe spares.
    Disk,
}

/// A kept path with what it held when it was planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptPath {
    /// The path.
    pub path: KeepPath,
    /// Entries and bytes below it, and the digest of their metadata.
    pub measure: Measure,
}

/// Entries and bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    /// Files, directories and everything else that has a name; for what is wiped, inodes.
    pub entries: u64,
    /// Bytes on disk.
    pub bytes: u64,
}

impl Plan {
    /// What a program has in its environment that the run calls at this moment.
    pub fn variables(&self, moment: &str) -> Vec<(&'static str, String)> {
        let kept = self.keep.iter().map(|kept| kept.path.as_str());
        let mut variables = hooks::variables(moment, &self.hostname, kept);
        variables.push(("REROOT_RUN", self.run.clone()));
        variables
    }

    /// The filesystems beside the root that are wiped, each behind the one that it is mounted in: where,
    /// and how it is found again.
    pub fn systems(&self) -> impl DoubleEndedIterator<Item = (&str, &RootIdentity)> {
        let filesystems = self.filesystems.iter();
        let systems = filesystems.filter(|f| f.becomes == Becomes::System);
        systems.filter_map(|f| Some((f.target.as_str(), f.identity.as_ref()?)))
    }

    /// What is kept on the filesystem mounted at `target` (`/` is the root), as paths from its own top, with
    /// the place of each in the keep list.
    pub fn kept_on(&self, target: &str) -> Vec<(usize, KeepPath)> {
        let targets: Vec<&str> = self.systems().map(|(target, _)| target).collect();
        let kept = self.keep.iter().enumerate();
        kept.filter(|(_, kept)| keep::filesystem_of(kept.path.as_str(), &targets) == target)
            .filter_map(|(at, kept)| Some((at, kept.path.within(target)?)))
            .collect()
    }

    /// The step of that name.
    pub fn step(&self, name: &str) -> Option<&Step> {
        self.steps.iter().find(|s| s.name == name)
    }

    /// The run's directory on the root filesystem of the old OS.
    pub fn run_directory(&self) -> String {
        format!("/.reroot/{}", self.run)
    }

    /// Where the run's records stay in the new OS. What is kept is never written to, so they
    /// remain in the run's own directory if the log directory is kept.
    ///
    /// Nor are they put where a filesystem that is data would be mounted over them.
    pub fn record_directory(&self) -> String {
        let logs = "/var/log/reroot";
        let mut data = self.filesystems.iter();
        let covered = data.any(|f| f.becomes == Becomes::Data && is_below(logs, &f.target));
        if covered || self.keep.iter().any(|k| is_below(logs, k.path.as_str())) {
            self.run_directory()
        } else {
            format!("{logs}/{}", self.run)
        }
    }
}
