"""`reroot-fleet requeue`: a special case, with who decided it and why."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from reroot_fleet.memory import jobs, machines
from reroot_fleet.talk import fleet, images, say
from reroot_fleet.talk.options import AsJson, Why, Yes
from reroot_fleet.talk.queue import may_rehearse
from reroot_fleet.values.job import Job, Override, job_id
from reroot_fleet.values.night import NightState
from reroot_fleet.values.problem import Place, Problem

HostName = Annotated[str, typer.Argument(help="The machine.")]
Entry = Annotated[str | None, typer.Option(help="auto, kexec, takeover or boot.")]
Keep = Annotated[list[str] | None, typer.Option(help="A path to keep besides the image's own.")]
Force = Annotated[list[str] | None, typer.Option(help="Code of a check to force.")]
Rehearse = Annotated[bool, typer.Option("--rehearse", help="Rehearse it first.")]
ImageName = Annotated[str | None, typer.Option("--image", help="Another image, by name.")]
NightName = Annotated[str | None, typer.Option("--night", help="The night; by default the newest.")]

ENTRIES = ("auto", "kexec", "takeover", "boot")
_TAKES = (NightState.PLANNED, NightState.OPEN, NightState.PAUSED)


def requeue(  # noqa: PLR0913 - a command's options
    host: HostName,
    *,
    entry: Entry = None,
    keep: Keep = None,
    force: Force = None,
    image: ImageName = None,
    rehearse: Rehearse = False,
    night: NightName = None,
    reason: Why,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Queue a machine again whose old OS is as it was, with what is special about it."""
    if entry is not None and entry not in ENTRIES:
        raise _cannot(host, f"`{entry}` is no entry", f"there are {', '.join(ENTRIES)}")
    with fleet.memory().begin() as c:
        if machines.get(c, host) is None:
            raise _cannot(host, "the inventory does not know it", "")
        last = max(jobs.select(c, host=host), key=lambda j: j.since or fleet.now(), default=None)
        _may_again(host, last)
        assert last is not None  # noqa: S101 - `_may_again` has refused it
        into = fleet.night_or_only(c, night, _TAKES)
        if into.state not in _TAKES:
            raise _cannot(host, f"the night {into.id} is {into.state}", "name another with --night")
        if rehearse:
            may_rehearse(into)
        digest = images.find(c, image).digest if image else None
        override = Override(
            fleet.who(), reason, entry, tuple(keep or ()), digest, tuple(force or ()), rehearse
        )
        before = jobs.select(c, night=into.id, host=host)
        attempt = 1 + max((j.attempt for j in before), default=0)
        job = Job(
            id=job_id(into.id, host, attempt),
            night=into.id,
            host=host,
            image=last.image,
            machine_class=last.machine_class,
            attempt=attempt,
            override=override,
            deadlines_s=last.deadlines_s,
        )
        if force:
            say.sure(f"Force {', '.join(force)} on {host}?", yes=yes)
        fleet.ordered(c, f"requeue {host}", night=into.id, why=reason)
        jobs.queue(c, job, now=fleet.now(), who=fleet.who(), why=reason)
    special = _words(replace(override, image=image))
    line = f"queued {host} again for the night {into.id}" + (f" with {special}" if special else "")
    say.done(line, as_json=as_json, night=into.id, job=job.id, override=override)


def _may_again(host: str, last: Job | None) -> None:
    if last is None:
        raise _cannot(host, "it was never queued", "`reroot-fleet queue` does that")
    if not last.state.ended:
        raise _cannot(host, f"its job {last.id} is {last.state}", "wait for it, or `abort` it")
    if not last.state.may_be_requeued:
        raise _cannot(
            host,
            f"its job {last.id} is {last.state}, and `go` may not be said to it again",
            f"`reroot-fleet why {host}` tells what is known",
        )


def _words(override: Override) -> str:
    parts = []
    if override.entry:
        parts.append(f"the entry {override.entry}")
    if override.keep:
        parts.append(f"{', '.join(override.keep)} kept")
    if override.image:
        parts.append(f"the image {override.image}")
    if override.force:
        parts.append(f"{', '.join(override.force)} forced")
    if override.rehearse:
        parts.append("a rehearsal first")
    return " and ".join(parts)


def _cannot(host: str, why: str, then: str) -> Problem:
    return Problem("queue it again", why, at=Place(host=host), then=then)
