//! Who would become root by ssh in the new OS more easily than in the old one.

use formats::access::{Session, Way};
use formats::accounts::Accounts;
use formats::identity::{IdentityPlan, NewIdentity, OldIdentity};

use super::becoming;

/// Ways into the new OS of people of the old one who had none, or one that asked more of them; one line each.
/// Nothing where the old OS has no ssh server, and that alone where not all of its servers are read.
pub fn gained(
    plan: &IdentityPlan,
    (old, new): (&OldIdentity, &NewIdentity),
    accounts: &Accounts,
) -> Vec<String> {
    let mut lines = old.doors.unread.clone();
    let opened = match &new.doors {
        Some(doors) if doors.is_read() => Some("the new OS's is started"),
        // Shut before, shut after.
        Some(_) => None,
        None => Some("the image does not say whether the new OS's is started"),
    };
    if let Some(opened) = opened.filter(|_| old.doors.off) {
        lines.push(format!(
            "the old ssh server does not run and is not started at boot: nobody gets in by it, and {opened}"
        ));
    }
    if !old.doors.server || !lines.is_empty() {
        return lines;
    }
    let (before, after) = &plan.ways;
    let of = |user: &str| -> Vec<&Way> { before.iter().filter(|way| way.user == user).collect() };
    // They are in, and root, whatever is known of how.
    let is_here =
        |session: &Session, way: &Way| session.user == way.user && of(&way.user).is_empty();
    let session = old.session.as_ref();
    let more = after.iter().filter(|way| {
        let known = accounts.users.iter().any(|user| user.name == way.user);
        let asked = becoming::asks(way.root);
        let had = |had: &&Way| had.means == way.means && becoming::asks(had.root) <= asked;
        known && !of(&way.user).iter().any(had) && !session.is_some_and(|s| is_here(s, way))
    });
    let told = |way: &Way| {
        let had: Vec<String> = of(&way.user).iter().map(ToString::to_string).collect();
        let had = if had.is_empty() {
            "not at all".to_owned()
        } else {
            had.join("; ")
        };
        format!("{way}, by the new OS's own rules (now: {had})")
    };
    more.map(told).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::locked::tests::accounts;
    use formats::access::{Becoming, Doors, Means};

    fn way(user: &str, means: Means, root: Becoming) -> Way {
        Way {
            user: user.to_owned(),
            means,
            root,
        }
    }

    fn told(before: &[Way], after: &[Way], server: bool, operator: Option<&str>) -> Vec<String> {
        let plan = IdentityPlan {
            ways: (before.to_vec(), after.to_vec()),
            ..IdentityPlan::default()
        };
        let old = OldIdentity {
            doors: Doors {
                server,
                ..Doors::default()
            },
            session: operator.map(|user| Session {
                user: user.to_owned(),
                ..Session::default()
            }),
            ..OldIdentity::default()
        };
        let people = [("root", 0), ("ann", 1000)];
        let people = accounts(&people.map(|(name, uid)| (name, uid, "/bin/sh", true)), &[]);
        gained(&plan, (&old, &NewIdentity::default()), &people)
    }

    #[test]
    fn a_way_that_asks_less_than_there_was_is_told_and_no_other() {
        use Becoming::{Doas, DoasWithPassword, Is, Su, Sudo, SudoWithPassword};
        use Means::{Key, Password};
        let ann = |root| way("ann", Key, root);
        for (before, after, more) in [
            (ann(Sudo), ann(Sudo), false),
            (ann(Doas), ann(Sudo), false),
            (ann(DoasWithPassword), ann(SudoWithPassword), false),
            (ann(Sudo), ann(Su), false),
            (ann(SudoWithPassword), ann(Sudo), true),
            (ann(Su), ann(SudoWithPassword), true),
            (ann(Sudo), way("ann", Password, Sudo), true),
            (ann(Sudo), way("root", Key, Is), true),
            // An account of the image's own.
            (ann(Sudo), way("admin", Key, Sudo), false),
        ] {
            let found = told(std::slice::from_ref(&before), &[after], true, None);
            assert_eq!(!found.is_empty(), more, "{before}: {found:?}");
        }
        let new = [ann(Sudo)];
        assert_eq!(
            told(&[ann(Su)], &new, true, Some("ann")),
            ["ann by key, root by sudo, by the new OS's own rules (now: ann by key, root by su with root's password)"]
        );
        assert_eq!(
            told(&[], &new, true, None),
            ["ann by key, root by sudo, by the new OS's own rules (now: not at all)"]
        );
        // Whoever calls this is root; an old OS without a server had nobody who could get in.
        assert_eq!(told(&[], &new, true, Some("ann")), [""; 0]);
        assert_eq!(told(&[], &new, false, None), [""; 0]);
    }

    #[test]
    fn a_server_that_is_not_read_or_off_may_have_kept_anybody_out() {
        let with = |doors: Doors, doors_of_new: Option<Doors>| {
            let old = OldIdentity {
                doors,
                ..OldIdentity::default()
            };
            let new = NewIdentity {
                doors: doors_of_new,
                ..NewIdentity::default()
            };
            gained(&IdentityPlan::default(), (&old, &new), &Accounts::default())
        };
        let started = Doors {
            server: true,
            ..Doors::default()
        };
        let of = |doors: Doors| with(doors, Some(started.clone()));
        let unread = Doors {
            unread: vec!["dropbear".to_owned()],
            ..Doors::default()
        };
        assert_eq!(of(unread), ["dropbear"]);
        let off = Doors {
            server: true,
            off: true,
            ..Doors::default()
        };
        let refused = of(off.clone());
        assert!(
            refused[0].contains("does not run") && refused[0].ends_with("the new OS's is started"),
            "{refused:?}"
        );
        let unsaid = with(off.clone(), None);
        assert!(unsaid[0].contains("does not say"), "{unsaid:?}");
        assert_eq!(with(off.clone(), Some(off)), [""; 0], "shut as before");
        assert_eq!(of(Doors::default()), [""; 0]);
    }
}
