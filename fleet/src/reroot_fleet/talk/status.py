"""`reroot-fleet status`: how a night stands, in a few lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from reroot_fleet.alerts.watchdog import alive
from reroot_fleet.memory.look import Look, look
from reroot_fleet.talk import fleet, say
from reroot_fleet.talk.options import AsJson, NightId

if TYPE_CHECKING:
    from typing import Any


def status(night: NightId = None, *, as_json: AsJson = False) -> None:
    """How a night stands: counts, budget, window, and what wants a look."""
    with fleet.memory().read() as c:
        found = look(c, fleet.newest_night(c, night), fleet.now())
    if as_json:
        say.document(as_document(found))
        return
    for line in lines(found):
        typer.echo(line)


def lines(found: Look) -> list[str]:
    """The same for people."""
    view = found.overview
    counts = ", ".join(f"{n} {state}" for state, n in view.counts if n)
    b = view.budget
    cause = f" ({view.night.cause})" if view.night.cause else ""
    share = f"{b.reverted} of {b.begun} reverted ({b.share:.1%} of {b.share_pauses:.1%})"
    told = [
        f"night {view.night.id}: {view.night.state}, {view.phase}" + cause,
        f"machines: {counts or 'none'}, of {view.total}",
        f"budget: {b.held} of {b.held_stops} held, {share}",
    ]
    told += [
        f"{w.name}: {w.done} of {w.total} done, {w.moving} on their way, {w.failed} failed"
        for w in view.waves
    ]
    living = alive(found.conductors, view.at)
    names = ", ".join(f"{s.name} ({s.running} of {s.slots})" for s in living)
    told.append(f"conductors: {names or 'none is alive'}")
    told += [f"stopped class: {words}" for words in b.stopped_in_words]
    told += [f"alert: {alert.summary}" for alert in found.alerts]
    told += [f"look at {s.machine.host} ({s.machine.word}): {s.why}" for s in view.stuck]
    return told


def as_document(found: Look) -> dict[str, Any]:
    """The same for programs."""
    view = found.overview
    return {
        "kind": "reroot-fleet-status",
        "version": 1,
        "at": view.at,
        "night": {
            "id": view.night.id,
            "state": view.night.state,
            "cause": view.night.cause,
            "opens": view.night.window.opens,
            "closes": view.night.window.closes,
        },
        "counts": dict(view.counts),
        "budget": view.budget,
        "waves": view.waves,
        "stuck": [
            {"host": s.machine.host, "state": s.machine.state, "why": s.why} for s in view.stuck
        ],
        "machines": {
            m.host: {
                "state": m.state,
                "step": m.step,
                "seen": m.seen,
                "late": m.late,
                "attempt": m.attempt,
            }
            for customer in view.customers
            for m in customer.machines
        },
        "conductors": found.conductors,
        "alerts": found.alerts,
    }
