//! The end of a rehearsal: the plan is made once more, from the machine as it is now, and compared
//! with the one that was carried in; the report stays, the old OS boots.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use formats::facts::{Facts, Kept, Unkept, UnkeptWay};
use formats::keep::KeepSet;
use formats::plan::Plan;
use formats::rehearsal::Rehearsal;
use formats::Document;
use machine::{meminfo, os_release};
use plan::choices::{Choices, SshWish};
use plan::needs::PartSizes;
use plan::rehearsal::differences;
use plan::resolve;
use plan::resolve::Inputs;

use crate::root::run_directory;
use crate::root::target::{self, TARGET};
use crate::run::back;
use crate::run::data::Run;
use crate::run::recorder::Recorder;

/// How many differences the report has at most.
const DIFFERENCES: usize = 200;

/// Compares, and leaves the report. Afterwards nothing is to be done but to boot the old OS.
pub fn finish(run: Run, recorder: &mut Recorder) -> Result<()> {
    let report = recorder.once("compare", || compare(&run))?;
    // It holds the staged payload open. A file that is removed and still open keeps the root from
    // becoming read-only again.
    drop(run);
    for d in &report.differences {
        let mark = if d.expected { "" } else { "UNEXPECTED: " };
        log::info!("{mark}{} is {}, planned was {}", d.at, d.now, d.planned);
    }
    log::info!(
        "rehearsal: {}",
        if report.passed {
            "nothing stands against a reinstallation"
        } else {
            "something differs from the plan"
        }
    );
    recorder.once("report", || back::leave_report(&report))?;
    recorder.begin("return");
    // The record that is left now says that the report is there and the return has begun.
    back::leave_report(&report)
}

fn compare(run: &Run) -> Result<Rehearsal> {
    let mut notes = vec![
        "network, host keys, names and mounts are those that the old OS's kernel and files told; \
         memory, space, accounts and kept paths were read again"
            .to_owned(),
    ];
    if !run.plan.network.proved {
        notes.push("the network was not tried: the image lacks its drivers".to_owned());
    }
    let facts = facts_now(run)?;
    let planned = &run.plan;
    let choices = Choices {
        payload_at: Some(planned.payload_at),
        entry: Some(planned.entry.entry),
        kexec_call: planned.entry.call.as_ref().map(|c| c.call),
        ram_ssh: SshWish::No,
        mode: planned.mode,
        report_to: planned.report_to.clone(),
    };
    let payload = run.manifest.payload.length();
    let mut now = resolve::resolve(
        &facts,
        &Inputs {
            manifest: &run.manifest,
            manifest_digest: planned.manifest_digest,
            // The decisions that depend on them have been made.
            sizes: PartSizes {
                kernel: 0,
                initramfs: 0,
                payload,
                handed: 0,
            },
            choices: &choices,
            run: planned.run.clone(),
        },
    )
    .context("make the plan once more")?;
    // This is the way that was taken; why it was chosen over others cannot change any more.
    now.entry.clone_from(&planned.entry);
    let differences = differences(planned, &now, DIFFERENCES);
    Ok(Rehearsal {
        run: planned.run.clone(),
        passed: differences.iter().all(|d| d.expected),
        differences,
        kept: run.before.clone(),
        memory_total: facts.memory.total,
        memory_available: facts.memory.available,
        notes,
    })
}

/// The facts of the old OS, with everything anew that can be read here.
fn facts_now(run: &Run) -> Result<Facts> {
    let path = run_directory::at(&run.plan, "facts.json");
    let bytes = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
    let mut facts = Facts::from_json(&bytes).context("read the facts")?;
    let text = fs::read_to_string("/proc/meminfo").context("read /proc/meminfo")?;
    facts.memory = meminfo::parse(&text).context("/proc/meminfo tells no total")?;
    let os = fs::read_to_string(target::at("/etc/os-release"));
    // It is a link that leads to the same file here where it is relative.
    if let Ok(os) = os {
        facts.os = os_release::parse(&os);
    }
    facts.accounts = accounts();
    if let Some(root) = &mut facts.root {
        let fs = rustix::fs::statvfs(TARGET).context("statvfs of the root filesystem")?;
        root.bytes = fs.f_blocks * fs.f_frsize;
        root.bytes_free = fs.f_bfree * fs.f_frsize;
        root.inodes = fs.f_files;
        root.inodes_free = fs.f_ffree;
    }
    for system in &mut facts.filesystems {
        // Those that are left alone are not mounted here, and are as they were.
        let mounted = run.systems.iter().any(|s| s.target == system.target);
        if mounted {
            let fs = rustix::fs::statvfs(target::at(&system.target))
                .with_context(|| format!("statvfs of the filesystem of {}", system.target))?;
            system.bytes_free = fs.f_bfree * fs.f_frsize;
            let used = fs.f_files.saturating_sub(fs.f_ffree);
            system.inodes_free = system.inodes.saturating_sub(used);
        }
    }
    facts.kept = kept(&run.plan, run)?;
    Ok(facts)
}

fn accounts() -> Result<formats::accounts::Accounts, String> {
    let root = Path::new(TARGET);
    let read = || -> Result<_> {
        let files = machine::accounts::read(root)?;
        let login_defs = machine::accounts::login_defs(root)?;
        let today = machine::moment::today();
        Ok(identity::accounts::parse_on(today, &files, &login_defs)?)
    };
    read().map_err(|e| format!("{e:#}"))
}

fn kept(plan: &Plan, run: &Run) -> Result<Vec<Kept>> {
    let tops = target::tops(plan)?;
    let paths = plan.keep.iter().zip(&run.before);
    Ok(paths
        .map(|(kept, measure)| Kept {
            path: kept.path.clone(),
            found: tree::validate_keep(tops.roots(), &KeepSet::new([&kept.path]))
                .map(|()| measure.clone())
                .map_err(|e| Unkept {
                    way: UnkeptWay::Unread,
                    why: e.to_string(),
                }),
        })
        .collect())
}
