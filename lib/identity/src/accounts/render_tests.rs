//! What the new OS's account files say, by table and by property.

use proptest::prelude::*;

use super::merge::merge;
use super::render::render;
use super::AccountError;
use formats::accounts::{AccountFiles, AccountPlan, AccountRule, Owners};

fn files(files: [&str; 6]) -> AccountFiles {
    let mut files = files.map(|text| text.as_bytes().to_vec()).into_iter();
    let mut next = || files.next().unwrap();
    AccountFiles {
        passwd: next(),
        shadow: next(),
        group: next(),
        gshadow: next(),
        subuid: next(),
        subgid: next(),
    }
}

fn planned(old: &AccountFiles, payload: &AccountFiles, kept: &Owners) -> AccountPlan {
    let parse = |files| super::parse(files, b"").unwrap();
    let shells = ["/bin/bash", "/bin/sh", "/usr/sbin/nologin"].map(str::to_owned);
    merge(&parse(old), &parse(payload), kept, &shells).unwrap()
}

fn rendered(old: &AccountFiles, payload: &AccountFiles) -> AccountFiles {
    render(old, payload, &planned(old, payload, &Owners::default())).unwrap()
}

#[track_caller]
fn assert_text(found: &[u8], expected: &[u8]) {
    assert_eq!(
        found.escape_ascii().to_string(),
        expected.escape_ascii().to_string()
    );
}

fn old_machine() -> AccountFiles {
    let mut old = files([
        "root:x:0:0:root:/root:/bin/zsh\n\
         mysql:x:112:115:Old MySQL:/var/lib/mysql:/bin/false\n\
         postgres:x:113:116::/var/lib/postgresql:/bin/bash\n\
         alice:x:1000:1000:Al\u{e9},,,:/home/alice:/usr/bin/fish\r\n\
         bob:$1$salt$hash:1001:100::/home/bob:/bin/bash\n\
         games:x:5:60::/usr/games:/usr/sbin/nologin\n\
         +::::::\n",
        "root:$6$root:19000:0:99999:7:::\n\
         mysql:!:19000:0:99999:7:::\n\
         postgres:$6$postgres:19001:1:2:3:4:5:\n\
         alice:$6$alice:19002:0:90:14:30:20000:\r\n",
        "root:x:0:\n\
         mysql:x:115:alice\n\
         postgres:x:116:\n\
         sudo:x:27:alice,games,ldap\n\
         alice:x:1000:\n\
         users:x:100:\n\
         team:$6$team:200:bob\n",
        "sudo:!:alice:alice\nmysql:*::alice\n",
        "alice:100000:65536\n1001:165536:65536\ngames:300000:65536\n",
        "alice:100000:65536\n",
    ]);
    // Old GECOS fields are in old encodings.
    let at = old
        .passwd
        .windows(2)
        .position(|w| w == "\u{e9}".as_bytes())
        .unwrap();
    old.passwd.splice(at..at + 2, [0xe9]);
    old
}

fn new_system() -> AccountFiles {
    files([
        "root:x:0:0:root:/root:/bin/bash\n\
         daemon:x:1:1::/usr/sbin:/usr/sbin/nologin\n\
         mysql:x:101:102:MySQL Server:/nonexistent:/usr/sbin/nologin\n\
         postgres:x:102:103::/var/lib/postgresql:/bin/bash\n\
         sshd:x:112:65534::/run/sshd:/usr/sbin/nologin\n\
         debian:x:1000:1000::/home/debian:/bin/bash\n",
        "root:*:20000:0:99999:7:::\n\
         daemon:*:20000:0:99999:7:::\n\
         mysql:!*:20000::::::\n\
         postgres:*:20000:0:99999:7:::\n\
         sshd:!:20000::::::\n\
         debian:$6$debian:20000:0:99999:7:::\n",
        "root:x:0:\n\
         daemon:x:1:\n\
         sudo:x:27:debian\n\
         users:x:100:\n\
         mysql:x:102:\n\
         postgres:x:103:\n\
         kvm:x:115:debian\n\
         debian:x:1000:\n\
         nogroup:x:65534:\n",
        "root:*::\ndaemon:*::\nsudo:*::debian\nkvm:!::debian\n",
        "debian:100000:65536\n1000:500000:65536\n",
        "debian:500000:65536\n",
    ])
}

