"""`reroot-fleet halt`: stop a night for good."""

from __future__ import annotations

from reroot_fleet.memory import orders
from reroot_fleet.talk import fleet, say
from reroot_fleet.talk.options import AsJson, NightId, Why, Yes


def halt(night: NightId = None, *, reason: Why, yes: Yes = False, as_json: AsJson = False) -> None:
    """Stop a night for good: what has not begun `go` is taken back, what has goes on."""
    memory = fleet.memory()
    with memory.read() as c:
        found = fleet.night_or_only(c, night)
    say.sure(f"Halt the night {found.id}? It cannot be opened again.", yes=yes)
    with memory.begin() as c:
        fleet.ordered(c, "halt", night=found.id, why=reason)
        stopped = orders.halt(c, found.id, now=fleet.now(), who=fleet.who(), why=reason)
    line = f"halted the night {found.id}: took {say.count(len(stopped.withdrawn), 'job')} back"
    if stopped.beyond:
        line += f"; at or behind go, and going on: {say.names(stopped.beyond)}"
    say.done(line, as_json=as_json, night=found.id, **say.plain(stopped))
