//! A reinstallation as a program does it that must do nothing twice: it names the newest run, its own run
//! and what was consented to, and asks the new OS how it ended.

use std::path::Path;

use anyhow::{ensure, Context, Result};
use formats::steps::{OnFailure, Place};
use formats::told::{Event, What};
use formats::Document;
use plan::plan_document::PlanDocument;
use plan::status::{Confirmation, RunStatus, State, Status};

use crate::listener::Listener;
use crate::reinstall::{IMAGE_ON_MACHINE, KEEP, LIMIT};
use crate::vm::Machine;
use crate::watching::watch;

/// What the run signs with, and where it is told so.
const KEY: &str = "a key that only the tests have";
const KEY_ON_MACHINE: &str = "/root/report-key";
/// The run's name, and one that it may not have.
const RUN: &str = "20200101T000000Z-program1";
const OTHER: &str = "20200101T000000Z-program2";

/// Reinstalls the machine and waits until the new OS says that the run is done and confirmed.
pub fn reinstall(machine: &mut Machine, image: &Path, arguments: &str) -> Result<()> {
    machine.copy_to(image, IMAGE_ON_MACHINE)?;
    let text = machine.expect(&format!(
        "{IMAGE_ON_MACHINE} plan --json {KEEP} {arguments}"
    ))?;
    let plan = PlanDocument::from_json(text.as_bytes()).context("plan --json")?;
    // Nobody has begun that run, so that none may follow it.
    let closed = machine.ssh(&format!(
        "{IMAGE_ON_MACHINE} go --yes --after {OTHER} --run {RUN}"
    ))?;
    ensure!(closed.status == 5, "{closed:?}");
    let listener = Listener::start(KEY)?;
    machine.expect(&format!("(umask 077; echo {KEY} >{KEY_ON_MACHINE})"))?;
    let command = format!(
        "{IMAGE_ON_MACHINE} go --yes {KEEP} {arguments} --after none --run {RUN} --consent {} \
         --report-to {} --report-key {KEY_ON_MACHINE}",
        plan.consent, listener.url
    );
    let limit = machine.patience(LIMIT);
    let watched = watch(machine, &command, limit, |line| println!("{line}"))?;
    ensure!(
        watched.status == 0 && watched.said.contains("done: the first boot is as planned"),
        "the machine was not reinstalled: {watched:?}\n{}",
        machine.console_tail()
    );
    machine.wait_for_ssh()?;
    assert_told(&listener.heard()?, &plan)?;
    let status = ended(machine)?;
    ensure!(status.newest.as_deref() == Some(RUN) && status.in_progress.is_none());
    let run = status.runs.first().context("no run")?;
    assert_done(run, &status, &plan)
}

/// Each step of the plan was told, from every place. What lies between the end of services and the RAM
/// environment's network may be lost: nothing could be told then.
fn assert_told(heard: &[Event], plan: &PlanDocument) -> Result<()> {
    ensure!(
        heard
            .iter()
            .all(|e| e.run == RUN && e.hostname == plan.plan.hostname),
        "{heard:#?}"
    );
    for step in &plan.plan.steps {
        let told = |what| {
            let is = |e: &&Event| e.step == step.name && e.place == step.place && e.what == what;
            heard.iter().any(|e| is(&e))
        };
        let lost = step.place == Place::OldOs && step.on_failure != OnFailure::Revert;
        ensure!(
            lost || (told(What::Begun) && (told(What::Done) || step.name == "reboot")),
            "{} was not told: {heard:#?}",
            step.name
        );
    }
    Ok(())
}

/// Waits for the run's end where the image is gone.
fn ended(machine: &Machine) -> Result<Status> {
    let program = format!("/var/log/reroot/{RUN}/reroot");
    let seconds = machine.patience(LIMIT).as_secs();
    let waiting = format!("{program} wait {RUN} --json --timeout 20");
    let mut waited = machine.ssh(&waiting)?;
    // Each call is shorter than a command on the machine may take.
    for _ in 0..seconds / 20 {
        if waited.status != 7 {
            break;
        }
        waited = machine.ssh(&waiting)?;
    }
    ensure!(waited.status == 0, "{waited:?}");
    let all = machine.expect(&format!("{program} status --json"))?;
    let all = Status::from_json(all.as_bytes()).context("status --json")?;
    let one = Status::from_json(waited.stdout.as_bytes()).context("wait --json")?;
    ensure!(one.runs == all.runs, "one run is there: {one:#?} {all:#?}");
    Ok(all)
}

fn assert_done(run: &RunStatus, status: &Status, plan: &PlanDocument) -> Result<()> {
    ensure!(
        run.state == State::Done && run.confirmation == Confirmation::Passed,
        "{run:#?}"
    );
    ensure!(
        run.run == RUN && run.number == 1 && run.exit == Some(0),
        "{run:#?}"
    );
    ensure!(run.consent.as_ref() == Some(&plan.consent), "{run:#?}");
    // The rest grows with what is wiped, which moves.
    let confirm_s = plan.deadlines.confirm_s;
    ensure!(run
        .deadlines
        .is_some_and(|d| d.confirm_s == confirm_s && d.silent_s > 0));
    ensure!(
        !run.begun_in.is_empty() && run.begun_in != status.boot_id,
        "it is another boot: {status:#?}"
    );
    ensure!(
        status.os.version_id == plan.plan.new_os.version_id,
        "{:?}",
        status.os
    );
    Ok(())
}
