//! The power of a tiny machine is cut in every step of a run, on whichever row of the table it is. The run is recorded
//! write by write, and its disk made again as it was then; or the machine is cut while it runs.

use std::time::Duration;

use anyhow::{ensure, Context, Result};
use formats::entry::Entry;
use reroot_tests::evidence::{self, Evidence};
use reroot_tests::images::tiny as tiny_image;
use reroot_tests::moments::{block_of_payload, half, Moments};
use reroot_tests::old_server::{Firmware, OldServer};
use reroot_tests::power::{recorded, Recording, Write};
use reroot_tests::reinstall::{reinstall, start, wait_for_new_os, LIMIT};
use reroot_tests::shop_data::KEPT;
use reroot_tests::tiny::layouts::Layout;
use reroot_tests::tiny::{self, MEMORY_MIB};
use reroot_tests::vm::Machine;

use crate::tiny_machine::{
    boot_files, fill_subvolumes, is_new, is_new_by_another_path, is_old, is_on, subvolumes_beside,
};

/// How long a boot may take on real hardware until the init has found out where it is.
pub const DECISION: Duration = Duration::from_secs(30);

/// What a run left on the console when it goes on behind the commit point.
pub const TAKEN_UP: &str = "it is taken up from the wipe on";

/// The same where only the last switch was missing.
pub const SWITCHED: &str = "the run was broken off behind its last phase";

/// The old server on such a disk, in a machine with this firmware.
pub fn started_by(layout: &Layout, firmware: Firmware) -> Result<OldServer> {
    let server = tiny::server(layout)?;
    Ok(OldServer { firmware, ..server })
}

/// What a machine is compared with: everything that a run leaves as it is.
pub struct Before {
    layout: &'static Layout,
    kept: Vec<Evidence>,
    boot: Option<String>,
    beside: Option<String>,
}

impl Before {
    /// Of an old OS, with something in every subvolume that goes.
    pub fn of(layout: &'static Layout, machine: &Machine) -> Result<Before> {
        is_on(layout, machine, tiny::OLD)?;
        fill_subvolumes(layout, machine)?;
        Ok(Before {
            layout,
            kept: evidence::gather(machine, &KEPT)?,
            boot: boot_files(layout, machine)?,
            beside: subvolumes_beside(layout, machine)?,
        })
    }

    fn is_left(&self, machine: &Machine) -> Result<()> {
        assert_eq!(boot_files(self.layout, machine)?, self.boot);
        assert_eq!(subvolumes_beside(self.layout, machine)?, self.beside);
        Ok(())
    }

    /// The old OS, whole.
    fn is_old(&self, machine: &Machine) -> Result<()> {
        is_old(self.layout, machine, &self.kept)?;
        self.is_left(machine)
    }

    /// The new OS, whole, which has confirmed that it is as planned.
    pub fn is_new(&self, machine: &Machine) -> Result<()> {
        is_new(self.layout, machine, &self.kept)?;
        self.is_left(machine)
    }

    /// The same, started by a path that was not the one in use.
    fn is_new_by_another_path(&self, machine: &Machine) -> Result<()> {
        is_new_by_another_path(self.layout, machine, &self.kept)?;
        self.is_left(machine)
    }

    /// Waits for the new OS of a run that was taken up.
    fn expect_new(&self, machine: &mut Machine) -> Result<()> {
        wait_for_new_os(machine)?;
        self.is_new(machine)
    }
}

/// How far a run that is taken up is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Followed {
    /// To the new OS.
    ToItsEnd,
    /// To the line that says so: behind it the run is the same whatever it was cut in.
    ToThatLine,
}

/// A recorded run, and what its machines are compared with.
struct Cuts {
    layout: &'static Layout,
    firmware: Firmware,
    recording: Recording,
    writes: Vec<Write>,
    before: Before,
    /// Of the old OS, by [`evidence::EVERYTHING`].
    listing: String,
    /// The launcher's.
    log: String,
    /// As of [`block_of_payload`].
    payload: Vec<u8>,
}

impl Cuts {
    /// Makes the disk as it was after so many writes, and switches it on by this firmware.
    fn switched_on(
        &mut self,
        (name, count): (&str, usize),
        firmware: Firmware,
        lost: impl Fn(usize) -> bool,
    ) -> Result<Machine> {
        let writes = self.writes.len();
        println!("cut {name}: after write {count} of {writes}, by {firmware:?}");
        let cut = self.recording.disk_after(name, &self.writes, count, lost)?;
        cut.started_by(firmware).boot(MEMORY_MIB)
    }

