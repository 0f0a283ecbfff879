//! Who gets in: a machine with every door that an ssh server has lets the same people in by the same means after
//! it was reinstalled, and nobody else, as clients from outside see it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{ensure, Context, Result};
use formats::confirm::Verdict;
use reroot_tests::additions::Additions;
use reroot_tests::client::{make_key, sign, Client, Means};
use reroot_tests::confirmed;
use reroot_tests::images::{small_trixie, small_trixie_with, tiny as tiny_image, tiny_with_doors};
use reroot_tests::old_server::{old_server, ssh_key};
use reroot_tests::reinstall::{
    reinstall, start, wait_with, Outcome, GOES_ON, IMAGE_ON_MACHINE, KEEP, LIMIT,
};
use reroot_tests::snapshot::running_old_server;
use reroot_tests::ssh::{Comer, CONNECTION_LOST};
use reroot_tests::tiny;
use reroot_tests::tiny::doors::{self, SERVER_AGAIN};
use reroot_tests::vm::{Machine, USUAL_MEMORY_MIB};

use crate::layouts::row;

const FURNISH: &str = include_str!("access.sh");

/// What the operator brings: who asks a program for keys has it brought along.
const BROUGHT: &str = "--carry /etc/ssh/sshd_config.d/50-keys.conf --carry /usr/local/bin/keys-of";

/// What is asked from outside, and what the answer has to be, before and after.
const ASKED: [(&str, &str); 15] = [
    ("root by key", "42: log in as debian"),
    ("debian by key", "0: debian root"),
    ("debian by key, port 2222", "0: debian root"),
    ("carol by a key outside of homes", "0: carol"),
    ("dave by a key that a program hands out", "0: dave"),
    ("erin by a certificate", "0: erin"),
    ("debian forwards", "0: an ssh server"),
    ("frank by key, a file by sftp", "0: kept"),
    ("frank by key, out of his folder", "nothing"),
    (
        "frank by key, a shell",
        "1: This service allows sftp connections only.",
    ),
    ("frank forwards", "prohibited"),
    ("mallory by key", "denied"),
    ("gina by key", "denied"),
    ("erin by a certificate of another name", "denied"),
    ("alice by password", "denied"),
];

/// A server counts refused logins against the address that they come from (`PerSourcePenalties`), and everybody of
/// the test comes from one.
const BETWEEN_REFUSALS: Duration = Duration::from_secs(12);

/// Whoever asks from outside.
struct Askers {
    known: PathBuf,
    port: u16,
    other_port: u16,
    key: Means,
    certificate: Means,
    of_another_name: Means,
}

