"""`reroot-fleet import`: take the machines of an inventory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reroot_fleet.memory import machines
from reroot_fleet.policy.inventory import read_inventory
from reroot_fleet.talk import fleet, say
from reroot_fleet.talk.options import AsJson, Why, Yes
from reroot_fleet.values.problem import Place, Problem

File = Annotated[Path, typer.Argument(help="An Ansible inventory (INI, YAML, JSON) or a CSV file.")]


def import_(file: File, *, reason: Why = "", yes: Yes = False, as_json: AsJson = False) -> None:
    """Take the machines of an inventory: what it does not name any more is left out from now on."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Problem("read the inventory", str(error), at=Place(str(file))) from error
    found = read_inventory(text, str(file))
    if not found.hosts:
        raise Problem("import the inventory", "it names no machine", at=Place(str(file)))
    for note in found.notes:
        typer.echo(f"note: {note}", err=True)
    with fleet.memory().begin() as c:
        before = {host.name for host in machines.every(c)}
        gone = before - {host.name for host in found.hosts}
        if gone:
            say.sure(f"Leave out {say.names(sorted(gone))}?", yes=yes)
        fleet.ordered(c, f"import {file.name}", why=reason)
        done = machines.replace_all(c, found.hosts, now=fleet.now(), who=fleet.who(), why=reason)
    line = (
        f"imported {say.count(len(found.hosts), 'machine')}: {len(done.added)} new,"
        f" {len(done.changed)} changed, {len(done.removed)} left out, {done.same} as they were"
    )
    say.done(line, as_json=as_json, **done._asdict())
