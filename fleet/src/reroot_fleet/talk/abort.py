"""`reroot-fleet abort`: take machines out of a night before `go`."""

from __future__ import annotations

from reroot_fleet.memory import jobs, machines, orders
from reroot_fleet.policy.selector import select
from reroot_fleet.talk import fleet, say
from reroot_fleet.talk.options import AsJson, Selector, Why, Yes
from reroot_fleet.values.job import JobState
from reroot_fleet.values.problem import Problem

_LIVE = (JobState.QUEUED, JobState.POSTED, JobState.RUNNING)


def abort(selector: Selector, *, reason: Why, yes: Yes = False, as_json: AsJson = False) -> None:
    """Take machines' jobs back, those that have not begun `go`; behind it nothing is broken off."""
    memory = fleet.memory()
    with memory.read() as c:
        meant = {h.name for h in select(selector, machines.every(c))}
        reached = [job for job in jobs.select(c, states=_LIVE) if job.host in meant]
    if not reached:
        raise Problem(
            f"abort `{selector}`",
            "none of these machines has a job that is queued or runs",
            then="`reroot-fleet why HOST` tells what became of it",
        )
    say.sure(f"Take back {say.names(j.host for j in reached)}?", yes=yes)
    with memory.begin() as c:
        fleet.ordered(c, f"abort {selector}", why=reason)
        stopped = orders.withdraw(c, reached, now=fleet.now(), who=fleet.who(), why=reason)
    line = f"took {say.count(len(stopped.withdrawn), 'job')} back"
    if stopped.beyond:
        line += f"; at or behind go, and going on: {say.names(stopped.beyond)}"
    say.done(line, as_json=as_json, **say.plain(stopped))