impl Askers {
    fn client<'a>(&'a self, user: &'a str, means: &'a Means) -> Client<'a> {
        Client {
            port: self.port,
            user,
            means,
            known: &self.known,
            host_key: "ssh-ed25519-cert-v01@openssh.com",
        }
    }

    fn answer(&self, question: &str) -> Result<String> {
        let password = Means::Password("wonderland");
        let of = |user, means| self.client(user, means);
        let answer = match question {
            "root by key" => of("root", &self.key).ask("id -un")?,
            "debian by key" => of("debian", &self.key).ask("echo $(id -un) $(sudo -n id -un)")?,
            "debian by key, port 2222" => Client {
                port: self.other_port,
                ..of("debian", &self.key)
            }
            .ask("echo $(id -un) $(sudo -n id -un)")?,
            "carol by a key outside of homes" => of("carol", &self.key).ask("id -un")?,
            "dave by a key that a program hands out" => of("dave", &self.key).ask("id -un")?,
            "erin by a certificate" => of("erin", &self.certificate).ask("id -un")?,
            "debian forwards" => of("debian", &self.key).forward("10.0.2.15:22")?,
            "frank by key, a file by sftp" => {
                let batch = "cd in\nput /etc/hostname kept\nls -1\nrm kept\n";
                of("frank", &self.key).transfer(batch)?
            }
            "frank by key, out of his folder" => {
                of("frank", &self.key).transfer("get /etc/passwd /dev/null\n")?
            }
            "frank by key, a shell" => of("frank", &self.key).ask("id -un")?,
            "frank forwards" => of("frank", &self.key).forward("10.0.2.15:22")?,
            "mallory by key" => of("mallory", &self.key).ask("id -un")?,
            "gina by key" => of("gina", &self.key).ask("id -un")?,
            "erin by a certificate of another name" => {
                of("erin", &self.of_another_name).ask("id -un")?
            }
            "alice by password" => of("alice", &password).ask("id -un")?,
            other => anyhow::bail!("{other} is not asked here"),
        };
        println!("{question}: {answer:?}");
        let said = answer.stdout.trim();
        Ok(if answer.stderr.contains("Permission denied (") {
            std::thread::sleep(BETWEEN_REFUSALS);
            "denied".to_owned()
        } else if answer.stderr.contains("administratively prohibited") {
            "prohibited".to_owned()
        } else if said.starts_with("SSH-2.0-") {
            "0: an ssh server".to_owned()
        } else if question.ends_with("a file by sftp") && said.lines().any(|line| line == "kept") {
            format!("{}: kept", answer.status)
        } else if answer.status == 0 || !said.is_empty() && !said.contains("sftp>") {
            format!("{}: {said}", answer.status)
        } else {
            "nothing".to_owned()
        })
    }

    fn answers(&self) -> Result<Vec<(&'static str, String)>> {
        let each = ASKED.iter();
        each.map(|(question, _)| Ok((*question, self.answer(question)?)))
            .collect()
    }
}

fn expected() -> Vec<(&'static str, String)> {
    let each = ASKED.iter();
    each.map(|(question, answer)| (*question, (*answer).to_owned()))
        .collect()
}

/// Furnishes the old server, and says who is to ask.
fn furnish(machine: &mut Machine) -> Result<Askers> {
    let key = ssh_key()?;
    let at = |name: &str| machine.file(name);
    let authority = make_key(&at("users-authority"))?;
    let hosts_authority = make_key(&at("hosts-authority"))?;
    make_key(&at("host"))?;
    let host_key = fs::read_to_string(at("host")).context("read the host's key")?;
    let public = |name: &str| at(name).with_extension("pub");
    let host = sign(
        &at("hosts-authority"),
        &["-h"],
        "the-machine",
        &public("host"),
    )?;
    let certificate = |name: &str, principal: &str| -> Result<Means> {
        make_key(&at(name))?;
        let signed = sign(&at("users-authority"), &[], principal, &public(name))?;
        Ok(Means::Certificate(at(name), signed))
    };
    let (good, other) = (
        certificate("erin", "deploy")?,
        certificate("other", "erin")?,
    );
    let known = at("known_hosts");
    let line = format!("@cert-authority the-machine {hosts_authority}");
    fs::write(&known, line).context("write known_hosts")?;

    machine.copy_to(&doors::addition(tiny::OLD)?, "/root/doors.tar")?;
    machine.expect("tar -xpf /root/doors.tar -C / && rm /root/doors.tar")?;
    let read = |path: &Path| fs::read_to_string(path).with_context(|| path.display().to_string());
    let values = [
        ("KEY", read(&key.with_extension("pub"))?),
        ("USERS_AUTHORITY", authority),
        ("HOST_KEY", host_key),
        ("HOST_CERTIFICATE", read(&host)?),
    ];
    let values = values.map(|(name, value)| format!("{name}='{}'\n", value.trim_end()));
    machine.script(&format!("{}{FURNISH}{SERVER_AGAIN}", values.concat()))?;
    machine.come_as(Comer::BySudo("debian"))?;
    machine.wait_for_ssh()?;
    Ok(Askers {
        known,
        port: machine.ssh_port(),
        other_port: machine.forward(2222)?,
        key: Means::Key(key),
        certificate: good,
        of_another_name: other,
    })
}

