//! The machine comes back as itself, seen from the other side of the network and from inside: the
//! same addresses, routes and host keys, the same people and owners, the same names and mounts.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use anyhow::{ensure, Context, Result};
use formats::confirm::Verdict;
use reroot_tests::evidence;
use reroot_tests::images::{small_trixie, small_trixie_with};
use reroot_tests::outside;
use reroot_tests::reinstall::{reinstall, start, wait, Outcome, Started, LAST_WORD, LIMIT};
use reroot_tests::shop_data::KEPT;
use reroot_tests::static_server::{
    running_static_server, ADDRESS, ADDRESS6, CARDS, DATA_LABEL, INSIDE, PROVIDER, ROUTER, ROUTER6,
    SWAP_UUID, VLAN_ADDRESS, VLAN_ROUTER,
};
use reroot_tests::vm::{Machine, USUAL_MEMORY_MIB};
use reroot_tests::{confirmed, old_server};
use serde_json::Value;

/// What the RAM environment says when it begins to write.
const NO_WAY_BACK: &str = "COMMIT POINT PASSED";

/// What is kept besides, since it is bob's and the storage box's.
const TREES: [&str; 4] = [KEPT[0], KEPT[1], KEPT[2], "/home/bob"];

/// Names of files that say who the machine is; host keys by their public halves.
const FILES: &str = "cat /etc/hostname /etc/machine-id; cat /etc/ssh/ssh_host_*_key.pub; \
    sha256sum /etc/ssh/ssh_host_*_key; cat /root/.ssh/authorized_keys; \
    cat /home/bob/.ssh/authorized_keys; getent hosts database; hostname; cat /etc/shop/shop.conf; \
    date +%Z";

/// People, with their numbers and hashes, and whose the kept files are, by name.
const PEOPLE: &str = "getent shadow bob alice | cut -d: -f1,2; id bob; id alice; \
    getent passwd bob alice | cut -d: -f1,3,4,6,7; \
    for name in mysql shop; do echo $name $(id -u $name) $(id -g $name); done; \
    getent group builders; \
    stat -c '%n %u %g %U %G' /var/lib/mysql /srv/shop /home/alice /home/bob /home/bob/drawings; \
    stat -c '%n %u %g' /srv/shop/exports/numbered-high";

/// What `ip -j` says, as JSON.
fn ip(machine: &Machine, words: &str) -> Result<Vec<Value>> {
    let text = machine.expect(&format!("ip -j {words}"))?;
    serde_json::from_str(&text).with_context(|| format!("ip -j {words}: {text}"))
}

/// Addresses of a network that do not come and go by themselves: MAC, address, bits. Those of a bond
/// and a VLAN have no MAC, for a bond takes that of a card of its choice.
fn static_addresses(machine: &Machine) -> Result<BTreeSet<(String, String, u64)>> {
    let mut found = BTreeSet::new();
    for link in ip(machine, "-d addr show")? {
        let virtual_link = link["linkinfo"]["info_kind"].is_string();
        for address in link["addr_info"].as_array().into_iter().flatten() {
            let forever = address["valid_life_time"].as_u64() == Some(u64::from(u32::MAX));
            if address["scope"] != "global" || address["dynamic"] == true || !forever {
                continue;
            }
            found.insert((
                if virtual_link {
                    String::new()
                } else {
                    text(&link["address"])
                },
                text(&address["local"]),
                address["prefixlen"].as_u64().unwrap_or_default(),
            ));
        }
    }
    Ok(found)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn asserted_addresses() -> BTreeSet<(String, String, u64)> {
    let none = String::new;
    BTreeSet::from([
        (CARDS[0].mac.to_owned(), ADDRESS.to_owned(), 32),
        (CARDS[0].mac.to_owned(), ADDRESS6.to_owned(), 128),
        (none(), VLAN_ADDRESS.to_owned(), 24),
    ])
}

/// The card with a MAC address of its own, among what `ip -j -d link` says.
fn card<'a>(links: &'a [Value], mac: &str) -> Result<&'a Value> {
    let link = links.iter().find(|link| {
        // Bonds and VLANs have the address of one of their cards.
        link["linkinfo"]["info_kind"].is_null()
            && link["permaddr"].as_str().or(link["address"].as_str()) == Some(mac)
    });
    link.with_context(|| format!("no card has {mac}: {links:?}"))
}

