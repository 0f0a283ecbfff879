//! Every rule of the merge, a case each.

use super::merge::merge;
use formats::accounts::{AccountFiles, AccountPlan, Accounts, Owners};

/// Accounts from lines of passwd and group, parted by blanks.
fn accounts(passwd: &str, group: &str, login_defs: &str) -> Accounts {
    let files = AccountFiles {
        passwd: passwd.replace(' ', "\n").into(),
        group: group.replace(' ', "\n").into(),
        ..AccountFiles::default()
    };
    super::parse(&files, login_defs.as_bytes()).unwrap()
}

fn owners(users: &[u32], groups: &[u32]) -> Owners {
    Owners {
        users: users.iter().copied().collect(),
        groups: groups.iter().copied().collect(),
    }
}

/// Rows as `name:number rule`.
fn rows(rows: &[formats::accounts::AccountRow]) -> String {
    let row =
        |row: &formats::accounts::AccountRow| format!("{}:{} {:?}", row.name, row.number, row.rule);
    rows.iter().map(row).collect::<Vec<_>>().join(", ")
}

struct Case {
    name: &'static str,
    /// passwd and group, lines parted by blanks.
    old: (&'static str, &'static str),
    payload: (&'static str, &'static str),
    kept: (&'static [u32], &'static [u32]),
    users: &'static str,
    groups: &'static str,
    /// Texts that must be among what is left behind, and among the notes.
    left: &'static [&'static str],
    notes: &'static [&'static str],
}

const NOTHING: Case = Case {
    name: "nothing",
    old: ("", ""),
    payload: ("", ""),
    kept: (&[], &[]),
    users: "",
    groups: "",
    left: &[],
    notes: &["no user with the number 0"],
};

