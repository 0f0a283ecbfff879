//! docs/checks.md, made from the table.

use std::fmt::Write;
use std::fs;

use super::check::Force::{Allowed, Never, NotNeeded};
use super::check::{Check, Moment};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/checks.md");
const BEGIN: &str = "<!-- from the table of checks: begin -->\n";
const END: &str = "<!-- from the table of checks: end -->\n";

/// The table as a list: a table of such long cells cannot be read.
fn list() -> String {
    let mut text = String::new();
    for (title, checks) in super::SUBJECTS {
        let _ = write!(text, "\n### {title}\n\n");
        for check in checks {
            text += &entry(check);
        }
    }
    text
}

fn entry(check: &Check) -> String {
    let force = match check.force {
        Never => "It refuses.",
        Allowed => "It refuses; `--force` may overrule it.",
        NotNeeded => "It refuses nothing; what it finds is told.",
    };
    let mut again = String::new();
    for moment in check.again {
        again += match moment {
            Moment::Stop => " Asked again right before services are stopped.",
            Moment::Ram => " Asked again in the RAM environment.",
        };
    }
    format!(
        "- **`{}`** {} {force}{again}\n  Reads: {}.\n  Remedy: {}.\n",
        check.code, check.question, check.reads, check.remedy
    )
}

#[test]
fn the_page_is_that_of_the_table() {
    let page = fs::read_to_string(PAGE).expect("read docs/checks.md");
    let (before, rest) = page
        .split_once(BEGIN)
        .expect("docs/checks.md lacks its first mark");
    let (found, after) = rest
        .split_once(END)
        .expect("docs/checks.md lacks its second mark");
    let list = list();
    if std::env::var_os("REROOT_WRITE_PAGES").is_some() {
        fs::write(PAGE, format!("{before}{BEGIN}{list}{END}{after}"))
            .expect("write docs/checks.md");
        return;
    }
    assert!(
        found == list,
        "docs/checks.md is not that of the table any more; write it again with\n    \
         REROOT_WRITE_PAGES=1 cargo test -p reroot-launch the_page_is"
    );
}