#[test]
fn the_new_files_are_the_payloads_with_the_old_machines_people() {
    let (old, payload) = (old_machine(), new_system());
    let new = rendered(&old, &payload);
    assert_text(
        &new.passwd,
        b"root:x:0:0:root:/root:/bin/bash\n\
          daemon:x:1:1::/usr/sbin:/usr/sbin/nologin\n\
          mysql:x:112:115:MySQL Server:/nonexistent:/usr/sbin/nologin\n\
          postgres:x:113:116::/var/lib/postgresql:/bin/bash\n\
          sshd:x:999:65534::/run/sshd:/usr/sbin/nologin\n\
          debian:x:60000:60000::/home/debian:/bin/bash\n\
          alice:x:1000:1000:Al\xe9,,,:/home/alice:/bin/bash\n\
          bob:x:1001:100::/home/bob:/bin/bash\n",
    );
    assert_text(
        &new.shadow,
        b"root:$6$root:19000:0:99999:7:::\n\
          daemon:*:20000:0:99999:7:::\n\
          mysql:!*:20000::::::\n\
          postgres:$6$postgres:19001:1:2:3:4:5:\n\
          sshd:!:20000::::::\n\
          debian:$6$debian:20000:0:99999:7:::\n\
          alice:$6$alice:19002:0:90:14:30:20000:\n\
          bob:$1$salt$hash::0:99999:7:::\n",
    );
    assert_text(
        &new.group,
        b"root:x:0:\n\
          daemon:x:1:\n\
          sudo:x:27:debian,alice\n\
          users:x:100:\n\
          mysql:x:115:alice\n\
          postgres:x:116:\n\
          kvm:x:999:debian\n\
          debian:x:60000:\n\
          nogroup:x:65534:\n\
          alice:x:1000:\n\
          team:x:200:bob\n",
    );
    assert_text(
        &new.gshadow,
        b"root:*::\n\
          daemon:*::\n\
          sudo:*:alice:debian,alice\n\
          users:!::\n\
          mysql:!::alice\n\
          postgres:!::\n\
          kvm:!::debian\n\
          debian:!::\n\
          nogroup:!::\n\
          alice:!::\n\
          team:$6$team::bob\n",
    );
    assert_text(
        &new.subuid,
        b"debian:500000:65536\nalice:100000:65536\nbob:165536:65536\n",
    );
    assert_text(&new.subgid, b"debian:500000:65536\nalice:100000:65536\n");
}

#[test]
fn a_password_goes_to_its_own_account_only() {
    let line = |name: &str, field: &str| format!("{name}:{field}:1:1:1:1:::\n");
    // The name, the old number and field, the payload's, and the field in the new OS.
    let cases = [
        (
            "root's lock is kept",
            "root",
            (0, "!"),
            (0, "$6$image"),
            "!",
        ),
        ("root's empty one too", "root", (0, ""), (0, "*"), ""),
        (
            "a service's",
            "mysql",
            (112, "$6$old"),
            (101, "!"),
            "$6$old",
        ),
        (
            "a locked service",
            "mysql",
            (112, "!$6$old"),
            (101, "*"),
            "*",
        ),
        (
            "a locked person",
            "ann",
            (1000, "!$6$old"),
            (101, "$6$new"),
            "!$6$old",
        ),
        (
            "a namesake of root's other name",
            "toor",
            (40, "$6$old"),
            (0, "*"),
            "*",
        ),
        (
            "a namesake of nobody",
            "nobody",
            (99, "$6$old"),
            (65_534, "*"),
            "*",
        ),
    ];
    for (case, name, old, payload, expected) in cases {
        let one = |(uid, field): (u32, &str)| {
            let passwd = format!("{name}:x:{uid}:0::/:/bin/sh\n");
            files([&passwd, &line(name, field), "root:x:0:\n", "", "", ""])
        };
        let new = rendered(&one(old), &one(payload));
        let shadow = String::from_utf8(new.shadow).unwrap();
        assert_eq!(shadow.split(':').nth(1), Some(expected), "{case}: {shadow}");
    }
}

