//! Everybody who is promised to get in, as the new OS's own server answers about them.

use std::net::SocketAddr;

use formats::access::Login;
use formats::confirm::{Code, Finding};

use crate::access::asked::Answer;

/// What came of asking the server about somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Who, by their place among the plan's logins.
    pub login: usize,
    /// Where.
    pub at: SocketAddr,
    /// Its answer, or why there is none.
    pub answer: Result<Answer, String>,
    /// What the server's settings say of root (`PermitRootLogin`), where it says so: it takes root's key first,
    /// and then lets nobody in.
    pub root_login: Option<String>,
}

/// What holds for root with a key, and with a password.
const BY_KEY: [&str; 3] = ["yes", "prohibit-password", "without-password"];
const BY_PASSWORD: [&str; 1] = ["yes"];
/// What asks for a password, as the server calls it.
const PASSWORD: [&str; 2] = ["password", "keyboard-interactive"];
const KEY: &str = "publickey";

/// One finding for each means that is promised to somebody, at each place where it was asked for.
pub fn compare(logins: &[Login], asked: &Result<Vec<Asked>, String>) -> Vec<Finding> {
    let asked = match asked {
        Ok(asked) => asked,
        Err(why) if !logins.is_empty() => {
            let question = "the server lets in those who become root";
            return vec![Finding::unknown(Code::Login, question, why.clone())];
        }
        Err(_) => return Vec::new(),
    };
    let mut findings = Vec::new();
    for asked in asked {
        let Some(login) = logins.get(asked.login) else {
            continue;
        };
        let judges: [(bool, &str, Judge); 2] = [
            (!login.keys.is_empty(), "key", by_key),
            (login.password, "password", by_password),
        ];
        for (_, means, judge) in judges.into_iter().filter(|(promised, ..)| *promised) {
            let question = format!("{} gets in by {means} at {}", login.user, asked.at);
            let judged = match &asked.answer {
                Ok(answer) if answer.means.is_empty() => {
                    Err(format!("the server did not say by what: {}", answer.last))
                }
                Ok(answer) => judge(login, answer, asked.root_login.as_deref()),
                Err(why) => Err(why.clone()),
            };
            findings.push(match judged {
                Ok(None) => Finding::pass(Code::Login, question),
                Ok(Some(lack)) if login.by_origin => Finding::unknown(
                    Code::Login,
                    question,
                    format!("{lack}; it looks at where somebody comes from, and this is the machine itself"),
                ),
                Ok(lack) => Finding::judge(Code::Login, question, lack),
                Err(why) => Finding::unknown(Code::Login, question, why),
            });
        }
    }
    findings
}

/// What lacks, or why that cannot be told.
type Judge = fn(&Login, &Answer, Option<&str>) -> Result<Option<String>, String>;

fn by_key(login: &Login, answer: &Answer, root: Option<&str>) -> Result<Option<String>, String> {
    if !answer.means.iter().any(|means| means == KEY) {
        return Ok(Some(offers(answer)));
    }
    if let Some(lack) = root_lacks(login, root, &BY_KEY) {
        return Ok(Some(lack));
    }
    if !answer.taken.is_empty() {
        return Ok(None);
    }
    let named = |at: &usize| login.keys.get(*at).map(|key| key.fingerprint.as_str());
    let refused: Vec<&str> = answer.refused.iter().filter_map(named).collect();
    if refused.len() < login.keys.len() {
        return Err(format!("not every key was asked for: {}", answer.last));
    }
    Ok(Some(format!(
        "the server takes none of: {}",
        refused.join(", ")
    )))
}

#[allow(
    clippy::unnecessary_wraps,
    reason = "it judges as the other does, who may not be able to"
)]
fn by_password(
    login: &Login,
    answer: &Answer,
    root: Option<&str>,
) -> Result<Option<String>, String> {
    if !answer
        .means
        .iter()
        .any(|means| PASSWORD.contains(&means.as_str()))
    {
        return Ok(Some(offers(answer)));
    }
    Ok(root_lacks(login, root, &BY_PASSWORD))
}

fn offers(answer: &Answer) -> String {
    format!("the server offers {}", answer.means.join(", "))
}

