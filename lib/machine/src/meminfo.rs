//! /proc/meminfo: how much memory there is.

use formats::facts::Memory;

/// Parses the text of /proc/meminfo. `None` where `MemTotal` is missing.
///
/// `MemAvailable` came with Linux 3.14; before, free memory and the page cache come nearest.
pub fn parse(text: &str) -> Option<Memory> {
    let field = |name: &str| {
        text.lines().find_map(|line| {
            let value = line.strip_prefix(name)?.strip_prefix(':')?;
            let kib: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
            Some(kib * 1024)
        })
    };
    let total = field("MemTotal")?;
    let available = field("MemAvailable").unwrap_or_else(|| {
        field("MemFree").unwrap_or(0) + field("Cached").unwrap_or(0)
            - field("Shmem")
                .unwrap_or(0)
                .min(field("Cached").unwrap_or(0))
    });
    Some(Memory { total, available })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_new_and_old_kernels() {
        let new = "MemTotal:  1000 kB\nMemFree: 10 kB\nMemAvailable:   500 kB\nCached: 90 kB\n";
        assert_eq!(
            parse(new),
            Some(Memory {
                total: 1_024_000,
                available: 512_000
            })
        );
        let old = "MemTotal: 1000 kB\nMemFree: 10 kB\nCached: 90 kB\nShmem: 40 kB\n";
        assert_eq!(parse(old).unwrap().available, 60 * 1024);
        assert_eq!(parse("nonsense"), None);
    }
}
