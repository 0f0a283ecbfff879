//! Whether the new OS was started by the boot path that the run knew as the one in use. Where another one did,
//! that one may start the staged image still, and needs what is staged.

use bootpath::uefi::variables::{self, Variables};
use formats::boot_path::BootPath;

/// In words what is to be started by, where that is not so, or cannot be told.
pub fn not_by_the_path_in_use(paths: &[BootPath]) -> Option<String> {
    let by_uefi = variables::started_it();
    let is_it = |path: &BootPath| match path {
        BootPath::BiosGap | BootPath::BiosPartition => !by_uefi,
        BootPath::Uefi(file) => by_uefi && Variables::read().is_ok_and(|v| v.started(file)),
    };
    decide(paths, is_it)
}

fn decide(paths: &[BootPath], started: impl Fn(&BootPath) -> bool) -> Option<String> {
    let in_use = paths.first().filter(|_| paths.len() > 1)?;
    (!started(in_use)).then(|| in_use.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_way_of_several_may_be_another_than_the_one_in_use() {
        let (gap, partition) = (BootPath::BiosGap, BootPath::BiosPartition);
        let two = [gap.clone(), partition];
        assert_eq!(decide(&[], |_| false), None);
        assert_eq!(decide(&two[..1], |_| false), None);
        assert_eq!(decide(&two, |path| *path == gap), None);
        let told = decide(&two, |path| *path != gap).unwrap();
        assert!(told.contains("BIOS"), "{told}");
    }
}
