//! The house: which crate and which room of a program may use which, that no files of one crate use
//! each other in a circle, that every path and test that a page names is there, and that what is written to the
//! new root and to a terminal goes through the one gate that there is for it.
//!
//! docs/design.md has the map. All is read from the source, so that a wrong arrow fails here and not
//! in a reader's head.

mod arrows;
mod circles;
mod crates;
mod edges;
mod pages;

#[test]
fn arrows_between_crates_go_down() {
    let wrong = crates::wrong_arrows(&crates::packages());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_files_of_a_crate_use_each_other_in_a_circle() {
    let mut found = Vec::new();
    for package in crates::packages() {
        for root in package.roots() {
            for circle in circles::circles(&arrows::of_target(root)) {
                found.push(format!("{}: {}", package.name, circle.join(" -> ")));
            }
        }
    }
    assert!(found.is_empty(), "circles of files:\n{}", found.join("\n"));
}

/// Rooms of the programs, and the rooms of the same program that they may not use.
const ROOMS: [(&str, &str, &[&str]); 7] = [
    ("reroot-launch", "survey/", &["run/", "talk/"]),
    ("reroot-launch", "run/", &["talk/"]),
    (
        "reroot-init",
        "root/",
        &["first/", "run/", "confirm/", "ram/"],
    ),
    ("reroot-init", "ram/", &["first/", "run/", "confirm/"]),
    ("reroot-init", "first/", &["run/"]),
    ("reroot-init", "confirm/", &["first/", "run/"]),
    ("reroot-init", "run/before/", &["run/behind/"]),
];

#[test]
fn rooms_of_a_program_use_only_those_below_them() {
    let packages = crates::packages();
    let mut wrong = Vec::new();
    for (name, room, forbidden) in ROOMS {
        let package = packages.iter().find(|p| p.name == name);
        let root = package.and_then(|p| p.roots().next()).expect("a program");
        for (file, used) in arrows::of_target(root) {
            let inside = file.starts_with(room);
            let out = |used: &&String| inside && forbidden.iter().any(|f| used.starts_with(f));
            wrong.extend(
                used.iter()
                    .filter(out)
                    .map(|u| format!("{name}: {file} uses {u}")),
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_path_that_a_page_names_is_there() {
    let lost = pages::lost_paths();
    assert!(lost.is_empty(), "{}", lost.join("\n"));
}

#[test]
fn the_map_names_every_file_of_a_room() {
    let off = pages::files_off_the_map();
    assert!(off.is_empty(), "{}", off.join("\n"));
}

#[test]
fn behind_the_unpack_everything_is_written_through_the_gate() {
    let beside = edges::beside_the_gate();
    assert!(beside.is_empty(), "{}", beside.join("\n"));
    let left = edges::exceptions_without_a_line();
    assert!(left.is_empty(), "{}", left.join("\n"));
}

#[test]
fn nothing_that_others_named_goes_to_a_terminal_as_it_is() {
    let raw = edges::raw_words();
    assert!(raw.is_empty(), "{}", raw.join("\n"));
}

#[test]
fn every_test_of_the_threat_model_is_there() {
    let lost = edges::lost_tests();
    assert!(lost.is_empty(), "{}", lost.join("\n"));
}
