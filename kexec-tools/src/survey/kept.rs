//! The kept trees, and what else the wipe spares, as they are while the old OS runs: looked at
//! without asking anything that is mounted below them, and without minding that files come and go.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, Result};
use formats::facts::{Condition, Kept, OutsideLinks, RootType, Unkept, UnkeptWay, WipedTargets};
use formats::keep::{filesystem_of, is_below, KeepPath, KeepSet, SPARED};
use formats::measure::{Measure, Occupied};
use serde::{Deserialize, Serialize};
use storage::mounts;
use storage::mounts::Mount;
use tree::{LeadingOut, Measuring, MountPoints, Roots, Stillness, TreeError};

use crate::run_directory;
use crate::survey::chain::chain;
use crate::survey::mounts::holds_data;

/// What was found.
#[derive(Debug, Serialize, Deserialize)]
pub struct KeptTrees {
    /// Each kept path.
    pub kept: Vec<Kept>,
    outside_links: Option<OutsideLinks>,
    wiped_targets: WipedTargets,
    spared: Occupied,
}

impl KeptTrees {
    /// Where none of them could be measured, for this reason.
    pub fn unmeasured(keep: &[KeepPath], why: &Unkept) -> Self {
        let kept = keep.iter().map(|path| Kept {
            path: path.clone(),
            found: Err(why.clone()),
        });
        Self {
            kept: kept.collect(),
            outside_links: Some(OutsideLinks::default()),
            wiped_targets: WipedTargets::default(),
            spared: Occupied::default(),
        }
    }

    /// Adds what the trees on one filesystem have told.
    fn add(&mut self, outside: Option<OutsideLinks>, targets: WipedTargets) {
        self.outside_links = match (self.outside_links.take(), outside) {
            (Some(all), Some(more)) => Some(OutsideLinks {
                files: all.files + more.files,
                example: if all.files > 0 {
                    all.example
                } else {
                    more.example
                },
            }),
            // There were too many to tell.
            _ => None,
        };
        self.wiped_targets.links += targets.links;
        self.wiped_targets.of_the_os += targets.of_the_os;
        self.wiped_targets.examples.extend(targets.examples);
    }

    /// Adds what the checks look at.
    pub fn note(&self, condition: &mut Condition) {
        condition.outside_links.clone_from(&self.outside_links);
        condition.wiped_targets.clone_from(&self.wiped_targets);
        condition.spared = self.spared;
    }
}

/// The same from an earlier look, since the trees are not measured again.
pub fn take_over(condition: &mut Condition, before: Condition) {
    condition.outside_links = before.outside_links;
    condition.wiped_targets = before.wiped_targets;
    condition.spared = before.spared;
    condition.mount_wishes = before.mount_wishes;
}

/// Looks at all of them. `systems` are where filesystems are mounted that are wiped as the root is, each behind
/// the one that it is mounted in.
pub fn look(keep: &[KeepPath], systems: &[String], mounts: &[Mount]) -> Result<KeptTrees> {
    let targets: Vec<&str> = systems.iter().map(String::as_str).collect();
    let points = |mounts: &[Mount]| {
        let foreign = mounts.iter().map(|mount| mount.target.as_path());
        let foreign = foreign.filter(|target| !targets.iter().any(|t| Path::new(t) == *target));
        MountPoints::below(Path::new("/"), foreign)
    };
    let by_now = || -> io::Result<MountPoints> { Ok(points(&mounts::read()?)) };
    let places = || std::iter::once("/").chain(targets.iter().copied());
    let tops = places()
        .map(|target| File::open(target).with_context(|| format!("open {target}")))
        .collect::<Result<Vec<File>>>()?;
    let mut roots = Roots::from(tops[0].as_fd());
    for (target, top) in targets.iter().zip(&tops[1..]) {
        roots = roots.with(target, top.as_fd());
    }
    // Each filesystem numbers its inodes by itself.
    let mut measuring = Vec::new();
    for (target, top) in places().zip(&tops) {
        let leading_out = LeadingOut::new(tops[0].as_fd(), keep, points(mounts))
            .context("look for links in the root directory")?;
        let on = Measuring::new(top.as_fd(), Stillness::Live(&by_now)).on(target);
        measuring.push((target, on.noting(leading_out)));
    }
    let mut found = KeptTrees::unmeasured(&[], &unasked());
    for path in keep {
        let on = filesystem_of(path.as_str(), &targets);
        let measuring = measuring.iter_mut().find(|(target, _)| *target == on);
        let (_, measuring) = measuring.context("a kept path is on no filesystem")?;
        found.kept.push(Kept {
            path: path.clone(),
            found: look_at(&roots, path, keep, mounts, &points(mounts), measuring),
        });
    }
    for (_, measuring) in measuring {
        let (links, leading_out) = measuring.noted();
        let leading_out = leading_out.map(LeadingOut::found).unwrap_or_default();
        found.add(links.outside(), leading_out);
    }
    found.spared = spared(&tops[0], &by_now)?;
    Ok(found)
}

