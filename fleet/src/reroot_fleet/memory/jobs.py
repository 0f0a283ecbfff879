"""Jobs: what their events come to, kept beside the log so that it need not be read each time.

`record` is the only way to change a job: it locks the row, asks whether the job is as the caller
believes, folds the event into it, and writes both in one transaction. So the log alone gives every
job's state, and a conductor that was asleep cannot move a job that another one has taken over.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from reroot_fleet.memory import codec, events
from reroot_fleet.memory.errors import Conflict
from reroot_fleet.memory.schema import LIVE, jobs
from reroot_fleet.policy.fold import apply, override_detail
from reroot_fleet.values.atoms import Atom
from reroot_fleet.values.event import Event, What
from reroot_fleet.values.job import Job, JobState, Override

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection, Row


@dataclass(frozen=True, slots=True)
class Pause:
    """A retry's pause: the step was tried so often, and nobody begins it before."""

    tries: int
    again_at: datetime | None


@dataclass(frozen=True, slots=True)
class Expected:
    """What a job has to be for an event to be written; what is not said does not matter."""

    states: tuple[JobState, ...] = tuple(JobState)
    conductor: str | None = None
    """Who must have claimed it."""
    go: bool | None = None
    """Whether `go` must have been intended already."""


_ANY = Expected()


def record(connection: Connection, event: Event, *, expect: Expected = _ANY) -> Job:
    """Write an event of a job down and move the job with it.

    Raises `Conflict` where the job is not as expected; then nothing is written.
    """
    assert event.job is not None  # noqa: S101 - the caller's own mistake
    row = connection.execute(
        sa.select(jobs).where(jobs.c.id == event.job).with_for_update()
    ).one_or_none()
    before = None if row is None else _job(row)
    _require(event, before, expect)
    after = apply(before, event)
    if after is None:
        raise Conflict(
            f"write {event.what} of the job {event.job} down",
            "there is no such job"
            if before is None
            else f"it has no place there: {_stands(before)}",
        )
    pause = _pause(Pause(0, None) if row is None else _pause_of(row), event)
    values = _columns(after) | {"tries": pause.tries, "again_at": pause.again_at}
    if row is None:
        _insert(connection, event, values)
    else:
        connection.execute(sa.update(jobs).where(jobs.c.id == event.job).values(values))
    events.append(connection, event)
    return after


def _require(event: Event, before: Job | None, expect: Expected) -> None:
    attempted = f"write {event.what} of the job {event.job} down"
    if before is None:
        return
    if before.state not in expect.states:
        raise Conflict(
            attempted,
            f"it is {before.state}, and would have to be {' or '.join(expect.states) or 'absent'}",
        )
    if expect.conductor is not None and before.conductor != expect.conductor:
        raise Conflict(
            attempted,
            f"it is {before.conductor or 'nobody'}'s and not {expect.conductor}'s any more",
        )
    if expect.go is not None and before.begun_go != expect.go:
        said = "was intended already" if before.begun_go else "was not intended yet"
        raise Conflict(attempted, f"`go` {said}")


def _stands(job: Job) -> str:
    return f"the job is {job.state}" + (", and `go` was intended" if job.begun_go else "")


def _insert(connection: Connection, event: Event, values: dict[str, Any]) -> None:
    live = sa.select(jobs.c.id).where(jobs.c.host == event.host, jobs.c.state.in_(LIVE))
    other = connection.execute(live).scalar()
    if other is not None:
        raise Conflict(
            f"queue {event.host}",
            f"its job {other} has not ended",
            then="wait for it, or withdraw it with `reroot-fleet abort`",
        )
    try:
        connection.execute(sa.insert(jobs).values(values))
    except sa.exc.IntegrityError as error:
        raise Conflict(
            f"queue {event.host}",
            "somebody else did so at this moment, or the machine or the night is not known"
            f" ({' '.join(str(error.orig).split())})",
        ) from error


