"""The room where jobs wait: a heap of moments, and not a thread for any of them."""

from __future__ import annotations

import heapq
import random
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reroot_fleet.flow.outcome import Wait


@dataclass(order=True, slots=True)
class _Moment:
    at: float
    number: int
    job: str = field(compare=False)
    polls: bool = field(compare=False)


class WaitingRoom:
    """Who waits until when, and whom to look at meanwhile. Times are monotonic seconds."""

    def __init__(self, first_s: float, longest_s: float) -> None:
        """`first_s`, `longest_s`: between two polls, in real seconds."""
        self._first = first_s
        self._longest = longest_s
        self._lock = threading.Lock()
        self._heap: list[_Moment] = []
        self._waits: dict[str, tuple[Wait, int, float]] = {}
        self._numbers = 0
        self._dice = random.Random()  # noqa: S311 - jitter

    def enter(self, job: str, wait: Wait, until: float, now: float) -> None:
        """A job waits from now on."""
        with self._lock:
            self._numbers += 1
            self._waits[job] = (wait, self._numbers, self._first)
            heapq.heappush(self._heap, _Moment(until, self._numbers, job, polls=False))
            if wait.watch.value != "nothing":
                self._push_poll(job, self._numbers, now, self._first)

    def leave(self, job: str) -> None:
        """It does not wait any more."""
        with self._lock:
            self._waits.pop(job, None)

    def wait_of(self, job: str) -> Wait | None:
        """What it waits for."""
        with self._lock:
            found = self._waits.get(job)
            return None if found is None else found[0]

    def due(self, now: float) -> tuple[list[str], list[str]]:
        """Whose time has come, and who is to be looked at. Who is looked at comes back by `looked`."""
        over, polls = [], []
        with self._lock:
            while self._heap and self._heap[0].at <= now:
                moment = heapq.heappop(self._heap)
                entry = self._waits.get(moment.job)
                if entry is None or entry[1] != moment.number:
                    continue  # it has left since, or waits for something else
                if moment.polls:
                    polls.append(moment.job)
                else:
                    del self._waits[moment.job]
                    over.append(moment.job)
        return over, polls

    def looked(self, job: str, now: float) -> None:
        """It was looked at, and goes on waiting; the next look comes later than this one did."""
        with self._lock:
            entry = self._waits.get(job)
            if entry is None:
                return
            wait, number, pause = entry
            longer = min(pause * 1.3, self._longest)
            self._waits[job] = (wait, number, longer)
            self._push_poll(job, number, now, longer)

    def jobs(self) -> list[str]:
        """Everyone who waits."""
        with self._lock:
            return list(self._waits)

    def _push_poll(self, job: str, number: int, now: float, pause: float) -> None:
        at = now + pause * self._dice.uniform(0.8, 1.2)
        heapq.heappush(self._heap, _Moment(at, number, job, polls=True))
