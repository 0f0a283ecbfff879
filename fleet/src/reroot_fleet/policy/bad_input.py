"""What is wrong with a night before anything of it starts: machines, images and policy together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import timedelta

from reroot_fleet.policy.windows import room
from reroot_fleet.values.host import Host
from reroot_fleet.values.job import Job
from reroot_fleet.values.night import Window
from reroot_fleet.values.problem import Place, Problem

ATTEMPTED = "queue machines for a night"


def of_images(
    hosts: Iterable[Host], wanted: Mapping[str, str], present: Mapping[str, str]
) -> list[Problem]:
    """Images whose digests differ between hosts, or that are not there.

    `wanted`: the digest that each host was surveyed with. `present`: the digest of each image's file.
    """
    problems = []
    digests: defaultdict[str, defaultdict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for host in hosts:
        if host.image is None:
            why = "it has no image: give it one in the inventory, or with --image"
            problems.append(Problem(ATTEMPTED, why, at=Place(host=host.name)))
        elif host.image not in present:
            why = f"the image {host.image} is not in the directory of images"
            problems.append(Problem(ATTEMPTED, why, at=Place(host=host.name)))
        elif host.name in wanted:
            digests[host.image][wanted[host.name]].append(host.name)
    for image, by_digest in sorted(digests.items()):
        if len(by_digest) > 1:
            parts = [f"{d[:20]}… for {_some(names)}" for d, names in sorted(by_digest.items())]
            why = f"the image {image} has {len(by_digest)} digests: {'; '.join(parts)}"
            problems.append(Problem(ATTEMPTED, why, then="survey these machines again"))
        else:
            problems += _another(image, next(iter(by_digest)), present[image], by_digest)
    return problems


def _another(
    image: str, surveyed: str, present: str, by_digest: Mapping[str, list[str]]
) -> list[Problem]:
    if surveyed == present:
        return []
    why = f"the image {image} was surveyed as {surveyed[:20]}…, and is {present[:20]}… now"
    then = f"survey {_some(by_digest[surveyed])} again"
    return [Problem(ATTEMPTED, why, then=then)]


def too_long(jobs: Iterable[Job], window: Window) -> list[Problem]:
    """Jobs whose deadlines alone are longer than the window: they could never start in it."""
    length = room(window, window.opens)
    return [
        Problem(
            ATTEMPTED,
            f"its plan may take {job.deadlines_s // 60} min, and the window has "
            f"{length.total_seconds() // 60:.0f} min: it could never start",
            at=Place(host=job.host),
            then="make the window longer",
        )
        for job in jobs
        if job.deadlines_s is not None and timedelta(seconds=job.deadlines_s) > length
    ]


def _some(names: list[str]) -> str:
    return (
        ", ".join(names) if len(names) <= 3 else f"{', '.join(names[:2])} and {len(names) - 2} more"
    )
