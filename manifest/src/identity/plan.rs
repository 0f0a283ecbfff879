//! What will be done about names, keys and mounts: a pure function.

use super::{IdentityPlan, NewIdentity, OldIdentity};

/// Resolves it, or says everything that cannot be carried and must not be lost, one line each.
pub fn plan(
    old: &OldIdentity,
    new: &NewIdentity,
    root_uuid: &str,
) -> Result<IdentityPlan, Vec<String>> {
    let _ = (old, new, root_uuid);
    Ok(IdentityPlan::default())
}
