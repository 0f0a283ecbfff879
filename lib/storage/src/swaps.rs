//! /proc/swaps, as described in proc(5).

use formats::facts::Swap;

/// Every swap area but those that are memory themselves.
pub fn parse(text: &str) -> Vec<Swap> {
    text.lines()
        .skip(1)
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let path = words.next()?;
            let kind = words.next()?;
            let used: u64 = words.nth(1)?.parse().ok()?;
            (!path.starts_with("/dev/zram")).then(|| Swap {
                path: path.to_owned(),
                file: kind == "file",
                used: used * 1024,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn files_and_partitions_are_told_apart() {
        let found = super::parse(
            "Filename\t\t\t\tType\t\tSize\tUsed\tPriority\n\
             /dev/vda2 partition\t524284\t1024\t-2\n\
             /srv/swapfile file\t1048572\t0\t-3\n\
             /dev/zram0 partition\t524284\t99\t100\n",
        );
        let found: Vec<_> = found
            .iter()
            .map(|s| (s.path.as_str(), s.file, s.used))
            .collect();
        assert_eq!(
            found,
            [("/dev/vda2", false, 1 << 20), ("/srv/swapfile", true, 0)]
        );
        assert!(super::parse("").is_empty());
    }
}
