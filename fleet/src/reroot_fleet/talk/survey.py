"""`reroot-fleet survey`: ask every machine by day whether it may go, many at once."""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from reroot_fleet.machine.asking import Asked, ask
from reroot_fleet.memory import machines, surveys
from reroot_fleet.memory.surveys import Survey
from reroot_fleet.policy.selector import select
from reroot_fleet.talk import fleet, images, reach, say
from reroot_fleet.talk.options import AsJson, Selector
from reroot_fleet.values.problem import Problem

if TYPE_CHECKING:
    from reroot_fleet.machine.seam import ImageFile
    from reroot_fleet.values.host import Host

ImageName = Annotated[
    str | None, typer.Option("--image", help="By default the one of each machine.")
]
AtOnce = Annotated[int, typer.Option("--at-once", min=1, max=200, help="Machines at once.")]


def survey(
    selector: Selector = "all",
    *,
    image: ImageName = None,
    at_once: AtOnce = 32,
    as_json: AsJson = False,
) -> None:
    """Ask machines for their checks and their plan, copying the image first; change nothing else."""
    memory = fleet.memory()
    with memory.begin() as c:
        meant = select(selector, machines.every(c))
        if not meant:
            raise Problem("survey machines", "the selector is empty and means none")
        accepted = frozenset(a.finding for a in surveys.accepted(c))
        named = {host.name: image or host.image for host in meant}
        files = {
            n: images.file(images.find(c, n)) for n in sorted({n for n in named.values() if n})
        }
        fleet.ordered(c, f"survey {selector}")
    found: list[Survey] = []
    with ThreadPoolExecutor(min(at_once, len(meant)), "survey") as pool:
        one = partial(_one, accepted=accepted)
        pairs = [(host, files.get(named[host.name] or "")) for host in meant]
        for answer in pool.map(one, *zip(*pairs, strict=True)):
            with memory.begin() as c:
                surveys.record(c, answer, who=fleet.who())
            found.append(answer)
    if as_json:
        say.document({"kind": "reroot-fleet-survey", "version": 1, "machines": found})
    else:
        Console().print(table(found))
        may = sum(s.may_go for s in found)
        typer.echo(f"{may} of {say.count(len(found), 'machine')} may go")


def _one(host: Host, image: ImageFile | None, *, accepted: frozenset[str]) -> Survey:
    if image is None:
        return _survey(
            host,
            "",
            Asked(may_go=False, codes=("no-image",), reason="the inventory names no image for it"),
        )
    return _survey(host, image.digest, ask(reach.machine(host), image, accepted))


def _survey(host: Host, digest: str, asked: Asked) -> Survey:
    return Survey(
        at=fleet.now(),
        host=host.name,
        image=digest,
        may_go=asked.may_go,
        codes=asked.codes,
        reason=asked.reason,
        consent=asked.consent,
        deadlines_s=asked.deadlines_s,
        machine_class=asked.machine_class or host.machine_class.key,
        detail={"notes": list(asked.notes)},
    )


def table(found: list[Survey]) -> Table:
    """How many may go, and the others by the reason of their refusal."""
    grouped: dict[tuple[str, ...], list[Survey]] = defaultdict(list)
    for one in found:
        grouped[() if one.may_go else one.codes].append(one)
    drawn = Table(box=None, pad_edge=False)
    drawn.add_column("machines", justify="right")
    for name in ("refused by", "for example", "which"):
        drawn.add_column(name, overflow="fold")
    for codes, some in sorted(grouped.items(), key=lambda pair: (bool(pair[0]), -len(pair[1]))):
        words = "may go" if not codes else ", ".join(codes)
        drawn.add_row(str(len(some)), words, some[0].reason, say.names(s.host for s in some))
    return drawn
