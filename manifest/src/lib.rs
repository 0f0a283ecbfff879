//! Every format that reroot writes or reads, as types and pure functions: the image file, its
//! manifest, the facts about a machine, the plan, the journal, the report.
//!
//! Nothing here touches a file, a device or the clock. Readers refuse what they do not know and
//! name both versions; a format and its reader live in the same file.

pub mod accounts;
pub mod asked_again;
pub mod below_kept;
pub mod confirm;
pub mod digest;
pub mod document;
pub mod entry;
pub mod ext4_features;
pub mod facts;
pub mod identity;
pub mod journal;
pub mod keep;
pub mod kexec_call;
pub mod manifest;
pub mod measure;
pub mod network;
pub mod outcomes;
pub mod payload;
pub mod plan;
pub mod rehearsal;
pub mod report;
pub mod resolve;
pub mod staged;
pub mod status;
pub mod steps;
pub mod svg;
pub mod tools;
pub mod trailer;
pub mod utc;
pub mod version;

pub use digest::Digest;
pub use document::{Document, FormatError};
pub use manifest::Manifest;
