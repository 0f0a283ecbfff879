"""A night, machines and jobs to begin a test with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from reroot_fleet.memory import jobs, machines, nights
from reroot_fleet.values.event import Event, What
from reroot_fleet.values.host import Host
from reroot_fleet.values.job import Job, Override, job_id
from reroot_fleet.values.night import Night, NightState, Window
from reroot_fleet.values.policy import Policy

if TYPE_CHECKING:
    from sqlalchemy import Connection

NOW = datetime(2026, 11, 28, 22, 0, tzinfo=UTC)
NIGHT = "2026-11-28"
IMAGE = "sha256:" + "ab" * 32


def night(connection: Connection, *, state: NightState = NightState.OPEN) -> Night:
    made = Night(NIGHT, Window(NOW, NOW + timedelta(hours=8)), Policy(), state=state)
    nights.create(connection, made, now=NOW, who="alice")
    return made


def hosts(connection: Connection, *names: str) -> None:
    machines.replace_all(connection, [Host(n, f"{n}.example.net") for n in names], now=NOW, who="a")


def queued(
    connection: Connection, host: str, attempt: int = 1, override: Override | None = None
) -> Job:
    job = Job(job_id(NIGHT, host, attempt), NIGHT, host, IMAGE, attempt=attempt, override=override)
    return jobs.queue(connection, job, now=NOW, who="alice")


def event(what: What, host: str, minute: float = 0, attempt: int = 1, **detail: object) -> Event:
    return Event(
        at=NOW + timedelta(minutes=minute),
        who="conductor one",
        what=what,
        night=NIGHT,
        host=host,
        job=job_id(NIGHT, host, attempt),
        detail=detail,
    )