/// Who answers outside, on every address; the host keys at the provider's.
fn seen_from_outside(machine: &Machine) -> Result<Vec<String>> {
    let outside = machine.outside()?;
    let limit = machine.patience(Duration::from_secs(20));
    for address in [ADDRESS, ADDRESS6, VLAN_ADDRESS] {
        ensure!(outside.pings(address, limit)?, "{address} does not answer");
    }
    for address in [ADDRESS, ADDRESS6] {
        let mac = outside.neighbour(address, PROVIDER)?.unwrap_or_default();
        ensure!(mac == CARDS[0].mac, "{address} answers as {mac}");
    }
    let bond = outside.neighbour(VLAN_ADDRESS, INSIDE)?.unwrap_or_default();
    ensure!(
        CARDS[1..].iter().any(|card| card.mac == bond),
        "the bond answers as {bond}"
    );
    outside.host_keys(ADDRESS)
}

/// The routes and rules that the static server has, on links of whatever name.
fn assert_routes(machine: &Machine, provider: &str, vlan: &str) -> Result<()> {
    let has = |routes: &[Value], wanted: &[(&str, Value)]| {
        routes
            .iter()
            .any(|route| wanted.iter().all(|(key, value)| &route[*key] == value))
    };
    let main = ip(machine, "route show table main")?;
    let wanted = [
        ("dst", "default".into()),
        ("gateway", ROUTER.into()),
        ("dev", provider.into()),
        ("metric", 100.into()),
    ];
    ensure!(has(&main, &wanted), "{wanted:?} is not in {main:?}");
    // The router is in no network of the link: without the flag, or a route to it, there is none.
    let onlink = main.iter().any(|route| {
        route["gateway"] == ROUTER
            && route["flags"]
                .as_array()
                .is_some_and(|flags| flags.contains(&"onlink".into()))
    });
    ensure!(
        onlink || has(&main, &[("dst", ROUTER.into()), ("dev", provider.into())]),
        "the way to {ROUTER}: {main:?}"
    );
    // What is sent to anybody goes there, not to the router that DHCP names.
    let chosen = ip(machine, "route get 198.51.100.200")?;
    ensure!(has(&chosen, &[("gateway", ROUTER.into())]), "{chosen:?}");

    let main6 = ip(machine, "-6 route show table main")?;
    let wanted6 = [
        ("dst", "default".into()),
        ("gateway", ROUTER6.into()),
        ("dev", provider.into()),
        ("metric", 100.into()),
    ];
    ensure!(has(&main6, &wanted6), "{wanted6:?} is not in {main6:?}");

    let table = ip(machine, "route show table 100")?;
    let in_table = [
        ("dst", "default".into()),
        ("gateway", VLAN_ROUTER.into()),
        ("dev", vlan.into()),
    ];
    ensure!(has(&table, &in_table), "{in_table:?} is not in {table:?}");
    let inside = [("dst", "203.0.113.0/24".into()), ("dev", vlan.into())];
    ensure!(has(&table, &inside), "{inside:?} is not in {table:?}");
    let rules = ip(machine, "rule show")?;
    let rule = [
        ("priority", 1000.into()),
        ("src", VLAN_ADDRESS.into()),
        ("table", "100".into()),
    ];
    ensure!(has(&rules, &rule), "{rule:?} is not in {rules:?}");
    let answer = ip(
        machine,
        &format!("route get 198.51.100.200 from {VLAN_ADDRESS}"),
    )?;
    ensure!(
        has(&answer, &[("gateway", VLAN_ROUTER.into())]),
        "{answer:?}"
    );
    Ok(())
}

/// The bond's mode and cards, and the VLAN on it; gives the VLAN's link.
fn assert_bond(machine: &Machine) -> Result<String> {
    let links = ip(machine, "-d link show")?;
    let kind = |kind: &str| {
        let of = |link: &&Value| link["linkinfo"]["info_kind"] == kind;
        links
            .iter()
            .find(of)
            .with_context(|| format!("no {kind}: {links:?}"))
    };
    let bond = kind("bond")?;
    let data = &bond["linkinfo"]["info_data"];
    ensure!(
        data["mode"] == "active-backup" && data["miimon"] == 100,
        "{data}"
    );
    for part in &CARDS[1..] {
        let slave = card(&links, part.mac)?;
        ensure!(slave["master"] == bond["ifname"], "{slave}");
    }
    let vlan = kind("vlan")?;
    ensure!(
        vlan["link"] == bond["ifname"] && vlan["linkinfo"]["info_data"]["id"] == 100,
        "{vlan}"
    );
    Ok(text(&vlan["ifname"]))
}

