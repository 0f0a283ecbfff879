"""A board in ZooKeeper: claims end with their conductor's session.

A session outlives the one fault that a claim of it has seen. So what was given up, or what is not
known to have been made, is kept in mind and given back as soon as the servers answer: else the job
would be claimed by nobody for as long as this conductor lives.
"""

from __future__ import annotations

import secrets
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kazoo.exceptions import KazooException, SessionExpiredError
from kazoo.handlers.threading import KazooTimeoutError
from taskflow.exceptions import JobFailure

from reroot_fleet.board.lease import MARGIN
from reroot_fleet.board.seam import BoardFault, Posting
from reroot_fleet.board.zookeeper_client import SessionClient
from reroot_fleet.board.zookeeper_jobs import Claim, OrderedJob, SessionBoard

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_FAULTS = (KazooException, KazooTimeoutError)
_HASTE = 0.8
"""Of the time for a renewal: the rest is for whoever asked."""
DOUBT_S = 300.0
"""For so long a claim may still arrive that was on its way when the connection was lost."""


@dataclass(slots=True)
class Handle:
    """A job as one look has found it, and its claim where it was made."""

    job: OrderedJob
    claim: Claim | None = None


class ZookeeperBoard:
    """A board in ZooKeeper."""

    def __init__(self, who: str, *, hosts: str, path: str, ttl_s: float = 15.0) -> None:
        self._who = who
        self._client = SessionClient(hosts, ttl_s)
        self._board = SessionBoard(self._client, path)
        self._strays: dict[Claim, float] = {}
        self._lock = threading.Lock()
        with _told(f"connect to the board at {hosts}"):
            try:
                self.ttl_s = self._board.connect()
            except BaseException:
                self.close()
                raise

    def post(self, job: str) -> bool:
        """Posts a job once."""
        with _told(f"post {job}"):
            self._client.need()
            return self._board.post_once(job)

    def listed(self) -> frozenset[str]:
        """All jobs."""
        return frozenset(job.name for job in self._jobs()[0])

    def free(self) -> tuple[Posting, ...]:
        """Unclaimed ones, oldest first."""
        return tuple(Posting(job.name, Handle(job)) for job in self._jobs()[1])

    def _jobs(self) -> tuple[list[OrderedJob], list[OrderedJob]]:
        with _told("look at the board"):
            self._client.need()
            return self._board.jobs()

    # -- claims -------------------------------------------------------------------------------

    def claim(self, posting: Posting) -> bool:
        """Claims one, for as long as the session lives."""
        handle: Handle = posting.handle
        with _told(f"claim {posting.job}"):
            self._client.need()
            fence = self._board.fence()
            owner = f"{self._who}/{secrets.token_hex(8)}"
            claim = Claim(handle.job, owner, fence)
            try:
                taken = self._board.take(claim)
            except BaseException:
                self._stray(claim, doubted_s=DOUBT_S)
                raise
        handle.claim = claim if taken else None
        return taken

    def renew(self, postings: Collection[Posting]) -> frozenset[str]:
        """Asks whether the session is alive and the claims are ours; the session's life renews itself.

        A connection that is away for as long as a claim is believed in counts as lost with all claims:
        the servers end the session, and nobody tells us when. Before that it is not known: they may only
        be choosing another leader.
        """
        end = time.monotonic() + self._client.patience_s * _HASTE
        mine = {posting: _claim(posting) for posting in postings}
        strays = self._kept_in_mind()
        if not mine and not strays:
            return frozenset()
        self._client.is_back(end - time.monotonic())
        if self._client.is_over(self.ttl_s * (1 - MARGIN)):
            self._stray(*mine.values())
            return frozenset(posting.job for posting in mine)
        held = self._held([*mine.values()], strays, end)
        return frozenset(posting.job for posting, claim in mine.items() if claim not in held)

    def _held(self, mine: list[Claim], strays: list[Claim], end: float) -> frozenset[Claim]:
        """Those that hold; and strays are given back."""
        with _told("renew the claims"):
            session = self._client.need()
            # What another session claimed has ended with it.
            here = [claim for claim in [*mine, *strays] if claim.fence.session == session]
            found = self._board.ours(here, end)
            held = frozenset(c for c, holds in zip(here, found, strict=True) if holds)
            self._board.let_go([claim for claim in strays if claim in held], end)
        self._forget(strays, held, session)
        return held

    def consume(self, posting: Posting) -> None:
        """Takes it off the board."""
        self._end(posting, f"take {posting.job} off the board", off=True)

    def abandon(self, posting: Posting) -> None:
        """Gives it back."""
        self._end(posting, f"give {posting.job} back", off=False)

    def _end(self, posting: Posting, attempted: str, *, off: bool) -> None:
        claim = _claim(posting)
        if claim in self._strays:
            return  # it was lost, and is given back
        with _told(attempted):
            try:
                self._client.need()
                if off:
                    self._board.finish(claim)
                else:
                    self._board.give_back(claim)
            except BaseException:
                self._stray(claim)
                raise

    # -- what is to be given back -------------------------------------------------------------

    def _stray(self, *claims: Claim, doubted_s: float = 0.0) -> None:
        until = time.monotonic() + doubted_s
        with self._lock:
            self._strays.update(dict.fromkeys(claims, until))

    def _kept_in_mind(self) -> list[Claim]:
        with self._lock:
            return list(self._strays)

    def _forget(self, strays: list[Claim], held: frozenset[Claim], session: int) -> None:
        """Those that were given back, or whose locks are not there and will not come any more."""
        now = time.monotonic()
        with self._lock:
            for claim in strays:
                over = claim in held or claim.fence.session != session
                if over or self._strays.get(claim, 0.0) <= now:
                    self._strays.pop(claim, None)

    def close(self) -> None:
        """Ends the session, and every claim with it."""
        with suppress(*_FAULTS):
            self._client.stop()
            self._client.close()


def _claim(posting: Posting) -> Claim:
    claim: Claim | None = posting.handle.claim
    if claim is None:
        raise ValueError(f"{posting.job} was not claimed with this posting")
    return claim


@contextmanager
def _told(attempted: str) -> Iterator[None]:
    try:
        yield
    except (*_FAULTS, JobFailure) as fault:
        raise BoardFault(
            f"{attempted}: {_words(fault)}. The memory has every job; nothing new begins until the board"
            " answers, and what it lost is posted again"
        ) from fault


def _words(fault: BaseException) -> str:
    cause = fault.__cause__ or fault
    if isinstance(cause, KazooTimeoutError):
        return str(cause) or "ZooKeeper does not answer"
    if isinstance(cause, SessionExpiredError):
        return "the session with ZooKeeper is over"
    return f"ZooKeeper: {cause}" if str(cause) else f"ZooKeeper: {type(cause).__name__}"
