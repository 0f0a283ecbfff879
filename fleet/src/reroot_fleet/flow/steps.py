"""What each step does, in the order of the flow: prose over the machine's seam.

A step may be begun again after any of its words, by this conductor or another one. So each of them
looks before it acts, and what it did is asked of the machine and not remembered.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from reroot_fleet.flow.outcome import Again, End, Hold, NotYet, Watch
from reroot_fleet.flow.records import told
from reroot_fleet.machine.faults import Fault, MachineFault
from reroot_fleet.machine.seam import STALE_TICKET, Order, Ticket
from reroot_fleet.memory import surveys
from reroot_fleet.policy.before_go import Rehearsed, may_go, rehearses
from reroot_fleet.policy.verdict import Action, Intent, Judgement, judge
from reroot_fleet.values.atoms import Atom
from reroot_fleet.values.event import What
from reroot_fleet.values.exit_status import ExitStatus
from reroot_fleet.values.findings import Verdict
from reroot_fleet.values.job import JobState
from reroot_fleet.values.machine_status import RunState

if TYPE_CHECKING:
    from collections.abc import Callable

    from reroot_fleet.flow.desk import Desk
    from reroot_fleet.machine.seam import Answer, Look
    from reroot_fleet.values.machine_status import Run

COPY_TURN = timedelta(minutes=15)
"""How long a job waits for its turn to copy before it looks again; it is woken when the turn comes."""
OBEYED = timedelta(seconds=20)
"""How long a program of the image is waited for that runs and has not made its run yet."""
FIRST_BOOT = timedelta(minutes=15)
"""How long the first boot may take for its comparison, beyond the plan's deadlines."""

NEVER_OVER = {
    RunState.COMMITTED: "is behind the commit point and not done",
    RunState.UNKNOWN: "tells nothing about how it stands",
    RunState.IN_PROGRESS: "is in progress, and is not this job's",
}


def check(desk: Desk) -> None:
    """Look at the machine, and ask its checks where the image is there already."""
    look = desk.machine.look(desk.wishes.image)
    newest = look.status.newest
    if (
        newest is not None
        and newest.state in NEVER_OVER
        and newest.id != desk.notes.get("rehearsal")
    ):
        raise End(JobState.REFUSED, f"the run {newest.id} {NEVER_OVER[newest.state]}", ("run",))
    if look.image_there:
        _ask_checks(desk)


def copy(desk: Desk) -> None:
    """Put the image in place, and ask its checks."""
    if not desk.machine.look(desk.wishes.image).image_there:
        if not desk.seams.copies.take(desk.job.id, desk.night.policy.copies.at_once):
            raise NotYet(desk.now + COPY_TURN)
        try:
            desk.may_go_on()
            desk.machine.copy(desk.seams.image, desk.night.policy.copies.kib_per_s)
        finally:
            desk.seams.copies.give(desk.job.id)
    if not desk.notes.get("asked"):
        _ask_checks(desk)


def _ask_checks(desk: Desk) -> None:
    findings = desk.machine.check(desk.wishes)
    forced = desk.wishes.force
    refusing = [f for f in findings if f.verdict is Verdict.REFUSE and f.code not in forced]
    if refusing:
        first = refusing[0]
        cause = f"{first.code}: {first.found or first.question}"
        raise End(JobState.REFUSED, cause, tuple(f.code for f in refusing))
    plan = desk.machine.plan(desk.wishes)
    known = {
        "deadlines_s": plan.deadlines_s,
        "consent": plan.consent,
        "class": plan.machine_class.key,
    }
    desk.tell(What.PLAN_KNOWN, known, notes={**desk.notes, "asked": True})


