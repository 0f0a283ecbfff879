//! The power of a tiny machine is cut at the moments that matter, on whichever row of the table it is. The run is recorded
//! write by write, and its disk made again as it was then; or the machine is cut while it runs.

use std::time::Duration;

use anyhow::{ensure, Context, Result};
use reroot_tests::evidence::{self, Evidence};
use reroot_tests::images::tiny as tiny_image;
use reroot_tests::moments::{block_of_payload, half, Moments, Switches};
use reroot_tests::old_server::{Firmware, OldServer};
use reroot_tests::power::{recorded, Recording, Write};
use reroot_tests::reinstall::{reinstall, start, LIMIT};
use reroot_tests::shop_data::KEPT;
use reroot_tests::tiny::layouts::{Kind, Layout};
use reroot_tests::tiny::{self, MEMORY_MIB};
use reroot_tests::vm::Machine;

use crate::tiny_machine::{
    fill_subvolumes, is_new, is_new_by_another_path, is_old, is_on, subvolumes_beside,
};

/// How long a boot may take on real hardware until the init has found out where it is.
pub const DECISION: Duration = Duration::from_secs(30);

/// What a run left on the console when it goes on behind the commit point.
pub const TAKEN_UP: &str = "it is taken up from the wipe on";

/// The same where only the last switch was missing.
const SWITCHED: &str = "the run was broken off behind its last phase";

/// The old server on such a disk, in a machine with this firmware.
pub fn started_by(layout: &Layout, firmware: Firmware) -> Result<OldServer> {
    let server = tiny::server(layout)?;
    Ok(OldServer { firmware, ..server })
}

/// A recorded run, and what its machines are compared with.
struct Cuts {
    layout: &'static Layout,
    recording: Recording,
    writes: Vec<Write>,
    before: Vec<Evidence>,
    /// Of the old OS, by [`evidence::EVERYTHING`].
    listing: String,
    /// The launcher's.
    log: String,
    /// As of [`block_of_payload`].
    payload: Vec<u8>,
}

impl Cuts {
    /// Switches a disk on and waits for the old OS, which must have everything.
    fn expect_old(&mut self, name: &str, count: usize) -> Result<Machine> {
        println!("cut {name}: after write {count} of {}", self.writes.len());
        let cut = self
            .recording
            .disk_after(name, &self.writes, count, |_| false)?;
        let mut machine = cut.boot(MEMORY_MIB)?;
        machine.wait_for_old_ssh()?;
        is_old(self.layout, &machine, &self.before)?;
        Ok(machine)
    }

    /// The RAM environment starts, and does not come up: its initramfs is damaged. One reset later the
    /// old OS is back.
    fn damaged_initramfs(&mut self, at: &Moments) -> Result<()> {
        let cut = self
            .recording
            .disk_after("damaged", &self.writes, at.armed + 1, |_| false)?;
        let sector = sector_of("initramfs at sector ", &self.log)?;
        let offset = sector * 512 + (64 << 10);
        cut.overwrite(offset, &vec![0; 1 << 20])?;
        let mut machine = cut.boot(MEMORY_MIB)?;
        let patience = machine.patience(DECISION);
        machine.wait_for_line("Kernel panic - not syncing", patience)?;
        let server = tiny::server(self.layout)?;
        let mut machine = machine.cut_power()?.boot(&server, MEMORY_MIB)?;
        machine.wait_for_old_ssh()?;
        is_old(self.layout, &machine, &self.before)
    }

    /// It comes up and finds the staged payload damaged: it gives back what it has of GRUB's.
    fn damaged_payload(&mut self, at: &Moments) -> Result<()> {
        let cut = self
            .recording
            .disk_after("undone", &self.writes, at.armed + 1, |_| false)?;
        let staged = &self.writes[..at.armed];
        let places = self.recording.places_of(staged, &self.payload)?;
        ensure!(!places.is_empty(), "the payload was not staged");
        for place in places {
            cut.overwrite(place, &[0; 4096])?;
        }
        let mut machine = cut.boot(MEMORY_MIB)?;
        let patience = machine.patience(LIMIT);
        machine.wait_for_line("rebooting into the old OS", patience)?;
        machine.wait_for_old_ssh()?;
        is_old(self.layout, &machine, &self.before)?;
        assert_eq!(machine.expect(evidence::EVERYTHING)?, self.listing);
        machine.expect("! grep -qs reroot_ /boot/grub/grubenv && test -s /.reroot/*/init.log")?;
        Ok(())
    }

    /// Switches a disk on to which nothing is missing any more.
    fn expect_new_at_once(&mut self, name: &str, count: usize) -> Result<()> {
        println!("cut {name}: after write {count} of {}", self.writes.len());
        let cut = self
            .recording
            .disk_after(name, &self.writes, count, |_| false)?;
        let mut machine = cut.boot(MEMORY_MIB)?;
        machine.wait_for_ssh()?;
        is_new(self.layout, &machine, &self.before)
    }

