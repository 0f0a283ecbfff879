"""`reroot-fleet queue`: queue machines for a night."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reroot_fleet.memory import images as known_images
from reroot_fleet.memory import jobs, machines, nights, surveys
from reroot_fleet.policy import bad_input, windows
from reroot_fleet.policy.policy_file import read_policy
from reroot_fleet.policy.selector import select
from reroot_fleet.talk import fleet, images, say
from reroot_fleet.talk.options import AsJson, Selector, Why, Yes
from reroot_fleet.values.host import Host
from reroot_fleet.values.job import Job, JobState, Override, job_id
from reroot_fleet.values.night import Night, NightState
from reroot_fleet.values.policy import Rehearsal
from reroot_fleet.values.problem import Place, Problem, Problems

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from reroot_fleet.memory.surveys import Survey
    from reroot_fleet.values.policy import Policy

NightName = Annotated[
    str | None,
    typer.Option("--night", help="The night, by the day on which it begins; the next by default."),
]
PolicyFile = Annotated[Path | None, typer.Option("--policy", help="The policy of a new night.")]
ImageName = Annotated[
    str | None,
    typer.Option("--image", help="A name among the images; by default the one of each machine."),
]

Rehearse = Annotated[
    bool, typer.Option("--rehearse", help="Rehearse them first, where the policy leaves that open.")
]


def queue(
    selector: Selector,
    *,
    night: NightName = None,
    policy: PolicyFile = None,
    image: ImageName = None,
    rehearse: Rehearse = False,
    reason: Why = "",
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Queue machines for a night; the night is made where there is none yet, and opened by `start`."""
    with fleet.memory().begin() as c:
        meant = select(selector, machines.every(c))
        if not meant:
            raise Problem(
                "queue machines", "the selector is empty and means none", then="give `all` for all"
            )
        into = _night(c, night, policy, selector)
        done = {j.host for j in jobs.select(c, night=into.id) if j.state is JobState.DONE}
        fresh = [host for host in meant if host.name not in done]
        digests = _digests(c, into, fresh, image)
        found = {s.host: s for s in surveys.latest(c)}
        special = _rehearsed(into, reason) if rehearse else None
        made = [
            replace(_job(c, into, h, digests[h.name], found.get(h.name)), override=special)
            for h in fresh
        ]
        _refuse_bad(made, found, into, {h.name: image or h.image for h in fresh})
        say.sure(f"Queue {say.count(len(fresh), 'machine')} for the night {into.id}?", yes=yes)
        fleet.ordered(c, f"queue {selector}", night=into.id, why=reason)
        for job in made:
            jobs.queue(c, job, now=fleet.now(), who=fleet.who(), why=reason)
    line = f"queued {say.count(len(fresh), 'machine')} for the night {into.id}"
    if done & {h.name for h in meant}:
        line += f"; left out, done already: {say.names(sorted(done & {h.name for h in meant}))}"
    say.done(line, as_json=as_json, night=into.id, queued=[h.name for h in fresh])


def _rehearsed(night: Night, reason: str) -> Override:
    """What makes a rehearsal of jobs whose policy leaves it open."""
    may_rehearse(night)
    return Override(fleet.who(), reason, rehearse=True)


def may_rehearse(night: Night) -> None:
    """Refuses to ask for what the night's policy has not."""
    if night.policy.rehearsal is Rehearsal.NONE:
        raise Problem(
            "rehearse machines first",
            f'the policy of the night {night.id} has `rehearsal = "none"`',
            then="leave --rehearse out, or make a night with another policy",
        )


def _night(c: Connection, named: str | None, policy: Path | None, selector: str) -> Night:
    if named is not None and (found := nights.get(c, named)) is not None:
        if policy is not None:
            raise Problem(
                f"make the night {named}",
                "there is one already, and a night keeps the policy that it began with",
                then="leave --policy out, or halt that night and name another one",
            )
        return found
    evening = None if named is None else _evening(named)
    rules = _policy(policy)
    window = (
        windows.current_or_next(rules.window, fleet.now())
        if evening is None
        else windows.window_of(rules.window, evening)
    )
    if window is None:
        raise Problem(
            "make a night", "the policy has no window then", at=Place(str(policy or "the default"))
        )
    name = named or windows.evening_of(rules.window, window).isoformat()
    if (found := nights.get(c, name)) is not None:
        return found
    made = Night(name, window, rules, NightState.PLANNED, selector)
    nights.create(c, made, now=fleet.now(), who=fleet.who())
    return made


def _policy(file: Path | None) -> Policy:
    if file is None:
        raise Problem(
            "make a night", "no policy was given", then="give --policy FILE; see docs/fleet.md"
        )
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Problem("read the policy", str(error), at=Place(str(file))) from error
    return read_policy(text, str(file))


def _evening(name: str) -> date:
    try:
        return date.fromisoformat(name[:10])
    except ValueError:
        raise Problem(
            f"make the night {name}", "its name is no day", then="name it like 2026-11-28"
        ) from None


def _digests(c: Connection, night: Night, hosts: list[Host], image: str | None) -> dict[str, str]:
    """The digest of every machine's image; of one name there is one digest in a night."""
    names = {host.name: image or host.image for host in hosts}
    nameless = [host for host, name in names.items() if not name]
    if nameless:
        raise Problem(
            "queue machines",
            f"no image is named for {say.names(nameless)}",
            then="give --image, or name one in the inventory",
        )
    found = {name: images.find(c, name) for name in sorted({n for n in names.values() if n})}
    before = [
        (j.host, j.image) for j in jobs.select(c, night=night.id) if j.image_wanted == j.image
    ]
    for name, one in found.items():
        others = [
            (host, digest)
            for host, digest in before
            if (known := known_images.by_digest(c, digest)) is not None and known.name == one.name
        ]
        images.same_everywhere(name, [*others, (next(iter(names)), one.digest)])
    return {host: found[name].digest for host, name in names.items() if name}


def _refuse_bad(
    made: list[Job], found: dict[str, Survey], night: Night, names: dict[str, str | None]
) -> None:
    """What was surveyed has to be what is queued, and has to fit into the window."""
    hosts = [Host(job.host, "", image=names[job.host]) for job in made]
    surveyed = {h.name: found[h.name].image for h in hosts if h.name in found}
    present = {name: job.image for job in made if (name := names[job.host])}
    problems = bad_input.of_images(hosts, surveyed, present)
    problems += bad_input.too_long(made, night.window)
    if problems:
        raise Problems(tuple(problems))


def _job(c: Connection, night: Night, host: Host, digest: str, survey: Survey | None) -> Job:
    attempt = 1 + max(
        (j.attempt for j in jobs.select(c, night=night.id, host=host.name)), default=0
    )
    fits = survey is not None and survey.image == digest
    seen = survey.machine_class if survey is not None else ""
    return Job(
        id=job_id(night.id, host.name, attempt),
        night=night.id,
        host=host.name,
        image=digest,
        machine_class=seen or host.machine_class.key,
        attempt=attempt,
        deadlines_s=survey.deadlines_s if fits and survey is not None else None,
    )
