"""The inventory as the planner asks it: what a machine takes up, its class, and what carries it.

Made once for each change of the inventory; a decision looks up only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import repeat
from typing import NamedTuple

from reroot_fleet.values.host import Host, Protects
from reroot_fleet.values.job import Job
from reroot_fleet.values.policy import Limits

Key = str
"""What is limited, in words: `rack r1`."""

OF_THE_FLEET: frozenset[Protects] = frozenset(
    {Protects.CONDUCTOR, Protects.DATABASE, Protects.BOARD}
)
"""What every machine of a wave depends on: such a machine goes alone."""


class Seat(NamedTuple):
    """What one machine takes up."""

    host: str
    machine_class: str
    keys: tuple[Key, ...]
    above: frozenset[str]
    """Hosts without which it does not run or cannot be reached, and theirs."""
    alone: bool
    """Something of the fleet itself stands on it."""


UNKNOWN = Seat("", "", (), frozenset(), alone=False)


@dataclass(frozen=True, slots=True)
class Site:
    """Every machine's seat."""

    seats: Mapping[str, Seat]
    limit_of: Mapping[Key, int]
    """How many at once."""
    alone: frozenset[str] = frozenset()
    """Hosts that go alone."""

    def __getitem__(self, host: str) -> Seat:
        """The seat of a host; one that the inventory no longer knows has none."""
        return self.seats.get(host, UNKNOWN)

    def of(self, jobs: Iterable[Job]) -> Iterator[Seat]:
        """The seat of each job's machine."""
        return map(self.seats.get, [j.host for j in jobs], repeat(UNKNOWN))

    def class_of(self, job: Job) -> str:
        """The class of a job's machine: as it was when it was queued, where that was recorded."""
        return job.machine_class or self[job.host].machine_class


def site(hosts: Iterable[Host], limits: Limits) -> Site:
    """Every machine's seat under those limits."""
    by_name = {h.name: h for h in hosts}
    limit_of: dict[Key, int] = {}
    seats = {h.name: _seat(h, by_name, limits, limit_of) for h in by_name.values()}
    return Site(seats, limit_of, frozenset(s.host for s in seats.values() if s.alone))


def _seat(
    host: Host, by_name: Mapping[str, Host], limits: Limits, limit_of: dict[Key, int]
) -> Seat:
    key, alone = host.machine_class.key, bool(host.protects & OF_THE_FLEET)
    keys = tuple(_keys(host, limits, limit_of))
    return Seat(host.name, key, keys, _above(host, by_name), alone)


def _keys(host: Host, limits: Limits, limit_of: dict[Key, int]) -> Iterable[Key]:
    own = (
        ("customer", host.customer, limits.customer),
        ("rack", host.rack, limits.rack),
        ("hypervisor", host.hypervisor, limits.hypervisor),
        *((label, host.labels.get(label), n) for label, n in limits.per.items()),
    )
    for kind, value, limit in own:
        if value:
            key = f"{kind} {value}"
            limit_of[key] = limit
            yield key


def _above(host: Host, by_name: Mapping[str, Host]) -> frozenset[str]:
    found: set[str] = set()
    to_see = list(host.carried_by)
    while to_see:
        name = to_see.pop()
        if name not in found and name != host.name:
            found.add(name)
            if name in by_name:
                to_see.extend(by_name[name].carried_by)
    return frozenset(found)
