//! The run in the old OS, detached from the session that started it: load, stop, prove, enter.
//! What fails is undone: before services were stopped the old OS just goes on, after that it boots
//! again.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use manifest::facts::Memory;
use manifest::plan::Plan;
use manifest::resolve::{self, PartSizes};
use manifest::trailer::PartKind;
use manifest::Document;
use nix::sys::signal::{SigSet, SigmaskHow, Signal};

use crate::enter::FirstProcess;
use crate::image::Image;
use crate::{enter, first_process, initrd, log_file, prove, run_directory, stop, Outcome};

/// When the kernel and the initramfs are loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LoadMoment {
    /// While services still run: the machine is down for a shorter time.
    BeforeStop,
    /// When they are stopped: their memory is needed.
    AfterStop,
}

/// How far a run had come when it failed.
enum Failure {
    /// Services run as they did.
    Running(anyhow::Error),
    /// Services were being stopped, or were.
    Stopped(anyhow::Error),
}

impl From<anyhow::Error> for Failure {
    fn from(e: anyhow::Error) -> Failure {
        Failure::Running(e)
    }
}

/// Does the run. Returns only if it failed.
pub fn main(directory: &Path) -> Outcome {
    log_file::start(directory);
    let logged = format!(
        "mend the cause and run `go` again; this log stays in {}",
        directory.display()
    );
    match run(directory) {
        Ok(never) => match never {},
        Err(Failure::Running(e)) => {
            log::error!("failed: {e:#}");
            log::error!("intact: everything; the old OS goes on as it was");
            log::error!("next: {logged}");
        }
        Err(Failure::Stopped(e)) => {
            log::error!("failed: {e:#}");
            log::error!(
                "intact: everything; the old OS boots again now, since its services are stopped"
            );
            log::error!("next: {logged}");
            stop::boot_again();
        }
    }
    Outcome::Reverted
}

enum Never {}

fn run(directory: &Path) -> Result<Never, Failure> {
    detach()?;
    let _lock = run_directory::lock()?;
    clear_older_runs(directory);
    break_off_on_sigterm(directory);
    let text = fs::read(directory.join("plan.json")).context("read the plan")?;
    let plan = Plan::from_json(&text).context("read the plan")?;
    let image = Image::open_running()?;
    log::info!(
        "run {}: {} becomes {}",
        plan.run,
        plan.old_os.pretty_name,
        plan.new_os.pretty_name
    );
    let result = prepared(&plan, &image, directory);
    // What was copied for loading is of no further use either way.
    initrd::remove_copies(directory);
    result
}

fn prepared(plan: &Plan, image: &Image, directory: &Path) -> Result<Never, Failure> {
    enter::rehearse(plan)?;
    let init = first_process::init_system()?;
    initrd::stage(plan, image, directory).context("stage the run")?;
    let moment = load_moment(plan, image)?;
    if moment == LoadMoment::BeforeStop {
        enter::load(plan, image, directory)?;
    }
    // A kernel that stays loaded would be entered by the next reboot, whenever that is.
    hand_over(directory).inspect_err(|_| enter::unload())?;
    limit_what_follows();
    let result = stop::stop(&init).and_then(|()| stopped(plan, image, directory, moment));
    enter::unload();
    prove::make_writable();
    result.map_err(Failure::Stopped)
}

fn stopped(plan: &Plan, image: &Image, directory: &Path, moment: LoadMoment) -> Result<Never> {
    // A PID 1 that runs would start again what is being ended: logins on consoles, for one.
    let held = hold_first_process();
    stop::end_processes()?;
    if moment == LoadMoment::AfterStop {
        enter::load(plan, image, directory)?;
    }
    initrd::remove_loaded(directory);
    prove::prove()?;
    Err(enter::enter(plan, directory, held))
}

/// PID 1, stopped until this is dropped or taken over. Without ptrace it runs on, and a takeover
/// will say so itself.
fn hold_first_process() -> Option<FirstProcess> {
    match FirstProcess::hold() {
        Ok(held) => Some(held),
        Err(e) => {
            log::warn!("stop: PID 1 goes on and may start again what is being ended: {e:#}");
            None
        }
    }
}

/// How long stopping, proving and entering may take together. A disk or a server that hangs must
/// not leave the machine without services for longer than this.
const LIMIT: Duration = Duration::from_mins(20);

