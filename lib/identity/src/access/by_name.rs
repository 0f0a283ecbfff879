//! Names of those who connect: `from="*.example.net"` before a key, `Match Host`, `AllowUsers ann@*.example.net`. A server
//! compares them only where it asks for the name that an address has (`UseDNS`), which it did by itself before
//! OpenSSH 6.8 and does not today.

use formats::access::Setting;
use formats::identity::OldIdentity;

use super::{matching, server, written};

/// Lists whose names may say from where.
const LISTS: [&str; 2] = ["AllowUsers", "DenyUsers"];

/// What the new server is told of it: that it asks where anything may depend on a name, and it took some time of each
/// login without; that it does not where the old one was told so.
pub fn setting(old: &OldIdentity) -> Option<Setting> {
    let asks = server::value(&old.doors, KEYWORD)?;
    let told = server::said(&old.doors, KEYWORD).next().is_some();
    let counts = if asks == "yes" { depends(old) } else { told };
    counts.then(|| Setting {
        path: written::SETTINGS.to_owned(),
        condition: None,
        keyword: KEYWORD.to_owned(),
        values: vec![asks],
    })
}

const KEYWORD: &str = "UseDNS";

/// Whether anything in the old OS may depend on a name. A key that holds from some places does: which these are
/// is known to its server.
fn depends(old: &OldIdentity) -> bool {
    let keys = old.login_keys.iter().chain(&old.open_keys);
    let narrowed = keys.flat_map(|of| &of.keys).any(|key| key.narrowed);
    narrowed || server::counting(&old.doors).any(has_name)
}

fn has_name(setting: &Setting) -> bool {
    let condition = setting.condition.as_deref().unwrap_or_default();
    let mut words = matching::words(condition).into_iter().step_by(2);
    let by_host = words.any(|word| word.eq_ignore_ascii_case("host"));
    let is_list = LISTS.iter().any(|keyword| server::is(setting, keyword));
    let place = |value: &String| {
        let place = value.split_once('@').map_or("", |(_, place)| place);
        // Letters are in addresses of IPv6 as well.
        place.contains(|c: char| c.is_ascii_alphabetic()) && !place.contains(':')
    };
    by_host || is_list && setting.values.iter().any(place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use formats::access::{Doors, Keys, PublicKey};

    fn written(release: (u32, u32), text: &str, narrowed: bool) -> Option<String> {
        let key = PublicKey {
            kind: "ssh-ed25519".to_owned(),
            blob: "AAAA".to_owned(),
            fingerprint: "SHA256:x".to_owned(),
            bits: None,
            narrowed,
        };
        let old = OldIdentity {
            doors: Doors {
                server: true,
                release: Some(release),
                settings: server::tests::settings(text),
                ..Doors::default()
            },
            login_keys: vec![Keys {
                user: "root".to_owned(),
                keys: vec![key],
                forced: 0,
                stay: true,
                lines: Vec::new(),
            }],
            ..OldIdentity::default()
        };
        setting(&old).map(|setting| setting.values.concat())
    }

    #[test]
    fn names_count_where_something_depends_on_them() {
        let host = "Match Host *.example.net\nPermitTTY no";
        for (release, text, narrowed, expected) in [
            ((6, 6), "", false, None),
            ((6, 6), "", true, Some("yes")),
            ((6, 6), host, false, Some("yes")),
            (
                (6, 6),
                "Match User ann Host=a\nPermitTTY no",
                false,
                Some("yes"),
            ),
            ((6, 6), "AllowUsers ann@*.example.net", false, Some("yes")),
            (
                (6, 6),
                "AllowUsers ann@192.0.2.* bob@2001:db8::* eve",
                false,
                None,
            ),
            ((6, 6), "Match User host\nPermitTTY no", false, None),
            ((6, 6), "UseDNS no", true, Some("no")),
            ((6, 8), "", true, None),
            ((9, 2), "UseDNS yes", false, None),
            ((9, 2), "UseDNS yes", true, Some("yes")),
            ((9, 2), "usedns no", false, Some("no")),
        ] {
            let expected = expected.map(str::to_owned);
            assert_eq!(
                written(release, text, narrowed),
                expected,
                "{release:?} {text} {narrowed}"
            );
        }
    }
}
