"""`reroot-fleet pause`: let nothing new start."""

from __future__ import annotations

from reroot_fleet.memory import jobs, orders
from reroot_fleet.talk import fleet, say
from reroot_fleet.talk.options import AsJson, NightId, Why
from reroot_fleet.values.job import JobState
from reroot_fleet.values.night import NightState


def pause(night: NightId = None, *, reason: Why, as_json: AsJson = False) -> None:
    """Let nothing new start in a night; what was begun goes on."""
    with fleet.memory().begin() as c:
        found = fleet.night_or_only(c, night, (NightState.OPEN,))
        fleet.ordered(c, "pause", night=found.id, why=reason)
        orders.pause(c, found.id, now=fleet.now(), who=fleet.who(), why=reason)
        counts = jobs.counts(c, night=found.id)
    going = counts[JobState.POSTED] + counts[JobState.RUNNING]
    line = (
        f"paused the night {found.id}: {say.count(going, 'machine')} that began"
        f" {'goes' if going == 1 else 'go'} on, {counts[JobState.QUEUED]} wait"
    )
    say.done(line, as_json=as_json, night=found.id, going_on=going)