/// It agrees in the new OS alone.
const OWN_QUESTION: &str = r#"
set -e
mkdir -p /etc/reroot/confirm.d
cat >/etc/reroot/confirm.d/10-shop <<'END'
#!/bin/sh
grep -q 'VERSION_CODENAME=trixie' /etc/os-release || { echo "this is another OS"; exit 1; }
grep -qx 'currency = EUR' /etc/shop/shop.conf || { echo "the shop has no currency"; exit 1; }
[ "$REROOT_MOMENT" = confirm ]
END
chmod 755 /etc/reroot /etc/reroot/confirm.d /etc/reroot/confirm.d/10-shop
"#;

#[test]
fn a_machine_is_itself_after_it_was_reinstalled() -> Result<()> {
    let image = small_trixie_with("identity", &["tzdata", "locales"])?;
    let mut machine = running_static_server("identity", USUAL_MEMORY_MIB)?;
    let owned = machine.expect("stat -c %U /var/lib/mysql")?;
    ensure!(owned.trim() == "mysql", "{owned}");

    // Before: what is asserted later is so now.
    let before = evidence::gather(&machine, &TREES)?;
    let keys = seen_from_outside(&machine)?;
    let files = machine.expect(FILES)?;
    let people = machine.expect(PEOPLE)?;
    let dns = machine.expect("cat /etc/resolv.conf")?;
    assert_eq!(static_addresses(&machine)?, asserted_addresses());
    assert_routes(&machine, "eth1", "bond0.100")?;
    assert_eq!(assert_bond(&machine)?, "bond0.100");
    let mysql = machine.expect("echo $(id -u mysql):$(id -g mysql)")?;
    assert_ne!(mysql.trim(), "650:650", "the two sides agree already");
    for line in ["nameserver 198.51.100.53", "nameserver 2001:db8:ffff::53"] {
        ensure!(dns.contains(line), "{dns}");
    }

    // The operator's own question to the new OS comes along and is asked.
    machine.script(OWN_QUESTION)?;
    reinstall(&mut machine, &image, "")?;

    // After, by those who talk to it.
    let release = machine.expect("cat /etc/os-release")?;
    ensure!(release.contains("VERSION_CODENAME=trixie"), "{release}");
    assert_eq!(seen_from_outside(&machine)?, keys);

    // And by the machine itself. The cards have other names now, and each has what was its own.
    confirmed::assert_passed(&machine)?;
    confirmed::assert_asked_about(&machine, "root", &[22, 2222])?;
    let passed = confirmed::lines(&confirmed::wait(&machine)?, Verdict::Pass);
    let own = "own: /etc/reroot/confirm.d/10-shop agrees";
    ensure!(passed.iter().any(|line| line == own), "{passed:#?}");
    assert_eq!(static_addresses(&machine)?, asserted_addresses());
    let links = ip(&machine, "-d link show")?;
    assert_eq!(card(&links, CARDS[0].mac)?["ifname"], "ens6");
    let vlan = assert_bond(&machine)?;
    assert_routes(&machine, "ens6", &vlan)?;
    assert_management(&machine)?;
    assert_dns(&machine)?;
    assert_eq!(machine.expect(FILES)?, files);
    assert_eq!(machine.expect(PEOPLE)?, people);
    assert_eq!(evidence::gather(&machine, &TREES)?, before);
    assert_payload_owners(&machine, mysql.trim())?;
    assert_mounts(&machine)?;
    strict_login(&machine, &keys)?;
    // What bob may not do is the new server's word too.
    machine.expect(
        "sshd -T -C user=bob,host=x,addr=192.0.2.9 | grep -x 'allowtcpforwarding no' &&
         sshd -T -C user=root,host=x,addr=192.0.2.9 | grep -x 'allowtcpforwarding yes'",
    )?;
    // The old OS's language is not only named, the new one has it.
    machine
        .expect("grep -x LANG=de_DE.UTF-8 /etc/default/locale && locale -a | grep -x de_DE.utf8")?;
    let failed = machine.expect("systemctl --failed --no-legend --plain")?;
    ensure!(failed.trim().is_empty(), "failed units: {failed}");
    Ok(())
}

