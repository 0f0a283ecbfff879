//! What the machine exports by NFS: /proc/fs/nfsd/exports and exportfs(8)'s own table.

use std::fs;
use std::path::Path;

/// Exports, as `path to clients`, each once.
pub fn read(root: &Path) -> Vec<String> {
    let mut exports = Vec::new();
    for file in ["proc/fs/nfsd/exports", "var/lib/nfs/etab"] {
        let text = fs::read_to_string(root.join(file)).unwrap_or_default();
        for export in parse(&text) {
            if !exports.contains(&export) {
                exports.push(export);
            }
        }
    }
    exports
}

/// Lines are `path<white>client(options)…`; `#` begins a comment.
fn parse(text: &str) -> Vec<String> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let path = words.next()?;
            let clients: Vec<_> = words
                .map(|w| w.split('(').next().unwrap_or(w))
                .map(|w| if w.is_empty() { "everyone" } else { w })
                .collect();
            Some(format!("{path} to {}", clients.join(", ")))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_kernels_table_and_exportfs_read_alike() {
        let kernel = "# Version 1.1\n# Path Client(Flags) # IPs\n\
            /srv\t192.0.2.0/24(rw,no_root_squash,sync,wdelay,no_subtree_check,uuid=4f3c1a52:93d74e0b:8c36d1f1:c6a0be11)\n";
        assert_eq!(super::parse(kernel), ["/srv to 192.0.2.0/24"]);
        let etab = "/home\t*(ro,sync,wdelay,hide,nocrossmnt,secure,root_squash)\n";
        assert_eq!(super::parse(etab), ["/home to *"]);
        assert_eq!(super::parse("/pub (ro)\n"), ["/pub to everyone"]);
        assert!(super::parse("\n").is_empty());
    }
}
