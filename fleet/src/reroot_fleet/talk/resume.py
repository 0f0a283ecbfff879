"""`reroot-fleet resume`: go on after a pause."""

from __future__ import annotations

from reroot_fleet.memory import orders
from reroot_fleet.talk import fleet, say
from reroot_fleet.talk.options import AsJson, NightId, Why, Yes
from reroot_fleet.values.night import NightState


def resume(
    night: NightId = None, *, reason: Why = "", yes: Yes = False, as_json: AsJson = False
) -> None:
    """Open a paused night again."""
    memory = fleet.memory()
    with memory.read() as c:
        found = fleet.night_or_only(c, night, (NightState.PAUSED,))
    because = f" It was paused because: {found.cause}." if found.cause else ""
    say.sure(f"Go on with the night {found.id}?{because}", yes=yes)
    with memory.begin() as c:
        fleet.ordered(c, "resume", night=found.id, why=reason)
        orders.resume(c, found.id, now=fleet.now(), who=fleet.who(), why=reason)
    say.done(f"resumed the night {found.id}", as_json=as_json, night=found.id)
