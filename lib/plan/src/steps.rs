//! The steps of a run as a directed graph, from one table: who needs whom, what is checked before
//! and after, what undoes a step or how it is retried, and how long it may take.
//!
//! The table is in an order in which the steps can be done. [`steps`] is pure; the engines of the
//! launcher and of the init walk what it gives, and know nothing of their own about order, retries
//! or deadlines.

use formats::entry::Entry;
use formats::hooks::{self, Hooks};
use formats::plan::Amount;
use formats::steps::{Mode, OnFailure, Place, Retry, Step};

/// What of a plan its steps depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Circumstances {
    /// What the run is for.
    pub mode: Mode,
    /// How the RAM environment is entered.
    pub entry: Entry,
    /// Memory suffices to get the entry ready while services still run, so that the machine is down
    /// for a shorter time.
    pub load_before_stop: bool,
    /// Entries and bytes that are kept.
    pub kept: Amount,
    /// Those that go.
    pub wiped: Amount,
    /// Those that come.
    pub unpacked: Amount,
    /// How many programs are called on the way.
    pub hooks: HookCounts,
}

/// How many programs are called at each moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HookCounts {
    /// Before services stop.
    pub before_stop: u64,
    /// In the new OS's root.
    pub after_unpack: u64,
    /// At the first boot.
    pub first_boot: u64,
}

impl From<&Hooks> for HookCounts {
    fn from(hooks: &Hooks) -> HookCounts {
        HookCounts {
            before_stop: hooks.before_stop.len() as u64,
            after_unpack: hooks.after_unpack.len() as u64,
            first_boot: hooks.first_boot.len() as u64,
        }
    }
}

/// What a step's deadline counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Grows {
    /// All of it.
    Not,
    /// The time without progress: an entry that is measured, a frame that is verified; in the old OS
    /// a turn that the step has on a processor.
    Anew,
    /// The time without progress. One file may be as large as all that goes, and shows no progress
    /// while its blocks are freed.
    Wiped,
    /// The time without progress. In the end every byte is written to the disk at once.
    Unpacked,
    /// All of it, and each program's time.
    Hooks,
}

/// Which runs have the step.
#[derive(Clone, Copy, PartialEq, Eq)]
enum In {
    Both,
    Reinstall,
    Rehearsal,
}

struct Spec {
    name: &'static str,
    place: Place,
    runs: In,
    needs: &'static [&'static str],
    does: &'static str,
    before: &'static str,
    after: &'static str,
    /// Empty where there is nothing to undo.
    undo: &'static str,
    deadline_s: u64,
    grows: Grows,
}

/// How a step behind the commit point is repeated: the pause is long enough for a disk to come
/// back from a reset.
const RETRY: Retry = Retry {
    attempts: 3,
    pause_s: 5,
};

/// Bytes of removed files that the slowest disk frees in a second: an old file lists its blocks, and each list of
/// 4 MiB is a movement.
const FREED_A_SECOND: u64 = 100 << 20;
/// Bytes that it reads or writes in a second, beside other work.
const BYTES_A_SECOND: u64 = 4 << 20;

