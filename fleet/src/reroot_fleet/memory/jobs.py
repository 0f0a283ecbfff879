"""Jobs: what their events come to, kept beside the log so that it need not be read each time.

`record` is the only way to change a job: it locks the row, asks whether the job is as the caller
believes, folds the event into it, and writes both in one transaction. So the log alone gives every
job's state, and a conductor that was asleep cannot move a job that another one has taken over.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from reroot_fleet.memory import codec, events
from reroot_fleet.memory.errors import Conflict
from reroot_fleet.memory.schema import LIVE, jobs
from reroot_fleet.policy.fold import apply, override_detail
from reroot_fleet.values.atoms import Atom
from reroot_fleet.values.event import Event, What
from reroot_fleet.values.job import Job, JobState, Override

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection, Row, Select

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
# Statements are made once, for to put one together costs more than to send it.
_COLUMNS = [jobs.c[name] for name in (*_PLAIN, "state", "step", "override", "tries", "again_at")]
_ONE = sa.select(*_COLUMNS).where(jobs.c.id == sa.bindparam("which"))
_LOCKED = _ONE.with_for_update()
_MOVE = sa.update(jobs).where(jobs.c.id == sa.bindparam("which"))
_SOME = sa.select(*_COLUMNS)
_STATES = sa.select(jobs.c.id, jobs.c.state)
_ENDED = _STATES.where(jobs.c.state.in_([str(state) for state in JobState if state.ended]))
_COUNTS = sa.select(jobs.c.state, sa.func.count()).group_by(jobs.c.state)
_OF_NIGHT = _COUNTS.where(jobs.c.night == sa.bindparam("which"))


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
    return record_all(connection, (event,), expect=expect)


def record_all(connection: Connection, told: Sequence[Event], *, expect: Expected = _ANY) -> Job:
    """Write some events of one job down, in their order: all of them, or none.

    What is expected is asked before the first of them.
    """
    first = told[0]
    assert first.job is not None  # noqa: S101 - the caller's own mistake
    row = connection.execute(_LOCKED, {"which": first.job}).one_or_none()
    before = None if row is None else _job(row)
    _require(first, before, expect)
    was = pause = Pause(0, None) if row is None else _pause_of(row)
    after = before
    for event in told:
        after, pause = _applied(after, event), _pause(pause, event)
    assert after is not None  # noqa: S101 - there is one event at least
    if before is None:
        values = _columns(after) | {"tries": pause.tries, "again_at": pause.again_at}
        _insert(connection, first, values)
    elif changed := _changed(before, after) | _changed_pause(was, pause):
        connection.execute(_MOVE, {"which": first.job, **changed})
    events.append_all(connection, told)
    return after


def _applied(job: Job | None, event: Event) -> Job:
    after = apply(job, event)
    if after is None:
        raise Conflict(
            f"write {event.what} of the job {event.job} down",
            "there is no such job" if job is None else f"it has no place there: {_stands(job)}",
        )
    return after


def _changed(before: Job, after: Job) -> dict[str, Any]:
    """The columns that an event has changed: few of them, and often none."""
    if after is before:
        return {}
    changed = {n: v for n in _PLAIN if (v := getattr(after, n)) != getattr(before, n)}
    if after.state is not before.state:
        changed["state"] = str(after.state)
    if after.step is not before.step:
        changed["step"] = None if after.step is None else str(after.step)
    return changed


def _changed_pause(before: Pause, after: Pause) -> dict[str, Any]:
    return {} if after == before else {"tries": after.tries, "again_at": after.again_at}


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
        "override": override_detail(job.override) if job.override else None,
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
    row = connection.execute(_ONE, {"which": job}).one_or_none()
    return None if row is None else _job(row)


def pause_of(connection: Connection, job: str) -> Pause:
    """How often the job's step was tried, and when it may be tried again."""
    row = connection.execute(_ONE, {"which": job}).one_or_none()
    return Pause(0, None) if row is None else _pause_of(row)


def select(
    connection: Connection,
    *,
    night: str | None = None,
    host: str | None = None,
    states: Iterable[JobState] | None = None,
) -> list[Job]:
    """Jobs by night, machine and state, in the order in which they were queued."""
    wanted: dict[str, Any] = {
        "night": night,
        "host": host,
        "states": states and [str(s) for s in states],
    }
    asked = {name: value for name, value in wanted.items() if value is not None}
    return [_job(row) for row in connection.execute(_selection(frozenset(asked)), asked)]


@cache
def _selection(by: frozenset[str]) -> Select[Any]:
    """Jobs by some of their columns."""
    statement = sa.select(*_COLUMNS).order_by(jobs.c.night, jobs.c.host, jobs.c.attempt)
    if "night" in by:
        statement = statement.where(jobs.c.night == sa.bindparam("night"))
    if "host" in by:
        statement = statement.where(jobs.c.host == sa.bindparam("host"))
    if "states" in by:
        statement = statement.where(jobs.c.state.in_(sa.bindparam("states", expanding=True)))
    return statement


def counts(connection: Connection, *, night: str | None = None) -> dict[JobState, int]:
    """How many jobs are in each state."""
    rows = connection.execute(_COUNTS if night is None else _OF_NIGHT, {"which": night})
    found = {JobState(state): count for state, count in rows}
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


def _columns(job: Job) -> dict[str, Any]:
    columns: dict[str, Any] = {name: getattr(job, name) for name in _PLAIN}
    columns["state"] = str(job.state)
    columns["step"] = None if job.step is None else str(job.step)
    columns["override"] = sa.null() if job.override is None else codec.write(job.override)
    return columns


def _job(row: Row[Any]) -> Job:
    *plain, state, step, override, _, _ = tuple(row)
    return Job(
        **dict(zip(_PLAIN, plain, strict=True)),
        state=JobState(state),
        step=None if step is None else Atom(step),
        override=None if override is None else codec.read(Override, override),
    )


def some(connection: Connection, ids: Iterable[str]) -> list[Job]:
    """Some jobs by their ids, in any order."""
    rows = connection.execute(_those(connection.dialect.name, _SOME), {"which": list(ids)})
    return [_job(row) for row in rows]


def states_of(connection: Connection, ids: Iterable[str]) -> dict[str, JobState]:
    """The states of some jobs, and nothing else of them."""
    return _states(connection, ids, _STATES)


def ended_of(connection: Connection, ids: Iterable[str]) -> dict[str, JobState]:
    """Those of some jobs that have ended, with their states."""
    return _states(connection, ids, _ENDED)


def _states(connection: Connection, ids: Iterable[str], of: Select[Any]) -> dict[str, JobState]:
    statement = _those(connection.dialect.name, of)
    rows = connection.execute(statement, {"which": list(ids)})
    return {job: JobState(state) for job, state in rows}


@cache
def _those(dialect: str, of: Select[Any]) -> Select[Any]:
    """By their ids: one array, where the database knows them, and no list of parameters."""
    if dialect == "postgresql":
        return of.where(jobs.c.id == sa.any_(sa.bindparam("which", type_=ARRAY(sa.Text))))
    return of.where(jobs.c.id.in_(sa.bindparam("which", expanding=True)))