/// Nobody listens where the old server did not.
fn assert_one_address(machine: &Machine) -> Result<()> {
    let said = machine.expect("netstat -ltn")?;
    for port in ["22", "2222"] {
        let own: Vec<&str> = said
            .lines()
            .filter_map(|line| line.split_whitespace().nth(3))
            .filter(|address| address.ends_with(&format!(":{port}")))
            .collect();
        ensure!(own == [format!("10.0.2.15:{port}")], "{said}");
    }
    Ok(())
}

#[test]
fn everybody_gets_in_as_before_and_nobody_else() -> Result<()> {
    let (image, without_sudo) = (tiny_with_doors()?, tiny_image()?);
    let mut machine = tiny::boot(row("mbr-primary")?, "access")?;
    let askers = furnish(&mut machine)?;
    assert_one_address(&machine)?;
    assert_eq!(askers.answers()?, expected(), "in the old OS");

    // An image without sudo would leave nobody who becomes root.
    machine.copy_to(&without_sudo, IMAGE_ON_MACHINE)?;
    let said = machine.ssh(&format!("{IMAGE_ON_MACHINE} check {KEEP}"))?;
    let text = format!("{}{}", said.stdout, said.stderr);
    println!("{text}");
    ensure!(
        said.status == 1 && text.contains("give it the package sudo"),
        "{text}"
    );

    machine.copy_to(&image, IMAGE_ON_MACHINE)?;
    let plan = machine.expect(&format!("{IMAGE_ON_MACHINE} plan {KEEP} {BROUGHT}"))?;
    println!("{plan}");
    reinstall(
        &mut machine,
        &image,
        &format!("{BROUGHT} --entry kexec --payload disk"),
    )?;

    machine.expect("grep trixie /etc/os-release")?;
    confirmed::assert_passed(&machine)?;
    confirmed::assert_asked_about(&machine, "debian", &[22, 2222])?;
    assert_one_address(&machine)?;
    assert_eq!(askers.answers()?, expected(), "in the new OS");
    Ok(())
}

/// What the root of a machine that has no keys at all is let in by.
const BY_PASSWORD_ALONE: &str = r#"set -e
# wonderland
hash=$(sed -n 's/^alice:\([^:]*\):.*/\1/p' /etc/shadow)
sed -i '/^root:/d' /etc/shadow
echo "root:$hash:19000:0:99999:7:::" >>/etc/shadow
key=$(cat /root/.ssh/authorized_keys)
rm -r /root/.ssh
# A provider's program that gives itself a key in the new OS, and a file by which the server takes it.
mkdir -p /etc/reroot/after-unpack.d
cat >/etc/reroot/after-unpack.d/10-provider <<PROGRAM
#!/bin/sh
set -e
mkdir -p -m 700 /root/.ssh
echo '$key' >/root/.ssh/authorized_keys
printf 'Match User root\n    PubkeyAuthentication yes\n' >/etc/ssh/sshd_config.d/99-provider.conf
PROGRAM
chmod 755 /etc/reroot/after-unpack.d/10-provider
cat >/etc/ssh/sshd_config <<'CONFIG'
PermitRootLogin yes
PubkeyAuthentication no
Subsystem sftp internal-sftp
CONFIG
"#;

