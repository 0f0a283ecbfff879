"""What was seen last of runs that go on, for views of a night. Nothing is decided by it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from reroot_fleet.memory.schema import jobs, sightings
from reroot_fleet.values.job import JobState
from reroot_fleet.values.sighting import Sighting

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy import Connection

# Of jobs on their way alone: what was seen of a run that has ended is told by its end.
_OF_NIGHT = (
    sa.select(sightings)
    .join(jobs, jobs.c.id == sightings.c.job)
    .where(jobs.c.night == sa.bindparam("which"), jobs.c.state == str(JobState.RUNNING))
)


def keep(connection: Connection, seen: Mapping[str, Sighting], *, at: datetime) -> None:
    """Keep what was seen, by job, in the place of what was seen before."""
    rows = [
        {"job": job, "at": at, "step": s.step, "percent": s.percent, "in_ram": s.in_ram}
        for job, s in sorted(seen.items())
    ]
    if rows:
        connection.execute(_put(connection.dialect.name), rows)


def of_night(connection: Connection, night: str) -> dict[str, Sighting]:
    """What was seen last, by job, of those of a night that are on their way."""
    rows = connection.execute(_OF_NIGHT, {"which": night})
    return {row.job: Sighting(row.step, row.percent, in_ram=row.in_ram) for row in rows}


@cache
def _put(dialect: str) -> postgresql.Insert | sqlite.Insert:
    """Both databases say it with the same words."""
    make = postgresql.insert if dialect == "postgresql" else sqlite.insert
    insert = make(sightings)
    new = {name: insert.excluded[name] for name in ("at", "step", "percent", "in_ram")}
    return insert.on_conflict_do_update(index_elements=["job"], set_=new)
