//! How the plan made from the machine as it is in the RAM environment
//! differs from the one that was made in the old OS.

use formats::rehearsal::Difference;
use serde_json::Value;

use formats::plan::Plan;

/// What changes by the machine's living on, by how its place in the plan begins.
const EXPECTED: [&str; 5] = [
    "keep[",
    "wiped.",
    // Which services ran is read from the service manager, which is gone.
    "identity.left",
    "network.gateways",
    "warnings",
];

/// What only says how the plan was made: it is fixed for the second one. Whether there is an ssh server
/// in the RAM environment follows from the old OS's free memory.
const NOT_COMPARED: [&str; 4] = ["payload_reason", "ram_ssh", "entry.reason", "steps"];

/// How two plans differ; at most `most` places are told.
pub fn differences(planned: &Plan, now: &Plan, most: usize) -> Vec<Difference> {
    let mut found = Vec::new();
    let (Ok(planned), Ok(now)) = (serde_json::to_value(planned), serde_json::to_value(now)) else {
        return found;
    };
    walk("", &planned, &now, &mut found);
    found.retain(|d| !NOT_COMPARED.iter().any(|n| d.at.starts_with(n)));
    // What was not expected comes first: it must not fall behind what is cut off.
    found.sort_by_key(|d| d.expected);
    found.truncate(most);
    found
}

fn walk(at: &str, planned: &Value, now: &Value, found: &mut Vec<Difference>) {
    match (planned, now) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: std::collections::BTreeSet<_> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let place = if at.is_empty() {
                    key.clone()
                } else {
                    format!("{at}.{key}")
                };
                let of = |map: &serde_json::Map<String, Value>| {
                    map.get(key).cloned().unwrap_or(Value::Null)
                };
                walk(&place, &of(a), &of(b), found);
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            for i in 0..a.len().max(b.len()) {
                let of = |list: &[Value]| list.get(i).cloned().unwrap_or(Value::Null);
                walk(&format!("{at}[{i}]"), &of(a), &of(b), found);
            }
        }
        (a, b) if a != b => found.push(Difference {
            at: at.to_owned(),
            planned: short(a),
            now: short(b),
            expected: EXPECTED.iter().any(|start| at.starts_with(start)),
        }),
        _ => {}
    }
}

/// A value on one line of a bounded length.
fn short(value: &Value) -> String {
    const MOST: usize = 120;
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Null => "nothing".to_owned(),
        other => other.to_string(),
    };
    if text.chars().count() > MOST {
        text.chars().take(MOST).chain(['…']).collect()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found(a: &Value, b: &Value) -> Vec<Difference> {
        let mut found = Vec::new();
        walk("", a, b, &mut found);
        found
    }

    #[test]
    fn equal_plans_do_not_differ() {
        let a = json!({"a": [1, {"b": "c"}], "d": null});
        assert!(found(&a, &a).is_empty());
    }

    #[test]
    fn every_difference_is_told_by_its_place() {
        let a = json!({"keep": [{"measure": {"entries": 1}}], "root": {"fs_uuid": "1"}, "x": []});
        let b =
            json!({"keep": [{"measure": {"entries": 2}}], "root": {"fs_uuid": "2"}, "x": ["y"]});
        let found = found(&a, &b);
        let told: Vec<_> = found
            .iter()
            .map(|d| {
                (
                    d.at.as_str(),
                    d.planned.as_str(),
                    d.now.as_str(),
                    d.expected,
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("keep[0].measure.entries", "1", "2", true),
                ("root.fs_uuid", "1", "2", false),
                ("x[0]", "nothing", "y", false),
            ]
        );
    }
}
