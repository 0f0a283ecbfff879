//! The accounts of the old OS.

use std::path::Path;

use formats::accounts::Accounts;

use crate::survey::chain::chain;

/// The accounts without their secrets, or why they cannot be read: a finding, not a failure.
pub fn read() -> Result<Accounts, String> {
    let root = Path::new("/");
    let files = machine::accounts::read(root).map_err(|e| chain(&e))?;
    let login_defs = machine::accounts::login_defs(root).map_err(|e| chain(&e))?;
    let today = machine::moment::today();
    ::identity::accounts::parse_on(today, &files, &login_defs).map_err(|e| chain(&e))
}