    /// The old OS must be there, with everything.
    fn expect_old(&mut self, name: &str, count: usize) -> Result<()> {
        let mut machine = self.switched_on((name, count), self.firmware, |_| false)?;
        machine.wait_for_old_ssh()?;
        self.before.is_old(&machine)
    }

    /// The RAM environment starts, and does not come up: its initramfs is damaged. One reset later the
    /// old OS is back.
    fn damaged_initramfs(&mut self, armed: usize) -> Result<()> {
        let cut = self
            .recording
            .disk_after("damaged", &self.writes, armed + 1, |_| false)?;
        let sector = sector_of("initramfs at sector ", &self.log)?;
        let offset = sector * 512 + (64 << 10);
        cut.overwrite(offset, &vec![0; 1 << 20])?;
        let mut machine = cut.started_by(self.firmware).boot(MEMORY_MIB)?;
        let patience = machine.patience(DECISION);
        machine.wait_for_line("Kernel panic - not syncing", patience)?;
        let server = started_by(self.layout, self.firmware)?;
        let mut machine = machine.cut_power()?.boot(&server, MEMORY_MIB)?;
        machine.wait_for_old_ssh()?;
        self.before.is_old(&machine)
    }

    /// It comes up and finds the staged payload damaged: it gives back what it has of GRUB's.
    fn damaged_payload(&mut self, armed: usize) -> Result<()> {
        let cut = self
            .recording
            .disk_after("undone", &self.writes, armed + 1, |_| false)?;
        let staged = &self.writes[..armed];
        let places = self.recording.places_of(staged, &self.payload)?;
        ensure!(!places.is_empty(), "the payload was not staged");
        for place in places {
            cut.overwrite(place, &[0; 4096])?;
        }
        let mut machine = cut.started_by(self.firmware).boot(MEMORY_MIB)?;
        let patience = machine.patience(LIMIT);
        machine.wait_for_line("rebooting into the old OS", patience)?;
        machine.wait_for_old_ssh()?;
        self.before.is_old(&machine)?;
        assert_eq!(machine.expect(evidence::EVERYTHING)?, self.listing);
        machine.expect("! grep -qs reroot_ /boot/grub/grubenv && test -s /.reroot/*/init.log")?;
        Ok(())
    }

    /// The run must be taken up.
    fn expect_taken_up(
        &mut self,
        cut: (&str, usize),
        firmware: Firmware,
        lost: impl Fn(usize) -> bool,
        followed: Followed,
    ) -> Result<()> {
        let mut machine = self.switched_on(cut, firmware, lost)?;
        let patience = machine.patience(DECISION);
        machine.wait_for_line(TAKEN_UP, patience)?;
        if followed == Followed::ToThatLine {
            return Ok(());
        }
        wait_for_new_os(&mut machine)?;
        self.is_new_by(firmware, &machine)
    }

    /// The new OS, whole, which this firmware has started.
    fn is_new_by(&self, firmware: Firmware, machine: &Machine) -> Result<()> {
        if firmware == self.firmware {
            self.before.is_new(machine)
        } else {
            self.before.is_new_by_another_path(machine)
        }
    }

    /// Only the last switch is missing: nothing is wiped any more.
    fn expect_switched(&mut self, name: &str, count: usize) -> Result<()> {
        let mut machine = self.switched_on((name, count), self.firmware, |_| false)?;
        let patience = machine.patience(DECISION);
        machine.wait_for_line(SWITCHED, patience)?;
        self.before.expect_new(&mut machine)
    }

    /// Nothing is missing any more.
    fn expect_new_at_once(&mut self, name: &str, count: usize, firmware: Firmware) -> Result<()> {
        let mut machine = self.switched_on((name, count), firmware, |_| false)?;
        machine.wait_for_ssh()?;
        self.is_new_by(firmware, &machine)
    }
}

/// Waits for the new OS, which must be whole, and confirm that it is.
pub fn expect_new(layout: &Layout, machine: &mut Machine, before: &[Evidence]) -> Result<()> {
    wait_for_new_os(machine)?;
    is_new(layout, machine, before)
}