fn unasked() -> Unkept {
    Unkept {
        way: UnkeptWay::Unasked,
        why: String::new(),
    }
}

fn look_at(
    roots: &Roots<'_>,
    path: &KeepPath,
    keep: &[KeepPath],
    mounts: &[Mount],
    points: &MountPoints,
    measuring: &mut Measuring<'_>,
) -> Result<Measure, Unkept> {
    // What is mounted on the way must not even be looked at.
    if let Some(crossed) = points.crossed_by(path.as_str().as_bytes()) {
        return Err(mounted(
            &String::from_utf8_lossy(crossed),
            path,
            keep,
            mounts,
        ));
    }
    tree::validate_keep(roots.clone(), &KeepSet::new([path]))
        .and_then(|()| measuring.measure(path))
        .map_err(|e| Unkept {
            way: way(&e),
            why: chain(&e),
        })
}

/// What comes of a kept path with something mounted at it, or on the way to it.
fn mounted(crossed: &str, path: &KeepPath, keep: &[KeepPath], mounts: &[Mount]) -> Unkept {
    let root = mounts::at(mounts, Path::new("/"));
    let unkept = |way, why| Unkept { way, why };
    let Some(mount) = mounts::at(mounts, Path::new(crossed)) else {
        return unkept(UnkeptWay::Elsewhere, format!("{crossed} is a mount point"));
    };
    let below = path.as_str().strip_prefix(crossed).unwrap_or_default();
    if let Some(root) = root.filter(|root| mount.shows_part_of(root)) {
        let shown = mount.root.strip_prefix(&root.root).unwrap_or(&mount.root);
        let shown = Path::new("/").join(shown).display().to_string();
        let place = format!("{}{below}", shown.trim_end_matches('/'));
        if keep.iter().any(|kept| is_below(&place, kept.as_str())) {
            let why = format!("{crossed} shows {shown}, and {place} is kept");
            return unkept(UnkeptWay::Mounted, why);
        }
        let why = format!(
            "{crossed} only shows {shown} of the root filesystem; what is there is wiped unless {place} is kept"
        );
        return unkept(UnkeptWay::Elsewhere, why);
    }
    if let Some(place) = root.and_then(|root| in_subvolume(mount, root, below, mounts)) {
        let why = format!(
            "{crossed} shows it from outside of the subvolume that it is in, and that may be wiped: name it {place}"
        );
        return unkept(UnkeptWay::Elsewhere, why);
    }
    let what = format!("{} on {}", mount.fstype, mount.source.to_string_lossy());
    if holds_data(mount, root.map(|root| root.device)) {
        let why = format!("{crossed} is another filesystem ({what}), which is left alone");
        return unkept(UnkeptWay::Mounted, why);
    }
    let why = format!("{crossed} is a mount ({what}) whose contents do not outlive a boot, or are mounted when they are asked for");
    unkept(UnkeptWay::Elsewhere, why)
}

