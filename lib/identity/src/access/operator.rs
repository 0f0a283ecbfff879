//! The operator's own session: whether it would be let into the new OS the way it came.

use std::net::IpAddr;

use formats::access::{LoggedIn, Means, Session};
use formats::accounts::AccountPlan;
use formats::identity::IdentityPlan;
use formats::network::Network;

/// What would not let it in again, one line each.
pub fn lost(
    plan: &IdentityPlan,
    accounts: &AccountPlan,
    (now, then): (&Network, Option<&Network>),
    session: &Session,
) -> Vec<String> {
    let mut found = Vec::new();
    found.extend(account(accounts, session));
    found.extend(means(plan, session));
    found.extend(then.and_then(|then| link(now, then, session)));
    found
}

fn account(accounts: &AccountPlan, session: &Session) -> Option<String> {
    let comes_along = accounts.users.iter().any(|row| row.name == session.user);
    (!comes_along).then(|| {
        format!(
            "you are here as {}, whose account is not in the new OS (it may come from a directory, which does not \
             come along)",
            session.user
        )
    })
}

fn means(plan: &IdentityPlan, session: &Session) -> Option<String> {
    let user = &session.user;
    let mut after = plan
        .ways
        .1
        .iter()
        .filter(|way| way.user == *user)
        .peekable();
    // Whoever does not become root there at all is told of it elsewhere.
    after.peek()?;
    let lost = match session.by.as_ref()? {
        // Else it is MD5, as servers before OpenSSH 6.8 tell it, which is not compared.
        LoggedIn::Key(fingerprint) if fingerprint.starts_with("SHA256:") => {
            let logins = plan.logins.iter().filter(|login| login.user == *user);
            let mut keys = logins.flat_map(|login| &login.keys);
            let taken = keys.any(|key| key.fingerprint == *fingerprint);
            (!taken).then(|| format!("the key {fingerprint}"))
        }
        LoggedIn::Password => {
            let by_password = after.any(|way| way.means == Means::Password);
            (!by_password).then(|| "a password".to_owned())
        }
        // Of a certificate it is said with everybody's whether its authority comes along.
        LoggedIn::Key(_) | LoggedIn::Certificate => None,
    }?;
    Some(format!(
        "you are here as {user} with {lost}, which lets nobody into the new OS as {user}"
    ))
}

/// Whether the address that the operator came in by is on a link that does not come along.
fn link(now: &Network, then: &Network, session: &Session) -> Option<String> {
    let address: IpAddr = session.address.parse().ok()?;
    if address.is_loopback() {
        return Some(format!(
            "you came in by {address}, through a program on this machine (a tunnel, a proxy), which does not come along"
        ));
    }
    let has = |network: &Network| {
        let mut links = network.links.iter();
        let of = |link: &&formats::network::Link| link.addresses.iter().any(|a| a.ip == address);
        links.find(of).map(|link| link.name.clone())
    };
    let name = has(now).filter(|_| has(then).is_none())?;
    Some(format!(
        "you came in by {address} on {name}, a link that does not come along; look for another way to this machine"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fixtures::plan::plan;
    use formats::access::{Becoming, Login, PublicKey, Way};

    fn session(user: &str, address: &str, by: Option<LoggedIn>) -> Session {
        Session {
            user: user.to_owned(),
            address: address.to_owned(),
            port: 22,
            by,
            ..Session::default()
        }
    }

    fn told(session: &Session, without: &str, ways: &[Means]) -> Vec<String> {
        let planned = plan();
        let now = planned.network.network;
        let mut then = now.clone();
        then.links.retain(|link| link.name != without);
        let key = PublicKey {
            kind: "ssh-ed25519".to_owned(),
            blob: "AAAA".to_owned(),
            fingerprint: "SHA256:mine".to_owned(),
            bits: None,
            narrowed: false,
        };
        let identity = IdentityPlan {
            ways: (
                Vec::new(),
                ways.iter()
                    .map(|means| Way {
                        user: "root".to_owned(),
                        means: *means,
                        root: Becoming::Is,
                    })
                    .collect(),
            ),
            logins: vec![Login {
                user: "root".to_owned(),
                is_root: true,
                keys: vec![key],
                password: false,
                by_origin: false,
            }],
            ..IdentityPlan::default()
        };
        lost(&identity, &planned.accounts, (&now, Some(&then)), session)
    }

    #[test]
    fn whoever_is_here_is_let_in_again_the_way_they_came_or_told() {
        let key = |text: &str| Some(LoggedIn::Key(text.to_owned()));
        let both = [Means::Key, Means::Password];
        let by_key = [Means::Key];
        let nothing = [""; 0];
        for (by, ways, word) in [
            (None, &both[..], None),
            (key("SHA256:mine"), &by_key, None),
            (key("SHA256:other"), &by_key, Some("the key SHA256:other")),
            (key("MD5:00:11"), &by_key, None),
            (Some(LoggedIn::Password), &both, None),
            (Some(LoggedIn::Password), &by_key, Some("with a password")),
            (Some(LoggedIn::Certificate), &by_key, None),
            // They do not become root at all, which is another line.
            (Some(LoggedIn::Password), &[], None),
        ] {
            let found = told(&session("root", "192.0.2.7", by.clone()), "", ways);
            match word {
                None => assert_eq!(found, nothing, "{by:?}"),
                Some(word) => assert!(found[0].contains(word), "{found:?}"),
            }
        }
        let found = told(&session("ldapuser", "192.0.2.7", None), "", &both);
        assert!(found[0].contains("ldapuser"), "{found:?}");
    }

    #[test]
    fn a_tunnel_that_does_not_come_along_is_told() {
        let root = |address| session("root", address, None);
        let both = [Means::Key];
        // 203.0.113.7 is on bond0.
        assert_eq!(told(&root("203.0.113.7"), "", &both), [""; 0]);
        assert_eq!(told(&root("192.0.2.7"), "bond0", &both), [""; 0]);
        let found = told(&root("203.0.113.7"), "bond0", &both);
        assert!(found[0].contains("203.0.113.7 on bond0"), "{found:?}");
        let found = told(&root("127.0.0.1"), "", &both);
        assert!(found[0].contains("a tunnel"), "{found:?}");
        // An address that has gone meanwhile says nothing.
        assert_eq!(told(&root("198.51.100.99"), "", &both), [""; 0]);
    }
}
