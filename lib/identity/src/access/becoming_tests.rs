use super::*;
use formats::accounts::{AccountRule, Group};

fn rule(text: &str) -> Sudoer {
    let (who, what) = text.split_once(' ').unwrap_or((text, ""));
    Sudoer {
        who: who.to_owned(),
        without_password: what == "free",
        held: what == "held",
    }
}

fn rules(all: &[&str]) -> Vec<Sudoer> {
    all.iter().map(|text| rule(text)).collect()
}

fn doors(sudoers: &[&str]) -> Doors {
    Doors {
        sudo: true,
        sudoers: rules(sudoers),
        ..Doors::default()
    }
}

/// root, ann and bob, who are in `wheel`, and somebody whose name is none for a rule; all have passwords.
fn people() -> Accounts {
    let user = |name: &str, uid| User {
        name: name.to_owned(),
        uid,
        gid: 100,
        home: String::new(),
        shell: "/bin/sh".to_owned(),
        password: true,
    };
    Accounts {
        users: vec![
            user("root", 0),
            user("ann", 1000),
            user("bob", 1001),
            user("CORP\\carl", 1002),
            user("DORA", 1003),
        ],
        groups: vec![Group {
            name: "wheel".to_owned(),
            gid: 10,
            members: ["ann", "bob"].map(str::to_owned).to_vec(),
        }],
        ..Accounts::default()
    }
}

fn row(name: &str, old: u32, number: u32) -> AccountRow {
    AccountRow {
        name: name.to_owned(),
        old: Some(old),
        payload: None,
        number,
        rule: AccountRule::Person,
    }
}

/// All of them come along; the group has another number.
fn plan() -> AccountPlan {
    let users = people().users;
    AccountPlan {
        users: users.iter().map(|u| row(&u.name, u.uid, u.uid)).collect(),
        groups: vec![row("wheel", 10, 998)],
        ..AccountPlan::default()
    }
}

fn become_root(doors: &Doors, name: &str) -> Option<Becoming> {
    let accounts = people();
    let user = accounts.users.iter().find(|u| u.name == name).unwrap();
    root(doors, user, &accounts)
}

#[test]
fn the_last_rule_about_somebody_counts() {
    let (su, free) = (Becoming::Su, Becoming::Sudo);
    let asked = Becoming::SudoWithPassword;
    for (sudoers, expected) in [
        (&[][..], su),
        (&["%wheel"], asked),
        (&["%#10"], asked),
        (&["%#11", "%staff", "bob", "#1001"], su),
        (&["#1000 free"], free),
        (&["ALL free"], free),
        (&["%wheel free", "ann"], asked),
        (&["ann", "%wheel free"], free),
        // What a rule takes away nobody has by one before it.
        (&["%wheel", "ann held"], su),
        (&["ann free", "%wheel held"], su),
        (&["ann held", "%wheel"], asked),
        (&["%wheel", "bob held"], asked),
    ] {
        assert_eq!(
            become_root(&doors(sudoers), "ann"),
            Some(expected),
            "{sudoers:?}"
        );
    }
}

#[test]
fn the_way_that_asks_the_least_counts() {
    let with = |sudoers: &[&str], doas: &[&str], sudo_asks| {
        let doors = Doors {
            doas: rules(doas),
            sudo_asks,
            ..doors(sudoers)
        };
        become_root(&doors, "ann").unwrap()
    };
    for (sudoers, doas, asks, expected) in [
        (&["ann"][..], &[][..], Asks::Own, Becoming::SudoWithPassword),
        (&["ann"], &["ann free"], Asks::Own, Becoming::Doas),
        (&["ann free"], &["ann free"], Asks::Own, Becoming::Sudo),
        (&[], &["%wheel", "ann held"], Asks::Own, Becoming::Su),
        // Root's password is what su asks for.
        (&["ann"], &[], Asks::Root, Becoming::Su),
        (&["ann free"], &[], Asks::Root, Becoming::Sudo),
    ] {
        assert_eq!(with(sudoers, doas, asks), expected, "{sudoers:?} {doas:?}");
    }
    assert_eq!(become_root(&doors(&[]), "root"), Some(Becoming::Is));
}

/// What is written for an old OS with these rules, without what is in every line, and of the rules who.
fn written_for(old: &Doors, new: &Doors) -> (Vec<String>, Vec<String>) {
    let Some(found) = written((old, &people()), new, &plan()) else {
        return (Vec::new(), Vec::new());
    };
    let mut lines = found.text.lines();
    assert!(lines.next().unwrap().starts_with("# Written by reroot"));
    let lines = lines.map(|line| line.replace(" ALL=(ALL:ALL) ", " "));
    let who = found.rules.into_iter().map(|rule| rule.who);
    (lines.collect(), who.collect())
}

#[test]
fn whoever_comes_along_keeps_their_sudo() {
    let old = doors(&[
        "%wheel",
        "%#10",
        "ann free",
        "gone free",
        "#1001 free",
        "#77 free",
        "%staff",
        "CORP\\carl",
        "DORA",
    ]);
    let (lines, who) = written_for(&old, &doors(&["%wheel"]));
    // A number is the new OS's own, and says who it is where the name would say something else.
    assert_eq!(
        lines,
        [
            "%#998 ALL",
            "ann NOPASSWD: ALL",
            "#1001 NOPASSWD: ALL",
            "#1002 ALL",
            "#1003 ALL"
        ]
    );
    assert_eq!(who, ["%#998", "ann", "#1001", "#1002", "#1003"]);
    let by_doas = Doors {
        doas: rules(&["bob", "ann free"]),
        ..Doors::default()
    };
    let (lines, _) = written_for(&by_doas, &doors(&["bob free"]));
    assert_eq!(lines, ["ann NOPASSWD: ALL"]);
    assert_eq!(written_for(&doors(&["%wheel", "ann"]), &old).0, [""; 0]);
}

#[test]
fn nobody_is_given_more_than_they_had() {
    let nothing: &[&str] = &[];
    let own = doors(&[]);
    for (old, expected) in [
        (doors(&["ann held"]), nothing),
        // The others are named one by one.
        (doors(&["%wheel", "ann held"]), &["bob ALL"]),
        (
            doors(&["%wheel free", "ann"]),
            &["bob NOPASSWD: ALL", "ann ALL"],
        ),
        (
            doors(&["ann", "%wheel free"]),
            &["ann ALL", "%wheel NOPASSWD: ALL"],
        ),
        (doors(&["ann free", "%wheel held"]), nothing),
        (
            Doors {
                doas: rules(&["%wheel", "ann held"]),
                ..Doors::default()
            },
            &["bob ALL"],
        ),
        // Whoever is asked for root's password has su.
        (
            Doors {
                sudo_asks: Asks::Root,
                ..doors(&["ALL", "ann", "bob free"])
            },
            &["bob NOPASSWD: ALL"],
        ),
        // By sudo without a password, whatever doas asks for.
        (
            Doors {
                doas: rules(&["ann", "bob free"]),
                ..doors(&["ann free", "bob"])
            },
            &["ann NOPASSWD: ALL", "bob ALL", "bob NOPASSWD: ALL"],
        ),
    ] {
        let (lines, _) = written_for(&old, &own);
        assert_eq!(lines, expected, "{old:?}");
    }
    // Where the image's own sudo asks nobody, a rule that asks says so.
    let new = Doors {
        sudo_asks: Asks::Nobody,
        ..doors(&[])
    };
    assert_eq!(written_for(&doors(&["ann"]), &new).0, ["ann PASSWD: ALL"]);
}
