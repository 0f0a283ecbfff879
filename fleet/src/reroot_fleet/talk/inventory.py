"""`reroot-fleet inventory`: the machines and how they stand, as Ansible asks for them."""

from __future__ import annotations

from typing import Annotated

import typer

from reroot_fleet.memory import jobs, machines
from reroot_fleet.policy import ansible
from reroot_fleet.talk import fleet, say
from reroot_fleet.values.problem import Problem


def inventory(
    *,
    whole: Annotated[bool, typer.Option("--list", help="Every machine, with its groups.")] = False,
    host: Annotated[str | None, typer.Option("--host", help="One machine's variables.")] = None,
) -> None:
    """Print the machines and how they stand, as an inventory for Ansible."""
    if whole == (host is not None):
        raise Problem("print an inventory", "it wants either --list or --host NAME")
    with fleet.memory().read() as c:
        listed = ansible.inventory(machines.every(c), jobs.select(c))
    say.document(listed if host is None else ansible.one(listed, host))
