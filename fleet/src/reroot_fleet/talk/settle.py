"""`reroot-fleet settle`: a person's word on a machine that was held."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from reroot_fleet.memory import jobs
from reroot_fleet.talk import fleet, say
from reroot_fleet.talk.options import AsJson, Why, Yes
from reroot_fleet.values.event import Event, What
from reroot_fleet.values.job import JobState
from reroot_fleet.values.problem import Place, Problem


class Outcome(StrEnum):
    """What a person found."""

    DONE = "done"
    """The new OS is in place."""
    REVERTED = "reverted"
    """The old OS is there, whole."""
    RESTORED = "restored"
    """It was put back from its backup."""


_TELLS = {
    Outcome.DONE: What.JOB_DONE,
    Outcome.REVERTED: What.JOB_REVERTED,
    Outcome.RESTORED: What.JOB_RESTORED,
}

_FROM = {
    Outcome.DONE: (JobState.HELD,),
    Outcome.REVERTED: (JobState.HELD,),
    Outcome.RESTORED: (JobState.HELD, JobState.REVERTED),
}


def settle(
    host: Annotated[str, typer.Argument(help="The machine.")],
    *,
    outcome: Annotated[Outcome, typer.Option("--as", help="What you found on it.")],
    reason: Why,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Say what became of a machine that was held, or restored from its backup; say it when you saw it."""
    with fleet.memory().begin() as c:
        held = [j for j in jobs.select(c, host=host) if j.state in _FROM[outcome]]
        if not held:
            raise Problem(
                f"settle it as {outcome}",
                f"it has no job that is {' or '.join(_FROM[outcome])}",
                at=Place(host=host),
                then=f"`reroot-fleet why {host}` tells how it stands",
            )
        job = max(held, key=lambda j: j.since or fleet.now())
        say.sure(f"Did you see that {host} is {outcome}?", yes=yes)
        fleet.ordered(c, f"settle {host} as {outcome}", night=job.night, why=reason)
        event = Event(
            at=fleet.now(),
            who=fleet.who(),
            what=_TELLS[outcome],
            night=job.night,
            host=host,
            job=job.id,
            why=reason,
            detail={"cause": reason},
        )
        jobs.record(c, event, expect=jobs.Expected(states=_FROM[outcome]))
    line = f"settled {host} as {outcome}"
    if outcome is not Outcome.DONE:
        line += "; `reroot-fleet requeue` queues it again"
    say.done(line, as_json=as_json, job=job.id, outcome=outcome)
