"""What an operator allows: windows, limits, waves, gates, budget. Read by `policy.policy_file`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from enum import StrEnum

HOURLY_CAP = 200
"""Machines that may be posted in any sixty minutes. No policy raises it: a mistake in a policy, a
selector or the planner costs an hour's worth at most before somebody can look."""


class Weekday(StrEnum):
    """The day on which a night begins at the site."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


EVERY_DAY: frozenset[Weekday] = frozenset(Weekday)


@dataclass(frozen=True, slots=True)
class WindowRule:
    """When machines may be reinstalled, by the site's clock."""

    zone: str = "UTC"
    """IANA name of the site's time zone."""
    begins: time = time(22, 0)
    ends: time = time(6, 0)
    """On the following day where it is not later than `begins`."""
    days: frozenset[Weekday] = EVERY_DAY
    """The days on which a night may begin."""
    never: frozenset[date] = frozenset()
    """Dates on which none begins."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many at once, and how many in an hour and a night."""

    total: int = 200
    """At once, in all."""
    customer: int = 5
    rack: int = 5
    hypervisor: int = 2
    image: int = 200
    hour: int = HOURLY_CAP
    """Posted in any sixty minutes; at most `HOURLY_CAP`."""
    night: int = 200
    """Posted in one night."""
    per: Mapping[str, int] = field(default_factory=dict, hash=False)
    """Any other label of the inventory: at once for each of its values."""


@dataclass(frozen=True, slots=True)
class Waves:
    """Canaries first, then a ramp."""

    canaries: int = 1
    """For each class of machine and image."""
    ramp: tuple[int, ...] = (5, 20, 100, 200)
    """Machines of the first, second … wave of an image; the last repeats."""
    a_night: int = 1
    """Waves of the ramp that one night may begin for an image."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What lies between two waves."""

    bake: timedelta = timedelta(minutes=30)
    """How long the machines of a wave must have run confirmed."""
    reverted: int = 0
    """How many of a wave may have reverted and it still counts as confirmed."""
    held: int = 0
    """How many of it may be held, where the budget has not stopped everything already."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What may go wrong before it stops."""

    holds_stop_class: int = 1
    holds_stop_night: int = 2
    reverted_pauses: float = 0.03
    """Share of the night's ended jobs; more than it pauses the night."""


class Rehearsal(StrEnum):
    """Whether a machine is rehearsed before `go`."""

    NONE = "none"
    OPTIONAL = "optional"
    """Where the job asks for it."""
    REQUIRED = "required"
    """No `go` without one of the same image and consent that passed, not too long ago."""


@dataclass(frozen=True, slots=True)
class CopyRule:
    """How images travel."""

    at_once: int = 20
    kib_per_s: int | None = None
    """Limit for each copy."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything that an operator allows."""

    name: str = "default"
    window: WindowRule = WindowRule()
    limits: Limits = field(default_factory=Limits)
    waves: Waves = Waves()
    gate: Gate = Gate()
    budget: Budget = Budget()
    rehearsal: Rehearsal = Rehearsal.OPTIONAL
    rehearsal_max_age: timedelta = timedelta(days=7)
    copies: CopyRule = CopyRule()
    assumed_duration: timedelta = timedelta(hours=2)
    """What a job is taken to need while its plan's deadlines are not known."""
    start_within: timedelta = timedelta(hours=2)
    """How long after its posting a job may take to say `go`; later counts as reverted."""
    hooks: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Programs for `drain`, `undrain`, `confirm`, `restore`, called with the host's name."""