/// Where a path below a mount of the root's Btrfs is by the mount of the very subvolume that it is in, where that is
/// another one.
fn in_subvolume(mount: &Mount, root: &Mount, below: &str, mounts: &[Mount]) -> Option<String> {
    if mount.device != root.device || root.fstype != RootType::Btrfs.name() {
        return None;
    }
    let place = mount.root.join(below.trim_start_matches('/'));
    let deeper = mounts.iter().filter(|other| {
        other.device == mount.device
            && other.root != mount.root
            && other.root.starts_with(&mount.root)
            && place.starts_with(&other.root)
    });
    let deepest = deeper.max_by_key(|other| other.root.components().count())?;
    let inner = place.strip_prefix(&deepest.root).ok()?;
    Some(deepest.target.join(inner).display().to_string())
}

fn way(error: &TreeError) -> UnkeptWay {
    match error {
        TreeError::KeepMissing { .. } => UnkeptWay::Missing,
        TreeError::KeepLink { .. }
        | TreeError::KeepMount { .. }
        | TreeError::KeepNotDirectory { .. } => UnkeptWay::Elsewhere,
        _ => UnkeptWay::Unread,
    }
}

/// What the wipe spares beside the kept paths takes, but for what the next run removes before it
/// begins: copies of earlier runs.
fn spared(root: &File, mounts: &dyn Fn() -> io::Result<MountPoints>) -> Result<Occupied> {
    let mut measuring = Measuring::new(root.as_fd(), Stillness::Live(mounts));
    let mut all = Occupied::default();
    for path in SPARED {
        let path = KeepPath::internal(path).context("name what the wipe spares")?;
        match measuring.measure(&path) {
            Ok(measure) => all = all + Occupied::by_kept([(&path, &measure)]),
            Err(e) if matches!(way(&e), UnkeptWay::Missing | UnkeptWay::Elsewhere) => {}
            Err(e) => return Err(e).with_context(|| format!("measure {path}")),
        }
    }
    let copies = copies(Path::new(run_directory::BASE));
    Ok(Occupied {
        bytes: all.bytes.saturating_sub(copies.bytes),
        inodes: all.inodes.saturating_sub(copies.inodes),
    })
}