/// What a run does.
#[rustfmt::skip]
const STEPS: &[Spec] = &[
    Spec {
        name: "prepare", place: Place::OldOs, runs: In::Both, needs: &[],
        does: "make the run directory; stage kernel, initramfs, payload and plan there",
        before: "every check passes", after: "everything staged is on the disk (fsync)",
        undo: "remove what was staged", deadline_s: 300, grows: Grows::Anew,
    },
    Spec {
        name: "load", place: Place::OldOs, runs: In::Both, needs: &["prepare"],
        does: "", before: "", after: "", undo: "", deadline_s: 300, grows: Grows::Anew,
    },
    Spec {
        name: "ask", place: Place::OldOs, runs: In::Both, needs: &["prepare"],
        does: "ask those checks again whose answer may have changed",
        before: "", after: "none of them refuses",
        undo: "", deadline_s: 300, grows: Grows::Not,
    },
    Spec {
        name: BEFORE_STOP, place: Place::OldOs, runs: In::Both, needs: &["ask"],
        does: "call the operator's programs for the moment before services stop",
        before: "they are root's", after: "each has ended with 0 or 2",
        undo: "end what they left running", deadline_s: 60, grows: Grows::Hooks,
    },
    Spec {
        name: "stop", place: Place::OldOs, runs: In::Both, needs: &["ask", BEFORE_STOP],
        does: "stop services in their own order, then every other process",
        before: "the operator's session was told", after: "no process but PID 1 is left",
        undo: "boot the old OS again", deadline_s: 420, grows: Grows::Not,
    },
    Spec {
        name: "prove", place: Place::OldOs, runs: In::Both, needs: &["stop"],
        does: "prove that nothing is open for writing: make the root read-only",
        before: "swap is off, other filesystems are unmounted", after: "the kernel agreed",
        undo: "make the root writable", deadline_s: 600, grows: Grows::Not,
    },
    Spec {
        name: "enter", place: Place::OldOs, runs: In::Both, needs: &["load", "prove"],
        does: "", before: "", after: "the init runs", undo: "", deadline_s: 120, grows: Grows::Not,
    },
    Spec {
        name: "drivers", place: Place::Ram, runs: In::Both, needs: &["enter"],
        does: "load the drivers that the hardware asks for; start the watchdog",
        before: "plan and manifest belong together", after: "",
        undo: "", deadline_s: 120, grows: Grows::Not,
    },
    Spec {
        name: "find", place: Place::Ram, runs: In::Both, needs: &["drivers"],
        does: "find the root by filesystem UUID and partition; mount it read-only",
        before: "", after: "exactly one match",
        undo: "unmount it", deadline_s: 180, grows: Grows::Not,
    },
    Spec {
        name: "verify", place: Place::Ram, runs: In::Both, needs: &["find"],
        does: "verify the payload, memory, space and every kept path",
        before: "", after: "every digest is right, every kept path was measured",
        undo: "", deadline_s: 300, grows: Grows::Anew,
    },
    Spec {
        name: "network", place: Place::Ram, runs: In::Both, needs: &["drivers"],
        does: "bring up the network",
        before: "", after: "every gateway that answered answers",
        undo: "", deadline_s: 300, grows: Grows::Not,
    },
    Spec {
        name: "compare", place: Place::Ram, runs: In::Rehearsal, needs: &["verify", "network"],
        does: "make the plan once more, from the machine as it is now, and compare",
        before: "", after: "every difference is in the report",
        undo: "", deadline_s: 120, grows: Grows::Not,
    },
    Spec {
        name: "report", place: Place::Ram, runs: In::Rehearsal, needs: &["compare"],
        does: "leave the report in the run directory; remove what was staged",
        before: "", after: "the report is on the disk (fsync)",
        undo: "", deadline_s: 120, grows: Grows::Not,
    },
    Spec {
        name: "return", place: Place::Ram, runs: In::Rehearsal, needs: &["report"],
        does: "unmount the root, boot the old OS",
        before: "the commit point was not passed", after: "",
        undo: "", deadline_s: 120, grows: Grows::Not,
    },
    Spec {
        name: COMMIT, place: Place::Ram, runs: In::Reinstall, needs: &["verify", "network"],
        does: "write the journal, then switch what the firmware starts to the staged image",
        before: "its loader is beside the one in use, read back", after: "one write to each, read back",
        undo: "give back the sectors; read-only", deadline_s: 120, grows: Grows::Not,
    },
    Spec {
        name: "wipe", place: Place::Ram, runs: In::Reinstall, needs: &[COMMIT],
        does: "remove the old OS, all but the kept paths",
        before: "no kept path leads through a link or a mount", after: "nothing mounted was passed over",
        undo: "", deadline_s: 300, grows: Grows::Wiped,
    },
    Spec {
        name: "unpack", place: Place::Ram, runs: In::Reinstall, needs: &["wipe"],
        does: "unpack the new OS",
        before: "a second attempt wipes first", after: "every digest and count is right, synced",
        undo: "", deadline_s: 300, grows: Grows::Unpacked,
    },
    Spec {
        name: "carry", place: Place::Ram, runs: In::Reinstall, needs: &["unpack"],
        does: "give back network, accounts, names, keys and mounts",
        before: "", after: "synced",
        undo: "", deadline_s: 300, grows: Grows::Not,
    },
    Spec {
        name: AFTER_UNPACK, place: Place::Ram, runs: In::Reinstall, needs: &["carry"],
        does: "call the programs for the new OS's root, in it",
        before: "what is kept is read-only for them", after: "one that fails is told by the first boot",
        undo: "", deadline_s: 120, grows: Grows::Hooks,
    },
    Spec {
        name: "loader", place: Place::Ram, runs: In::Reinstall, needs: &["carry", AFTER_UNPACK],
        does: "make the new boot loader, beside the one in use",
        before: "there is room beside the one in use", after: "read back from the disk",
        undo: "", deadline_s: 900, grows: Grows::Not,
    },
    Spec {
        name: "check", place: Place::Ram, runs: In::Reinstall, needs: &["loader"],
        does: "check loader, configuration, kernel, initrd, fstab, init and kept paths",
        before: "", after: "the kept paths measure as before the wipe",
        undo: "", deadline_s: 300, grows: Grows::Anew,
    },
    Spec {
        name: "switch", place: Place::Ram, runs: In::Reinstall, needs: &["check"],
        does: "leave the records; switch what the firmware starts to the new loader, the last write",
        before: "the check passed, everything is on the disk", after: "read back",
        undo: "", deadline_s: 300, grows: Grows::Not,
    },
    Spec {
        name: "reboot", place: Place::Ram, runs: In::Reinstall, needs: &["switch"],
        does: "unmount, reboot",
        before: "", after: "",
        undo: "", deadline_s: 300, grows: Grows::Not,
    },
    Spec {
        name: FIRST_BOOT, place: Place::NewOs, runs: In::Reinstall, needs: &["reboot"],
        does: "call the programs for the first boot",
        before: "they are root's", after: "one that fails makes the machine unconfirmed",
        undo: "", deadline_s: 60, grows: Grows::Hooks,
    },
    Spec {
        name: "confirm", place: Place::NewOs, runs: In::Reinstall, needs: &["reboot", FIRST_BOOT],
        does: "compare the machine with the plan at the first boot",
        before: "", after: "the summary is shown at the next login",
        undo: "", deadline_s: 900, grows: Grows::Not,
    },
];

