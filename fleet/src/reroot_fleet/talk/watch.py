"""`reroot-fleet watch`: the whole night on a terminal."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from reroot_fleet.memory.errors import Unreachable
from reroot_fleet.memory.look import Look, look
from reroot_fleet.policy.overview import Customer, Overview, Tone
from reroot_fleet.talk import fleet, say
from reroot_fleet.talk.options import AsJson, NightId
from reroot_fleet.talk.status import as_document, lines
from reroot_fleet.values.night import NightState

STYLES = {
    Tone.IDLE: "dim",
    Tone.BUSY: "cyan",
    Tone.GOOD: "green",
    Tone.WARN: "yellow",
    Tone.BAD: "bold red",
}
SHOWN = 20
"""So many runs are told with how far they are; of all of them `status --json` tells, and the page."""
# Two letters a machine: it has to be read without colour too.
SIGNS = {
    "queued": "··",
    "posted": "po",
    "done": "OK",
    "reverted": "rv",
    "refused": "no",
    "held": "!!",
    "withdrawn": "--",
    "restored": "rs",
}


def watch(
    night: NightId = None,
    *,
    every: Annotated[float, typer.Option(help="Seconds between two looks.", min=0.5)] = 2.0,
    as_json: AsJson = False,
) -> None:
    """Show the whole night on the terminal until it is closed; `--json` prints a document a look."""
    memory = fleet.memory()
    with memory.read() as c:
        named = fleet.newest_night(c, night).id
    console = Console()
    with Live(console=console, auto_refresh=False, screen=console.is_terminal) as live:
        while True:
            try:
                with memory.read() as c:
                    found = look(c, fleet.night_or_only(c, named), fleet.now())
            except Unreachable as fault:
                live.update(Text(str(fault), style="bold red"), refresh=True)
                time.sleep(every)
                continue
            if as_json:
                say.document(as_document(found))
            else:
                live.update(drawn(found), refresh=True)
            if found.overview.night.state is NightState.CLOSED:
                break
            time.sleep(every)
    if not as_json:
        typer.echo("\n".join(lines(found)))


def drawn(found: Look) -> Group:
    """One look, drawn."""
    view = found.overview
    head = Text("\n".join(lines(found)), style=STYLES[view.tone] if view.night.cause else "")
    return Group(
        head, Text(), *[_customer(customer) for customer in view.customers], *_on_their_way(view)
    )


def _on_their_way(view: Overview) -> list[Text]:
    """How far runs are, the first ones of many."""
    seen = [m for customer in view.customers for m in customer.machines if m.seen]
    told = [f"{m.host}: {m.seen}" for m in seen[:SHOWN]]
    if len(seen) > SHOWN:
        told.append(f"and {len(seen) - SHOWN} more")
    return [Text(), Text("\n".join(told), style=STYLES[Tone.BUSY])] if told else []


def _customer(customer: Customer) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, title_justify="left")
    table.title = customer.name
    table.add_column(no_wrap=True)
    table.add_column()
    for rack in customer.racks:
        cells = Text()
        for machine in rack.machines:
            sign = "LT" if machine.late else SIGNS.get(machine.state, str(machine.step or "..")[:2])
            cells.append(sign, style=STYLES[machine.tone])
            cells.append(" ")
        table.add_row(f"  {rack.name}", cells)
    return table