/// Copies of the image that runs have left in their directories.
fn copies(base: &Path) -> Occupied {
    let runs = fs::read_dir(base).into_iter().flatten().flatten();
    runs.filter(|run| run.file_type().is_ok_and(|kind| kind.is_dir()))
        .flat_map(|run| run_directory::copies(&run.path()))
        .filter_map(|file| file.symlink_metadata().ok())
        .map(|file| Occupied {
            bytes: file.blocks() * 512,
            inodes: 1,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever asks what is behind it may wait for ever.
    #[test]
    fn what_is_mounted_at_or_before_a_kept_path_is_not_looked_at() {
        // Nothing is kept below /tmp.
        let directory = tempfile::tempdir_in(".").unwrap();
        let shown = directory.path().canonicalize().unwrap();
        fs::create_dir(shown.join("shop")).unwrap();
        let line = format!("24 22 0:77 / {} rw - fuse x rw\n", shown.display());
        let root = "22 1 253:1 / / rw - ext4 /dev/vda1 rw\n".to_owned();
        let mounts = mounts::parse((root + &line).as_bytes());
        let targets = mounts.iter().map(|mount| &mount.target);
        let points = MountPoints::below(Path::new("/"), targets);
        let top = File::open("/").unwrap();
        let live = || -> io::Result<MountPoints> { panic!("it was measured") };
        for kept in [shown.clone(), shown.join("shop"), shown.join("not/there")] {
            let keep = [KeepPath::parse(kept.to_str().unwrap()).unwrap()];
            let mut measuring = Measuring::new(top.as_fd(), Stillness::Live(&live));
            let roots = Roots::from(top.as_fd());
            let found = look_at(&roots, &keep[0], &keep, &mounts, &points, &mut measuring);
            let why = found.unwrap_err();
            assert_eq!(why.way, UnkeptWay::Mounted, "{why}");
        }
    }

    #[test]
    fn a_kept_path_on_a_mount_is_left_alone_and_one_that_shows_what_is_wiped_says_where_the_data_is(
    ) {
        let mounts = mounts::parse(
            b"22 1 253:1 / / rw - ext4 /dev/vda1 rw\n\
              23 22 253:1 /data/home /home rw - ext4 /dev/vda1 rw\n\
              24 22 253:17 / /srv rw - xfs /dev/vdb1 rw\n\
              25 22 0:51 / /scratch rw - tmpfs tmpfs rw\n\
              26 22 0:52 / /auto rw - autofs systemd-1 rw\n",
        );
        let path = |text: &str| KeepPath::parse(text).unwrap();
        let cases: [(&str, &str, &[&str], UnkeptWay, &str); 7] = [
            (
                "/home",
                "/home/shop",
                &[],
                UnkeptWay::Elsewhere,
                "unless /data/home/shop is kept",
            ),
            (
                "/home",
                "/home/shop",
                &["/data/home/other"],
                UnkeptWay::Elsewhere,
                "unless",
            ),
            (
                "/home",
                "/home/shop",
                &["/data"],
                UnkeptWay::Mounted,
                "/data/home/shop is kept",
            ),
            (
                "/srv",
                "/srv",
                &[],
                UnkeptWay::Mounted,
                "xfs on /dev/vdb1), which is left alone",
            ),
            (
                "/srv",
                "/srv/shop",
                &[],
                UnkeptWay::Mounted,
                "/srv is another filesystem",
            ),
            ("/scratch", "/scratch/x", &[], UnkeptWay::Elsewhere, "tmpfs"),
            (
                "/auto",
                "/auto",
                &[],
                UnkeptWay::Elsewhere,
                "when they are asked for",
            ),
        ];
        for (crossed, kept, others, way, why) in cases {
            let keep: Vec<_> = others.iter().copied().chain([kept]).map(path).collect();
            let found = mounted(crossed, &path(kept), &keep, &mounts);
            assert_eq!(found.way, way, "{kept}: {found}");
            assert!(found.why.contains(why), "{kept}: {found}");
        }
    }

    /// Of Btrfs the top of all subvolumes may be mounted beside them.
    #[test]
    fn a_kept_path_is_named_by_the_subvolume_that_it_is_in() {
        let mounts = mounts::parse(
            b"22 1 253:3 /@/.snapshots/1/snapshot / rw - btrfs /dev/vda3 rw\n\
              23 22 253:3 /@/var /var rw - btrfs /dev/vda3 rw\n\
              24 22 253:3 / /mnt/top rw - btrfs /dev/vda3 rw\n\
              25 22 253:3 /@/home /home rw - btrfs /dev/vda3 rw\n\
              26 22 253:3 /@/.snapshots/1/snapshot/data /mnt/data rw - btrfs /dev/vda3 rw\n",
        );
        let path = |text: &str| KeepPath::parse(text).unwrap();
        for (crossed, kept, way, why) in [
            ("/home", "/home/alice", UnkeptWay::Mounted, "left alone"),
            (
                "/mnt/top",
                "/mnt/top/@/var/lib/mysql",
                UnkeptWay::Elsewhere,
                "name it /var/lib/mysql",
            ),
            (
                "/mnt/top",
                "/mnt/top/@/.snapshots/1/snapshot/srv",
                UnkeptWay::Elsewhere,
                "name it /srv",
            ),
            (
                "/mnt/top",
                "/mnt/top/@/old",
                UnkeptWay::Mounted,
                "left alone",
            ),
            (
                "/mnt/data",
                "/mnt/data/shop",
                UnkeptWay::Elsewhere,
                "unless /data/shop is kept",
            ),
        ] {
            let found = mounted(crossed, &path(kept), &[path(kept)], &mounts);
            assert_eq!(found.way, way, "{kept}: {found}");
            assert!(found.why.contains(why), "{kept}: {found}");
        }
    }

    #[test]
    fn copies_of_earlier_runs_do_not_count_and_their_records_do() {
        let base = tempfile::tempdir().unwrap();
        let run = base.path().join("20260101T000000Z-0000");
        fs::create_dir(&run).unwrap();
        for name in ["payload", "kernel.attempt-3", "launch.log", "plan.json"] {
            fs::write(run.join(name), [1; 5000]).unwrap();
        }
        let found = copies(base.path());
        assert_eq!(found.inodes, 2);
        assert_eq!(found.bytes, 16384);
    }
}