/// The step that ends with the commit point.
pub const COMMIT: &str = "commit";
/// The step that calls programs in the old OS.
pub const BEFORE_STOP: &str = "before-stop";
/// The step that calls programs in the new OS's root. What they do is not needed for it to boot.
pub const AFTER_UNPACK: &str = "after-unpack";
/// The step that calls programs at the first boot.
pub const FIRST_BOOT: &str = "first-boot";
/// The step from which on the old OS's services are not running any more.
pub(crate) const STOP: &str = "stop";
const LOAD: &str = "load";
const ENTER: &str = "enter";

/// What an entry does in its own way.
struct Way {
    load: &'static str,
    load_before: &'static str,
    load_after: &'static str,
    unload: &'static str,
    enter: &'static str,
    enter_before: &'static str,
}

#[rustfmt::skip]
fn way(entry: Entry) -> Way {
    match entry {
        Entry::Kexec => Way {
            load: "load kernel and initramfs by kexec",
            load_before: "nobody has them open for writing", load_after: "the kernel says that they are loaded",
            unload: "unload them again",
            enter: "replace the running kernel", enter_before: "nothing is open for writing",
        },
        Entry::Takeover => Way {
            load: "unpack the RAM environment into a tmpfs of its own",
            load_before: "memory suffices", load_after: "the init in it can be executed",
            unload: "unmount it",
            enter: "make PID 1 execute the init", enter_before: "nothing is open for writing",
        },
        Entry::Boot => Way {
            load: "point the boot loader at the staged files, for one boot",
            load_before: "the boot loader can be written", load_after: "read back from the disk",
            unload: "point it back",
            enter: "reboot through the boot loader", enter_before: "nothing is open for writing",
        },
    }
}

