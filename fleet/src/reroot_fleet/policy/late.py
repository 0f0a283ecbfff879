"""Machines that were held and answer after all: when they are asked, and what takes their job up again.

Nothing is decided here about the run: the step at which the job was held judges it anew, with the same words
as before. So nobody says `go`, and what is not as it should be is held once more.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from reroot_fleet.policy.verdict import Action, of_run
from reroot_fleet.values.atoms import Atom
from reroot_fleet.values.job import Job, JobState
from reroot_fleet.values.machine_status import MachineStatus

WAITED_FOR = frozenset({Atom.GO, Atom.SILENCE, Atom.ANSWER, Atom.CONFIRM})
"""Steps that wait for a machine. What was held at others is not for a machine to answer."""
SETTLES = frozenset({Action.CONFIRM, Action.MAY_BE_QUEUED})
"""What is judged of a run that has come to its end, whichever."""
SOONEST, LATEST = timedelta(minutes=1), timedelta(minutes=15)


def is_asked(job: Job) -> bool:
    """Whether the machine of a job is asked now and then."""
    return job.state is JobState.HELD and job.run is not None and job.step in WAITED_FOR


def pause(job: Job, now: datetime) -> timedelta:
    """How long after one question comes the next: the longer it is held, the longer."""
    held_for = now - (job.ended_at or now)
    return min(max(held_for / 20, SOONEST), LATEST)


def evidence(job: Job, status: MachineStatus) -> str | None:
    """What the machine says that settles its run; nothing, where a person is needed still."""
    run = status.run(job.run or "")
    if run is None:
        return None
    found = of_run(run)
    return f"{run.id}: {found.why}" if found.action in SETTLES else None
