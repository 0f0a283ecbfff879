"""`reroot-fleet alert`: what is open, and acknowledging or resolving it."""

from __future__ import annotations

from typing import Annotated

import typer

from reroot_fleet.memory import outbox
from reroot_fleet.memory.outbox import Action, Message
from reroot_fleet.talk import fleet, say
from reroot_fleet.talk.options import AsJson
from reroot_fleet.values.problem import Problem

Key = Annotated[str | None, typer.Argument(help="The alert's key; without it all are shown.")]


def alert(
    key: Key = None,
    *,
    resolve: Annotated[bool, typer.Option("--resolve", help="It is over.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the open alerts; acknowledge one, or resolve it."""
    if key is None:
        with fleet.memory().read() as c:
            opened = outbox.open_alerts(c)
        if as_json:
            say.document(opened)
            return
        for one in opened:
            typer.echo(f"{one.since:%Y-%m-%d %H:%M} {one.state:<11} {one.key}: {one.summary}")
        if not opened:
            typer.echo("no alert is open")
        return
    action = Action.RESOLVE if resolve else Action.ACKNOWLEDGE
    done = "resolved" if resolve else "acknowledged"
    with fleet.memory().begin() as c:
        message = Message(fleet.now(), key, action, f"{done} by {fleet.who()}", "info")
        if not outbox.put(c, message, who=fleet.who()):
            known = [o.key for o in outbox.open_alerts(c)]
            then = f"open are {', '.join(known)}" if known else "none is open"
            raise Problem(
                f"have the alert {key} {done}", "it is not open, or is so already", then=then
            )
    say.done(f"{done} {key}", as_json=as_json, key=key, action=action)