def rehearse(desk: Desk) -> None:
    """Enter the RAM environment, check everything, come back; where the policy or the job wants it."""
    consent = desk.job.consent or ""
    if not rehearses(desk.night.policy, desk.job):
        return
    if _rehearsed(desk) is not None:
        return
    look = _look_in_rehearsal(desk)
    run = desk.notes.get("rehearsal")
    if run is None:
        run = run_id(desk, "rehearsal")
        until = desk.now + timedelta(seconds=desk.job.deadlines_s or 7200)
        desk.note(
            rehearsal=run, rehearsal_after=look.status.after, rehearsal_until=until.isoformat()
        )
    found = look.status.run(run)
    if found is None:
        order = Order(
            run,
            desk.notes.get("rehearsal_after"),
            desk.job.consent,
            desk.wishes,
            _ticket(desk, look),
        )
        desk.may_go_on()
        answer = desk.machine.rehearse(order)
        if not answer.begun:
            raise _not_begun(answer)
    if found is not None and look.in_ram and found.state is RunState.COMMITTED:
        raise Hold(f"the rehearsal holds in the RAM environment: {_told(found)}")
    if found is None or found.state is RunState.IN_PROGRESS:
        raise _until_rehearsed(desk, "the rehearsal goes on")
    if found.state is not RunState.REHEARSED:
        raise End(JobState.REFUSED, f"the rehearsal {run} ended as {found.state}", ("rehearsal",))
    rehearsed = surveys.Rehearsed(
        desk.now, desk.job.host, desk.wishes.image, consent, run, passed=True
    )
    with desk.record.writing() as c:
        surveys.record_rehearsal(c, rehearsed)


def _look_in_rehearsal(desk: Desk) -> Look:
    """A machine that may be in its rehearsal and is silent is waited for, and then a person is."""
    try:
        return desk.machine.look(desk.wishes.image)
    except MachineFault as fault:
        # Not everybody whom an OS lets in is let into the RAM environment.
        if "rehearsal" not in desk.notes or not (fault.passing or fault.kind is Fault.LOGIN):
            raise
        raise _until_rehearsed(desk, "the machine is silent in its rehearsal") from fault


def _until_rehearsed(desk: Desk, what: str) -> NotYet | Hold:
    """Waits for the rehearsal's end as long as the plan's deadlines let it."""
    until = desk.now + timedelta(seconds=desk.job.deadlines_s or 7200)
    if "rehearsal_until" in desk.notes:
        until = datetime.fromisoformat(desk.notes["rehearsal_until"])
    if desk.now >= until:
        return Hold(f"{what}, and the plan's deadlines have passed")
    return NotYet(until, Watch.REHEARSED)


def _rehearsed(desk: Desk) -> Rehearsed | None:
    """The newest rehearsal of this image and plan that passed lately."""
    policy = desk.night.policy
    if not rehearses(policy, desk.job):
        return None
    job, since = desk.job, desk.now - policy.rehearsal_max_age
    with told(), desk.seams.memory.read() as c:
        found = surveys.rehearsal(c, job.host, desk.wishes.image, job.consent or "", since=since)
    if found is None:
        return None
    return Rehearsed(found.at, found.image, found.consent, found.passed)


def drain(desk: Desk) -> None:
    """Take it out of the load balancer, silence its monitoring."""
    if not desk.notes.get("drained"):
        desk.note(drained=True)
    _hook(desk, "drain")


def undrain_undone(desk: Desk) -> None:
    """The job ends before the commit point: give it back."""
    if desk.notes.get("drained"):
        _hook(desk, "undrain")


def go(desk: Desk) -> None:
    """Start the run, after the newest one, once: never blind.

    1. Look at the machine. 2. Record the intent: run, after, ticket; in the transaction that asks
    whether the night still lets it. 3. Say it. The machine compares `after`, and knows the run.
    """
    look = _look_or_page(desk)
    judgement = _judge(desk, look)
    match judgement.action:
        case Action.ATTACH | Action.CONFIRM | Action.WAIT:
            _accepted(desk, attached=True)
            return
        case Action.MAY_BE_QUEUED:
            raise End(JobState.REVERTED, _why(desk, look, judgement))
        case Action.FENCED | Action.PAGE:
            raise Hold(_why(desk, look, judgement))
        case _:
            _say_go(desk, look)


