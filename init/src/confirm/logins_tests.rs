//! Asked of a real server of OpenSSH's, on a port of its own at the loopback interface.

use std::net::TcpListener;
use std::process::Child;

use fixtures::ssh_server::{self, make_key};
use formats::access::PublicKey;
use formats::confirm::{Finding, Verdict};
use identity::access::keys;
use identity::confirm::compare_logins;
use tempfile::TempDir;

use super::*;

struct Server {
    directory: TempDir,
    child: Child,
    at: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// One that takes `taken` for root, with these settings besides.
    fn start(settings: &str, taken: &[&PublicKey]) -> Server {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).display().to_string();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        make_key(&path("host"), "ed25519");
        let lines: Vec<String> = taken
            .iter()
            .map(|key| format!("{} {}\n", key.kind, key.blob))
            .collect();
        fs::write(path("keys"), lines.concat()).unwrap();
        let text = format!(
            "Port {}\nListenAddress 127.0.0.1\nHostKey {}\nPidFile none\nUsePAM no\nStrictModes no\n\
             AuthorizedKeysFile {}\n{settings}",
            port.port(),
            path("host"),
            path("keys")
        );
        fs::write(path("config"), text).unwrap();
        let [program, rest @ ..] = &ssh_server::command(&["-f", &path("config")])[..] else {
            panic!("no command")
        };
        let mut command = Command::new(program);
        let child = command
            .args(rest)
            .args(["-D", "-E", &path("log")])
            .spawn()
            .unwrap();
        let server = Server {
            directory,
            child,
            at: port,
        };
        let deadline = Instant::now() + stretched(Duration::from_secs(30));
        while live::ssh(server.at) != SshPort::Greets {
            assert!(Instant::now() < deadline, "the server does not listen");
            thread::sleep(Duration::from_millis(50));
        }
        server
    }

    fn client(&self) -> Client {
        let config = self.directory.path().join("config").display().to_string();
        Client {
            keys: self.directory.path().join("offered"),
            server: ssh_server::command(&["-f", &config]),
        }
    }

    /// What is found about root at this server.
    fn found(&self, login: &Login) -> Vec<Finding> {
        let asked = ask_at(&self.client(), std::slice::from_ref(login), &[(0, self.at)]);
        assert!(!self.directory.path().join("offered").exists());
        compare_logins(std::slice::from_ref(login), &Ok(asked))
    }
}

fn key(kind: &str) -> PublicKey {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key").display().to_string();
    make_key(&path, kind);
    let text = fs::read_to_string(format!("{path}.pub")).unwrap();
    keys::parse(&text).keys.remove(0)
}

fn root(keys: &[&PublicKey], password: bool) -> Login {
    Login {
        user: "root".to_owned(),
        is_root: true,
        keys: keys.iter().copied().cloned().collect(),
        password,
        by_origin: false,
    }
}

fn verdicts(findings: &[Finding]) -> Vec<(Verdict, &str)> {
    let told = findings.iter();
    told.map(|f| (f.verdict, f.found.as_deref().unwrap_or_default()))
        .collect()
}

#[test]
fn a_key_that_the_server_takes_is_told_from_one_that_it_does_not() {
    let (known, rsa, strange) = (key("ed25519"), key("rsa"), key("ed25519"));
    let server = Server::start("PermitRootLogin prohibit-password\n", &[&known, &rsa]);
    let found = server.found(&root(&[&strange, &rsa, &known], false));
    assert_eq!(verdicts(&found), [(Verdict::Pass, "")], "{found:?}");
    assert_eq!(
        found[0].question,
        format!("root gets in by key at {}", server.at)
    );
    let answer = server
        .client()
        .ask(&root(&[&strange, &rsa, &known], false), server.at)
        .unwrap();
    assert_eq!((answer.taken, answer.refused), (vec![1, 2], vec![0]));
    assert!(answer.release.is_some_and(|release| release > (7, 0)));

    let found = server.found(&root(&[&strange], true));
    let none = format!("the server takes none of: {}", strange.fingerprint);
    // The older of two words for it, which the server says.
    let word = "the server has PermitRootLogin without-password";
    assert_eq!(
        verdicts(&found),
        [(Verdict::Short, none.as_str()), (Verdict::Short, word)]
    );
    // It was asked, and nobody was let in or tried a password.
    let log = fs::read_to_string(server.directory.path().join("log")).unwrap();
    assert!(
        !log.contains("Accepted ") && !log.contains("Failed password"),
        "{log}"
    );
}

