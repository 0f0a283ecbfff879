//! Ssh servers that listen and are not the one whose settings are read here: another program's, a second one with a
//! configuration of its own.

use super::in_force::Started;

/// Names of other programs that are ssh servers.
const OTHERS: [&str; 4] = ["dropbear", "lshd", "tinysshd", "wolfsshd"];

/// The name of the server that is read here.
const OURS: &str = "sshd";

/// What listens for others, of which systemd says for whom.
const SYSTEMD: &str = "systemd";

/// A process that listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listening {
    /// On which port.
    pub port: u16,
    /// Its name.
    pub name: String,
    /// The program's path.
    pub program: String,
    /// It is the very program that is asked here what holds.
    pub is_asked: bool,
    /// How it was started, where it is a server of OpenSSH's.
    pub started: Option<Started>,
}

/// The one whose settings are read: of several the one by which the operator came.
pub fn read(all: &[Listening], port: Option<u16>) -> Option<&Listening> {
    let own = || all.iter().filter(|one| is_ours(one));
    own().find(|one| Some(one.port) == port).or(own().next())
}

/// The others, one line each. `port` is where the operator came in; `by_socket` says that systemd listens for the
/// one that is read.
pub fn unread(all: &[Listening], port: Option<u16>, by_socket: bool) -> Vec<String> {
    let file = |one: &Listening| one.started.as_ref().and_then(|s| s.file.clone());
    let read_file = read(all, port).map(file);
    let ours_at = |port| all.iter().any(|one| is_ours(one) && one.port == port);
    let is_other = |one: &&Listening| {
        let by_operator = Some(one.port) == port && !ours_at(one.port);
        match one.name.as_str() {
            // Connections call themselves so, too, where they forward.
            OURS if one.started.is_none() => false,
            OURS => !one.is_asked || read_file.as_ref().is_some_and(|read| *read != file(one)),
            SYSTEMD if by_socket => false,
            name => OTHERS.contains(&name) || by_operator,
        }
    };
    let told = |one: &Listening| {
        let with = file(one).map_or(String::new(), |file| format!(" -f {file}"));
        format!(
            "{}{with}, by which people get in on port {}: what it is told is not read here, and the new server is not \
             told it",
            one.program, one.port
        )
    };
    let mut lines: Vec<String> = all.iter().filter(is_other).map(told).collect();
    lines.sort();
    lines.dedup();
    lines
}

fn is_ours(one: &Listening) -> bool {
    one.name == OURS && one.is_asked && one.started.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listening(port: u16, program: &str, is_asked: bool, title: &str) -> Listening {
        Listening {
            port,
            name: program.rsplit('/').next().unwrap().to_owned(),
            program: program.to_owned(),
            is_asked,
            started: super::super::in_force::started(title),
        }
    }

    #[test]
    fn a_server_that_is_not_read_is_named_and_nothing_else_is() {
        let sshd = |port| listening(port, "/usr/sbin/sshd", true, "/usr/sbin/sshd -D");
        let second = listening(
            2222,
            "/usr/sbin/sshd",
            true,
            "/usr/sbin/sshd -f /etc/ssh/two",
        );
        let own = listening(22, "/usr/local/sbin/sshd", false, "/usr/local/sbin/sshd");
        let dropbear = listening(2222, "/usr/sbin/dropbear", false, "dropbear -s");
        let systemd = listening(22, "/usr/lib/systemd/systemd", false, "");
        let nginx = listening(80, "/usr/sbin/nginx", false, "nginx");
        let forwards = listening(8080, "/usr/sbin/sshd", true, "sshd: ann@pts/0");
        let inetd = listening(22, "/usr/sbin/xinetd", false, "xinetd");
        for (all, port, by_socket, expected) in [
            (vec![], None, false, None),
            (vec![sshd(22), nginx.clone()], Some(22), false, None),
            (vec![sshd(22), sshd(2222)], Some(22), false, None),
            (vec![sshd(22), forwards], None, false, None),
            (vec![systemd.clone()], Some(22), true, None),
            (vec![systemd.clone(), sshd(22)], Some(22), false, None),
            // Whatever else listens at another address.
            (vec![sshd(22), inetd.clone()], Some(22), false, None),
            (vec![inetd.clone()], None, false, None),
            // The server that listened has ended since.
            (vec![nginx], Some(22), false, None),
            (vec![systemd], Some(22), false, Some("systemd")),
            (vec![inetd], Some(22), false, Some("/usr/sbin/xinetd,")),
            (
                vec![sshd(22), dropbear],
                Some(22),
                false,
                Some("/usr/sbin/dropbear,"),
            ),
            (
                vec![own.clone()],
                None,
                false,
                Some("/usr/local/sbin/sshd, by"),
            ),
            (
                vec![sshd(2200), own],
                Some(2200),
                false,
                Some("on port 22:"),
            ),
            (
                vec![sshd(22), second.clone()],
                Some(22),
                false,
                Some("-f /etc/ssh/two,"),
            ),
        ] {
            let found = unread(&all, port, by_socket);
            match expected {
                None => assert_eq!(found, [""; 0], "{all:?}"),
                Some(word) => {
                    assert_eq!(found.len(), 1, "{found:?}");
                    assert!(found[0].contains(word), "{found:?}");
                }
            }
        }
        // The one that the operator came by is the one that is read.
        let both = [sshd(22), second];
        assert_eq!(read(&both, Some(2222)), Some(&both[1]));
        assert_eq!(read(&both, None), Some(&both[0]));
        assert!(unread(&both, Some(2222), false)[0].contains("/usr/sbin/sshd, by"));
    }
}
