//! What is consented to: the digest that binds a run to the plan that somebody read, perhaps hours
//! before. Pure.
//!
//! A plan has decisions, and it has figures that move while a machine is in use. Somebody consents to
//! the decisions: what is put in the place of what, on which disk; what is kept and what is known to
//! go; who the machine will be. Not among them are times, sizes, measures, the reasons in words, the
//! run's id, what merely follows from the free memory of a moment (where the payload waits), what
//! listens, which gateway answers, and the steps, which follow from all that. Nor is it the mode: what
//! was rehearsed is what is consented to.
//!
//! The text is `2.TOTAL.PARTS`: the digest of everything, and behind it six digits for each part, so
//! that whoever has nothing but the text is told what differs.

use std::fmt;
use std::str::FromStr;

use formats::accounts::{AccountPlan, AccountRow};
use formats::boot_path::BootPath;
use formats::entry::EntryPlan;
use formats::facts::{OsRelease, RootIdentity};
use formats::identity::IdentityPlan;
use formats::keep::KeepPath;
use formats::network::Written;
use formats::plan::{Gone, NetworkPlan, Plan, PlanCopy};
use formats::Digest;
use serde::Serialize;
use thiserror::Error;

use crate::gone;

/// The version of the text, and of what counts.
const VERSION: &str = "2";
/// Hexadecimal digits of the digest of everything.
const TOTAL: usize = 32;
/// Hexadecimal digits of each part's.
const SHORT: usize = 6;

/// The parts, in the order of their digits.
const PARTS: [&str; 11] = [
    "the image",
    "the machine and its OS",
    "the filesystems that are wiped",
    "what is kept",
    "what is known to go",
    "the entry",
    "the network's files",
    "the accounts",
    "names, keys and mounts",
    "the overlay and the programs that are called",
    "forced checks",
];

/// A digest of what is consented to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent {
    total: String,
    parts: Vec<String>,
}

/// The text is no such digest.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum NotAConsent {
    /// It has another shape.
    #[error("this is no digest of `plan --json`'s `consent`")]
    Shape,
    /// Another release made it, and other things may count there.
    #[error(
        "the digest has version {0}, this image's has {VERSION}; make the plan with this image"
    )]
    Version(String),
}

impl Consent {
    /// The digest for a plan, an image by its parts' digests, and the codes of forced checks.
    pub fn of(plan: &Plan, image: Digest, forced: &[String]) -> Consent {
        let texts = texts(plan, image, forced);
        let digest = |text: &String| Digest::of(text.as_bytes()).to_string();
        let all = texts.iter().map(digest).collect::<Vec<_>>().join(" ");
        Consent {
            total: digest(&format!("{VERSION} {all}"))[..TOTAL].to_owned(),
            parts: texts
                .iter()
                .map(|t| digest(t)[..SHORT].to_owned())
                .collect(),
        }
    }

    /// What differs from another one, in words; `None` where nothing does.
    pub fn differs(&self, other: &Consent) -> Option<String> {
        if self == other {
            return None;
        }
        let parts = PARTS.iter().zip(self.parts.iter().zip(&other.parts));
        let named: Vec<&str> = parts
            .filter(|(_, (a, b))| a != b)
            .map(|(name, _)| *name)
            .collect();
        Some(if named.is_empty() {
            "something that the digest does not name".to_owned()
        } else {
            named.join(", ")
        })
    }
}

impl fmt::Display for Consent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{VERSION}.{}.{}", self.total, self.parts.concat())
    }
}

impl FromStr for Consent {
    type Err = NotAConsent;

    fn from_str(text: &str) -> Result<Consent, NotAConsent> {
        let (version, rest) = text.split_once('.').ok_or(NotAConsent::Shape)?;
        let digits = |text: &str| text.bytes().all(|b| b"0123456789abcdef".contains(&b));
        if version != VERSION && version.bytes().all(|b| b.is_ascii_digit()) {
            return Err(NotAConsent::Version(version.to_owned()));
        }
        let (total, parts) = rest.split_once('.').ok_or(NotAConsent::Shape)?;
        let shaped = total.len() == TOTAL && parts.len() == SHORT * PARTS.len();
        if version != VERSION || !shaped || !digits(total) || !digits(parts) {
            return Err(NotAConsent::Shape);
        }
        let at = |i: usize| parts[SHORT * i..SHORT * (i + 1)].to_owned();
        Ok(Consent {
            total: total.to_owned(),
            parts: (0..PARTS.len()).map(at).collect(),
        })
    }
}