    /// Switches a disk on to which only the last switch is missing: nothing is wiped any more.
    fn expect_switched(&mut self, name: &str, count: usize) -> Result<()> {
        println!("cut {name}: after write {count} of {}", self.writes.len());
        let cut = self
            .recording
            .disk_after(name, &self.writes, count, |_| false)?;
        let mut machine = cut.boot(MEMORY_MIB)?;
        let patience = machine.patience(DECISION);
        machine.wait_for_line(SWITCHED, patience)?;
        expect_new(self.layout, &mut machine, &self.before)
    }

    /// Switches a disk on and waits until the init has taken the run up.
    fn expect_taken_up(
        &mut self,
        name: &str,
        count: usize,
        lost: impl Fn(usize) -> bool,
    ) -> Result<Machine> {
        println!("cut {name}: after write {count} of {}", self.writes.len());
        let cut = self.recording.disk_after(name, &self.writes, count, lost)?;
        let mut machine = cut.boot(MEMORY_MIB)?;
        let patience = machine.patience(DECISION);
        machine.wait_for_line(TAKEN_UP, patience)?;
        Ok(machine)
    }
}

/// Waits for the new OS, which must be whole, and confirm that it is.
pub fn expect_new(layout: &Layout, machine: &mut Machine, before: &[Evidence]) -> Result<()> {
    let patience = machine.patience(LIMIT);
    machine.wait_for_line("reroot: rebooting into the new OS", patience)?;
    machine.wait_for_ssh()?;
    is_new(layout, machine, before)
}

/// Reinstalls a machine on this disk through its boot loader, with everything recorded.
fn reinstalled_and_recorded(layout: &'static Layout) -> Result<(Cuts, Moments)> {
    let image = tiny_image()?;
    let payload = block_of_payload(&image)?;
    let server = tiny::server(layout)?;
    let (mut machine, recording) = recorded(server, layout.name, MEMORY_MIB)?;
    is_on(layout, &machine, tiny::OLD)?;
    let before = evidence::gather(&machine, &KEPT)?;
    let listing = machine.expect(evidence::EVERYTHING)?;
    reinstall(&mut machine, &image, "--entry boot")?;
    is_new(layout, &machine, &before)?;
    let log = machine.expect("cat /var/log/reroot/*/launch.log")?;
    drop(machine);

    let writes = recording.writes()?;
    let at = Moments::find(&recording, &writes, &payload)?;
    let cuts = Cuts {
        layout,
        recording,
        writes,
        before,
        listing,
        log,
        payload,
    };
    Ok((cuts, at))
}

/// The power is cut where one sector decides, and in between.
pub fn cut_at_the_commit(layout: &'static Layout) -> Result<()> {
    let (mut cuts, at) = reinstalled_and_recorded(layout)?;
    cuts.expect_old("before-commit", at.committed)?;
    cuts.expect_taken_up("committed", at.committed + 1, |_| false)?;
    let wiping = usize::midpoint(at.wipe, at.unpack);
    let mut machine = cuts.expect_taken_up("wipe", wiping, |_| false)?;
    expect_new(layout, &mut machine, &cuts.before)?;
    drop(machine);
    cuts.expect_switched("before-switch", at.switched)?;
    cuts.expect_new_at_once("switched", at.switched + 1)
}

/// A run that began with kexec, by this firmware: its power is cut where one sector decides. Each disk is switched on
/// again by that firmware; where it has paths for both, by the other one too.
pub fn cut_at_the_switches(layout: &'static Layout, firmware: Firmware) -> Result<()> {
    let image = tiny_image()?;
    let payload = block_of_payload(&image)?;
    let server = started_by(layout, firmware)?;
    let (mut machine, mut recording) = recorded(server, "switches", MEMORY_MIB)?;
    is_on(layout, &machine, tiny::OLD)?;
    fill_subvolumes(layout, &machine)?;
    let before = evidence::gather(&machine, &KEPT)?;
    let beside = subvolumes_beside(layout, &machine)?;
    let begun = recording.writes()?.len();
    reinstall(&mut machine, &image, "--entry kexec --payload disk")?;
    is_new(layout, &machine, &before)?;
    drop(machine);

    let writes = recording.writes()?;
    ensure!(
        !recording.places_of(&writes[begun..], &payload)?.is_empty(),
        "the payload was not staged"
    );
    let at = Switches::of(firmware, &recording, &writes, begun)?;
    let mut switched_on = |name: &str, count: usize, firmware: Firmware| {
        println!(
            "cut {name}: after write {count} of {}, by {firmware:?}",
            writes.len()
        );
        let cut = recording.disk_after(name, &writes, count, |_| false)?;
        cut.started_by(firmware).boot(MEMORY_MIB)
    };
    // What stays as it was is so after each of them.
    let is_beside = |machine: &Machine| -> Result<()> {
        assert_eq!(subvolumes_beside(layout, machine)?, beside);
        Ok(())
    };
    let mut machine = switched_on("before-commit", at.committed, firmware)?;
    machine.wait_for_old_ssh()?;
    is_old(layout, &machine, &before)?;
    is_beside(&machine)?;
    drop(machine);
    for by in both(layout, firmware) {
        let mut machine = switched_on("committed", at.committed + 1, by)?;
        let patience = machine.patience(DECISION);
        machine.wait_for_line(TAKEN_UP, patience)?;
        if by == firmware {
            expect_new(layout, &mut machine, &before)?;
            is_beside(&machine)?;
        }
    }
    let mut machine = switched_on("before-switch", at.switched, firmware)?;
    let patience = machine.patience(DECISION);
    machine.wait_for_line(SWITCHED, patience)?;
    expect_new(layout, &mut machine, &before)?;
    drop(machine);
    for by in both(layout, firmware) {
        let mut machine = switched_on("switched", at.switched + 1, by)?;
        machine.wait_for_ssh()?;
        if by == firmware {
            is_new(layout, &machine, &before)?;
        } else {
            is_new_by_another_path(layout, &machine, &before)?;
        }
        is_beside(&machine)?;
    }
    Ok(())
}

