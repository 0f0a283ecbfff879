"""The heartbeat: renews the claims of every job that is here, in one question for all of them.

Whoever reaches the board and not the memory could keep its jobs for ever and do nothing for them. So it gives
them back, from this thread, for the others may hang in a question that is never answered.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from reroot_fleet.board.seam import Board, BoardFault, Posting

if TYPE_CHECKING:
    from collections.abc import Callable

    from reroot_fleet.board.lease import Lease
    from reroot_fleet.machine.clock import Clock

LOG = logging.getLogger(__name__)

BEATS = 5
"""Renewals in a claim's life: several may fail before it is not believed in any more."""


class Heart:
    """A thread of its own, so that no step keeps it from beating."""

    def __init__(
        self,
        board: Board,
        clock: Clock,
        lost: Callable[[str], None],
        mute: Callable[[], bool] = lambda: False,
    ) -> None:
        """`lost` is told of each claim that is gone; `mute`: whether the memory does not answer."""
        self._board = board
        self._mute = mute
        self._clock = clock
        self._lost = lost
        self._claims: dict[str, tuple[Posting, Lease]] = {}
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heart", daemon=True)

    def start(self) -> None:
        """Begins to beat."""
        self._thread.start()

    def stop(self) -> None:
        """Ends; claims run out from then on."""
        self._end.set()
        self._thread.join()

    def add(self, posting: Posting, lease: Lease) -> None:
        """Renews this one from now on."""
        with self._lock:
            self._claims[posting.job] = (posting, lease)

    def drop(self, job: str) -> None:
        """Does not any more."""
        with self._lock:
            self._claims.pop(job, None)

    def _run(self) -> None:
        while not self._end.wait(self._board.ttl_s / BEATS):
            self.beat()

    def beat(self) -> None:
        """One renewal of all."""
        with self._lock:
            claims = dict(self._claims)
        if self._mute():
            self._give_back(claims)
            return
        asked = self._clock.monotonic()
        try:
            lost = self._board.renew([posting for posting, _ in claims.values()])
        except BoardFault as fault:
            LOG.warning("the claims were not renewed: %s", fault)
            return
        for job, (_, lease) in claims.items():
            if job in lost:
                LOG.warning("the claim of %s is lost", job)
                lease.lose()
                self._lost(job)
            else:
                lease.renewed(asked)

    def _give_back(self, claims: dict[str, tuple[Posting, Lease]]) -> None:
        if claims:
            LOG.warning("the memory does not answer: %d jobs are given back", len(claims))
        for job, (posting, lease) in claims.items():
            lease.lose()
            self.drop(job)
            self._lost(job)
            try:
                self._board.abandon(posting)
            except BoardFault as fault:
                LOG.warning("the claim of %s runs out by itself: %s", job, fault)