fn root_lacks(login: &Login, root: Option<&str>, enough: &[&str]) -> Option<String> {
    let said = root.filter(|said| login.is_root && !enough.contains(said))?;
    Some(format!("the server has PermitRootLogin {said}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use formats::access::PublicKey;
    use formats::confirm::Verdict;

    fn login(keys: usize, password: bool) -> Login {
        let key = |n: usize| PublicKey {
            kind: "ssh-ed25519".to_owned(),
            blob: "AAAA".to_owned(),
            fingerprint: format!("SHA256:{n}"),
            bits: None,
            narrowed: false,
        };
        Login {
            user: "root".to_owned(),
            is_root: true,
            keys: (0..keys).map(key).collect(),
            password,
            by_origin: false,
        }
    }

    fn answer(means: &str, taken: &[usize], refused: &[usize]) -> Answer {
        Answer {
            means: means.split_whitespace().map(str::to_owned).collect(),
            taken: taken.to_vec(),
            refused: refused.to_vec(),
            release: None,
            last: "Permission denied".to_owned(),
        }
    }

    fn judged(
        login: Login,
        answer: Result<Answer, String>,
        root: Option<&str>,
    ) -> Vec<(Verdict, String)> {
        let asked = Asked {
            login: 0,
            at: "192.0.2.7:22".parse().unwrap(),
            answer,
            root_login: root.map(str::to_owned),
        };
        let findings = compare(&[login], &Ok(vec![asked])).into_iter();
        let told = |f: Finding| (f.verdict, f.found.unwrap_or(f.question));
        findings.map(told).collect()
    }

    #[test]
    fn a_way_in_is_there_where_the_server_takes_a_key_or_asks_for_the_password() {
        use Verdict::{Pass, Short, Unknown};
        let both = "publickey password";
        let pass = "root gets in by key at 192.0.2.7:22";
        let by_password = "root gets in by password at 192.0.2.7:22";
        let key_only = || login(2, false);
        for (login, answer, root, expected) in [
            (
                key_only(),
                answer(both, &[1], &[0]),
                None,
                &[(Pass, pass)][..],
            ),
            (
                key_only(),
                answer(both, &[0], &[]),
                Some("prohibit-password"),
                &[(Pass, pass)],
            ),
            (
                key_only(),
                answer(both, &[0], &[]),
                Some("no"),
                &[(Short, "the server has PermitRootLogin no")],
            ),
            (
                key_only(),
                answer(both, &[], &[0, 1]),
                None,
                &[(Short, "the server takes none of: SHA256:0, SHA256:1")],
            ),
            (
                key_only(),
                answer(both, &[], &[0]),
                None,
                &[(Unknown, "not every key was asked for: Permission denied")],
            ),
            (
                key_only(),
                answer("password", &[], &[]),
                None,
                &[(Short, "the server offers password")],
            ),
            (
                key_only(),
                answer("", &[], &[]),
                None,
                &[(Unknown, "the server did not say by what: Permission denied")],
            ),
            (
                login(1, true),
                answer("publickey keyboard-interactive", &[0], &[]),
                Some("yes"),
                &[(Pass, pass), (Pass, by_password)],
            ),
            (
                login(1, true),
                answer(both, &[0], &[]),
                Some("prohibit-password"),
                &[
                    (Pass, pass),
                    (Short, "the server has PermitRootLogin prohibit-password"),
                ],
            ),
            (
                login(0, true),
                answer("publickey", &[], &[]),
                None,
                &[(Short, "the server offers publickey")],
            ),
        ] {
            let expected: Vec<_> = expected
                .iter()
                .map(|(v, text)| (*v, (*text).to_owned()))
                .collect();
            assert_eq!(judged(login, Ok(answer), root), expected);
        }
    }

    #[test]
    fn what_could_not_be_asked_makes_nothing_fall_short() {
        let silent = judged(login(1, false), Err("no answer".to_owned()), None);
        assert_eq!(silent, [(Verdict::Unknown, "no answer".to_owned())]);
        let elsewhere = Login {
            by_origin: true,
            ..login(1, false)
        };
        let [(verdict, found)] = &judged(elsewhere, Ok(answer("publickey", &[], &[0])), None)[..]
        else {
            panic!("one finding");
        };
        assert_eq!(*verdict, Verdict::Unknown, "{found}");
        let no_client = Err("there is no /usr/bin/ssh".to_owned());
        assert_eq!(
            compare(&[login(1, false)], &no_client)[0].verdict,
            Verdict::Unknown
        );
        assert_eq!(compare(&[], &no_client), []);
    }
}