/// Reinstalls a machine on this disk, with everything recorded.
fn reinstalled_and_recorded(
    layout: &'static Layout,
    firmware: Firmware,
    entry: Entry,
) -> Result<(Cuts, Moments)> {
    let image = tiny_image()?;
    let payload = block_of_payload(&image)?;
    let server = started_by(layout, firmware)?;
    let (mut machine, recording) = recorded(server, layout.name, MEMORY_MIB)?;
    let before = Before::of(layout, &machine)?;
    let listing = machine.expect(evidence::EVERYTHING)?;
    let arguments = format!("--entry {} --payload disk", entry.name());
    reinstall(&mut machine, &image, &arguments)?;
    before.is_new(&machine)?;
    let log = machine.expect("cat /var/log/reroot/*/launch.log")?;
    drop(machine);

    let writes = recording.writes()?;
    let at = Moments::find(firmware, &recording, &writes, &payload)?;
    ensure!(
        at.armed.is_some() == (entry == Entry::Boot),
        "told GRUB: {at:?}"
    );
    let cuts = Cuts {
        layout,
        firmware,
        recording,
        writes,
        before,
        listing,
        log,
        payload,
    };
    Ok((cuts, at))
}

/// The power is cut in every step of a run by this entry. Each disk is switched on again by the firmware that the run
/// knew as the one in use; where one sector has decided, and the disk has paths for both, by the other one too. `make
/// test` has less of it: by the one in use alone, and of the runs that are taken up one is followed to its end.
pub fn cut_in_every_step(layout: &'static Layout, firmware: Firmware, entry: Entry) -> Result<()> {
    let proof = std::env::var_os("REROOT_PROVE").is_some();
    let (firmwares, followed) = if proof {
        (layout.started_by(firmware), Followed::ToItsEnd)
    } else {
        (vec![firmware], Followed::ToThatLine)
    };
    let (mut cuts, at) = reinstalled_and_recorded(layout, firmware, entry)?;

    // Some of it is staged, services are up, nothing that starts anything knows of it yet.
    let staged = at.armed.unwrap_or(at.committed);
    cuts.expect_old("staging", usize::midpoint(at.staging, staged))?;
    if let Some(armed) = at.armed {
        cuts.damaged_initramfs(armed)?;
        cuts.damaged_payload(armed)?;
    }
    // The journal says committed, what the firmware starts does not yet.
    cuts.expect_old("before-commit", at.committed)?;
    for by in &firmwares {
        let cut = ("committed", at.committed + 1);
        cuts.expect_taken_up(cut, *by, |_| false, followed)?;
    }
    let cut = ("wipe", usize::midpoint(at.wipe, at.unpack));
    cuts.expect_taken_up(cut, firmware, |_| false, followed)?;
    // Half of what was not flushed is lost, too.
    let cut = ("unpack", usize::midpoint(at.unpack, at.carry));
    cuts.expect_taken_up(cut, firmware, half, Followed::ToItsEnd)?;
    if proof {
        let cut = ("carry", at.carry + 2);
        cuts.expect_taken_up(cut, firmware, |_| false, followed)?;
    }
    let cut = ("loader", usize::midpoint(at.loader, at.switched));
    cuts.expect_taken_up(cut, firmware, |_| false, followed)?;
    // Nothing is missing but the last sector; then nothing at all.
    cuts.expect_switched("before-switch", at.switched)?;
    for by in &firmwares {
        cuts.expect_new_at_once("switched", at.switched + 1, *by)?;
    }
    Ok(())
}

/// The number behind a text.
fn sector_of(text: &str, log: &str) -> Result<u64> {
    let at = log.find(text).with_context(|| format!("{text}: {log}"))? + text.len();
    let digits: String = log[at..].chars().take_while(char::is_ascii_digit).collect();
    digits.parse().context("a sector's number")
}

/// The power of a machine that runs is cut while the old OS is being removed.
pub fn cut_while_it_is_wiped(layout: &'static Layout, firmware: Firmware) -> Result<()> {
    let image = tiny_image()?;
    let server = started_by(layout, firmware)?;
    let mut machine = Machine::boot(&server, "kexec-cut", MEMORY_MIB)?;
    machine.wait_for_old_ssh()?;
    // So that the wipe is not over before it is seen.
    machine.expect("mkdir /opt/old && cd /opt/old && seq 5000 | xargs touch")?;
    let before = Before::of(layout, &machine)?;
    let _started = start(&machine, &image, "--kexec-call load --payload disk")?;
    let patience = machine.patience(LIMIT);
    machine.wait_for_line("reroot: wipe: begins", patience)?;
    let mut machine = machine.cut_power()?.boot(&server, MEMORY_MIB)?;
    let patience = machine.patience(DECISION);
    machine.wait_for_line(TAKEN_UP, patience)?;
    before.expect_new(&mut machine)
}
