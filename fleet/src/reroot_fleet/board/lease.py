"""A claim, as its holder may believe in it: by the holder's own monotonic clock alone.

A conductor that was stopped (SIGSTOP, a hypervisor, a page-in) does not know it. So before every step
it asks not the board but its own clock, and it stops *before* the board lets go of the claim.
"""

from __future__ import annotations

import threading

MARGIN = 0.25
"""So much of a claim's life is left unused: what was begun at its last moment, a question to the
database or a process that is started, has to have left before somebody else may claim."""


class Lease:
    """How long a claim is believed in."""

    def __init__(self, ttl_s: float, asked: float) -> None:
        """`asked`: the monotonic clock when the claim was *asked for*, not when it was granted."""
        self._lock = threading.Lock()
        self._believed_s = ttl_s * (1 - MARGIN)
        self._until = asked + self._believed_s

    def renewed(self, asked: float) -> None:
        """The board has renewed it; `asked` as above."""
        with self._lock:
            # One that was lost stays lost, whatever a late answer says.
            if self._until != float("-inf"):
                self._until = max(self._until, asked + self._believed_s)

    def lose(self) -> None:
        """It is somebody else's, or nobody's."""
        with self._lock:
            self._until = float("-inf")

    @property
    def lost(self) -> bool:
        """Whether it is gone for good."""
        with self._lock:
            return self._until == float("-inf")

    def holds(self, now: float) -> bool:
        """Whether a step may begin."""
        with self._lock:
            return now < self._until

    def left_s(self, now: float) -> float:
        """How long it is believed in yet."""
        with self._lock:
            return max(0.0, self._until - now)
