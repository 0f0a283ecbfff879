"""The clocks that the fleet goes by.

Two kinds, never mixed: the time of day, which others agree on and which is set at times, for windows
and deadlines; and this host's own monotonic clock, which nobody sets, for claims.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Where the time comes from."""

    def now(self) -> datetime:
        """The time of day, UTC."""

    def monotonic(self) -> float:
        """Seconds of this host's own clock; also while the process is stopped."""

    def sleep(self, seconds: float) -> None:
        """Lets so many of the day's seconds pass."""

    def real(self, seconds: float) -> float:
        """How long so many of the day's seconds take on the monotonic clock."""


class SystemClock:
    """The real one."""

    def now(self) -> datetime:
        """The time of day, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds of this host's own clock."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Sleeps."""
        time.sleep(max(0.0, seconds))

    def real(self, seconds: float) -> float:
        """As long as they are."""
        return seconds


@dataclass(frozen=True, slots=True)
class FastClock:
    """A day that passes faster, the same for every process that knows its beginning.

    Only the time of day is fast: claims and heartbeats stay real, as the board's are.
    """

    begun: float
    """`time.time()` at the beginning."""
    begins: datetime
    scale: float

    def now(self) -> datetime:
        """The time of day, UTC."""
        return self.begins + timedelta(seconds=(time.time() - self.begun) * self.scale)

    def monotonic(self) -> float:
        """Seconds of this host's own clock."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Sleeps a fraction."""
        time.sleep(max(0.0, seconds / self.scale))

    def real(self, seconds: float) -> float:
        """A fraction of them."""
        return seconds / self.scale
