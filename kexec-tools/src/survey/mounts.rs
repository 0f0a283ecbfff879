//! Which mounts hold somebody's data: what facts tell of, checks look at, and a run unmounts.

use std::path::Path;

use storage::mounts::Mount;

/// Whether a mount other than the root holds somebody's data, or shows a part of the root again.
pub fn holds_data(mount: &Mount, root: Option<(u32, u32)>) -> bool {
    let shows_root = Some(mount.device) == root;
    mount.target != Path::new("/") && (shows_root || mount.contents().is_missed())
}

/// What has to be unmounted, the last mounted first: what holds data, and whatever is mounted
/// below that, for it would keep it busy. What is mounted at `systems` is wiped as the root is, and stays
/// mounted as that does.
pub fn to_unmount<'m>(
    mounts: &'m [Mount],
    root: Option<(u32, u32)>,
    systems: &[&str],
) -> Vec<&'m Mount> {
    let is_system = |m: &Mount| systems.iter().any(|s| Path::new(s) == m.target);
    let data = mounts
        .iter()
        .filter(|m| holds_data(m, root) && !is_system(m));
    let data: Vec<&Mount> = data.collect();
    let below = |m: &Mount| data.iter().any(|d| m.target.starts_with(&d.target));
    mounts.iter().rev().filter(|m| below(m)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: Option<(u32, u32)> = Some((253, 1));

    fn targets(mounts: &[&Mount]) -> Vec<String> {
        let targets = mounts.iter().map(|m| m.target.display().to_string());
        targets.collect()
    }

    #[test]
    fn everything_is_data_but_what_is_known_to_be_the_kernels_or_memory() {
        let mounts = storage::mounts::parse(
            b"22 1 253:1 / / rw - ext4 /dev/vda1 rw\n\
              23 22 0:5 / /proc rw - proc proc rw\n\
              24 22 0:6 / /run rw - tmpfs tmpfs rw\n\
              25 22 0:50 / /var rw - zfs tank/var rw\n\
              26 22 0:51 / /pool rw - fuse.mergerfs a:b rw\n\
              27 22 0:52 / /dav rw - fuse https://dav.example/ rw\n\
              28 22 0:53 / /scratch rw - lustre 10.0.0.1@tcp:/s rw\n\
              29 22 0:54 / /lib/lxcfs rw - fuse.lxcfs lxcfs rw\n\
              30 22 0:55 / /b rw - btrfs /dev/vdb rw\n\
              31 22 253:1 /srv/shop /mnt/shop rw - ext4 /dev/vda1 rw\n\
              32 22 0:56 / /merged rw - overlay overlay rw,lowerdir=/l,upperdir=/u\\040p,workdir=/w\n",
        );
        let found: Vec<_> = mounts.iter().filter(|m| holds_data(m, ROOT)).collect();
        assert_eq!(
            targets(&found),
            [
                "/var",
                "/pool",
                "/dav",
                "/scratch",
                "/b",
                "/mnt/shop",
                "/merged"
            ]
        );
        assert_eq!(found[6].upper.as_deref(), Some(Path::new("/u p")));
        assert_eq!(found[0].upper, None);
    }

    #[test]
    fn what_is_mounted_below_data_goes_first() {
        let mounts = storage::mounts::parse(
            b"22 1 253:1 / / rw - ext4 /dev/vda1 rw\n\
              23 22 0:5 / /proc rw - proc proc rw\n\
              24 22 0:50 / /tank rw - zfs tank rw\n\
              25 24 0:5 / /tank/chroot/proc rw - proc proc rw\n\
              26 24 0:51 / /tank/tmp rw - tmpfs tmpfs rw\n\
              27 22 0:52 / /tanker rw - tmpfs tmpfs rw\n",
        );
        let found = to_unmount(&mounts, ROOT, &[]);
        assert_eq!(targets(&found), ["/tank/tmp", "/tank/chroot/proc", "/tank"]);
    }

    #[test]
    fn what_is_wiped_stays_mounted_and_what_is_mounted_in_it_goes() {
        let mounts = storage::mounts::parse(
            b"22 1 253:1 / / rw - ext4 /dev/vda1 rw\n\
              23 22 253:2 / /var rw - ext4 /dev/vda2 rw\n\
              24 23 253:3 / /var/log rw - xfs /dev/vda3 rw\n\
              25 23 253:4 / /var/lib/shop rw - xfs /dev/vda4 rw\n\
              26 23 0:5 / /var/lib/memory rw - tmpfs tmpfs rw\n\
              27 22 253:5 / /home rw - ext4 /dev/vda5 rw\n",
        );
        let found = to_unmount(&mounts, ROOT, &["/var", "/var/log"]);
        assert_eq!(targets(&found), ["/home", "/var/lib/shop"]);
    }
}
