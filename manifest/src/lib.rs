//! Every format that reroot writes or reads, as types and pure functions: the image file, its
//! manifest, the facts about a machine, the plan, the journal, the report.
//!
//! Nothing here touches a file, a device or the clock. Readers refuse what they do not know and
//! name both versions; a format and its reader live in the same file.

pub mod accounts;
pub mod confirm;
pub mod digest;
pub mod document;
pub mod entry;
pub mod facts;
pub mod identity;
pub mod journal;
pub mod keep;
pub mod manifest;
pub mod measure;
pub mod network;
pub mod payload;
pub mod plan;
pub mod report;
pub mod resolve;
pub mod staged;
pub mod trailer;

pub use digest::Digest;
pub use document::{Document, FormatError};
pub use manifest::Manifest;
