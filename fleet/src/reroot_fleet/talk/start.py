"""`reroot-fleet start`: open a planned night."""

from __future__ import annotations

from reroot_fleet.memory import jobs, orders
from reroot_fleet.talk import fleet, say
from reroot_fleet.talk.options import AsJson, NightId, Yes
from reroot_fleet.values.job import JobState
from reroot_fleet.values.night import NightState
from reroot_fleet.values.problem import Problem


def start(night: NightId = None, *, yes: Yes = False, as_json: AsJson = False) -> None:
    """Open a planned night: its machines are reinstalled within its window."""
    memory = fleet.memory()
    with memory.read() as c:
        found = fleet.night_or_only(c, night, (NightState.PLANNED,))
        queued = jobs.counts(c, night=found.id)[JobState.QUEUED]
    if not queued:
        raise Problem(
            f"start the night {found.id}", "no machine is queued for it", then="queue some first"
        )
    window = f"{found.window.opens:%Y-%m-%d %H:%M} to {found.window.closes:%H:%M} UTC"
    machines = say.count(queued, "machine")
    say.sure(f"Reinstall {machines} in the night {found.id}, {window}?", yes=yes)
    with memory.begin() as c:
        fleet.ordered(c, "start", night=found.id)
        orders.start(c, found.id, now=fleet.now(), who=fleet.who())
    line = f"opened the night {found.id} with {machines}; they start from {window}"
    say.done(line, as_json=as_json, night=found.id, queued=queued)
