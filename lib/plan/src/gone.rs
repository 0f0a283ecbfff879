//! What is written on a machine and will be gone: what a careful colleague would ask about before.
//!
//! The facts say what was found; here it is decided which of it goes, what it is, and in which order
//! it is told. `places.rs` knows where services put their data, and what every OS has of its own.

mod places;

use std::fmt::Write as _;

use std::cmp::Reverse;

use formats::accounts::AccountPlan;
use formats::counted::first_of;
use formats::facts::{Facts, OpenDirectory, Written};
use formats::figures::size;
use formats::keep::is_below;
use formats::plan::{Gone, GonePlace};

pub use places::{is_every_os, places_of_few, places_of_many, whole_places};
use places::{is_own, is_passing, is_small, kind, known, Kind};

/// Directories in which a service has files open, among data that is wiped: `PATH (WHO)`.
pub fn in_use(facts: &Facts) -> Vec<String> {
    let open = facts.written.open.iter();
    open.filter(|o| o.service && !stays(facts, &o.path) && kind(&o.path) == Some(Kind::Data))
        .map(|o| format!("{} ({})", o.path, o.writers.join(", ")))
        .collect()
}

/// Everything that is written and goes.
pub fn gone(facts: &Facts, accounts: &AccountPlan) -> Gone {
    let written = &facts.written;
    let mut gone = Gone {
        people: people(facts, accounts),
        ..Gone::default()
    };
    for place in &written.places {
        if stays(facts, &place.path) || is_own(&place.path) || swap(facts, &place.path) {
            continue;
        }
        let open = written
            .open
            .iter()
            .filter(|o| is_below(&o.path, &place.path));
        let open: Vec<&OpenDirectory> = open.filter(|o| !stays(facts, &o.path)).collect();
        let known = known(&place.path);
        if open.is_empty() && known.is_none() && is_small(&place.path, place.found) {
            gone.small += 1;
            gone.small_bytes += place.found.bytes;
            continue;
        }
        gone.places.push(GonePlace {
            path: place.path.clone(),
            what: known.map(|k| k.what.to_owned()),
            usual: known.is_some_and(|k| k.kind == Kind::Logs),
            found: Some(place.found),
            writers: writers(&open),
        });
    }
    for open in elsewhere(facts, written) {
        gone.places.push(GonePlace {
            path: open.path.clone(),
            what: None,
            usual: false,
            found: None,
            writers: open.writers.clone(),
        });
    }
    // What is in use first, then the largest.
    gone.places.sort_by_key(|p| {
        let bytes = p.found.map_or(0, |f| f.bytes);
        (
            p.usual,
            p.writers.is_empty(),
            Reverse(bytes),
            p.path.clone(),
        )
    });
    gone
}

/// Whether a place is told however busy the machine is: neither what is too small to be named until
/// somebody writes there, nor what only open files speak of, nor what every machine has.
pub fn is_lasting(place: &GonePlace) -> bool {
    let small = |found| place.what.is_none() && is_small(&place.path, found);
    !place.usual && place.found.is_some_and(|found| !small(found))
}

/// Open files that are in no place that was looked at.
fn elsewhere<'a>(
    facts: &'a Facts,
    written: &'a Written,
) -> impl Iterator<Item = &'a OpenDirectory> {
    let placed = |o: &OpenDirectory| written.places.iter().any(|p| is_below(&o.path, &p.path));
    let open = written.open.iter();
    open.filter(move |o| {
        o.service
            && !placed(o)
            && !is_passing(&o.path)
            && !stays(facts, &o.path)
            && !is_own(&o.path)
    })
}

fn writers(open: &[&OpenDirectory]) -> Vec<String> {
    let mut writers: Vec<String> = open.iter().flat_map(|o| o.writers.clone()).collect();
    writers.sort();
    writers.dedup();
    writers
}

/// People who are in the new OS and whose home is not: `NAME, HOME (= PLACE)`.
fn people(facts: &Facts, accounts: &AccountPlan) -> Vec<String> {
    let comes = |user: &str| accounts.users.iter().any(|row| row.name == user);
    let homes = facts.written.homes.iter().filter(|h| comes(&h.user));
    homes
        .filter_map(|h| {
            let at = h.leads_to.as_ref().filter(|at| !stays(facts, at))?;
            let link = if *at == h.home.trim_end_matches('/') {
                String::new()
            } else {
                format!(" (= {at})")
            };
            // Accounts of programs have such homes.
            (!is_every_os(at) && !is_passing(at)).then(|| format!("{}, {}{link}", h.user, h.home))
        })
        .collect()
}

/// Is it there in the new OS too?
fn stays(facts: &Facts, path: &str) -> bool {
    let kept = facts.kept.iter().any(|k| is_below(path, k.path.as_str()));
    kept || facts.identity.copied.iter().any(|c| is_below(path, c))
}

fn swap(facts: &Facts, path: &str) -> bool {
    facts.swaps.iter().any(|s| s == path)
}

/// One line that says how much; nothing where nothing goes that matters.
pub fn headline(gone: &Gone) -> Option<String> {
    let told: Vec<&GonePlace> = gone.places.iter().filter(|p| !p.usual).collect();
    if told.is_empty() && gone.people.is_empty() {
        return None;
    }
    let bytes: u64 = told.iter().filter_map(|p| p.found).map(|f| f.bytes).sum();
    let whole = told.iter().all(|p| p.found.is_some_and(|f| f.whole));
    let least = if whole { "" } else { "at least " };
    let (places, are) = match told.len() {
        1 => ("1 place".to_owned(), "is"),
        n => (format!("{n} places"), "are"),
    };
    let mut line = format!(
        "{places} with {least}{} {are} written on this machine, not kept, and will be GONE",
        size(bytes)
    );
    let open: Vec<&str> = told
        .iter()
        .filter(|p| !p.writers.is_empty())
        .map(|p| p.path.as_str())
        .collect();
    if !open.is_empty() {
        let _ = write!(line, "; in use now: {}", first_of(&open, NAMED));
    }
    let people: Vec<&str> = gone
        .people
        .iter()
        .filter_map(|p| p.split(',').next())
        .collect();
    if !people.is_empty() {
        let _ = write!(line, "; without a home then: {}", first_of(&people, NAMED));
    }
    Some(line)
}

/// How many are named in the headline.
const NAMED: usize = 8;

#[cfg(test)]
#[path = "gone_tests.rs"]
mod tests;
