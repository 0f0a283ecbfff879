//! What the operator decides, as data: the command line is turned into it, the survey and the run
//! go by it.

use std::path::PathBuf;

use formats::facts::MountWishes;
use formats::keep::KeepPath;
use formats::run_id::RunId;
use formats::Document;
use plan::choices::Choices;
use serde::{Deserialize, Serialize};

use crate::survey::report_to;

/// Everything that the operator may decide.
pub struct Wishes {
    /// Paths to keep beside the image's keep list.
    pub keep: Vec<KeepPath>,
    /// Paths not to keep although the image's keep list names them.
    pub no_keep: Vec<KeepPath>,
    /// Paths to carry beside the image's carry list.
    pub carry: Vec<String>,
    /// Files with more of them.
    pub carry_from: Vec<PathBuf>,
    /// The directory or archive of an overlay.
    pub overlay: Option<PathBuf>,
    /// What becomes of mounted filesystems, where the rules shall not decide.
    pub mounts: MountWishes,
    /// Directories of own checks beside the usual one, as they were named.
    pub check_directories: Vec<PathBuf>,
    /// Codes of checks that are forced.
    pub forced: Vec<String>,
    /// What the plan leaves to the operator.
    pub choices: Choices,
    /// Who shall be told of each step.
    pub report_to: Option<report_to::Wish>,
    /// The run's name; a new one where the operator gives none.
    pub run: Option<RunId>,
}

/// The wishes that have to be known when checks are asked again: they wait in the run's directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckWishes {
    /// Codes that the operator forces.
    pub forced: Vec<String>,
    /// Directories of own checks that the operator named.
    pub checks: Vec<PathBuf>,
}

impl Document for CheckWishes {
    // The name of older releases, which readers know.
    const KIND: &'static str = "reroot-asked";
    const VERSION: u32 = 1;
}
