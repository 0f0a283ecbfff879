//! What is told of a machine, by table.

use formats::accounts::{AccountRow, AccountRule};
use formats::facts::{Home, Place, Weight};
use formats::keep::KeepPath;
use formats::plan::Gone;

use super::*;

const MIB: u64 = 1 << 20;

fn weight(bytes: u64) -> Weight {
    Weight {
        files: 3,
        bytes,
        newest: Some(1_795_400_000),
        whole: true,
    }
}

fn place(path: &str, bytes: u64) -> Place {
    Place {
        path: path.to_owned(),
        found: weight(bytes),
    }
}

fn open(path: &str, writer: &str) -> OpenDirectory {
    OpenDirectory {
        path: path.to_owned(),
        files: 2,
        writers: vec![writer.to_owned()],
        service: true,
    }
}

fn home(user: &str, home: &str, leads_to: Option<&str>) -> Home {
    Home {
        user: user.to_owned(),
        home: home.to_owned(),
        leads_to: leads_to.map(str::to_owned),
    }
}

fn people(names: &[&str]) -> AccountPlan {
    let row = |name: &&str| AccountRow {
        name: (*name).to_owned(),
        old: Some(1000),
        payload: None,
        number: 1000,
        rule: AccountRule::Same,
    };
    AccountPlan {
        users: names.iter().map(row).collect(),
        ..AccountPlan::default()
    }
}

fn written(change: impl FnOnce(&mut Written)) -> Facts {
    let mut facts = fixtures::facts::facts();
    facts.kept = ["/home", "/srv/shop"]
        .map(|path| formats::facts::Kept {
            path: KeepPath::parse(path).unwrap(),
            found: Ok(fixtures::plan::measure(1)),
        })
        .into();
    facts.identity.copied = vec!["/root/.ssh/authorized_keys".to_owned()];
    facts.swaps = vec!["/swap".to_owned()];
    change(&mut facts.written);
    facts
}

fn paths(gone: &Gone) -> Vec<&str> {
    gone.places.iter().map(|p| p.path.as_str()).collect()
}

/// The case that had no line anywhere: a person whose home is reached through a link, in a directory
/// that no OS has.
#[test]
fn the_home_behind_a_link_is_told_and_so_is_its_directory() {
    let facts = written(|w| {
        w.places = vec![place("/data", 7 * MIB)];
        w.homes = vec![
            home("anna", "/home2/anna", Some("/data/anna")),
            home("bert", "/home/bert", Some("/home/bert")),
            home("cleo", "/mnt/nas/cleo", None),
            home("left", "/data/left", Some("/data/left")),
            home("daemon", "/", Some("/")),
            home("tmp", "/tmp", Some("/tmp")),
        ];
    });
    let gone = gone(&facts, &people(&["anna", "bert", "cleo", "daemon", "tmp"]));
    assert_eq!(gone.people, ["anna, /home2/anna (= /data/anna)"]);
    assert_eq!(paths(&gone), ["/data"]);
    assert_eq!(
        headline(&gone).unwrap(),
        "1 place with 7.0 MiB is written on this machine, not kept, and will be GONE; \
         without a home then: anna"
    );
}

#[test]
fn what_is_in_use_comes_first_and_what_stays_is_not_told() {
    let facts = written(|w| {
        w.places = vec![
            place("/opt/app", 900 * MIB),
            place("/var/lib/mysql", 100 * MIB),
            place("/root", 4096),
            place("/srv/shop", MIB),
            place("/swap", 100 * MIB),
            place("/var/log", 999 * MIB),
            place("/var/lib/dpkg", 30 * MIB),
            place("/var/lib/mystery", 2 * MIB),
            place("/var/lib/tiny", 4096),
            place("/data", 1),
        ];
        w.open = vec![
            open("/var/lib/mysql", "mariadb.service"),
            open("/var/lib/mysql/shop", "mariadb.service"),
            open("/home/anna", "nginx.service"),
            open("/var/log/nginx", "nginx.service"),
            open("/usr/share/app/state", "app.service"),
            open("/tmp/x", "app.service"),
            open("/var/lib/dpkg", "app.service"),
        ];
    });
    let gone = gone(&facts, &AccountPlan::default());
    assert_eq!(
        paths(&gone),
        [
            "/var/lib/mysql",
            "/usr/share/app/state",
            "/opt/app",
            "/var/lib/mystery",
            "/root",
            "/data",
            "/var/log",
        ]
    );
    assert_eq!((gone.small, gone.small_bytes), (1, 4096));
    assert_eq!(gone.places[0].what.as_deref(), Some("MySQL or MariaDB"));
    assert_eq!(gone.places[0].writers, ["mariadb.service"]);
    let line = headline(&gone).unwrap();
    assert!(
        line.starts_with("6 places with at least 1002.0 MiB are written"),
        "{line}"
    );
    assert!(
        line.contains("in use now: /var/lib/mysql, /usr/share/app/state"),
        "{line}"
    );
}

#[test]
fn a_service_that_writes_among_data_is_in_use() {
    for (path, expected) in [
        ("/var/lib/mysql", true),
        ("/var/lib/docker/volumes/db/_data", true),
        ("/data/anything", true),
        ("/srv/other", true),
        ("/opt/app/state", true),
        ("/var/www/shop/cache", true),
        ("/var/customers", true),
        ("/srv/shop/x", false),
        ("/home/anna", false),
        ("/var/log", false),
        ("/var/lib/dpkg", false),
        ("/var/lib/mystery", false),
        ("/var/cache/nginx", false),
        ("/run/x", false),
        ("/tmp", false),
        ("/root", false),
        ("/etc/app", false),
        ("/usr/lib/app", false),
        ("/", false),
    ] {
        let facts = written(|w| w.open = vec![open(path, "x.service")]);
        assert_eq!(!in_use(&facts).is_empty(), expected, "{path}");
        let session = written(|w| {
            w.open = vec![open(path, "vi")];
            w.open[0].service = false;
        });
        assert_eq!(in_use(&session), [""; 0], "a person's own affair: {path}");
    }
    let facts = written(|w| w.open = vec![open("/data/db", "shop.service")]);
    assert_eq!(in_use(&facts), ["/data/db (shop.service)"]);
}

#[test]
fn what_was_not_counted_to_its_end_is_at_least_that_much() {
    let facts = written(|w| {
        w.places = vec![place("/data", MIB)];
        w.places[0].found.whole = false;
    });
    let line = headline(&gone(&facts, &AccountPlan::default())).unwrap();
    assert!(
        line.starts_with("1 place with at least 1.0 MiB is written"),
        "{line}"
    );
}

#[test]
fn nothing_is_said_where_nothing_goes() {
    let facts = written(|w| w.places = vec![place("/var/log", MIB), place("/var/lib/tiny", 1)]);
    let gone = gone(&facts, &AccountPlan::default());
    assert_eq!(headline(&gone), None);
    assert_eq!(paths(&gone), ["/var/log"]);
}

#[test]
fn the_tables_name_nothing_twice() {
    let mut known: Vec<_> = whole_places().collect();
    let all = known.len();
    known.sort_unstable();
    known.dedup();
    assert_eq!(known.len(), all);
    for path in known {
        assert!(path.starts_with('/') && !path.ends_with('/'), "{path}");
    }
}