/// It takes the key all the same: the settings have to be asked besides.
#[test]
fn a_server_that_lets_no_root_in_falls_short_though_it_takes_the_key() {
    let known = key("ed25519");
    let server = Server::start(
        "PermitRootLogin yes\nMatch Address 127.0.0.0/8\nPermitRootLogin no\n",
        &[&known],
    );
    let answer = server
        .client()
        .ask(&root(&[&known], false), server.at)
        .unwrap();
    assert_eq!(answer.taken, [0]);
    let found = server.found(&root(&[&known], false));
    assert_eq!(
        verdicts(&found),
        [(Verdict::Short, "the server has PermitRootLogin no")]
    );
}

#[test]
fn means_that_the_server_does_not_offer_fall_short() {
    let known = key("ed25519");
    let by_password =
        "PermitRootLogin yes\nPubkeyAuthentication no\nKbdInteractiveAuthentication no\n";
    let server = Server::start(by_password, &[&known]);
    let found = server.found(&root(&[&known], true));
    let offers = "the server offers password";
    assert_eq!(
        verdicts(&found),
        [(Verdict::Short, offers), (Verdict::Pass, "")]
    );
    let server = Server::start(
        "PermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n",
        &[&known],
    );
    let found = server.found(&root(&[], true));
    assert_eq!(
        verdicts(&found),
        [(Verdict::Short, "the server offers publickey")]
    );
}

/// A server that takes one try alone does not answer about the second key.
#[test]
fn a_server_that_breaks_off_makes_nothing_fall_short() {
    let (known, strange) = (key("ed25519"), key("ed25519"));
    let server = Server::start("PermitRootLogin yes\nMaxAuthTries 1\n", &[&known]);
    let found = server.found(&root(&[&strange, &known], false));
    let [(verdict, why)] = verdicts(&found)[..] else {
        panic!("{found:?}")
    };
    assert_eq!(verdict, Verdict::Unknown, "{why}");
    // Nobody listens at all.
    let at = server.at;
    drop(server);
    let folder = tempfile::tempdir().unwrap();
    let client = Client {
        keys: folder.path().join("offered"),
        ..Client::default()
    };
    let answer = client.ask(&root(&[&known], false), at).unwrap();
    assert_eq!(answer.means, [""; 0]);
    assert!(answer.last.contains("refused"), "{answer:?}");
}

#[test]
fn everybody_is_asked_about_at_each_port_and_somebody_at_each_address() {
    let at = |text: &str| -> SocketAddr { text.parse().unwrap() };
    let places = [
        vec![at("192.0.2.1:22"), at("192.0.2.2:22")],
        vec![at("192.0.2.2:2222")],
    ];
    assert_eq!(
        pairs(3, &places),
        [
            (0, at("192.0.2.1:22")),
            (1, at("192.0.2.2:22")),
            (2, at("192.0.2.1:22")),
            (0, at("192.0.2.2:2222")),
            (1, at("192.0.2.2:2222")),
            (2, at("192.0.2.2:2222")),
        ]
    );
    assert_eq!(
        pairs(1, &places[..1]),
        [(0, at("192.0.2.1:22")), (0, at("192.0.2.2:22"))]
    );
    let addresses: Vec<IpAddr> = (1..9).map(|n| IpAddr::from([192, 0, 2, n])).collect();
    let found = super::places(&[22, 2222], &addresses, &|at| at.port() == 22);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].len(), MOST_ADDRESSES);
}