def queue(connection: Connection, job: Job, *, now: datetime, who: str, why: str = "") -> Job:
    """Queue a machine: its event, and the job that it makes."""
    detail = {
        "image": job.image,
        "class": job.machine_class,
        "attempt": job.attempt,
        "flow": job.flow,
        "override": override_detail(job.override),
        "deadlines_s": job.deadlines_s,
    }
    return record(
        connection,
        Event(
            at=now,
            who=who,
            what=What.JOB_QUEUED,
            night=job.night,
            host=job.host,
            job=job.id,
            why=why,
            detail=detail,
        ),
        expect=Expected(states=()),
    )


def get(connection: Connection, job: str) -> Job | None:
    """One job."""
    row = connection.execute(sa.select(jobs).where(jobs.c.id == job)).one_or_none()
    return None if row is None else _job(row)


def pause_of(connection: Connection, job: str) -> Pause:
    """How often the job's step was tried, and when it may be tried again."""
    row = connection.execute(sa.select(jobs).where(jobs.c.id == job)).one_or_none()
    return Pause(0, None) if row is None else _pause_of(row)


def select(
    connection: Connection,
    *,
    night: str | None = None,
    host: str | None = None,
    states: Iterable[JobState] | None = None,
) -> list[Job]:
    """Jobs by night, machine and state, in the order in which they were queued."""
    statement = sa.select(jobs).order_by(jobs.c.night, jobs.c.host, jobs.c.attempt)
    if night is not None:
        statement = statement.where(jobs.c.night == night)
    if host is not None:
        statement = statement.where(jobs.c.host == host)
    if states is not None:
        statement = statement.where(jobs.c.state.in_([str(state) for state in states]))
    return [_job(row) for row in connection.execute(statement)]


def counts(connection: Connection, *, night: str | None = None) -> dict[JobState, int]:
    """How many jobs are in each state."""
    statement = sa.select(jobs.c.state, sa.func.count()).group_by(jobs.c.state)
    if night is not None:
        statement = statement.where(jobs.c.night == night)
    found = {JobState(state): count for state, count in connection.execute(statement)}
    return {state: found.get(state, 0) for state in JobState}


def _pause(before: Pause, event: Event) -> Pause:
    if event.what is What.STEP_FAILED:
        again_at = event.detail.get("again_at")
        if isinstance(again_at, str):
            again_at = datetime.fromisoformat(again_at)
        return Pause(before.tries + 1, again_at)
    if event.what is What.STEP_BEGUN:
        return Pause(before.tries, None)
    if event.what in {What.STEP_DONE, What.STEP_REVERTED}:
        return Pause(0, None)
    return before


def _pause_of(row: Row[Any]) -> Pause:
    return Pause(row.tries, row.again_at)


_PLAIN = (
    "id",
    "night",
    "host",
    "image",
    "machine_class",
    "attempt",
    "wave",
    "flow",
    "since",
    "posted_at",
    "go_at",
    "ended_at",
    "deadline",
    "deadlines_s",
    "run",
    "consent",
    "cause",
    "conductor",
)


def _columns(job: Job) -> dict[str, Any]:
    columns: dict[str, Any] = {name: getattr(job, name) for name in _PLAIN}
    columns["state"] = str(job.state)
    columns["step"] = None if job.step is None else str(job.step)
    columns["override"] = sa.null() if job.override is None else codec.write(job.override)
    return columns


def _job(row: Row[Any]) -> Job:
    return Job(
        **{name: getattr(row, name) for name in _PLAIN},
        state=JobState(row.state),
        step=None if row.step is None else Atom(row.step),
        override=None if row.override is None else codec.read(Override, row.override),
    )


def states_of(connection: Connection, ids: Iterable[str]) -> dict[str, JobState]:
    """The states of some jobs, and nothing else of them."""
    statement = sa.select(jobs.c.id, jobs.c.state).where(jobs.c.id.in_(list(ids)))
    return {job: JobState(state) for job, state in connection.execute(statement).tuples()}