/// A firmware, and behind it the other one where that starts such a disk too.
fn both(layout: &Layout, firmware: Firmware) -> Vec<Firmware> {
    let other = match firmware {
        Firmware::Bios => Firmware::Uefi,
        Firmware::Uefi | Firmware::UefiSecure => Firmware::Bios,
    };
    let has_both = layout.has(Kind::Esp) && layout.has(Kind::BiosBoot);
    let other = has_both.then_some(other);
    std::iter::once(firmware).chain(other).collect()
}

/// The power is cut at every moment that matters.
pub fn cut_everywhere(layout: &'static Layout) -> Result<()> {
    let (mut cuts, at) = reinstalled_and_recorded(layout)?;

    // Some of it is staged, services are up, GRUB knows nothing of it yet.
    cuts.expect_old("staging", usize::midpoint(at.staging, at.armed))?;

    cuts.damaged_initramfs(&at)?;
    cuts.damaged_payload(&at)?;

    // The journal says committed, the record does not yet.
    cuts.expect_old("before-commit", at.committed)?;
    cuts.expect_taken_up("committed", at.committed + 1, |_| false)?;
    let wiping = usize::midpoint(at.wipe, at.unpack);
    cuts.expect_taken_up("wipe", wiping, |_| false)?;
    // Half of what was not flushed is lost, too.
    let middle = usize::midpoint(at.unpack, at.carry);
    let mut machine = cuts.expect_taken_up("unpack", middle, half)?;
    expect_new(layout, &mut machine, &cuts.before)?;
    drop(machine);
    cuts.expect_taken_up("carry", at.carry + 2, |_| false)?;
    let loader = usize::midpoint(at.loader, at.switched);
    cuts.expect_taken_up("loader", loader, |_| false)?;
    // Nothing is missing but the last sector; then nothing at all.
    cuts.expect_switched("before-switch", at.switched)?;
    cuts.expect_new_at_once("switched", at.switched + 1)
}

/// The number behind a text.
fn sector_of(text: &str, log: &str) -> Result<u64> {
    let at = log.find(text).with_context(|| format!("{text}: {log}"))? + text.len();
    let digits: String = log[at..].chars().take_while(char::is_ascii_digit).collect();
    digits.parse().context("a sector's number")
}

pub fn cut_in_the_wipe(layout: &'static Layout) -> Result<()> {
    cut_in_the_wipe_by(layout, Firmware::Bios)
}

pub fn cut_in_the_wipe_by(layout: &'static Layout, firmware: Firmware) -> Result<()> {
    let image = tiny_image()?;
    let server = started_by(layout, firmware)?;
    let mut machine = Machine::boot(&server, "kexec-cut", MEMORY_MIB)?;
    machine.wait_for_old_ssh()?;
    // So that the wipe is not over before it is seen.
    machine.expect("mkdir /opt/old && cd /opt/old && seq 5000 | xargs touch")?;
    fill_subvolumes(layout, &machine)?;
    let before = evidence::gather(&machine, &KEPT)?;
    let beside = subvolumes_beside(layout, &machine)?;
    let _started = start(&machine, &image, "--kexec-call load --payload disk")?;
    let patience = machine.patience(LIMIT);
    machine.wait_for_line("reroot: wipe: begins", patience)?;
    let mut machine = machine.cut_power()?.boot(&server, MEMORY_MIB)?;
    let patience = machine.patience(DECISION);
    machine.wait_for_line(TAKEN_UP, patience)?;
    expect_new(layout, &mut machine, &before)?;
    assert_eq!(subvolumes_beside(layout, &machine)?, beside);
    Ok(())
}
