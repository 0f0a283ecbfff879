//! The files of the RAM environment's ssh server, as texts.
//!
//! Everybody is number 0 there, under the name that they have in the old OS: who is let in could become
//! root, there is no sudo, and a user who is not root could neither read the run's log nor mend anything.
//! The names stay, so that a key that let in `ann` lets in `ann` and no other name, and lists of users hold
//! on. What they get is one program, whatever they ask for.

use std::fmt::Write;

use formats::access::RamServer;

/// What is in the greeting of the server, before anybody has logged in: whoever polls a machine for its
/// OS sees that this is none.
pub const GREETING: &str = "reroot-ram";

/// Under whose name the server's unprivileged half runs.
const UNPRIVILEGED: &str = "sshd:x:74:74::/run/sshd:/bin/false";

/// What does not depend on the machine, in words that every OpenSSH since 7.2 knows. There is no
/// `Subsystem`, so no sftp.
const FIXED: &str = "\
StrictModes yes
PermitRootLogin prohibit-password
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
ChallengeResponseAuthentication no
HostbasedAuthentication no
PermitEmptyPasswords no
UsePAM no
UseDNS no
PermitUserEnvironment no
PermitUserRC no
AllowTcpForwarding no
AllowAgentForwarding no
AllowStreamLocalForwarding no
X11Forwarding no
PermitTunnel no
GatewayPorts no
Compression no
PrintMotd no
PrintLastLog no
PidFile none
LogLevel INFO
LoginGraceTime 30
MaxStartups 4:50:8
MaxSessions 2
ClientAliveInterval 15
ClientAliveCountMax 4
";

/// `sshd_config`(5). Keys are in `folder`, one file for each name; `host_keys` are the files with the
/// private halves; `program` is what everybody gets.
pub fn config(server: &RamServer, folder: &str, host_keys: &[String], program: &str) -> String {
    let mut text = FIXED.to_owned();
    let mut line = |keyword: &str, value: &str| {
        let _ = writeln!(text, "{keyword} {value}");
    };
    if server.addresses.is_empty() {
        for port in &server.ports {
            line("Port", &port.to_string());
        }
    }
    for address in &server.addresses {
        line("ListenAddress", address);
    }
    for key in host_keys {
        line("HostKey", key);
    }
    if !server.allowed.is_empty() {
        line("AllowUsers", &server.allowed.join(" "));
    }
    line("AuthorizedKeysFile", &format!("{folder}/%u"));
    line("VersionAddendum", GREETING);
    line("ForceCommand", program);
    text
}

/// passwd(5). `*` is no password that anybody has, and no lock either.
pub fn passwd(server: &RamServer) -> String {
    let mut text = "root:*:0:0:root:/root:/bin/sh\n".to_owned();
    let others = server.people.iter().filter(|login| login.user != "root");
    for login in others {
        let _ = writeln!(text, "{}:*:0:0::/root:/bin/sh", login.user);
    }
    let _ = writeln!(text, "{UNPRIVILEGED}");
    text
}

/// group(5), for terminals and the server's unprivileged half.
pub const GROUP: &str = "root:x:0:\ntty:x:5:\nsshd:x:74:\n";

/// nsswitch.conf(5): there is nothing here but files.
pub const NSSWITCH: &str = "passwd: files\ngroup: files\nshadow: files\nhosts: files\n";

/// Somebody's file of keys.
pub fn keys(lines: &[String]) -> String {
    let mut text = lines.join("\n");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use formats::access::RamLogin;

    fn server() -> RamServer {
        let login = |user: &str| RamLogin {
            user: user.to_owned(),
            keys: vec![format!("ssh-ed25519 AAAA {user}")],
        };
        RamServer {
            ports: vec![22, 2222],
            host_keys: vec!["/etc/ssh/ssh_host_ed25519_key".to_owned()],
            people: vec![login("ann"), login("root")],
            ..RamServer::default()
        }
    }

    #[test]
    fn everybody_is_root_under_their_own_name_and_gets_one_program() {
        assert_eq!(
            passwd(&server()),
            "root:*:0:0:root:/root:/bin/sh\nann:*:0:0::/root:/bin/sh\n\
             sshd:x:74:74::/run/sshd:/bin/false\n"
        );
        let config = config(
            &server(),
            "/run/keys",
            &["/run/host-0".to_owned()],
            "/init greet",
        );
        for line in [
            "PasswordAuthentication no",
            "Port 22",
            "Port 2222",
            "HostKey /run/host-0",
            "AuthorizedKeysFile /run/keys/%u",
            "ForceCommand /init greet",
        ] {
            assert!(config.lines().any(|l| l == line), "{line}: {config}");
        }
        for word in [
            "Subsystem",
            "Match",
            "AllowUsers",
            "ListenAddress",
            " yes\nUsePAM",
        ] {
            assert!(!config.contains(word), "{word}: {config}");
        }
    }

    #[test]
    fn addresses_have_their_ports_and_lists_hold_on() {
        let server = RamServer {
            ports: Vec::new(),
            addresses: vec!["192.0.2.7:2222".to_owned()],
            allowed: vec!["ann@192.0.2.*".to_owned(), "root".to_owned()],
            ..server()
        };
        let config = config(&server, "/k", &[], "/p");
        assert!(config.contains("\nListenAddress 192.0.2.7:2222\n"));
        assert!(config.contains("\nAllowUsers ann@192.0.2.* root\n"));
        assert!(!config.contains("\nPort "));
    }
}
