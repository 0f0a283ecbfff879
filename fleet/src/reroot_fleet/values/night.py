"""A night: a window's worth of jobs under one policy."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from reroot_fleet.values.policy import Policy


class NightState(StrEnum):
    """How a night stands."""

    PLANNED = "planned"
    """Made; nothing starts yet."""
    OPEN = "open"
    """Jobs start when window, limits and gates let them."""
    PAUSED = "paused"
    """Nothing new starts; what was begun goes on; `resume` opens it again."""
    HALTED = "halted"
    """Nothing new starts, jobs before `go` are withdrawn; only a person opens another night."""
    CLOSED = "closed"
    """Its window is over and every job has ended or was withdrawn."""


@dataclass(frozen=True, slots=True)
class Window:
    """From `opens` until before `closes`, both UTC."""

    opens: datetime
    closes: datetime

    def contains(self, at: datetime) -> bool:
        """Whether a moment lies in it."""
        return self.opens <= at < self.closes


@dataclass(frozen=True, slots=True)
class Night:
    """A window's worth of jobs."""

    id: str
    """The date on which it begins at the site, with a suffix where there are several."""
    window: Window
    policy: Policy
    state: NightState = NightState.PLANNED
    selector: str = ""
    stopped_classes: frozenset[str] = frozenset()
    """Keys of machine classes that the budget or a person stopped."""
    cause: str | None = None
    """Why it was paused or halted."""
    resumed_at: datetime | None = None
    """When a person resumed it last: reverts before that were looked at, and pause it no more."""