#[test]
#[ignore = "one more reinstallation: make prove"]
fn root_with_nothing_but_a_password_gets_in_as_before_and_a_file_that_nobody_planned_lets_in_nobody(
) -> Result<()> {
    let image = tiny_image()?;
    let mut machine = tiny::boot(row("mbr-primary")?, "by-password")?;
    machine.script(&format!("{BY_PASSWORD_ALONE}{SERVER_AGAIN}"))?;
    machine.come_as(Comer::RootByPassword("wonderland"))?;
    machine.wait_for_ssh()?;
    let known = machine.file("known_hosts");
    let answers = |machine: &Machine| -> Result<Vec<bool>> {
        // The host's key is the same before and after.
        let key = machine.expect("cat /etc/ssh/ssh_host_ed25519_key.pub")?;
        fs::write(&known, format!("the-machine {key}")).context("write known_hosts")?;
        let (password, other, key) = (
            Means::Password("wonderland"),
            Means::Password("looking-glass"),
            Means::Key(ssh_key()?),
        );
        let mut found = Vec::new();
        for means in [&password, &other, &key] {
            let client = Client {
                port: machine.ssh_port(),
                user: "root",
                means,
                known: &known,
                host_key: "ssh-ed25519",
            };
            found.push(gets_in(&client)?);
        }
        Ok(found)
    };
    assert_eq!(answers(&machine)?, [true, false, false], "in the old OS");

    // Whoever stays with the run is told how to go on, and never that it is done.
    let arguments = "--follow --carry /etc/reroot/after-unpack.d --entry kexec --payload disk";
    let mut started = start(&machine, &image, arguments)?;
    let limit = machine.patience(LIMIT);
    let outcome = wait_with(&mut machine, &mut started, limit, |line| println!("{line}"))?;
    ensure!(outcome == Outcome::Booted, "{outcome:?}");
    let (status, said) = started.told()?;
    println!("go --follow ended with {status:?}: {said}");
    ensure!(
        [GOES_ON, CONNECTION_LOST].map(Some).contains(&status),
        "{status:?}"
    );
    ensure!(said.contains("reroot watch root@HOST"), "{said}");
    machine.expect("grep trixie /etc/os-release")?;
    // The key is there, the file is not read any more, and the first boot says so and nothing else.
    machine.expect(
        "test -s /root/.ssh/authorized_keys && ! ls /etc/ssh/sshd_config.d/99-provider.conf",
    )?;
    let confirm = confirmed::wait(&machine)?;
    let short = confirmed::lines(&confirm, Verdict::Short);
    ensure!(
        short.len() == 1
            && short[0].starts_with("placed: ")
            && short[0].ends_with("/etc/ssh/sshd_config.d/99-provider.conf.set-aside"),
        "{short:?}"
    );
    println!(
        "{}",
        machine.expect("grep -rh 'warning: the ssh server is not as promised' /var/log/reroot")?
    );
    assert_eq!(answers(&machine)?, [true, false, false], "in the new OS");
    Ok(())
}

/// As Ubuntu has it since 22.10: systemd listens, at ports of its own, which the server's configuration does not name.
const BY_SOCKET: &str = r"set -e
mkdir -p /etc/systemd/system/ssh.socket.d
printf '[Socket]\nListenStream=\nListenStream=22\nListenStream=2222\n' >/etc/systemd/system/ssh.socket.d/ports.conf
echo 'Port 2022' >>/etc/ssh/sshd_config
# This release removes the server's directory with the first connection that ends, and those that begin then are
# dropped; later ones have this line.
mkdir -p /etc/systemd/system/ssh@.service.d
printf '[Service]\nRuntimeDirectoryPreserve=yes\n' >/etc/systemd/system/ssh@.service.d/directory.conf
systemctl daemon-reload
systemctl disable ssh.service
systemctl enable ssh.socket
systemctl stop ssh.service
systemctl start ssh.socket
";

/// As an administrator switches it on who comes by a line that the kernel does not write to.
const BY_SECOND_LINE: &str = r"set -e
mkdir -p /etc/systemd/system/serial-getty@ttyS1.service.d
printf '[Service]\nExecStart=\nExecStart=-/sbin/agetty 57600 %%I $TERM\n' \
    >/etc/systemd/system/serial-getty@ttyS1.service.d/speed.conf
systemctl daemon-reload
systemctl enable --now serial-getty@ttyS1.service
";

