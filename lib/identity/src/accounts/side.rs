//! The users, or the groups, of both sides of a merge, and what becomes of each by the rules that
//! [`super::merge`] has in a table.

use std::collections::{BTreeMap, BTreeSet};

use formats::accounts::{AccountRow, AccountRule};

/// The number that stands for who has none.
const NOBODY: u32 = 65_534;
/// The last of the numbers that systems of 16 bits had; what is above was given by people.
const SIXTEEN_BITS: u32 = 65_535;

/// Whether a user's fields of passwd come from the old OS.
pub(super) fn brings_its_fields(rule: Option<&AccountRule>) -> bool {
    matches!(rule, Some(AccountRule::Person | AccountRule::Needed))
}

pub(super) type Rules<'a> = BTreeMap<&'a str, AccountRule>;

/// The users, or the groups, of both sides.
pub(super) struct Side<'a> {
    pub(super) kind: &'static str,
    /// Names and numbers, in the order of the file.
    pub(super) old: Vec<(&'a str, u32)>,
    pub(super) payload: Vec<(&'a str, u32)>,
    /// The old OS's range for people.
    pub(super) people: (u32, u32),
    /// The payload's, for people and for services.
    pub(super) ranges: [(u32, u32); 2],
    pub(super) kept: &'a BTreeSet<u32>,
}

impl<'a> Side<'a> {
    fn is_person(&self, number: u32) -> bool {
        let (min, max) = self.people;
        !matches!(number, 0 | NOBODY) && number >= min && (number <= max || number > SIXTEEN_BITS)
    }

    /// What becomes of the old OS's accounts: those without a rule stay behind. `needed` knows of
    /// more reasons to take one along.
    pub(super) fn rules(
        &self,
        left: &mut Vec<String>,
        needed: impl Fn(&str, u32) -> Option<AccountRule>,
    ) -> Rules<'a> {
        let payload: BTreeMap<&str, u32> = self.payload.iter().copied().collect();
        let nobody = self.payload.iter().find(|(_, number)| *number == NOBODY);
        let mut rules = Rules::new();
        for &(name, number) in &self.old {
            let rule = match payload.get(name) {
                Some(&theirs) if theirs == number && !self.is_person(number) => AccountRule::Same,
                // Not `OldNumber`: this one keeps the payload's.
                Some(&(0 | NOBODY)) => AccountRule::New,
                Some(_) if self.is_person(number) => AccountRule::Person,
                Some(_) => AccountRule::OldNumber,
                None if number == 0 && self.kind == "user" => AccountRule::Person,
                None if number == NOBODY && nobody.is_some() => {
                    let theirs = nobody.map_or("", |(name, _)| name);
                    left.push(format!(
                        "{} {name} ({number}): in the new OS this number is {theirs}'s",
                        self.kind
                    ));
                    continue;
                }
                None if self.is_person(number) => AccountRule::Person,
                None => {
                    let kept = || self.kept.contains(&number).then_some(AccountRule::Needed);
                    let Some(rule) = needed(name, number).or_else(kept) else {
                        let why = match self.kind {
                            "user" => "a service's that owns nothing kept",
                            _ => "it owns nothing kept, and nobody who comes along is in it",
                        };
                        left.push(format!("{} {name} ({number}): {why}", self.kind));
                        continue;
                    };
                    rule
                }
            };
            rules.insert(name, rule);
        }
        rules
    }

    /// The numbers that accounts of the payload cannot have.
    pub(super) fn taken(&self, rules: &Rules) -> BTreeSet<u32> {
        self.old
            .iter()
            .filter(|(name, _)| {
                rules
                    .get(name)
                    .is_some_and(|rule| *rule != AccountRule::New)
            })
            .map(|(_, number)| *number)
            .chain(self.kept.iter().copied())
            .collect()
    }

    /// The numbers that nothing may be moved to.
    pub(super) fn used(&self, taken: &BTreeSet<u32>) -> BTreeSet<u32> {
        let both = self.old.iter().chain(&self.payload);
        both.map(|(_, number)| *number)
            .chain(taken.iter().copied())
            .chain([0, NOBODY, SIXTEEN_BITS, u32::MAX])
            .collect()
    }

    /// Accounts that only the payload has and whose number may change.
    pub(super) fn payload_only(&self) -> Vec<(&'a str, u32)> {
        let old: BTreeSet<&str> = self.old.iter().map(|(name, _)| *name).collect();
        let all = self.payload.iter().copied();
        all.filter(|(name, number)| !old.contains(name) && !matches!(*number, 0 | NOBODY))
            .collect()
    }

    /// The payload's range that a number is in, or is treated as if it were.
    pub(super) fn range(&self, number: u32) -> (u32, u32) {
        let [people, services] = self.ranges;
        if (people.0..=people.1).contains(&number) {
            people
        } else {
            services
        }
    }

    /// The payload's accounts in their order, then those of the old OS that come along.
    pub(super) fn rows(&self, rules: &Rules, moved: &BTreeMap<u32, u32>) -> Vec<AccountRow> {
        let old: BTreeMap<&str, u32> = self.old.iter().copied().collect();
        let payload: BTreeMap<&str, u32> = self.payload.iter().copied().collect();
        let names = self.payload.iter().map(|(name, _)| *name);
        let carried = self.old.iter().map(|(name, _)| *name);
        let carried =
            carried.filter(|name| rules.contains_key(name) && !payload.contains_key(name));
        names
            .chain(carried)
            .filter_map(|name| {
                let (old, payload) = (old.get(name).copied(), payload.get(name).copied());
                let (number, rule) = match (rules.get(name), payload) {
                    (Some(AccountRule::New), Some(theirs)) => (theirs, AccountRule::New),
                    (Some(rule), _) => (old?, *rule),
                    (None, Some(theirs)) => match moved.get(&theirs) {
                        Some(number) => (*number, AccountRule::Moved),
                        None => (theirs, AccountRule::New),
                    },
                    (None, None) => return None,
                };
                Some(AccountRow {
                    name: name.to_owned(),
                    old,
                    payload,
                    number,
                    rule,
                })
            })
            .collect()
    }
}
