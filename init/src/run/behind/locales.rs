//! The old OS's locales, made by the new OS's own program from the list that was written for it.

use std::path::Path;

use formats::plan::Plan;

use crate::root::target;
use crate::run::behind::chroot;

/// The list that the plan writes, as locale.gen(5) has it.
const LIST: &str = "/etc/locale.gen";
/// Debian's and Ubuntu's program; others bring their locales ready made.
const PROGRAM: &str = "/usr/sbin/locale-gen";

/// Makes the locales that the plan lists. A locale that cannot be made costs messages in another
/// language, so that is told and no more.
pub fn generate(plan: &Plan) {
    let listed = plan.identity.files.iter().any(|file| file.path == LIST);
    if !listed || !target::at(PROGRAM).is_file() {
        return;
    }
    if let Err(e) = chroot::run(
        Path::new(target::TARGET),
        &plan.keep,
        PROGRAM,
        &["--keep-existing"],
        b"",
    ) {
        log::warn!("make the locales of {LIST}: {e:#}; run {PROGRAM} in the new OS");
    }
}
