//! What a real server of OpenSSH's says of itself, and what is read from its files.

use std::path::Path;

use fixtures::ssh_server::{self, make_key};
use formats::accounts::Group;

use super::super::files::Tree;
use super::*;

struct Config(tempfile::TempDir);

impl Config {
    /// A configuration that has these settings, with a host key.
    fn with(settings: &str) -> Config {
        let directory = tempfile::tempdir().unwrap();
        let key = directory.path().join("host");
        make_key(&key.display().to_string(), "ed25519");
        let text = format!("HostKey {}\n{settings}", key.display());
        fs::write(directory.path().join("config"), text).unwrap();
        Config(directory)
    }

    fn path(&self) -> String {
        self.0.path().join("config").display().to_string()
    }

    fn running(&self, arguments: &str) -> Running {
        let title = format!("/usr/sbin/sshd -D -f {} {arguments}", self.path());
        let started = in_force::started(&title).unwrap();
        ask_everybody(ssh_server::command(&[]), started)
    }
}

fn doors(running: &Running) -> Doors {
    let tree = Tree::new(Path::new("/"));
    super::super::ssh::doors(&tree, running, &mut Vec::new())
}

fn people() -> Accounts {
    let user = |name: &str, uid| User {
        name: name.to_owned(),
        uid,
        gid: uid,
        home: "/nonexistent".to_owned(),
        shell: "/bin/sh".to_owned(),
        password: true,
    };
    Accounts {
        users: vec![user("root", 0), user("daemon", 1)],
        groups: vec![Group {
            name: "daemon".to_owned(),
            gid: 1,
            // As it is on the machine that the server runs on.
            members: Vec::new(),
        }],
        ..Accounts::default()
    }
}

fn session() -> Session {
    Session {
        user: "root".to_owned(),
        address: "198.51.100.4".to_owned(),
        port: 2222,
        client: "192.0.2.7".to_owned(),
        ..Session::default()
    }
}

/// The server and the reading of its files agree about each of these, for everybody and for one connection.
#[test]
fn what_the_server_says_is_what_its_files_come_to() {
    for settings in [
        "",
        "PermitRootLogin no\nPermitRootLogin yes\n",
        "passwordauthentication=no\nKbdInteractiveAuthentication \"no\"\n",
        "ChallengeResponseAuthentication no\n",
        "Port 2222\nPort 22\n",
        "Port 2222\nListenAddress 127.0.0.1\nListenAddress 127.0.0.2:2200\n",
        "PermitRootLogin no\nMatch User root\nPermitRootLogin yes\n",
        "PermitRootLogin yes\nMatch Address 192.0.2.0/24,!192.0.2.7\nPermitRootLogin no\n",
        "PermitRootLogin yes\nMatch Address 192.0.2.0/24\nPermitRootLogin no\n",
        "Match LocalPort 2222\nPasswordAuthentication no\n",
        "Match LocalAddress 198.51.100.0/24 User root\nPubkeyAuthentication no\n",
        "Match Group daemon\nPasswordAuthentication no\nMatch User daemon\nPasswordAuthentication yes\n",
        "Match User *,!root\nPasswordAuthentication no\n",
        "Match all\nPermitRootLogin forced-commands-only\n",
        "AllowUsers root\nMatch User daemon\nAllowUsers daemon\n",
    ] {
        let config = Config::with(settings);
        let running = config.running("");
        assert!(running.answers, "the server does not answer: {settings}");
        let mut doors = doors(&Running {
            said: Vec::new(),
            ..running.clone()
        });
        let of_server = Doors {
            settings: running.said.clone(),
            ..Doors::default()
        };
        if !settings.contains("LocalPort") {
            let (by_server, by_files) = (server::ports(&of_server), server::ports(&doors));
            assert_eq!(by_server, by_files, "{settings}");
        }
        let (session, mut notes) = (session(), Vec::new());
        ask_about(&running, &mut doors, &people(), (&[], Some(&session)), &mut notes);
        assert_eq!(doors.in_force.len(), 2, "{settings}");
        assert_eq!(notes, [""; 0], "{settings}");
        for (user, said) in &doors.in_force {
            let accounts = people();
            let connection = Connection {
                user,
                groups: server::groups_of(user, &accounts),
                session: Some(&session),
            };
            let by_files = matching::by_files(&doors, &connection);
            let by_server = Doors {
                settings: said.clone(),
                ..Doors::default()
            };
            let lets_in = |doors: &Doors| server::lets_in(doors, user, &accounts);
            assert_eq!(lets_in(&by_files), lets_in(&by_server), "{user}: {settings}");
        }
    }
}

/// By its file, not by its name: a container's server has the same.
#[test]
fn a_process_that_listens_is_told_from_the_server_that_is_asked() {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let own = std::env::current_exe().unwrap().display().to_string();
    for (asked, expected) in [(own.as_str(), true), ("/usr/sbin/sshd", false)] {
        let all = listening(&[asked]);
        let one = all.iter().find(|one| one.port == port).unwrap();
        assert_eq!((&one.program, one.is_asked), (&own, expected));
        assert_eq!(one.started, None);
    }
}

/// What it was started with goes before its files, and is asked with.
#[test]
fn a_server_that_was_started_with_arguments_is_read_with_them() {
    let config = Config::with("Port 22\nPermitRootLogin yes\n");
    let running = config.running("-p 2222 -o PermitRootLogin=no");
    let doors = doors(&running);
    assert_eq!(server::ports(&doors), [2222]);
    assert_eq!(
        server::value(&doors, "PermitRootLogin").as_deref(),
        Some("no")
    );
    let of_server = Doors {
        settings: running.said,
        ..Doors::default()
    };
    assert_eq!(server::ports(&of_server), [2222]);
    assert_eq!(
        server::value(&of_server, "PermitRootLogin").as_deref(),
        Some("no")
    );
}

/// A criterion that is not understood here: the server is believed, and that is said.
#[test]
fn where_server_and_files_differ_the_server_is_believed() {
    let config = Config::with("PermitRootLogin yes\nMatch Host 192.0.2.7\nPermitRootLogin no\n");
    let running = config.running("");
    let mut doors = doors(&running);
    let (session, mut notes) = (session(), Vec::new());
    ask_about(
        &running,
        &mut doors,
        &people(),
        (&[], Some(&session)),
        &mut notes,
    );
    let connection = Connection {
        user: "root",
        ..Connection::default()
    };
    let root = matching::resolved(&doors, &connection);
    assert_eq!(
        server::value(&root, "PermitRootLogin").as_deref(),
        Some("no")
    );
    assert!(
        notes[0].contains("root: PermitRootLogin no, not yes"),
        "{notes:?}"
    );
}

#[test]
fn a_server_that_does_not_answer_leaves_its_files() {
    let command = vec!["/bin/false".to_owned()];
    let running = ask_everybody(command, Started::default());
    assert!(running.said.is_empty() && !running.answers);
    let (mut doors, mut notes) = (Doors::default(), Vec::new());
    ask_about(&running, &mut doors, &people(), (&[], None), &mut notes);
    assert_eq!((doors, notes), (Doors::default(), Vec::new()));
    assert_eq!(running_nowhere().said, []);
}

fn running_nowhere() -> Running {
    ask_everybody(Vec::new(), Started::default())
}