/// A client that has seen the machine before, and lets nobody else in, gets in.
fn strict_login(machine: &Machine, keys: &[String]) -> Result<()> {
    let known = machine.file("known_hosts");
    fs::write(&known, keys.join("\n") + "\n").context("write known_hosts")?;
    for (user, port) in [
        ("root", "22"),
        ("bob", "22"),
        ("root", "2222"),
        ("bob", "2222"),
    ] {
        let mut ssh = machine.outside()?.command("ssh");
        ssh.args(["-F", "/dev/null", "-i"])
            .arg(old_server::ssh_key()?)
            .args(["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"])
            .args(["-o", "ConnectTimeout=60", "-p", port])
            .args(["-o", &format!("HostKeyAlias={ADDRESS}"), "-o"])
            .arg(format!("UserKnownHostsFile={}", known.display()))
            .arg(format!("{user}@{ADDRESS}"))
            .args(["id", "-un"]);
        assert_eq!(outside::expect(&mut ssh)?, user);
    }
    Ok(())
}

/// The first card still asks for its address, and its route comes behind the other.
fn assert_management(machine: &Machine) -> Result<()> {
    let link = ip(machine, "addr show dev ens3")?;
    let dynamic = link[0]["addr_info"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|address| address["local"] == "10.0.2.15" && address["dynamic"] == true);
    ensure!(dynamic, "ens3 has no address by DHCP: {link:?}");
    let routes = ip(machine, "route show default dev ens3")?;
    ensure!(
        routes.iter().all(|route| route["metric"] == 500),
        "the metric of DHCP's route: {routes:?}"
    );
    Ok(())
}

/// Names are asked of the same servers, and resolv.conf is not a way to the old OS's file.
fn assert_dns(machine: &Machine) -> Result<()> {
    let servers = machine.expect("resolvectl dns && resolvectl domain")?;
    for word in ["198.51.100.53", "2001:db8:ffff::53", "example.net"] {
        ensure!(servers.contains(word), "{word} is not in:\n{servers}");
    }
    let link = machine.ssh("readlink /etc/resolv.conf")?.stdout;
    ensure!(
        link.trim().ends_with("/systemd/resolve/stub-resolv.conf"),
        "/etc/resolv.conf leads to {link}"
    );
    machine.expect("test ! -e /run/resolvconf/resolv.conf")?;
    Ok(())
}

/// What the payload brought is owned by the same names as in the payload, whatever their numbers.
fn assert_payload_owners(machine: &Machine, mysql: &str) -> Result<()> {
    let files = "/var/lib/mysql-files /var/lib/mysql-files/dump";
    for line in machine
        .expect(&format!("stat -c %u:%g:%U:%G {files}"))?
        .lines()
    {
        assert_eq!(line, format!("{mysql}:mysql:mysql"));
    }
    // Each file there has the names of its owner and its group for a name.
    let moved = machine.expect(
        "cd /var/lib/numbered && for f in *; do test \"$(stat -c %U.%G $f)\" = $f || \
         stat -c '%n is %U.%G' $f; done; ls | wc -l",
    )?;
    assert_eq!(moved.trim(), "10");
    // No two accounts share a number.
    for file in ["passwd", "group"] {
        let doubles = machine.expect(&format!("cut -d: -f3 /etc/{file} | sort -n | uniq -d"))?;
        ensure!(
            doubles.trim().is_empty(),
            "doubles in /etc/{file}: {doubles}"
        );
    }
    machine.expect("pwck -qr && grpck -r")?;
    Ok(())
}

fn assert_mounts(machine: &Machine) -> Result<()> {
    let data = machine.expect("findmnt -no LABEL,FSTYPE,OPTIONS /data")?;
    ensure!(
        data.starts_with(DATA_LABEL) && data.contains("noatime"),
        "{data}"
    );
    let swap = machine.expect("swapon --show=UUID --noheadings")?;
    assert_eq!(swap.trim(), SWAP_UUID);
    let fstab = machine.expect("findmnt --verify")?;
    ensure!(!fstab.contains("[E]"), "{fstab}");
    Ok(())
}