#[test]
fn unshadowed_and_absent_files_are_filled_up() {
    let old = files([
        "root:abJnggxhB/yWI:0:0::/root:/bin/sh\nann:x:1000:100::/:/bin/sh\nold:x:1001:100::/:/bin/sh\n",
        "old:$6$old:15000:0:99999\n",
        "root::0:\nusers::100:ann\n",
        "",
        "",
        "",
    ]);
    let payload = files(["root::0:0::/root:/bin/sh\n", "", "root:x:0:\n", "", "", ""]);
    let new = rendered(&old, &payload);
    assert_text(
        &new.shadow,
        b"root:abJnggxhB/yWI::0:99999:7:::\nann:*::0:99999:7:::\nold:$6$old:15000:0:99999::::\n",
    );
    assert_text(&new.gshadow, b"root:!::\nusers:!::ann\n");
    assert_text(&new.group, b"root:x:0:\nusers:x:100:ann\n");
}

#[test]
fn files_that_are_not_those_of_the_plan_are_refused() {
    let (old, payload) = (old_machine(), new_system());
    let plan = planned(&old, &payload, &Owners::default());
    let nothing = AccountFiles::default();
    let mut more = payload.clone();
    more.passwd.extend(b"stranger:x:77:77::/:/bin/sh\n");
    let mut broken = old.clone();
    broken.subuid.extend(b"alice:1\n");
    let cases = [
        (
            "no old files",
            &nothing,
            &payload,
            "/etc/passwd: root of the plan is not in the old OS",
        ),
        (
            "no new files",
            &old,
            &nothing,
            "/etc/passwd: root of the plan is not in the new OS",
        ),
        (
            "one more",
            &old,
            &more,
            "/etc/passwd: stranger of the new OS is not in the plan",
        ),
        (
            "a broken line",
            &broken,
            &payload,
            "/etc/subuid, line 4: it has 2 fields, not 3",
        ),
    ];
    for (case, old, payload, expected) in cases {
        let error: AccountError = render(old, payload, &plan).expect_err(case);
        assert_eq!(error.to_string(), expected, "{case}");
    }
}

const USERS: [&str; 8] = [
    "root", "nobody", "mysql", "sshd", "ann", "bob", "toor", "www",
];
const GROUPS: [&str; 8] = [
    "root", "nogroup", "mysql", "sshd", "ann", "users", "sudo", "www",
];
const NUMBERS: [u32; 12] = [
    0,
    1,
    33,
    101,
    102,
    998,
    999,
    1000,
    1001,
    60_000,
    65_534,
    3_000_000_000,
];
const FIELDS: [&str; 6] = ["x", "!", "*", "", "$6$a", "abJnggxhB/yWI"];

prop_compose! {
    /// The files of some OS whose root is 0.
    fn any_files()(
        users in prop::collection::vec((0..8_usize, 0..12_usize, 0..12_usize, 0..6_usize, 0..6_usize), 0..8),
        groups in prop::collection::vec((0..8_usize, 0..12_usize, prop::collection::vec(0..8_usize, 0..4)), 0..8),
        ranges in prop::collection::vec((0..8_usize, 0..12_usize, any::<bool>(), 0..5_u32), 0..4),
    ) -> AccountFiles {
        let mut out = AccountFiles::default();
        let number = |name: &str, at: usize| if name == "root" { 0 } else { NUMBERS[at] };
        for (name, uid, gid, field, secret) in users {
            let (name, gid) = (USERS[name], NUMBERS[gid]);
            let uid = number(name, uid);
            out.passwd.extend(format!("{name}:{}:{uid}:{gid}:g:/h:/bin/{name}\n", FIELDS[field]).bytes());
            out.shadow.extend(format!("{name}:{}:1::::::\n", FIELDS[secret]).bytes());
        }
        for (name, gid, members) in groups {
            let name = GROUPS[name];
            let gid = number(name, gid);
            let members = members.into_iter().map(|m| USERS[m]).collect::<Vec<_>>().join(",");
            out.group.extend(format!("{name}:x:{gid}:{members}\n").bytes());
            out.gshadow.extend(format!("{name}:!:{members}:{members}\n").bytes());
        }
        for (name, uid, by_number, at) in ranges {
            let owner = if by_number { NUMBERS[uid].to_string() } else { USERS[name].to_owned() };
            out.subuid.extend(format!("{owner}:{}:65536\n", 100_000 + at * 40_000).bytes());
        }
        out
    }
}

