"""What to do about a machine, decided from its `status` and the recorded intent alone.

In progress: attach. Done: confirm. Reverted: may be queued again. Behind the commit point: wait, then page,
never go again. Silence: wait out the plan's deadlines, then page. A run that holds, and says so itself in the
RAM environment, is waited for by nobody: page at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from reroot_fleet.values.machine_status import Confirmation, MachineStatus, Run, RunState


class Action(StrEnum):
    """What to do next."""

    ASK_AGAIN = "ask again"
    """Nothing was begun and the machine does not answer: by the step's own retries."""
    GO = "go"
    """The run was never begun: say `go` with the recorded id; the machine's fence keeps it single."""
    ATTACH = "attach"
    CONFIRM = "confirm"
    MAY_BE_QUEUED = "may be queued"
    """The old OS is as it was."""
    WAIT = "wait"
    PAGE = "page"
    """A person is needed. Never `go` again."""
    FENCED = "fenced"
    """Another run is on the machine: somebody else works on it."""


@dataclass(frozen=True, slots=True)
class Intent:
    """What was recorded before `go`."""

    run: str
    after: str | None
    """The newest run when the intent was recorded; `None`: there was none."""
    deadline: datetime
    """When the plan's own deadlines have passed."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """An action, and why."""

    action: Action
    why: str


DONE: dict[Confirmation, Judgement] = {
    # A machine that tells of no first boot is asked by the fleet's own checks.
    Confirmation.NONE: Judgement(Action.CONFIRM, "the new OS is in place"),
    Confirmation.PENDING: Judgement(
        Action.WAIT, "the new OS is in place, and not compared with the plan yet"
    ),
    Confirmation.PASSED: Judgement(Action.CONFIRM, "the new OS is in place, and as planned"),
    Confirmation.FELL_SHORT: Judgement(Action.PAGE, "the new OS falls short of the plan"),
    Confirmation.FAILED: Judgement(Action.PAGE, "the new OS could not be compared with the plan"),
}

STATES: dict[RunState, Judgement] = {
    RunState.IN_PROGRESS: Judgement(Action.ATTACH, "the run goes on"),
    RunState.REVERTED: Judgement(Action.MAY_BE_QUEUED, "the run failed and was undone"),
    RunState.INTERRUPTED: Judgement(
        Action.MAY_BE_QUEUED, "the run ended without a word before the commit point"
    ),
    RunState.COMMITTED: Judgement(Action.WAIT, "the run is behind the commit point and not done"),
    RunState.UNKNOWN: Judgement(Action.WAIT, "nothing tells how the run stands"),
    # A rehearsal that bears the id of an intended reinstallation: not ours to interpret.
    RunState.REHEARSED: Judgement(Action.PAGE, "a rehearsal bears the run's id"),
    RunState.REHEARSED_WITH_FINDINGS: Judgement(Action.PAGE, "a rehearsal bears the run's id"),
}

HOLDS = Judgement(Action.PAGE, "the run holds in the RAM environment")
"""What only the RAM environment can say: from an OS the same state means that the run may go on yet."""


def judge(intent: Intent | None, status: MachineStatus | None, now: datetime) -> Judgement:
    """What to do about a machine whose status was asked; `None` where it is silent."""
    if intent is None:
        return (
            Judgement(Action.ASK_AGAIN, "the machine does not answer; nothing was begun")
            if status is None
            else Judgement(Action.GO, "no run was intended yet")
        )
    if status is None:
        return _until(intent, now, Judgement(Action.WAIT, "the machine is silent"))
    run = status.run(intent.run)
    if run is not None:
        return _until(intent, now, of_run(run, in_ram=status.in_ram))
    if status.in_progress is not None:
        # It holds the lock and has written nothing yet.
        if status.in_progress == intent.run:
            return STATES[RunState.IN_PROGRESS]
        return Judgement(Action.FENCED, f"the run {status.in_progress} is in progress")
    newest = status.after
    if newest == intent.after:
        return Judgement(Action.GO, "the intended run was never begun")
    return Judgement(Action.FENCED, f"the newest run is {newest}, and was to be {intent.after}")


def of_run(run: Run, *, in_ram: bool = False) -> Judgement:
    """What a run's own state comes to, whatever the time is; `in_ram`: as the run itself tells it there."""
    if in_ram and run.state is RunState.COMMITTED:
        return HOLDS
    if run.state is not RunState.DONE:
        return STATES[run.state]
    judgement = DONE[run.confirmation]
    if not run.fell_short:
        return judgement
    return Judgement(judgement.action, f"{judgement.why}: {'; '.join(run.fell_short)}")


def _until(intent: Intent, now: datetime, judgement: Judgement) -> Judgement:
    """Waiting ends with the plan's deadlines."""
    if judgement.action is Action.WAIT and now >= intent.deadline:
        return Judgement(Action.PAGE, f"{judgement.why}, and the plan's deadlines have passed")
    return judgement
