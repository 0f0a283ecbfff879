//! Who gets in where an operator brings the old ssh server's own configuration along, and the new OS's server does not
//! take it: words for ciphers and keys that it has forgotten are enough for it not to start.

use std::fs;
use std::path::PathBuf;

use anyhow::{ensure, Context, Result};
use formats::confirm::Verdict;
use identity::access::written::{ASIDE, SETTINGS};
use identity::ssh_access::MAIN;
use reroot_tests::client::{Client, Means};
use reroot_tests::confirmed;
use reroot_tests::images::tiny_with_doors;
use reroot_tests::old_server::ssh_key;
use reroot_tests::reinstall::{reinstall, IMAGE_ON_MACHINE, KEEP};
use reroot_tests::ssh::Comer;
use reroot_tests::tiny;
use reroot_tests::tiny::doors::{self, SERVER_AGAIN};
use reroot_tests::vm::Machine;

use crate::access::gets_in;
use crate::layouts::row;

/// What Debian 11's server takes and Debian 13's does not, for each list a word, beside words that both know: the
/// first name of `aes256-cbc`, a key exchange that was a trial, keys of DSA. `hmac-md5-96` is known to both.
const FORGOTTEN: [&str; 3] = [
    "rijndael-cbc@lysator.liu.se",
    "sntrup4591761x25519-sha512@tinyssh.org",
    "ssh-dss",
];

/// Four people with the same key: one becomes root by sudo, one is held to sftp below a directory, one is not on the
/// list; alice has a password besides, which nobody is asked for.
const FURNISH: &str = r#"set -eu
person() { # NAME NUMBER
    echo "$1:x:$2:$2::/home/$1:/bin/sh" >>/etc/passwd
    echo "$1:x:$2:" >>/etc/group
    echo "$1:!:19000:0:99999:7:::" >>/etc/shadow
}
person debian 1001
person frank 1005
person mallory 1006
echo 'sftponly:x:1100:frank' >>/etc/group
for name in debian alice frank mallory; do
    mkdir -p "/home/$name/.ssh"
    cp /root/.ssh/authorized_keys "/home/$name/.ssh/"
    chown -R "$name:$name" "/home/$name"
    chmod -R go-w "/home/$name"
done
echo 'debian ALL=(ALL) NOPASSWD:ALL' >/etc/sudoers.d/90-cloud-init-users
chmod 440 /etc/sudoers.d/90-cloud-init-users
mkdir -p /srv/sftp/in
chown frank:frank /srv/sftp/in
cat >/etc/ssh/sshd_config <<'CONFIG'
# Hardened in its time.
Port 22
Port 2222
Ciphers aes128-gcm@openssh.com,aes256-ctr,rijndael-cbc@lysator.liu.se
MACs hmac-sha2-256,hmac-md5-96
KexAlgorithms curve25519-sha256,sntrup4591761x25519-sha512@tinyssh.org
HostKeyAlgorithms ssh-ed25519,ssh-rsa,ssh-dss
UseDNS no
UsePAM yes
PermitRootLogin prohibit-password
PasswordAuthentication no
ChallengeResponseAuthentication no
AllowUsers root debian alice frank
Subsystem sftp internal-sftp
Match Group sftponly
    ForceCommand internal-sftp
    ChrootDirectory /srv/sftp
    AllowTcpForwarding no
CONFIG
sshd -t
"#;

const BROUGHT: &str = "--carry /etc/ssh/sshd_config";

/// Whoever asks from outside.
struct Askers {
    known: PathBuf,
    other_port: u16,
    key: Means,
}

impl Askers {
    fn client<'a>(&'a self, machine: &Machine, user: &'a str, means: &'a Means) -> Client<'a> {
        Client {
            port: machine.ssh_port(),
            user,
            means,
            known: &self.known,
            host_key: "ssh-ed25519",
        }
    }

    /// What each is answered, by name.
    fn answers(&self, machine: &Machine) -> Result<Vec<(&'static str, String)>> {
        let password = Means::Password("wonderland");
        let of = |user, means| self.client(machine, user, means);
        let at_other_port = Client {
            port: self.other_port,
            ..of("root", &self.key)
        };
        let frank = of("frank", &self.key);
        let mut found = Vec::new();
        for (name, client) in [
            ("root by key", &of("root", &self.key)),
            ("root by key, port 2222", &at_other_port),
            ("debian by key", &of("debian", &self.key)),
            ("alice by key", &of("alice", &self.key)),
            ("alice by password", &of("alice", &password)),
            ("mallory by key", &of("mallory", &self.key)),
        ] {
            found.push((name, gets_in(client)?.to_string()));
        }
        let root = of("debian", &self.key).ask("sudo -n id -un")?;
        found.push(("debian becomes root", root.stdout.trim().to_owned()));
        let shell = frank.ask("id -un")?;
        found.push(("frank, a shell", shell.stdout.trim().to_owned()));
        let listed = frank.transfer("ls -1 /\n")?;
        let last = listed.stdout.lines().last().unwrap_or_default().to_owned();
        found.push(("frank, by sftp", last));
        let forwards = frank.forward("10.0.2.15:22")?;
        let is_kept_from = forwards.stderr.contains("administratively prohibited");
        found.push(("frank is kept from forwarding", is_kept_from.to_string()));
        Ok(found)
    }
}

