"""What the planner decides: values, and nothing is done yet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Posting:
    """A job that may start now."""

    job: str
    host: str
    wave: int


class StopKind(StrEnum):
    """What is stopped."""

    CLASS = "class"
    """Nothing more of a class of machines starts."""
    PAUSE = "pause"
    """Nothing more starts until a person resumes the night."""
    HALT = "halt"
    """Nothing more starts; jobs before `go` are withdrawn."""


@dataclass(frozen=True, slots=True)
class Stop:
    """A stop by the failure budget."""

    kind: StopKind
    cause: str
    machine_class: str | None = None


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A job that a stop reaches: posted, or claimed and not yet at `go`."""

    job: str
    cause: str


class Severity(StrEnum):
    """How loud an alert is."""

    CRITICAL = "critical"
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Alert:
    """What a person should know now. While it is decided again it stays open; then it is resolved."""

    key: str
    """Stable: the same trouble has the same key in every decision."""
    severity: Severity
    summary: str
    night: str
    host: str | None = None
    job: str | None = None


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate that is open: the wave before it was confirmed and has baked."""

    image: str
    wave: int
    machine_class: str | None = None
    """For canaries: the class that they spoke for."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Everything that follows from the state of a night at a moment."""

    post: tuple[Posting, ...] = ()
    withheld: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Ids of queued jobs by the reason why they do not start now."""
    stop: tuple[Stop, ...] = ()
    withdraw: tuple[Withdrawal, ...] = ()
    late: tuple[str, ...] = ()
    """Jobs past their deadline: they count as failed."""
    gates: tuple[Gate, ...] = ()
    alerts: tuple[Alert, ...] = ()
    look_again: datetime | None = None
    """Before then, time alone changes nothing; an ended job may."""

    @property
    def withhold(self) -> Iterator[tuple[str, str]]:
        """Each withheld job with its reason."""
        return ((job, why) for why, jobs in self.withheld.items() for job in jobs)
