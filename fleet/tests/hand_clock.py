"""Time that passes by hand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from reroot_fleet.simulation.stage import BEGINS


@dataclass
class HandClock:
    """A clock that stands still unless somebody sleeps by it, or moves it."""

    at: datetime = BEGINS
    mono: float = 0.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.mono

    def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)

    def real(self, seconds: float) -> float:
        return seconds
