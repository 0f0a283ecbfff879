//! YAML as a small tree, for netplan(5).

use saphyr_parser::{Event, Parser};

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A word, a number, a text: as written, without quotes.
    Scalar(String),
    /// A list.
    List(Vec<Node>),
    /// Names with values, in order; of doubles the last one counts.
    Map(Vec<(String, Node)>),
}

/// Values in one file, and how deep they may lie. Configuration stays far below; a file that does
/// not is hostile.
const MOST_NODES: usize = 100_000;
const DEEPEST: usize = 32;

impl Node {
    /// The value of a name.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match self {
            Node::Map(entries) => entries.iter().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }

    /// Names with values; empty for what is no map.
    pub fn entries(&self) -> &[(String, Node)] {
        match self {
            Node::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The text of a scalar.
    pub fn text(&self) -> Option<&str> {
        match self {
            Node::Scalar(text) => Some(text),
            _ => None,
        }
    }

    /// The texts of a list, or the one text of a scalar; of maps in a list their names, as netplan
    /// writes addresses with options.
    pub fn texts(&self) -> Vec<&str> {
        match self {
            Node::Scalar(text) => vec![text],
            Node::List(items) => items
                .iter()
                .filter_map(|item| match item {
                    Node::Scalar(text) => Some(text.as_str()),
                    Node::Map(entries) => entries.first().map(|(k, _)| k.as_str()),
                    Node::List(_) => None,
                })
                .collect(),
            Node::Map(_) => Vec::new(),
        }
    }

    /// Lays another value over this one: maps are merged, lists are joined, everything else is
    /// replaced.
    pub fn merge(&mut self, over: Node) {
        match (self, over) {
            (Node::Map(mine), Node::Map(theirs)) => {
                for (key, value) in theirs {
                    match mine.iter_mut().find(|(k, _)| *k == key) {
                        Some((_, old)) => old.merge(value),
                        None => mine.push((key, value)),
                    }
                }
            }
            (Node::List(mine), Node::List(theirs)) => mine.extend(theirs),
            (mine, over) => *mine = over,
        }
    }

    fn insert(&mut self, key: String, value: Node) {
        if let Node::Map(entries) = self {
            entries.retain(|(k, _)| *k != key);
            entries.push((key, value));
        }
    }
}

/// A collection that is being read, with the name that waits for its value.
struct Open {
    node: Node,
    key: Option<String>,
}

/// The first document of a text, or why it is none.
pub fn parse(text: &str) -> Result<Node, String> {
    let mut open: Vec<Open> = Vec::new();
    for (count, event) in Parser::new_from_str(text).enumerate() {
        let (event, _) = event.map_err(|e| e.to_string())?;
        if count > MOST_NODES || open.len() > DEEPEST {
            return Err("it is too large or too deep".to_owned());
        }
        let done = match event {
            Event::Scalar(text, ..) => Node::Scalar(text.into_owned()),
            // Aliases are what makes small files large; no tool writes them.
            Event::Alias(_) => return Err("it has an alias".to_owned()),
            Event::SequenceStart(..) => {
                open.push(Open {
                    node: Node::List(Vec::new()),
                    key: None,
                });
                continue;
            }
            Event::MappingStart(..) => {
                open.push(Open {
                    node: Node::Map(Vec::new()),
                    key: None,
                });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(closed) => closed.node,
                None => continue,
            },
            Event::DocumentEnd => return Ok(Node::Map(Vec::new())),
            _ => continue,
        };
        let Some(parent) = open.last_mut() else {
            return Ok(done);
        };
        match (&mut parent.node, parent.key.take()) {
            (Node::List(items), _) => items.push(done),
            (map, Some(key)) => map.insert(key, done),
            (_, None) => match done {
                Node::Scalar(key) => parent.key = Some(key),
                _ => return Err("a name is no plain word".to_owned()),
            },
        }
    }
    Ok(Node::Map(Vec::new()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_merges() {
        let mut one = parse("a: {b: 1, c: [x, 'y']}\nd: no\nd: yes\n").unwrap();
        assert_eq!(one.get("d").and_then(Node::text), Some("yes"));
        one.merge(parse("a:\n  b: \"2\"\n  c:\n  - z: {l: 1}\n").unwrap());
        let a = one.get("a").unwrap();
        assert_eq!(a.get("b").and_then(Node::text), Some("2"));
        assert_eq!(a.get("c").unwrap().texts(), ["x", "y", "z"]);
    }

    #[test]
    fn hostile_texts_are_refused() {
        for (name, text) in [
            ("aliases", "a: &a [x]\nb: [*a, *a]\n".to_owned()),
            ("depth", "[".repeat(100_000)),
            ("depth of maps", "{a: ".repeat(5_000)),
            ("tabs", "a:\n\tb: 1\n".to_owned()),
            ("a list as a name", "[a]: b\n".to_owned()),
        ] {
            assert!(parse(&text).is_err(), "{name}");
        }
        assert_eq!(parse("").unwrap(), Node::Map(Vec::new()));
        assert_eq!(parse("# nothing\n").unwrap(), Node::Map(Vec::new()));
    }
}