/// Whoever sits at the second serial line saw the run in the RAM environment, and is asked for a name then, as
/// before, although nothing but the RAM environment's kernel writes there. `shown` is what it showed before the run.
fn assert_seen_on_second_line(machine: &Machine, shown: usize) -> Result<()> {
    let is_prompt = |line: &str| line.ends_with("shop1 login: ");
    let deadline = Instant::now() + machine.patience(Duration::from_secs(20));
    let (run, prompt) = loop {
        let text = machine.second_line();
        let since = text.get(shown..).unwrap_or_default();
        let run = since.rfind("reroot: ").map_or("", |end| &since[..end]);
        let behind = &since[run.len()..];
        if let Some(prompt) = behind.lines().find(|line| is_prompt(line)) {
            break (run.to_owned(), prompt.to_owned());
        }
        ensure!(Instant::now() < deadline, "nobody is asked: {text}");
        std::thread::sleep(Duration::from_millis(500));
    };
    println!("the second serial line:\n{run}\n{prompt}");
    for step in ["reroot: wipe", "reroot: unpack"] {
        ensure!(run.contains(step), "{step} is missing in\n{run}");
    }
    machine.expect(
        "set -e
         ! grep ttyS1 /proc/cmdline
         systemctl is-active serial-getty@ttyS1.service
         test $(stty -F /dev/ttyS1 speed) = 57600",
    )?;
    Ok(())
}

#[test]
#[ignore = "a large machine: make prove"]
fn the_ports_that_systemd_listens_on_for_the_server_stay_open_and_serial_lines_are_asked_on(
) -> Result<()> {
    let image = small_trixie()?;
    let additions = Additions {
        second_line: true,
        ..Additions::default()
    };
    let server = old_server()?;
    let mut machine = Machine::boot_with(&server, "by-socket", USUAL_MEMORY_MIB, additions)?;
    machine.wait_for_old_ssh()?;
    machine.ssh("systemctl is-system-running --wait")?;
    machine.script(BY_SOCKET)?;
    machine.script(BY_SECOND_LINE)?;
    machine.wait_for_ssh()?;
    let known = machine.file("known_hosts");
    let key = machine.expect("cat /etc/ssh/ssh_host_ed25519_key.pub")?;
    fs::write(&known, format!("the-machine {key}")).context("write known_hosts")?;
    let (means, other_port) = (Means::Key(ssh_key()?), machine.forward(2222)?);
    let gets_in = |machine: &Machine| -> Result<()> {
        for port in [machine.ssh_port(), other_port] {
            let client = Client {
                port,
                user: "root",
                means: &means,
                known: &known,
                host_key: "ssh-ed25519",
            };
            let answer = client.ask("id -un")?;
            ensure!(answer.stdout == "root\n", "{port}: {answer:?}");
        }
        Ok(())
    };
    gets_in(&machine).context("in the old OS")?;
    machine.copy_to(&image, IMAGE_ON_MACHINE)?;
    let plan = machine.expect(&format!("{IMAGE_ON_MACHINE} plan {KEEP}"))?;
    ensure!(
        plan.contains("(new OS: ssh on port 22, 2222)") && !plan.contains("2022"),
        "{plan}"
    );
    ensure!(
        plan.contains(
            "people log in on the serial line ttyS1 at 57600 bit/s, and in the new OS too"
        ),
        "{plan}"
    );

    let shown = machine.second_line().len();
    ensure!(
        shown > 0,
        "nobody is asked on the second serial line of the old OS"
    );
    reinstall(&mut machine, &image, "")?;
    machine.expect("grep trixie /etc/os-release")?;
    confirmed::assert_passed(&machine)?;
    confirmed::assert_asked_about(&machine, "root", &[22, 2222])?;
    // Whoever comes by the serial line finds it as the old OS had it, and is asked for a name.
    machine.expect(
        "grep -o 'console=ttyS0,115200n8' /proc/cmdline && systemctl is-active serial-getty@ttyS0.service",
    )?;
    assert_seen_on_second_line(&machine, shown)?;
    gets_in(&machine).context("in the new OS")
}