/// The router is gone while the machine is between the two: the new OS would be out of reach, so the
/// old one is to come back, and nothing of it may have changed.
#[test]
#[ignore = "as a tiny machine without its network, with one of several routers: make prove"]
fn a_machine_whose_router_does_not_answer_on_the_way_stays_what_it_was() -> Result<()> {
    let image = small_trixie()?;
    let mut machine = running_static_server("no-router", USUAL_MEMORY_MIB)?;
    let before = evidence::gather(&machine, &TREES)?;
    let keys = seen_from_outside(&machine)?;
    let listing = machine.expect(evidence::EVERYTHING)?;

    let started = start(&machine, &image, "")?;
    let outcome = wait_without(&mut machine, started, LAST_WORD, ROUTER, PROVIDER)?;
    ensure!(outcome == Outcome::Booted, "{outcome:?}");
    // With the card's last address its routes went, too.
    for put_back in [
        format!("address add {ROUTER}/32 dev {PROVIDER}"),
        format!("route replace {ADDRESS}/32 dev {PROVIDER}"),
    ] {
        machine.outside()?.ip(&put_back)?;
    }

    let release = machine.expect("cat /etc/os-release")?;
    ensure!(release.contains("VERSION_CODENAME=bullseye"), "{release}");
    assert_eq!(evidence::gather(&machine, &TREES)?, before);
    assert_eq!(machine.expect(evidence::EVERYTHING)?, listing);
    assert_eq!(seen_from_outside(&machine)?, keys);
    // It was for this reason and no other: the log that the run left speaks of this router.
    machine.expect(&format!("grep -qF {ROUTER} /.reroot/*/init.log"))?;
    Ok(())
}

/// The router of the VLAN goes when there is no way back any more: the first boot has to say what is
/// amiss, leave the means to try again, and be content once it is mended.
#[test]
#[ignore = "a reinstallation for the comparison alone: make prove"]
fn a_first_boot_that_falls_short_says_where_and_can_be_repeated() -> Result<()> {
    let image = small_trixie()?;
    let mut machine = running_static_server("falls-short", USUAL_MEMORY_MIB)?;
    let started = start(&machine, &image, "")?;
    let outcome = wait_without(&mut machine, started, NO_WAY_BACK, VLAN_ROUTER, INSIDE)?;
    ensure!(outcome == Outcome::Booted, "{outcome:?}");

    let confirm = confirmed::wait(&machine)?;
    let short = confirmed::lines(&confirm, Verdict::Short);
    ensure!(!confirm.passed && !short.is_empty(), "{confirm:#?}");
    for line in &short {
        let gateway = format!("gateway: {VLAN_ROUTER} on ");
        ensure!(line.starts_with(&gateway), "fell short elsewhere: {line}");
    }
    let state = machine.ssh(&format!("systemctl is-failed {}", confirmed::UNIT))?;
    assert_eq!(state.stdout.trim(), "failed");
    machine.expect("test -e /.reroot")?;

    let put_back = format!("address add {VLAN_ROUTER}/24 dev {INSIDE}");
    machine.outside()?.ip(&put_back)?;
    machine.expect(&format!("systemctl restart {}", confirmed::UNIT))?;
    confirmed::assert_passed(&machine)
}

/// Waits for the end of a reinstallation; the address `router` of the namespace's TAP goes at the
/// first line that contains `moment`.
fn wait_without(
    machine: &mut Machine,
    started: Started,
    moment: &str,
    router: &str,
    tap: &str,
) -> Result<Outcome> {
    let bits = if router == VLAN_ROUTER { 24 } else { 32 };
    let mut take_away = machine.outside()?.command("ip");
    take_away.args(["address", "delete", &format!("{router}/{bits}"), "dev", tap]);
    let mut taken = None;
    let limit = machine.patience(LIMIT);
    let outcome = wait(machine, started, limit, |line| {
        println!("{line}");
        if taken.is_none() && line.contains(moment) {
            taken = Some(outside::expect(&mut take_away));
        }
    })?;
    taken.with_context(|| format!("no line with `{moment}`: {outcome:?}"))??;
    Ok(outcome)
}
