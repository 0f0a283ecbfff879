"""`reroot-fleet why`: everything known about one machine, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from reroot_fleet.memory import events, jobs, machines, nights, surveys
from reroot_fleet.policy.why import lines, why_text
from reroot_fleet.talk import fleet, say
from reroot_fleet.talk.options import AsJson
from reroot_fleet.values.problem import Place, Problem

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from reroot_fleet.values.job import Job


def why(
    host: Annotated[str, typer.Argument(help="The machine.")], *, as_json: AsJson = False
) -> None:
    """Tell everything that is known about one machine, in order."""
    with fleet.memory().read() as c:
        machine = machines.get(c, host)
        if machine is None:
            raise Problem(
                "tell why",
                "the inventory does not know it, and never did",
                at=Place(host=host),
                then="`reroot-fleet import` takes machines of an inventory",
            )
        some = jobs.select(c, host=host)
        log = events.read(c, host=host)
        survey = next(iter(surveys.latest(c, host=host)), None)
        zone = _zone(c, some)
    if as_json:
        say.document(
            {
                "kind": "reroot-fleet-why",
                "version": 1,
                "host": machine,
                "jobs": some,
                "survey": survey,
                "events": log,
                "lines": lines(log),
            }
        )
    else:
        typer.echo(why_text(machine, some, log, zone))


def _zone(c: Connection, some: list[Job]) -> str:
    night = nights.get(c, some[-1].night) if some else None
    return night.policy.window.zone if night is not None else "UTC"
