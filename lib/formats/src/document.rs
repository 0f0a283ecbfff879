//! The envelope of every JSON file that reroot writes: `kind`, `version` and `requires` come
//! first, and a reader looks at them before anything else.
//!
//! `requires` names features that a reader must know to be safe. Unknown fields are passed over,
//! unknown features and versions are refused.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A JSON document with a kind and a version.
pub trait Document: Serialize + DeserializeOwned {
    /// The value of `kind`, for example `reroot-plan`.
    const KIND: &'static str;
    /// The one version that this program writes and reads.
    const VERSION: u32;
    /// The features that this program knows.
    const FEATURES: &'static [&'static str] = &[];

    /// The document as indented JSON with a final newline.
    fn to_json(&self) -> String {
        let envelope = EnvelopeOut {
            kind: Self::KIND,
            version: Self::VERSION,
            requires: &[],
            body: self,
        };
        let mut text =
            serde_json::to_string_pretty(&envelope).expect("documents are plain trees of strings");
        text.push('\n');
        text
    }

    /// Reads a document, refusing other kinds, versions and required features.
    fn from_json(bytes: &[u8]) -> Result<Self, FormatError> {
        let envelope: Envelope =
            serde_json::from_slice(bytes).map_err(|source| FormatError::Json {
                kind: Self::KIND,
                source,
            })?;
        if envelope.kind != Self::KIND {
            return Err(FormatError::Kind {
                expected: Self::KIND,
                found: envelope.kind,
            });
        }
        if envelope.version != Self::VERSION {
            return Err(FormatError::Version {
                kind: Self::KIND,
                known: Self::VERSION,
                found: envelope.version,
            });
        }
        if let Some(feature) = envelope
            .requires
            .into_iter()
            .find(|f| !Self::FEATURES.contains(&f.as_str()))
        {
            return Err(FormatError::Feature {
                kind: Self::KIND,
                feature,
            });
        }
        serde_json::from_slice(bytes).map_err(|source| FormatError::Json {
            kind: Self::KIND,
            source,
        })
    }
}

#[derive(Serialize)]
struct EnvelopeOut<'a, T> {
    kind: &'static str,
    version: u32,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    requires: &'a [&'a str],
    #[serde(flatten)]
    body: &'a T,
}

#[derive(Deserialize)]
struct Envelope {
    kind: String,
    version: u32,
    #[serde(default)]
    requires: Vec<String>,
}

/// Why a file of ours cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// Not JSON, or a field is missing or of another type.
    #[error("the {kind} document does not parse")]
    Json {
        /// What it should have been.
        kind: &'static str,
        /// Where it stopped.
        source: serde_json::Error,
    },
    /// Another document than the one asked for.
    #[error("this is a {found} document, expected {expected}")]
    Kind {
        /// The kind asked for.
        expected: &'static str,
        /// The kind found.
        found: String,
    },
    /// Written by a newer or older reroot.
    #[error(
        "the {kind} document has version {found}, this program reads version {known}; \
         use the reroot release that wrote it"
    )]
    Version {
        /// The document's kind.
        kind: &'static str,
        /// The version that this program reads.
        known: u32,
        /// The version found.
        found: u32,
    },
    /// Needs something that this program does not know.
    #[error(
        "the {kind} document requires the feature {feature:?}, which this program does not know"
    )]
    Feature {
        /// The document's kind.
        kind: &'static str,
        /// The unknown feature.
        feature: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize, Deserialize, Debug, PartialEq)]
    struct Note {
        text: String,
    }

    impl Document for Note {
        const KIND: &'static str = "reroot-note";
        const VERSION: u32 = 1;
    }

    #[test]
    fn document_survives_the_round_trip() {
        let note = Note { text: "x".into() };
        let json = note.to_json();
        assert!(json
            .trim_start_matches(['{', '\n', ' '])
            .starts_with("\"kind\""));
        assert_eq!(Note::from_json(json.as_bytes()).unwrap(), note);
    }

    #[test]
    fn strangers_are_refused_by_name() {
        for (json, part) in [
            (
                r#"{"kind":"other","version":1,"text":""}"#,
                "expected reroot-note",
            ),
            (
                r#"{"kind":"reroot-note","version":2,"text":""}"#,
                "version 2",
            ),
            (
                r#"{"kind":"reroot-note","version":1,"requires":["fly"],"text":""}"#,
                "\"fly\"",
            ),
            (r#"{"kind":"reroot-note","version":1}"#, "does not parse"),
            ("", "does not parse"),
        ] {
            let error = Note::from_json(json.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(part), "{json}: {error}");
        }
    }
}