/// Two ports, keys outside of homes, nobody by password, and somebody who has a key and is not on the list.
const PEOPLE: &str = r"set -e
useradd --create-home --shell /bin/bash mallory
mkdir -p /etc/ssh/authorized_keys
# The server reads them as whom they are for.
for name in alice mallory; do
    install -m 644 /root/.ssh/authorized_keys /etc/ssh/authorized_keys/$name
done
cat >/etc/ssh/sshd_config.d/10-people.conf <<'CONFIG'
Port 22
Port 2222
PasswordAuthentication no
ChallengeResponseAuthentication no
AuthorizedKeysFile .ssh/authorized_keys /etc/ssh/authorized_keys/%u
AllowUsers root alice
CONFIG
systemctl restart ssh
";

/// Whether somebody gets in, as themselves; anything but that and a refusal is an error.
pub fn gets_in(client: &Client) -> Result<bool> {
    let answer = client.ask("id -un")?;
    println!(
        "{} at {} by {:?}: {answer:?}",
        client.user, client.port, client.means
    );
    let denied = answer.stderr.contains("Permission denied (");
    ensure!(
        denied || answer.stdout == format!("{}\n", client.user),
        "{answer:?}"
    );
    if denied {
        std::thread::sleep(BETWEEN_REFUSALS);
    }
    Ok(!denied)
}

/// Whether each gets in: root by key at both ports, alice by key and by password, mallory by key.
fn who_gets_in(machine: &Machine, other_port: u16) -> Result<[bool; 5]> {
    let known = machine.file("known_hosts");
    let host = machine.expect("cat /etc/ssh/ssh_host_ed25519_key.pub")?;
    fs::write(&known, format!("the-machine {host}")).context("write known_hosts")?;
    let (key, password) = (Means::Key(ssh_key()?), Means::Password("wonderland"));
    let gets_in = |user: &str, port, means: &Means| {
        gets_in(&Client {
            port,
            user,
            means,
            known: &known,
            host_key: "ssh-ed25519",
        })
    };
    let port = machine.ssh_port();
    Ok([
        gets_in("root", port, &key)?,
        gets_in("root", other_port, &key)?,
        gets_in("alice", port, &key)?,
        gets_in("alice", port, &password)?,
        gets_in("mallory", port, &key)?,
    ])
}

/// A server whose addresses are DHCP's becomes one with another network configuration; `asked` says that it is that.
fn assert_people_get_in(name: &str, package: &str, asked: &str) -> Result<()> {
    let image = small_trixie_with(name, &[package])?;
    let mut machine = running_old_server(name, USUAL_MEMORY_MIB)?;
    machine.script(PEOPLE)?;
    machine.wait_for_ssh()?;
    let other_port = machine.forward(2222)?;
    let expected = [true, true, true, false, false];
    assert_eq!(
        who_gets_in(&machine, other_port)?,
        expected,
        "in the old OS"
    );
    reinstall(&mut machine, &image, "--entry kexec --payload disk")?;
    machine.expect("grep trixie /etc/os-release")?;
    println!("{}", machine.expect(asked)?);
    confirmed::assert_passed(&machine)?;
    confirmed::assert_asked_about(&machine, "root", &[22, 2222])?;
    assert_eq!(
        who_gets_in(&machine, other_port)?,
        expected,
        "in the new OS"
    );
    Ok(())
}

#[test]
#[ignore = "a large machine: make prove"]
fn the_same_people_get_in_where_netplan_sets_up_the_network() -> Result<()> {
    let asked = "netplan get all && networkctl status ens3 | grep netplan";
    assert_people_get_in("netplan", "netplan.io", asked)
}

#[test]
#[ignore = "a large machine: make prove"]
fn the_same_people_get_in_where_network_manager_sets_up_the_network() -> Result<()> {
    let asked = "nmcli -g GENERAL.STATE device show ens3 | grep '(connected)'";
    assert_people_get_in("network-manager", "network-manager", asked)
}
