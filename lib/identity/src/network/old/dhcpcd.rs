//! What dhcpcd calls itself: dhcpcd.conf(5), and the file that it keeps its DUID in.

use formats::dhcp::Octets;

use super::glob;
use super::old_file::OldFile;
use super::said::{identifier, Said, What};

/// The name that leases have for it.
pub(super) const PROGRAM: &str = "dhcpcd";

const SETTINGS: &str = "/etc/dhcpcd.conf";

/// Where versions keep the DUID, as text.
pub(super) const DUIDS: [&str; 4] = [
    "/var/lib/dhcpcd/duid",
    "/var/lib/dhcpcd5/duid",
    "/etc/dhcpcd.duid",
    "/var/db/dhcpcd/duid",
];

/// What its files say.
pub(super) fn said(files: &[OldFile]) -> Vec<Said> {
    let mut found = Vec::new();
    for file in files {
        if file.path == SETTINGS {
            found.extend(settings(file));
        } else if DUIDS.iter().any(|p| glob::matches_path(p, &file.path)) {
            let duid: Option<Octets> = file.text.trim().parse().ok();
            let duid = duid.filter(|d| d.0.len() > 2).map(What::Duid);
            found.extend(duid.map(|what| say(file, None, what)));
        }
    }
    found
}

fn say(file: &OldFile, interface: Option<&str>, what: What) -> Said {
    Said {
        file: file.path.clone(),
        program: PROGRAM,
        interface: interface.map(str::to_owned),
        leased: false,
        what,
    }
}

/// Lines behind `interface` hold for that link; behind `ssid` and `profile` for none that is wired.
fn settings(file: &OldFile) -> Vec<Said> {
    let mut found = Vec::new();
    let mut interface: Option<&str> = None;
    let mut holds = true;
    for line in file.text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        let (key, value) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let value = value.trim().trim_matches('"');
        let what = match key {
            "interface" => {
                (interface, holds) = (Some(value), true);
                None
            }
            "ssid" | "profile" => {
                holds = false;
                None
            }
            "clientid" if value.is_empty() => Some(What::ByMac),
            "clientid" => identifier(value).map(What::Identifier),
            "duid" => Some(What::ByDuid),
            "iaid" => iaid(value).map(What::Iaid),
            "ia_pd" => Some(What::Delegation),
            _ => None,
        };
        found.extend(
            what.filter(|_| holds)
                .map(|what| say(file, interface, what)),
        );
    }
    found
}

/// A number, or four bytes with colons.
fn iaid(text: &str) -> Option<u32> {
    text.parse().ok().or_else(|| {
        let bytes: Octets = text.parse().ok()?;
        Some(u32::from_be_bytes(bytes.0.try_into().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::super::old_file::file;
    use super::*;

    #[test]
    fn reads_settings_and_the_duid() {
        let text =
            "hostname\n#clientid\nduid\noption interface_mtu\ninterface eth1\nclientid shop1 \
                    \niaid 7\nia_pd 1\nssid cafe\nclientid 01:02\ninterface eth2 # the last\n\
                    clientid\niaid 00:00:01:02";
        let files = [
            file("/etc/dhcpcd.conf", text),
            file("/var/lib/dhcpcd/duid", "00:03:00:01:52:54:00:12:34:56\n"),
            file("/etc/dhcpcd.duid", "\n"),
        ];
        let found: Vec<_> = said(&files)
            .into_iter()
            .map(|s| (s.interface, s.what))
            .collect();
        let link = |n: &str| Some(n.to_owned());
        assert_eq!(
            found,
            [
                (None, What::ByDuid),
                (link("eth1"), What::Identifier(Octets(b"\0shop1".to_vec()))),
                (link("eth1"), What::Iaid(7)),
                (link("eth1"), What::Delegation),
                (link("eth2"), What::ByMac),
                (link("eth2"), What::Iaid(0x102)),
                (
                    None,
                    What::Duid("00:03:00:01:52:54:00:12:34:56".parse().unwrap())
                ),
            ]
        );
    }
}