const CASES: &[Case] = &[
    NOTHING,
    Case {
        name: "root, nobody and services with the same numbers stay",
        old: (
            "root:x:0:0::/root:/bin/sh nobody:x:65534:65534::/:/bin/false www-data:x:33:33::/:/bin/false",
            "root:x:0: nogroup:x:65534: www-data:x:33:",
        ),
        payload: (
            "root:x:0:0::/root:/bin/sh www-data:x:33:33::/:/bin/false nobody:x:65534:65534::/:/bin/false",
            "root:x:0: www-data:x:33: nogroup:x:65534:",
        ),
        kept: (&[0, 33, 65534], &[0, 65534]),
        users: "root:0 Same, www-data:33 Same, nobody:65534 Same",
        groups: "root:0 Same, www-data:33 Same, nogroup:65534 Same",
        ..NOTHING_TO_KNOW
    },
    Case {
        name: "a service on both sides keeps the old number, and who had it moves with its group",
        old: (
            "root:x:0:0::/:/bin/sh mysql:x:112:115::/:/bin/false",
            "root:x:0: mysql:x:115:",
        ),
        payload: (
            "root:x:0:0::/:/bin/sh mysql:x:101:102::/:/bin/false sshd:x:112:112::/:/bin/false",
            "root:x:0: mysql:x:102: sshd:x:112:",
        ),
        users: "root:0 Same, mysql:112 OldNumber, sshd:999 Moved",
        groups: "root:0 Same, mysql:115 OldNumber, sshd:999 Moved",
        ..NOTHING_TO_KNOW
    },
    Case {
        name: "the pair moves when only the group's number is taken",
        old: ("root:x:0:0::/:/bin/sh mysql:x:112:115::/:/bin/false", "mysql:x:115:"),
        payload: (
            "root:x:0:0::/:/bin/sh mysql:x:101:102::/:/bin/false sshd:x:115:115::/:/bin/false",
            "mysql:x:102: sshd:x:115:",
        ),
        users: "root:0 Same, mysql:112 OldNumber, sshd:999 Moved",
        groups: "mysql:115 OldNumber, sshd:999 Moved",
        ..NOTHING_TO_KNOW
    },
    Case {
        name: "no pair, no need to move together",
        old: ("root:x:0:0::/:/bin/sh mysql:x:112:115::/:/bin/false", "mysql:x:115:"),
        payload: (
            "root:x:0:0::/:/bin/sh mysql:x:101:102::/:/bin/false sshd:x:110:115::/:/bin/false",
            "mysql:x:102: sshd:x:115:",
        ),
        users: "root:0 Same, mysql:112 OldNumber, sshd:110 New",
        groups: "mysql:115 OldNumber, sshd:999 Moved",
        ..NOTHING_TO_KNOW
    },
    Case {
        name: "people come along, by range and by password, services do not",
        old: (
            "root:x:0:0::/:/bin/sh alice:x:1000:1000::/home/alice:/bin/sh \
             deploy:$6$a$b:120:120::/:/bin/sh games:x:5:60::/:/bin/false big:x:3000000000:1000::/:/bin/sh \
             dynamic:x:61184:1000::/:/bin/sh",
            "alice:x:1000: deploy:x:120: games:x:60: staff:x:1005:",
        ),
        payload: ("root:x:0:0::/:/bin/sh", ""),
        users: "root:0 Same, alice:1000 Person, deploy:120 Person, big:3000000000 Person",
        groups: "alice:1000 Person, deploy:120 Needed, staff:1005 Person",
        left: &["user games (5): a service's", "user dynamic (61184)", "group games (60): it owns nothing"],
        ..NOTHING_TO_KNOW
    },
    Case {
        name: "what owns something kept comes along, as owner or as group",
        old: (
            "root:x:0:0::/:/bin/sh shop:x:150:150::/:/bin/false ftp:x:151:150::/:/bin/false",
            "shop:x:150: web:x:152: ftp:x:153:",
        ),
        payload: ("root:x:0:0::/:/bin/sh", ""),
        kept: (&[150], &[152]),
        users: "root:0 Same, shop:150 Needed",
        groups: "shop:150 Needed, web:152 Needed",
        left: &["user ftp (151)", "group ftp (153)"],
        ..NOTHING_TO_KNOW
    },
    Case {
        name: "groups of those who come along come along, of services on both sides too",
        old: (
            "root:x:0:0::/:/bin/sh alice:x:1000:1000::/:/bin/sh www-data:x:33:33::/:/bin/false games:x:5:60::/:/bin/false",
            "www-data:x:33:alice ssl-cert:x:110:www-data wheel:x:10:alice arcade:x:111:games,ldap",
        ),
        payload: ("root:x:0:0::/:/bin/sh www-data:x:33:33::/:/bin/false", "www-data:x:33:"),
        users: "root:0 Same, www-data:33 Same, alice:1000 Person",
        groups: "www-data:33 Same, ssl-cert:110 Needed, wheel:10 Needed",
        left: &["group arcade (111)"],
        notes: &["user alice: the primary group 1000 has no name"],
        ..NOTHING
    },
    Case {
        name: "a member who is no local user is noted",
        old: ("root:x:0:0::/:/bin/sh", "sudo:x:27:ldap"),
        payload: ("root:x:0:0::/:/bin/sh", "sudo:x:27:"),
        users: "root:0 Same",
        groups: "sudo:27 Same",
        notes: &["group sudo: the member ldap is no user of the old OS"],
        ..NOTHING
    },
    Case {
        name: "a number that owns something kept without a name is taken",
        old: ("root:x:0:0::/:/bin/sh", ""),
        payload: ("root:x:0:0::/:/bin/sh sshd:x:101:65534::/:/bin/false", "ssh:x:102:"),
        kept: (&[101, 4_000_000, 4_000_001, 4_000_003], &[102]),
        users: "root:0 Same, sshd:999 Moved",
        groups: "ssh:999 Moved",
        notes: &[
            "user number 101 owns something that is kept and has no name",
            "user numbers 4000000 to 4000001 own",
            "user number 4000003 owns",
            "group number 102 owns",
        ],
        ..NOTHING
    },
    Case {
        name: "a number of one who stays behind is free, but nothing moves to it",
        old: (
            "root:x:0:0::/:/bin/sh alice:x:1000:100::/:/bin/sh games:x:101:60::/:/bin/false last:x:999:60::/:/bin/false mail:x:105:8::/:/bin/false",
            "users:x:100:",
        ),
        payload: (
            "root:x:0:0::/:/bin/sh mail:x:8:8::/:/bin/false sshd:x:101:65534::/:/bin/false ntp:x:105:65534::/:/bin/false",
            "users:x:100:",
        ),
        users: "root:0 Same, mail:105 OldNumber, sshd:101 New, ntp:998 Moved, alice:1000 Person",
        groups: "users:100 Same",
        left: &["user games (101)", "user last (999)"],
        ..NOTHING_TO_KNOW
    },
    Case {
        name: "a person of the payload makes room for one of the old OS",
        old: ("root:x:0:0::/:/bin/sh alice:x:1000:1000::/:/bin/sh", "alice:x:1000:"),
        payload: ("root:x:0:0::/:/bin/sh debian:x:1000:1000::/:/bin/sh", "debian:x:1000:"),
        users: "root:0 Same, debian:60000 Moved, alice:1000 Person",
        groups: "debian:60000 Moved, alice:1000 Person",
        ..NOTHING_TO_KNOW
    },
    Case {
        name: "a primary group without a name is taken",
        old: ("root:x:0:0::/:/bin/sh alice:x:1000:104::/:/bin/sh", ""),
        payload: ("root:x:0:0::/:/bin/sh", "kvm:x:104:"),
        users: "root:0 Same, alice:1000 Person",
        groups: "kvm:999 Moved",
        notes: &["user alice: the primary group 104 has no name"],
        ..NOTHING
    },
    Case {
        name: "a person with a service's name",
        old: ("root:x:0:0::/:/bin/sh sgx:x:1001:1001::/:/bin/sh", "sgx:x:1001:"),
        payload: ("root:x:0:0::/:/bin/sh sgx:x:104:104::/:/bin/false", "sgx:x:104:"),
        users: "root:0 Same, sgx:1001 Person",
        groups: "sgx:1001 Person",
        notes: &[
            "user sgx is a person's in the old OS and a service's in the new one",
            "group sgx is a person's",
        ],
        ..NOTHING
    },
    Case {
        name: "a service with a person's name",
        old: ("root:x:0:0::/:/bin/sh admin:x:110:110::/:/bin/sh", "admin:x:110:"),
        payload: ("root:x:0:0::/:/bin/sh admin:x:1000:1000::/:/bin/sh", "admin:x:1000:"),
        users: "root:0 Same, admin:110 OldNumber",
        groups: "admin:110 OldNumber",
        ..NOTHING_TO_KNOW
    },
    Case {
        name: "two names with one number both come along",
        old: (
            "root:x:0:0::/:/bin/sh toor:x:0:0::/:/bin/sh ann:x:1000:100::/:/bin/sh anna:x:1000:100::/:/bin/sh",
            "root:x:0: users:x:100:",
        ),
        payload: ("root:x:0:0::/:/bin/sh", "root:x:0: users:x:100:"),
        users: "root:0 Same, toor:0 Person, ann:1000 Person, anna:1000 Person",
        groups: "root:0 Same, users:100 Same",
        notes: &[
            "user toor has the number 0: it is root under another name",
            "users ann, anna share the number 1000",
        ],
        ..NOTHING
    },
    Case {
        name: "two names of the payload with one number move together",
        old: ("root:x:0:0::/:/bin/sh ann:x:1000:0::/:/bin/sh", ""),
        payload: ("root:x:0:0::/:/bin/sh pi:x:1000:0::/:/bin/sh py:x:1000:0::/:/bin/sh", "root:x:0:"),
        users: "root:0 Same, pi:60000 Moved, py:60000 Moved, ann:1000 Person",
        groups: "root:0 New",
        notes: &["users pi, py share the number 60000", "user ann: the primary group 0 has no name"],
        ..NOTHING
    },
    Case {
        name: "nobody is 65534 in the new OS whatever it was",
        old: (
            "root:x:0:0::/:/bin/sh nobody:x:99:99::/:/bin/false nfsnobody:x:65534:65534::/:/bin/false",
            "nobody:x:99: nfsnobody:x:65534:",
        ),
        payload: ("root:x:0:0::/:/bin/sh nobody:x:65534:65534::/:/bin/false", "nobody:x:65534:"),
        kept: (&[65534], &[]),
        users: "root:0 Same, nobody:65534 New",
        groups: "nobody:65534 New",
        left: &["user nfsnobody (65534): in the new OS this number is nobody's"],
        notes: &["user nobody has the number 99 in the old OS and 65534 in the new one", "group nobody has the number 99"],
    },
    Case {
        name: "root comes along where the payload has none, and stays where the old OS calls it otherwise",
        old: ("admin:x:0:0::/:/bin/sh", ""),
        payload: ("root:x:0:0::/:/bin/sh", "root:x:0:"),
        users: "root:0 New, admin:0 Person",
        groups: "root:0 New",
        notes: &["user admin has the number 0", "user admin: the primary group 0 has no name"],
        ..NOTHING
    },
    Case {
        name: "passwords of old kinds and shells that are not there are noted",
        old: (
            "root:$1$a$b:0:0::/:/bin/sh ann::1000:0::/:/usr/bin/fish bob:x:1001:0::/:/opt/menu games:abJnggxhB/yWI:5:0::/:/usr/sbin/nologin",
            "root:x:0:",
        ),
        payload: ("root:x:0:0::/:/bin/sh", "root:x:0:"),
        users: "root:0 Same, ann:1000 Person, bob:1001 Person, games:5 Person",
        groups: "root:0 Same",
        notes: &[
            "user root: password hash is MD5 ($1$)",
            "user ann: logs in without a password",
            "user ann: the shell /usr/bin/fish is not in the new OS, and becomes /bin/sh",
            "user bob: the shell /opt/menu is not in the new OS; no login",
            "user games: password hash is DES",
        ],
        ..NOTHING
    },
];

