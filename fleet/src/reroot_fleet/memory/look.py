"""Everything that a view of a night is made of, read in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reroot_fleet.memory import conductors, jobs, machines, outbox, sightings
from reroot_fleet.policy.overview import Overview, overview
from reroot_fleet.policy.site import site

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from reroot_fleet.memory.conductors import Sign
    from reroot_fleet.memory.outbox import Open
    from reroot_fleet.values.night import Night


@dataclass(frozen=True, slots=True)
class Look:
    """How a night stands, who works on it, and what is being told."""

    overview: Overview
    conductors: tuple[Sign, ...]
    alerts: tuple[Open, ...]


def look(c: Connection, night: Night, now: datetime) -> Look:
    """How a night stands now."""
    hosts = machines.every(c)
    view = overview(
        now,
        night,
        jobs.select(c, night=night.id),
        hosts,
        site(hosts, night.policy.limits),
        sightings.of_night(c, night.id),
    )
    return Look(view, tuple(conductors.every(c)), tuple(outbox.open_alerts(c)))