proptest! {
    #[test]
    fn rendering_holds_what_the_plan_says_and_is_stable(
        old in any_files(),
        payload in any_files(),
        kept in prop::collection::btree_set(0..12_usize, 0..4),
    ) {
        let owners: std::collections::BTreeSet<u32> = kept.into_iter().map(|at| NUMBERS[at]).collect();
        let kept = Owners { users: owners.clone(), groups: owners };
        let plan = planned(&old, &payload, &kept);
        let new = render(&old, &payload, &plan).unwrap();
        let again = render(&old, &new, &plan).unwrap();
        for (a, b) in [
            (&new.passwd, &again.passwd), (&new.shadow, &again.shadow),
            (&new.group, &again.group), (&new.gshadow, &again.gshadow),
            (&new.subuid, &again.subuid), (&new.subgid, &again.subgid),
        ] {
            prop_assert_eq!(String::from_utf8_lossy(a), String::from_utf8_lossy(b));
        }
        let [before, theirs, after] = [&old, &payload, &new].map(|f| super::parse(f, b"").unwrap());
        let written: Vec<_> = after.users.iter().map(|u| (&*u.name, u.uid)).collect();
        let rows: Vec<_> = plan.users.iter().map(|r| (&*r.name, r.number)).collect();
        prop_assert_eq!(written, rows);
        let written: Vec<_> = after.groups.iter().map(|g| (&*g.name, g.gid)).collect();
        let rows: Vec<_> = plan.groups.iter().map(|r| (&*r.name, r.number)).collect();
        prop_assert_eq!(written, rows);
        // What is kept belongs to nobody it did not belong to.
        for row in plan.users.iter().filter(|row| kept.users.contains(&row.number)) {
            let same = before.users.iter().any(|u| u.name == row.name && u.uid == row.number);
            prop_assert!(same || matches!(row.number, 0 | 65_534), "{row:?}");
        }
        // Nobody new shares a number with somebody old, nor is anybody of the payload lost.
        for row in plan.users.iter().filter(|r| r.old.is_none() && !matches!(r.number, 0 | 65_534)) {
            let mut sharing = plan.users.iter().filter(|r| r.number == row.number);
            prop_assert!(sharing.all(|r| r.old.is_none() && r.payload == row.payload), "{row:?}");
        }
        for user in &theirs.users {
            prop_assert!(plan.users.iter().any(|row| row.name == user.name));
        }
        // Every old account is accounted for, people among those who come along.
        for user in &before.users {
            let row = plan.users.iter().find(|row| row.name == user.name);
            let left = plan.left.contains(&format!("user {} ({}): a service's that owns nothing kept", user.name, user.uid))
                || user.uid == 65_534;
            prop_assert!(row.is_some() || left, "{user:?}");
            if (1000..=60_000).contains(&user.uid) && !theirs.users.iter().any(|u| u.name == user.name) {
                prop_assert_eq!(row.map(|row| (row.number, row.rule)), Some((user.uid, AccountRule::Person)));
            }
        }
        let map = plan.number_map();
        prop_assert_eq!((map.user(0), map.group(0)), (0, 0));
    }
}