/// What they are answered, before and after.
const ANSWERED: [(&str, &str); 10] = [
    ("root by key", "true"),
    ("root by key, port 2222", "true"),
    ("debian by key", "true"),
    ("alice by key", "true"),
    ("alice by password", "false"),
    ("mallory by key", "false"),
    ("debian becomes root", "root"),
    (
        "frank, a shell",
        "This service allows sftp connections only.",
    ),
    ("frank, by sftp", "/in"),
    ("frank is kept from forwarding", "true"),
];

#[test]
#[ignore = "one more reinstallation: make prove"]
fn an_old_configuration_that_the_new_server_does_not_take_lets_the_same_people_in() -> Result<()> {
    let image = tiny_with_doors()?;
    let mut machine = tiny::boot(row("mbr-primary")?, "carried-sshd")?;
    machine.copy_to(&doors::addition(tiny::OLD)?, "/root/doors.tar")?;
    machine.expect("tar -xpf /root/doors.tar -C / && rm /root/doors.tar")?;
    machine.script(&format!("{FURNISH}{SERVER_AGAIN}"))?;
    machine.come_as(Comer::BySudo("debian"))?;
    machine.wait_for_ssh()?;
    let brought = machine.expect(&format!("cat {MAIN}"))?;
    let host = machine.expect("cat /etc/ssh/ssh_host_ed25519_key.pub")?;
    let askers = Askers {
        known: machine.file("known_hosts"),
        other_port: machine.forward(2222)?,
        key: Means::Key(ssh_key()?),
    };
    fs::write(&askers.known, format!("the-machine {host}")).context("write known_hosts")?;
    let expected = ANSWERED.map(|(name, answer)| (name, answer.to_owned()));
    assert_eq!(askers.answers(&machine)?, expected, "in the old OS");

    machine.copy_to(&image, IMAGE_ON_MACHINE)?;
    let plan = machine.expect(&format!("{IMAGE_ON_MACHINE} plan {KEEP} {BROUGHT}"))?;
    println!("{plan}");
    for promised in [
        "(new OS: ssh on port 22, 2222)",
        "debian by key, root by sudo",
        "root by key",
    ] {
        ensure!(
            plan.contains(promised),
            "{promised:?} is missing in\n{plan}"
        );
    }
    reinstall(
        &mut machine,
        &image,
        &format!("{BROUGHT} --entry kexec --payload disk"),
    )?;

    machine.expect("grep trixie /etc/os-release")?;
    // What was brought lies beside, whole, for whoever mends it, and the server truly does not take it.
    let aside = format!("{MAIN}{ASIDE}");
    assert_eq!(machine.expect(&format!("cat {aside}"))?, brought);
    let refused = machine.expect(&format!("! /usr/sbin/sshd -t -f {aside} 2>&1"))?;
    ensure!(refused.contains("Bad SSH2 cipher spec"), "{refused}");
    let own = machine.expect(&format!(
        "cat {MAIN}; /usr/sbin/sshd -t; test ! -e {SETTINGS}"
    ))?;
    println!("{own}");
    for word in FORGOTTEN {
        ensure!(
            brought.contains(word) && !own.contains(word),
            "{word}: {own}"
        );
    }
    // The first boot says so, and nothing else.
    let confirm = confirmed::wait(&machine)?;
    let short = confirmed::lines(&confirm, Verdict::Short);
    ensure!(
        short.len() == 1 && short[0].starts_with("placed: ") && short[0].ends_with(&aside),
        "{short:?}"
    );
    confirmed::assert_asked_about(&machine, "debian", &[22, 2222])?;
    confirmed::assert_asked_about(&machine, "root", &[22, 2222])?;
    assert_eq!(askers.answers(&machine)?, expected, "in the new OS");
    Ok(())
}