/// Set when services begin to be stopped: from then on a run is not broken off from outside.
static STOPPING: AtomicBool = AtomicBool::new(false);

/// Boots the old OS again if the run has not entered the RAM environment in time.
fn limit_what_follows() {
    STOPPING.store(true, Ordering::SeqCst);
    std::thread::spawn(|| {
        std::thread::sleep(LIMIT);
        log::error!(
            "the old OS did not let go within {} s; it boots again now",
            LIMIT.as_secs()
        );
        enter::unload();
        if let Err(e) = rustix::system::reboot(rustix::system::RebootCommand::Restart) {
            log::error!("reboot: {e}; reboot the machine by hand");
        }
    });
}

/// Until services stop, SIGTERM breaks the run off: the loaded kernel and the copies go, the old
/// OS has not noticed anything.
fn break_off_on_sigterm(directory: &Path) {
    let directory = directory.to_owned();
    std::thread::spawn(move || {
        let mut signals = SigSet::empty();
        signals.add(Signal::SIGTERM);
        while signals.wait().is_ok() {
            if STOPPING.load(Ordering::SeqCst) {
                log::warn!("SIGTERM came too late: services are being stopped");
            } else {
                enter::unload();
                initrd::remove_copies(&directory);
                log::error!(
                    "broken off by SIGTERM; intact: everything, the old OS goes on as it was"
                );
                std::process::exit(Outcome::Reverted as i32);
            }
        }
    });
}

/// Runs that failed in the RAM environment left their payload behind; the wipe spares it, so it
/// would be missing from the space that was counted on.
fn clear_older_runs(current: &Path) {
    let Ok(entries) = fs::read_dir(run_directory::BASE) else {
        return;
    };
    for run in entries.flatten().map(|e| e.path()) {
        if run == current || !run.is_dir() {
            continue;
        }
        initrd::remove_copies(&run);
    }
}

/// In the run's directory: the session that started the run has nothing more to wait for.
pub const HANDED_OVER: &str = "handed-over";

/// Lets the operator's session end by itself. The network goes with the services; a session that
/// is still open then hangs until its other side gives up.
fn hand_over(directory: &Path) -> Result<()> {
    let path = directory.join(HANDED_OVER);
    fs::write(&path, "").with_context(|| format!("write {}", path.display()))?;
    std::thread::sleep(Duration::from_secs(2));
    Ok(())
}

fn load_moment(plan: &Plan, image: &Image) -> Result<LoadMoment> {
    let sizes = PartSizes {
        kernel: image.part(PartKind::Kernel).length,
        initramfs: image.part(PartKind::Initramfs).length,
        payload: image.part(PartKind::Payload).length,
    };
    let peak = resolve::memory_peak(&image.manifest()?, sizes, plan.payload_at, &plan.entry);
    let text = fs::read_to_string("/proc/meminfo").context("read /proc/meminfo")?;
    let Memory { available, .. } =
        machine::meminfo::parse(&text).context("/proc/meminfo tells no total")?;
    Ok(if peak.load <= available {
        LoadMoment::BeforeStop
    } else {
        LoadMoment::AfterStop
    })
}

/// Leaves the session: its terminal, its signals, and the service manager's control group, which
/// is ended when the session is.
fn detach() -> Result<()> {
    rustix::process::setsid().context("start a session of its own")?;
    let mut ignored = SigSet::empty();
    for signal in [
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGPIPE,
        Signal::SIGQUIT,
    ] {
        ignored.add(signal);
    }
    nix::sys::signal::sigprocmask(SigmaskHow::SIG_BLOCK, Some(&ignored), None)
        .context("block signals")?;
    for hierarchy in [
        "/sys/fs/cgroup",
        "/sys/fs/cgroup/systemd",
        "/sys/fs/cgroup/unified",
    ] {
        let file = Path::new(hierarchy).join("cgroup.procs");
        if file.exists() {
            fs::write(&file, std::process::id().to_string())
                .with_context(|| format!("move to the root control group by {}", file.display()))?;
        }
    }
    // Loading an image takes memory; the kernel must not choose this process to make room.
    if let Err(e) = fs::write("/proc/self/oom_score_adj", "-1000") {
        log::warn!("protect the worker from the out-of-memory killer: {e}");
    }
    Ok(())
}
