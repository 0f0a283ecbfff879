//! Tiny OSes with logins as Debian has them: PAM, sudo, an ssh client, picked out of Debian's packages by
//! `doors.sh` and kept as tarballs.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::base::{digest, forget_others, say};
use crate::command::run;
use crate::{debian, lock, paths};

const PACKAGES: &[&str] = &["openssh-client", "openssh-server", "sudo"];

const SCRIPT: &str = concat!(include_str!("pick.sh"), include_str!("doors.sh"));

/// What a script ends with that has changed the configuration of a tiny OS's ssh server.
pub const SERVER_AGAIN: &str = r#"
kill "$(cat /run/sshd.pid)"
# It lets go of its ports in its own time.
for try in 1 2 3 4 5; do
    /usr/sbin/sshd && exit
    sleep 1
done
exit 1
"#;

/// What is put into a tiny OS of this suite, as a tarball.
pub fn addition(suite: &str) -> Result<PathBuf> {
    let prefix = format!("tiny-doors-{suite}-");
    let name = format!(
        "{prefix}{}.tar",
        digest(&[&debian::key(suite, PACKAGES), SCRIPT])
    );
    let tarball = paths::base().join(&name);
    let _lock = lock::exclusive(&paths::base().join(format!("tiny-doors-{suite}.lock")))?;
    if tarball.exists() {
        return Ok(tarball);
    }
    let whole = debian::tarball(suite, PACKAGES, &format!("tiny-door-packages-{suite}-"))?;
    say(&format!("picking PAM and sudo out of {suite}"));
    let scratch = tempfile::tempdir_in(paths::base()).context("create a scratch directory")?;
    debian::unpack(&whole, scratch.path())?;
    run(&mut debian::script_in(scratch.path(), SCRIPT))?;
    debian::pack(&scratch.path().join("doors"), &tarball)?;
    forget_others(&name, &prefix);
    Ok(tarball)
}

/// The tree of a tiny OS of this suite with it, as a tarball.
pub fn tree(suite: &str) -> Result<PathBuf> {
    let (plain, addition) = (super::tree(suite)?, addition(suite)?);
    let prefix = format!("tiny-with-doors-{suite}-");
    let parts = [&plain, &addition].map(|path| path.display().to_string());
    let name = format!("{prefix}{}.tar", digest(&[&parts[0], &parts[1]]));
    let tarball = paths::base().join(&name);
    let _lock = lock::exclusive(&paths::base().join(format!("tiny-with-doors-{suite}.lock")))?;
    if tarball.exists() {
        return Ok(tarball);
    }
    let scratch = tempfile::tempdir_in(paths::base()).context("create a scratch directory")?;
    debian::unpack(&plain, scratch.path())?;
    debian::unpack(&addition, scratch.path())?;
    debian::pack(scratch.path(), &tarball)?;
    forget_others(&name, &prefix);
    Ok(tarball)
}
