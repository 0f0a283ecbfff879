"""What people order: start, pause, resume and halt a night; take a job back.

The night is locked first and its jobs after it, in the order in which `go` is intended: a halt is
either before an intent, and then no `go` is said, or behind it, and then it says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reroot_fleet.memory import jobs, nights
from reroot_fleet.memory.errors import Conflict
from reroot_fleet.values.event import Event, What
from reroot_fleet.values.job import Job, JobState
from reroot_fleet.values.night import Night, NightState

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy import Connection

_REACHED = (JobState.QUEUED, JobState.POSTED, JobState.RUNNING)


@dataclass(frozen=True, slots=True)
class Stopped:
    """What a halt or a withdrawal reached."""

    withdrawn: tuple[str, ...]
    """Hosts whose jobs were taken back before `go`."""
    beyond: tuple[str, ...]
    """Hosts at or behind `go`: they go on, for nothing else is safe."""


def start(c: Connection, night: str, *, now: datetime, who: str) -> Night:
    """Open a planned night: its jobs start when window, limits and gates let them."""
    return nights.move(c, night, NightState.OPEN, expect=[NightState.PLANNED], now=now, who=who)


def pause(c: Connection, night: str, *, now: datetime, who: str, why: str) -> Night:
    """Let nothing new start in a night."""
    # The planner pages for a pause that nobody ordered.
    return nights.move(
        c,
        night,
        NightState.PAUSED,
        expect=[NightState.OPEN],
        now=now,
        who=who,
        cause=f"operator {who}: {why}",
    )


def resume(c: Connection, night: str, *, now: datetime, who: str, why: str) -> Night:
    """Open a paused night again."""
    return nights.move(
        c, night, NightState.OPEN, expect=[NightState.PAUSED], now=now, who=who, cause=why or None
    )


def halt(c: Connection, night: str, *, now: datetime, who: str, why: str) -> Stopped:
    """Stop a night for good, and take back every job that has not begun `go`."""
    nights.move(
        c,
        night,
        NightState.HALTED,
        expect=[NightState.PLANNED, NightState.OPEN, NightState.PAUSED],
        now=now,
        who=who,
        cause=f"operator {who}: {why}",
    )
    reached = jobs.select(c, night=night, states=_REACHED)
    return withdraw(c, reached, now=now, who=who, why=f"the night was halted: {why}")


def withdraw(c: Connection, some: Iterable[Job], *, now: datetime, who: str, why: str) -> Stopped:
    """Take jobs back, those that have not begun `go`."""
    withdrawn: list[str] = []
    beyond: list[str] = []
    for job in some:
        event = Event(
            at=now,
            who=who,
            what=What.JOB_WITHDRAWN,
            night=job.night,
            host=job.host,
            job=job.id,
            why=why,
            detail={"cause": why},
        )
        try:
            jobs.record(c, event, expect=jobs.Expected(states=_REACHED, go=False))
        except Conflict:
            beyond.append(job.host)
        else:
            withdrawn.append(job.host)
    return Stopped(tuple(withdrawn), tuple(beyond))