/// What counts, a text for each of [`PARTS`]. Every field of the plan is named here, so that a new one
/// does not come without an answer to the question.
fn texts(plan: &Plan, image_digest: Digest, forced: &[String]) -> [String; PARTS.len()] {
    let Plan {
        run: _,
        mode: _,
        hostname,
        image,
        manifest_digest,
        old_os,
        new_os,
        entry:
            EntryPlan {
                entry,
                // How a kernel is loaded is a means.
                call: _,
                reason: _,
            },
        firmware,
        boot_paths,
        copies,
        // A means.
        loader_apart: _,
        // By the free memory of a moment.
        payload_at: _,
        payload_reason: _,
        // By that too; who it lets in is root in the old OS already.
        ram_ssh: _,
        root,
        root_device: _,
        disk: _,
        disk_by_id,
        // Names; what is mounted from them counts.
        arrays: _,
        // By those that are wiped, below: what is left alone may be plugged in or out.
        filesystems: _,
        keep,
        wiped: _,
        unpacked: _,
        network,
        accounts,
        identity,
        overlay,
        hooks,
        gone,
        listening: _,
        // In words, and of the moment: links that lead nowhere, a disk that is plugged in.
        about_kept: _,
        left_alone: _,
        hardware_parameters,
        consoles,
        // From the image and the next line's.
        cmdline: _,
        // Who is told changes nothing of what is done.
        report_to: _,
        warnings: _,
        steps: _,
    } = plan;
    let root = as_planned(root);
    let systems = plan.systems();
    let systems: Vec<_> = systems
        .map(|(target, identity)| (target, as_planned(identity)))
        .collect();
    let keep: Vec<&KeepPath> = keep.iter().map(|kept| &kept.path).collect();
    let mut forced = forced.to_vec();
    forced.sort();
    forced.dedup();
    [
        text(&(image, manifest_digest, image_digest)),
        text(&(
            hostname,
            firmware,
            release(old_os),
            release(new_os),
            hardware_parameters,
            consoles,
        )),
        disks_text(&root, disk_by_id.as_ref(), boot_paths, copies) + &systems_text(&systems),
        text(&keep),
        gone_text(gone),
        text(entry),
        network_text(network),
        accounts_text(accounts),
        identity_text(identity),
        // Where the overlay was does not matter, and its paths are in its digest.
        text(&(overlay.as_ref().map(|overlay| overlay.digest), hooks)),
        text(&forced),
    ]
}

/// A volume group's number counts every change of it, and the run asks for itself whether there was one.
fn as_planned(identity: &RootIdentity) -> RootIdentity {
    let mut identity = identity.clone();
    if let Some(volume) = &mut identity.logical {
        volume.sequence = None;
    }
    identity
}

/// The filesystems that are wiped beside the root, where there are any.
fn systems_text(systems: &[(&str, RootIdentity)]) -> String {
    if systems.is_empty() {
        return String::new();
    }
    text(&systems)
}

/// The root's disk; and those of a mirror behind it, where there are any.
fn disks_text(
    root: &RootIdentity,
    disk_by_id: Option<&String>,
    boot_paths: &[BootPath],
    copies: &[PlanCopy],
) -> String {
    let first = text(&(root, disk_by_id, boot_paths));
    let further = copies
        .iter()
        .map(|copy| text(&(&copy.disk_by_id, &copy.boot_paths)));
    std::iter::once(first).chain(further).collect()
}

/// Its names for people change with every update.
fn release(os: &OsRelease) -> (&str, &str) {
    (&os.id, &os.version_id)
}

/// Places whose presence does not hang on who writes at this moment.
fn gone_text(gone: &Gone) -> String {
    let Gone {
        places,
        small: _,
        small_bytes: _,
        people,
    } = gone;
    let mut paths: Vec<&str> = places
        .iter()
        .filter(|place| gone::is_lasting(place))
        .map(|place| place.path.as_str())
        .collect();
    paths.sort_unstable();
    text(&(paths, people))
}

fn network_text(network: &NetworkPlan) -> String {
    let NetworkPlan {
        // What the kernel has at this moment, leases among it; what becomes of it is in the files.
        network: _,
        gateways: _,
        drivers: _,
        proved,
        dialect,
        written:
            Written {
                files,
                removed,
                renamed,
                notes: _,
            },
        // Links of containers come and go.
        left: _,
    } = network;
    text(&(proved, dialect, files, removed, renamed))
}

fn accounts_text(accounts: &AccountPlan) -> String {
    let AccountPlan {
        users,
        groups,
        left,
        notes: _,
        shells,
    } = accounts;
    let row = |row: &AccountRow| (row.name.clone(), row.old, row.number);
    let rows = |rows: &[AccountRow]| rows.iter().map(row).collect::<Vec<_>>();
    text(&(rows(users), rows(groups), left, shells))
}

fn identity_text(identity: &IdentityPlan) -> String {
    let IdentityPlan {
        hostname,
        copied,
        private,
        in_homes,
        files,
        root_options,
        fstab,
        mounts,
        host_keys,
        ssh_ports,
        ssh_reserve,
        // Of the connection by which the operator is here at this moment.
        ssh_promise: _,
        ways: (_, ways_in),
        // Whose keys they are, and who else may come: what the first boot asks, and nothing that is done.
        logins: _,
        otherwise: _,
        // Said of what is in the files.
        missing_commands: _,
        // Which services run at this moment.
        left: _,
        notes: _,
    } = identity;
    text(&(
        (hostname, copied, private, in_homes, files),
        (root_options, fstab, mounts, host_keys),
        (ssh_ports, ways_in, ssh_reserve),
    ))
}

/// Fields in the order of their types, maps by their keys: equal values are equal texts.
fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plans are plain trees of strings")
}

#[cfg(test)]
#[path = "consent_tests.rs"]
mod tests;
