//! Kind and version of every document of this crate: what its envelope says, and its reader asks for.

use crate::begun::Begun;
use crate::confirm::{Baseline, KeptFound};
use crate::facts::Facts;
use crate::manifest::Manifest;
use crate::outcomes::Outcomes;
use crate::plan::Plan;
use crate::rehearsal::Rehearsal;
use crate::report::Report;
use crate::staged::Staged;
use crate::told::Event;
use crate::Document;

macro_rules! documents {
    ($($type:ty: $kind:literal, $version:literal;)*) => {
        $(impl Document for $type {
            const KIND: &'static str = $kind;
            const VERSION: u32 = $version;
        })*
    };
}

documents! {
    Baseline: "reroot-baseline", 1;
    Begun: "reroot-begun", 1;
    Event: "reroot-event", 1;
    Facts: "reroot-facts", 1;
    KeptFound: "reroot-kept", 1;
    Manifest: "reroot-manifest", 1;
    Outcomes: "reroot-outcomes", 1;
    Plan: "reroot-plan", 1;
    Rehearsal: "reroot-rehearsal", 1;
    Report: "reroot-report", 1;
    Staged: "reroot-staged", 1;
}