const NOTHING_TO_KNOW: Case = Case {
    notes: &[],
    ..NOTHING
};

fn shells() -> Vec<String> {
    ["/bin/sh", "/bin/false"].map(str::to_owned).into()
}

fn plan(case: &Case) -> AccountPlan {
    let old = accounts(case.old.0, case.old.1, "");
    let payload = accounts(case.payload.0, case.payload.1, "");
    merge(&old, &payload, &owners(case.kept.0, case.kept.1), &shells()).expect(case.name)
}

#[test]
fn each_rule_gives_the_numbers_it_says() {
    for case in CASES {
        let name = case.name;
        let plan = plan(case);
        assert_eq!(rows(&plan.users), case.users, "{name}");
        assert_eq!(rows(&plan.groups), case.groups, "{name}");
        for (expected, found) in [(case.left, &plan.left), (case.notes, &plan.notes)] {
            for text in expected {
                let mut found = found.iter();
                assert!(
                    found.any(|line| line.contains(text)),
                    "{name}: {text} not in {plan:#?}"
                );
            }
        }
        assert!(case.left.len() <= plan.left.len(), "{name}");
        // Notes are for what is out of the ordinary only.
        let shell_notes = plan
            .notes
            .iter()
            .filter(|n| n.contains(" is /bin/false in"))
            .count();
        assert_eq!(
            plan.notes.len() - shell_notes,
            case.notes.len(),
            "{name}: {:#?}",
            plan.notes
        );
    }
}

