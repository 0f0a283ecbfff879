//! Circles in a graph of files.

use std::collections::{BTreeMap, BTreeSet};

/// Who uses whom, by name.
pub type Arrows = BTreeMap<String, BTreeSet<String>>;

/// One circle for each set of files that can reach each other, as the way round it.
pub fn circles(arrows: &Arrows) -> Vec<Vec<String>> {
    let mut told: BTreeSet<&str> = BTreeSet::new();
    let mut found = Vec::new();
    for start in arrows.keys() {
        if told.contains(start.as_str()) {
            continue;
        }
        if let Some(way) = way_back(arrows, start) {
            told.extend(
                arrows
                    .keys()
                    .filter(|other| reaches(arrows, start, other) && reaches(arrows, other, start))
                    .map(String::as_str),
            );
            found.push(way);
        }
    }
    found
}

fn reaches(arrows: &Arrows, from: &str, to: &str) -> bool {
    way(arrows, from, to).is_some()
}

/// The shortest way from a file back to itself.
fn way_back(arrows: &Arrows, start: &str) -> Option<Vec<String>> {
    let mut way = way(arrows, start, start)?;
    way.insert(0, start.to_owned());
    Some(way)
}

/// The shortest way of at least one arrow, without its beginning.
fn way(arrows: &Arrows, from: &str, to: &str) -> Option<Vec<String>> {
    let mut before: BTreeMap<&str, &str> = BTreeMap::new();
    let mut layer = vec![from];
    while !layer.is_empty() {
        let mut next = Vec::new();
        for at in layer {
            for target in arrows.get(at).into_iter().flatten() {
                if before.contains_key(target.as_str()) {
                    continue;
                }
                before.insert(target, at);
                if target == to {
                    let mut way = vec![to.to_owned()];
                    let mut at = before[to];
                    while at != from {
                        way.insert(0, at.to_owned());
                        at = before[at];
                    }
                    return Some(way);
                }
                next.push(target.as_str());
            }
        }
        layer = next;
    }
    None
}

#[test]
fn a_circle_is_told_once_and_a_line_never() {
    let arrows = |pairs: &[(&str, &str)]| -> Arrows {
        let mut arrows = Arrows::new();
        for (from, to) in pairs {
            arrows
                .entry((*from).into())
                .or_default()
                .insert((*to).into());
            arrows.entry((*to).into()).or_default();
        }
        arrows
    };
    assert!(circles(&arrows(&[("a", "b"), ("b", "c"), ("a", "c")])).is_empty());
    let two = arrows(&[("a", "b"), ("b", "c"), ("c", "b"), ("c", "d"), ("d", "d")]);
    assert_eq!(circles(&two), [vec!["b", "c", "b"], vec!["d", "d"]]);
}