def _say_go(desk: Desk, look: Look) -> None:
    plan = desk.machine.plan(desk.wishes)
    if plan.consent != desk.job.consent:
        raise End(
            JobState.REFUSED,
            f"its plan comes to something else now ({plan.consent}) than "
            f"was consented to ({desk.job.consent})",
            ("consent",),
        )
    run = desk.job.run or run_id(desk, "go")
    after = desk.notes.get("after", look.status.after)
    # The plan may have taken minutes on a busy machine: the order is good from now on.
    look = _look_or_page(desk)
    ticket = _ticket(desk, look)
    deadline = desk.now + timedelta(seconds=plan.deadlines_s)
    rehearsed = _rehearsed(desk)
    # The latest ticket that anybody may still hold: whoever takes the job back waits for its end.
    held = {"after": after, "boot": ticket.boot, "best_before": ticket.best_before_s}
    intent = {
        "run": run,
        "after": after,
        "consent": plan.consent,
        "deadline": deadline.isoformat(),
    }
    desk.intend(
        lambda night: may_go(desk.now, night, desk.job, plan.machine_class.key, rehearsed),
        {**desk.notes, **held},
        intent,
    )
    desk.may_go_on()
    answer = desk.machine.go(Order(run, after, plan.consent, desk.wishes, ticket))
    if answer.begun:
        _accepted(desk, attached=answer.text.startswith("attached"))
        return
    said = {"exit_status": answer.exit_status, "newest": answer.last_line}
    desk.tell(What.GO_REFUSED, said)
    raise _not_begun(answer)


def take_back(desk: Desk) -> None:
    """The job ends before a run is known: make sure that no `go` of anybody's is on its way still.

    An intent may be in the hands of a conductor that stands still. Its ticket ends by the machine's
    own uptime, and what was begun within it is seen as a process of the image; only when both are
    over it is certain that nothing was begun, or that something was.
    """
    if desk.job.run is None or "best_before" not in desk.notes:
        return
    look = desk.machine.look(desk.wishes.image)
    run = look.status.run(desk.job.run)
    if run is not None:
        if run.state in {RunState.REVERTED, RunState.INTERRUPTED}:
            return
        raise Hold(
            f"it was to be taken back, and its run {run.id} was begun all the same: {run.state}"
        )
    if look.boot == desk.notes["boot"] and look.uptime_s <= desk.notes["best_before"]:
        left = float(desk.notes["best_before"]) - look.uptime_s + 1
        raise NotYet(desk.now + timedelta(seconds=left))
    if look.boot == desk.notes["boot"] and look.busy:
        raise NotYet(desk.now + OBEYED)


def silence(desk: Desk) -> None:
    """Wait for the machine to go away. It is evidence and no more: nothing is decided by it."""
    try:
        look = desk.machine.look(desk.wishes.image)
    except MachineFault:
        desk.later(What.MACHINE_SILENT)
        return
    deadline = desk.job.deadline or desk.now
    judged = _judge(desk, look).action
    if look.in_ram and judged in {Action.ATTACH, Action.PAGE}:
        desk.later(What.MACHINE_SILENT, {"place": "ram"})
        return
    if judged is Action.ATTACH and desk.now < deadline:
        raise NotYet(deadline, Watch.GONE)


def answer(desk: Desk) -> None:
    """Wait for a new boot and its status, until the plan's own deadlines have passed."""
    look = _look_or_page(desk)
    judgement = _judge(desk, look)
    match judgement.action:
        case Action.CONFIRM:
            new_boot = look.boot != desk.notes.get("boot")
            seen = {"boot": look.boot, "state": "done", "new_boot": new_boot}
            desk.later(What.MACHINE_ANSWERED, seen)
        case Action.MAY_BE_QUEUED:
            raise End(JobState.REVERTED, _why(desk, look, judgement))
        case Action.ATTACH | Action.WAIT:
            deadline = desk.job.deadline or desk.now
            if desk.now >= deadline:
                raise Hold(f"{judgement.why}, and the plan's deadlines have passed")
            raise NotYet(deadline, Watch.SETTLED)
        case Action.GO:
            raise Hold(f"the machine does not know its run {desk.job.run}, which it had begun")
        case _:
            raise Hold(_why(desk, look, judgement))


def confirm(desk: Desk) -> None:
    """Every check of the first boot, and the fleet's own."""
    found = desk.machine.confirm(desk.job.run or "")
    if not found.known:
        latest = (desk.job.deadline or desk.now) + FIRST_BOOT
        if desk.now >= latest:
            raise Hold(
                "the new OS is there, and its first boot has not compared itself with the plan"
            )
        raise NotYet(latest, Watch.CONFIRMED)
    if not found.passed:
        raise Hold("the new OS is there, and falls short: " + ", ".join(found.failing))
    _hook(desk, "confirm")


def undrain(desk: Desk) -> None:
    """Give it back to the load balancer and the monitoring."""
    _hook(desk, "undrain")


