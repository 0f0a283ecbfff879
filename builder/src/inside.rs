//! Running a program inside the new root, as hooks and package tools want it.
//!
//! It gets its own mounts and its own processes, which end with it: `/proc`, a read-only `/sys`,
//! the machine's `/dev`, an empty `/run`. It shares the network. It gets nothing of the
//! operator's environment. This keeps a build tidy; it is no protection from what it runs.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::command::{run, CLEAN_ENVIRONMENT};
use crate::progress::Step;

/// $1 is the root, $2 a script to run in it; each further argument is a directory to show there
/// under its own path.
const ENTER: &str = r#"
root=$1 script=$2
shift 2
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
for shown; do
    mkdir -p "$root/run/reroot-shown$shown"
    mount --bind "$shown" "$root/run/reroot-shown$shown"
done
cp "$script" "$root/run/reroot-hook"
chmod 755 "$root/run/reroot-hook"
exec chroot "$root" /run/reroot-hook
"#;

/// Runs a script of this machine inside the root filesystem at `root`. The `shown` directories
/// appear there below `/run/reroot-shown`.
pub fn run_inside(root: &Path, script: &Path, shown: &[&Path], step: &Step) -> Result<()> {
    let mut command = Command::new("unshare");
    command
        .env_clear()
        .envs(CLEAN_ENVIRONMENT)
        .args([
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--propagation",
            "private",
            "--",
        ])
        .args(["/bin/sh", "-euc", ENTER, "sh"])
        .arg(root)
        .arg(script)
        .args(shown)
        .stdin(std::process::Stdio::null());
    run("the script", &mut command, "util-linux", step)
}