/// The steps of a run, in the order in which they are done.
pub fn steps(c: Circumstances) -> Vec<Step> {
    let is_in = |spec: &&Spec| spec.is_in(c.mode) && spec.called(c.hooks) != Some(0);
    let mut rows: Vec<&Spec> = STEPS.iter().filter(is_in).collect();
    if !c.load_before_stop {
        // Nothing but `enter` needs it, so it may wait until the services' memory is there.
        let at = |rows: &[&Spec], name| rows.iter().position(|s| s.name == name);
        if let (Some(load), Some(stop)) = (at(&rows, LOAD), at(&rows, STOP)) {
            let spec = rows.remove(load);
            // What followed moved up by one: this is the place behind `stop`.
            rows.insert(stop, spec);
        }
    }
    let mut stopped = false;
    let mut committed = false;
    let mut steps = Vec::with_capacity(rows.len());
    for spec in rows {
        stopped |= spec.name == STOP;
        let on_failure = match (spec.place, committed, stopped) {
            (Place::NewOs, ..) => OnFailure::Tell,
            (_, true, _) if spec.name == AFTER_UNPACK => OnFailure::Tell,
            (_, true, _) => OnFailure::Hold,
            (_, false, true) => OnFailure::Reboot,
            (_, false, false) => OnFailure::Revert,
        };
        steps.push(spec.step(c, on_failure));
        committed |= spec.name == COMMIT;
    }
    let names: Vec<String> = steps.iter().map(|step| step.name.clone()).collect();
    for step in &mut steps {
        step.needs.retain(|need| names.contains(need));
    }
    steps
}

impl Spec {
    fn is_in(&self, mode: Mode) -> bool {
        match self.runs {
            In::Both => true,
            In::Reinstall => mode == Mode::Reinstall,
            In::Rehearsal => mode == Mode::Rehearse,
        }
    }

    /// How many programs it calls, if that is what it does.
    fn called(&self, hooks: HookCounts) -> Option<u64> {
        match self.name {
            BEFORE_STOP => Some(hooks.before_stop),
            AFTER_UNPACK => Some(hooks.after_unpack),
            FIRST_BOOT => Some(hooks.first_boot),
            _ => None,
        }
    }

    fn step(&self, c: Circumstances, on_failure: OnFailure) -> Step {
        let way = way(c.entry);
        let (does, before, after, undo) = match self.name {
            LOAD => (way.load, way.load_before, way.load_after, way.unload),
            ENTER => (way.enter, way.enter_before, self.after, self.undo),
            _ => (self.does, self.before, self.after, self.undo),
        };
        Step {
            name: self.name.to_owned(),
            place: self.place,
            needs: self.needs.iter().map(|&n| n.to_owned()).collect(),
            does: does.to_owned(),
            before: before.to_owned(),
            after: after.to_owned(),
            undo: (!undo.is_empty()).then(|| undo.to_owned()),
            retry: (on_failure == OnFailure::Hold).then_some(RETRY),
            deadline_s: self.deadline_s
                + self.grows.seconds(c)
                + self.called(c.hooks).unwrap_or(0) * hooks::LIMIT_S,
            progress: matches!(self.grows, Grows::Anew | Grows::Wiped | Grows::Unpacked),
            on_failure,
        }
    }
}

impl Grows {
    fn seconds(self, c: Circumstances) -> u64 {
        match self {
            Grows::Not | Grows::Anew | Grows::Hooks => 0,
            Grows::Wiped => c.wiped.bytes / FREED_A_SECOND,
            Grows::Unpacked => c.unpacked.bytes / BYTES_A_SECOND,
        }
    }
}

#[cfg(test)]
#[path = "steps_tests.rs"]
mod tests;
