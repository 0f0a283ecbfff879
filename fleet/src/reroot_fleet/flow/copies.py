"""How many images travel at once: places that are taken in turn, and cost nothing to wait for.

The policy says how many copies all conductors make together. Each of them makes its share, and one at
least: they need not ask each other, and a conductor that dies leaves its share to the others.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Copies:
    """One conductor's places."""

    def __init__(self, wake: Callable[[str], None] = lambda _job: None) -> None:
        """`wake`: told of a job for which a place is kept."""
        self._wake = wake
        self._lock = threading.Lock()
        self._conductors = 1
        self._taken: set[str] = set()
        self._waiting: dict[str, int] = {}
        """Jobs in their order, each with the number that its night allows."""

    def take(self, job: str, at_once: int) -> bool:
        """A place, or one in the line."""
        with self._lock:
            if job in self._taken:
                return True  # it was kept for this one
            if not self._waiting and len(self._taken) < self._share(at_once):
                self._taken.add(job)
                return True
            self._waiting.setdefault(job, at_once)
            return False

    def give(self, job: str) -> None:
        """The place is free, or the one in the line."""
        with self._lock:
            self._taken.discard(job)
            self._waiting.pop(job, None)
        self._next()

    def kept(self, job: str) -> bool:
        """Whether a place is kept for it, or used by it."""
        with self._lock:
            return job in self._taken

    def shared_by(self, conductors: int) -> None:
        """So many conductors are alive."""
        with self._lock:
            self._conductors = max(1, conductors)
        self._next()

    def _share(self, at_once: int) -> int:
        return max(1, at_once // self._conductors)

    def _next(self) -> None:
        woken: list[str] = []
        with self._lock:
            while self._waiting:
                job, at_once = next(iter(self._waiting.items()))
                if len(self._taken) >= self._share(at_once):
                    break
                del self._waiting[job]
                self._taken.add(job)
                woken.append(job)
        for job in woken:
            self._wake(job)