#[test]
fn people_are_told_by_the_ranges_of_the_old_os() {
    let old = accounts(
        "root:x:0:0::/:/bin/sh ann:x:500:500::/:/bin/sh bin:x:499:499::/:/bin/false",
        "ann:x:500:",
        "UID_MIN 500\nGID_MIN 500\n",
    );
    let payload = accounts(
        "root:x:0:0::/:/bin/sh chrony:x:500:500::/:/bin/false",
        "chrony:x:500:",
        "",
    );
    let plan = merge(&old, &payload, &Owners::default(), &shells()).unwrap();
    assert_eq!(
        rows(&plan.users),
        "root:0 Same, chrony:999 Moved, ann:500 Person"
    );
    assert_eq!(
        plan.left,
        ["user bin (499): a service's that owns nothing kept"]
    );
    assert_eq!(plan.number_map().users, [(500, 999)]);
    assert_eq!(plan.number_map().groups, [(500, 999)]);
}

type Lines = (&'static str, &'static str);
/// A plain name, passwd and group of both sides, and what each error says.
type Impossible = (&'static str, Lines, Lines, &'static [&'static str]);

#[test]
fn what_cannot_be_is_an_error() {
    let root = "root:x:0:0::/:/bin/sh";
    let full = "SYS_UID_MIN 101\nSYS_UID_MAX 102\n";
    let cases: &[Impossible] = &[
        ("root is somebody else in the old OS", ("root:x:1:0::/:/bin/sh", ""), (root, ""), &["the user root of the old OS has the number 1, not 0"]),
        (
            "root is somebody else in the payload",
            (root, "root:x:0:"),
            ("root:x:7:0::/:/bin/sh", "root:x:8:"),
            &["the user root of the new OS has the number 7", "the group root of the new OS has the number 8"],
        ),
        (
            "no number is free",
            ("root:x:0:0::/:/bin/sh mysql:x:101:0::/:/bin/false", "root:x:0:"),
            ("root:x:0:0::/:/bin/sh mysql:x:50:0::/:/bin/false sshd:x:101:0::/:/bin/false ntp:x:102:0::/:/bin/false", "root:x:0:"),
            &["the user sshd of the new OS cannot have its number 101"],
        ),
    ];
    for (case, old, payload, expected) in cases {
        let old = accounts(old.0, old.1, "");
        let payload = accounts(payload.0, payload.1, full);
        let errors = merge(&old, &payload, &Owners::default(), &shells()).expect_err(case);
        assert_eq!(errors.len(), expected.len(), "{case}: {errors:?}");
        for (error, text) in errors.iter().zip(*expected) {
            assert!(error.contains(text), "{case}: {error}");
        }
    }
}

#[test]
fn the_map_gives_a_number_with_two_names_to_the_first_and_never_moves_root() {
    let old = accounts(
        "root:x:0:0::/:/bin/sh daemon:x:3:0::/:/bin/false toor:x:40:0::/:/bin/false bin:x:2:0::/:/bin/false",
        "root:x:0:",
        "",
    );
    let payload = accounts(
        "toor:x:0:0::/:/bin/sh root:x:0:0::/:/bin/sh bin:x:2:0::/:/bin/false daemon:x:2:0::/:/bin/false",
        "root:x:0:",
        "",
    );
    let plan = merge(&old, &payload, &Owners::default(), &shells()).unwrap();
    assert_eq!(
        rows(&plan.users),
        "toor:0 New, root:0 Same, bin:2 Same, daemon:3 OldNumber"
    );
    let map = plan.number_map();
    assert_eq!(map.users, []);
    assert_eq!(map.user(2), 2);
}

#[test]
fn root_is_nobodys_range_and_in_no_map() {
    let root = ("root:x:0:0::/:/bin/sh", "root:x:0:");
    let old = accounts(root.0, root.1, "UID_MIN 0\nGID_MIN 0\n");
    let payload = accounts(root.0, root.1, "");
    let plan = merge(&old, &payload, &Owners::default(), &shells()).unwrap();
    assert_eq!(rows(&plan.users), "root:0 Same");
    assert_eq!(rows(&plan.groups), "root:0 Same");

    // Not what a merge makes, but a plan is also read from a file.
    let mut plan = plan;
    plan.users[0].number = 1000;
    plan.groups[0].number = 1000;
    assert_eq!(
        (plan.number_map().user(0), plan.number_map().group(0)),
        (0, 0)
    );
}
