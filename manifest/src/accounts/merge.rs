//! Which accounts the new OS has, and under which numbers: a pure function.

use super::{AccountPlan, Accounts, Owners};

/// Merges. `kept` are the numbers that own something kept; `shells` are the payload's.
pub fn merge(
    old: &Accounts,
    payload: &Accounts,
    kept: &Owners,
    shells: &[String],
) -> Result<AccountPlan, Vec<String>> {
    let _ = (old, payload, kept, shells);
    Ok(AccountPlan::default())
}
