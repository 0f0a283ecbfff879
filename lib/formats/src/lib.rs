//! Every document that reroot writes or reads, as types: the image file, its manifest, the facts about
//! a machine, the plan, the journal, the report.
//!
//! Nothing here decides anything or touches a file, a device or the clock. Readers refuse what they do
//! not know and name both versions; a format and its reader live in the same file. It may import no
//! crate of reroot.

pub mod access;
pub mod accounts;
pub mod begun;
pub mod boot_path;
pub mod confirm;
pub mod counted;
pub mod dhcp;
pub mod digest;
pub mod document;
pub mod entry;
pub mod facts;
pub mod figures;
pub mod filesystems;
pub mod hooks;
pub mod identity;
pub mod journal;
pub mod keep;
mod kinds;
pub mod listening;
mod mac;
pub mod manifest;
pub mod measure;
pub mod network;
pub mod outcomes;
pub mod overlay;
pub mod payload;
pub mod payload_drivers;
pub mod plan;
pub mod printable;
pub mod rehearsal;
pub mod report;
pub mod run_id;
pub mod staged;
pub mod steps;
pub mod told;
pub mod tools;
pub mod trailer;
pub mod tuning;
pub mod utc;

pub use digest::Digest;
pub use document::{Document, FormatError};
pub use manifest::Manifest;