def release(desk: Desk) -> None:
    """Write the outcome down; its places are free with that."""
    if desk.job.state is not JobState.DONE:
        desk.tell(What.JOB_DONE)


# -- what several of them do ----------------------------------------------------------------------


def run_id(desk: Desk, kind: str) -> str:
    """A run's id that follows from the job: whoever resumes it says the same one."""
    digest = hashlib.sha256(f"{desk.job.id}/{kind}".encode()).hexdigest()[:12]
    return f"{desk.now:%Y%m%dT%H%M%SZ}-{digest}"


def _ticket(desk: Desk, look: Look) -> Ticket:
    return Ticket(look.boot, look.uptime_s + desk.seams.ticket_s)


def _intent(desk: Desk) -> Intent | None:
    if desk.job.run is None or desk.job.deadline is None:
        return None
    return Intent(desk.job.run, desk.notes.get("after"), desk.job.deadline)


def _judge(desk: Desk, look: Look) -> Judgement:
    return judge(_intent(desk), look.status, desk.now)


def _look_or_page(desk: Desk) -> Look:
    """A machine that may have begun its run and is silent is waited for, not asked again and again."""
    try:
        return desk.machine.look(desk.wishes.image)
    except MachineFault as fault:
        intent = _intent(desk)
        # Not everybody whom an OS lets in is let into the RAM environment.
        if intent is None or not (fault.passing or fault.kind is Fault.LOGIN):
            raise
        judgement = judge(intent, None, desk.now)
        if judgement.action is Action.PAGE:
            raise Hold(judgement.why) from fault
        raise NotYet(intent.deadline, Watch.SETTLED) from fault


def _accepted(desk: Desk, *, attached: bool) -> None:
    desk.later(What.GO_ACCEPTED, {"run": desk.job.run, "attached": attached})


def _not_begun(answer: Answer) -> Exception:
    """What a command that did not begin a run means."""
    says = answer.last_line
    match answer.exit_status:
        case ExitStatus.REFUSED:
            return End(JobState.REFUSED, says, ("go",))
        case ExitStatus.OTHER_CONSENT:
            return End(JobState.REFUSED, f"its plan comes to something else: {says}", ("consent",))
        case ExitStatus.FENCED:
            return End(JobState.REFUSED, f"another run is on the machine: {says}", ("fence",))
        case ExitStatus.REVERTED:
            return End(JobState.REVERTED, says)
        case ExitStatus.USAGE:
            return End(JobState.REFUSED, f"it does not understand the command: {says}", ("usage",))
        case ExitStatus.NEEDS_A_PERSON:
            return Hold(says)
        case status if status == STALE_TICKET:
            return Again("the machine took longer to obey than the order was good for")
        case status:
            return Again(f"it ended with status {status}: {says}")


def _why(desk: Desk, look: Look, judgement: Judgement) -> str:
    run = look.status.run(desk.job.run or "")
    told = _told(run) if run else ""
    return f"{judgement.why}: {told}" if told else judgement.why


def _told(run: Run) -> str:
    """What a run says of its trouble: the first failure, and where it holds what can be done."""
    held = run.next if run.state is RunState.COMMITTED else ""
    return "; ".join(text for text in (run.first_failure, held) if text)


def _hook(desk: Desk, name: str) -> None:
    desk.may_go_on()
    found = desk.seams.hooks.call(name, desk.job.host)
    if found is not None and found.exit_status != 0:
        raise Again(f"the hook {name} ended with status {found.exit_status}: {found.last_line}")


STEPS: dict[Atom, Callable[[Desk], None]] = {
    Atom.CHECK: check,
    Atom.COPY: copy,
    Atom.REHEARSE: rehearse,
    Atom.DRAIN: drain,
    Atom.GO: go,
    Atom.SILENCE: silence,
    Atom.ANSWER: answer,
    Atom.CONFIRM: confirm,
    Atom.UNDRAIN: undrain,
    Atom.RELEASE: release,
}
NOTED: dict[Atom, dict[str, Any]] = {Atom.DRAIN: {"drained": True}}
"""What is noted with a step's beginning: to be undone also where nobody knows what half of it did."""
UNDO: dict[Atom, Callable[[Desk], None]] = {Atom.DRAIN: undrain_undone, Atom.GO: take_back}
"""What is undone where the job ends before the commit point, in the order from its end."""
