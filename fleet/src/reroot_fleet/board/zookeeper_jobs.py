"""TaskFlow's ZooKeeper board with what it lacks.

A job that cannot be posted twice, claims that are told from later ones and are let go in their own
session only, and a look that costs one question however many jobs there are.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kazoo import exceptions as zk
from kazoo.handlers.threading import KazooTimeoutError
from oslo_serialization import jsonutils
from taskflow import exceptions
from taskflow.jobs import base
from taskflow.jobs.backends.impl_zookeeper import ZookeeperJob, ZookeeperJobBoard
from taskflow.utils import misc
from taskflow.utils.kazoo_utils import KazooTransactionException

from reroot_fleet.board.key import key
from reroot_fleet.board.zookeeper_client import Fence, SessionClient, gathered

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from typing import Any

LOG = logging.getLogger(__name__)


class OrderedJob(ZookeeperJob):  # type: ignore[misc]  # TaskFlow has no types
    """A job whose place in the order is the transaction that posted it: its name tells no order."""

    def posted_by(self, transaction: int) -> None:
        """Says which."""
        self._sequence = transaction


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim, told from every other one of the same job, by the same conductor too."""

    job: OrderedJob
    owner: str
    fence: Fence


class SessionBoard(ZookeeperJobBoard):  # type: ignore[misc]
    """The stock board, where a job's node follows from its id."""

    def __init__(self, client: SessionClient, path: str) -> None:
        conf = {"path": path}
        super().__init__("fleet", conf, client=client, emit_notifications=False)
        self._seen: dict[str, OrderedJob] = {}
        self._fence: Fence | None = None

    def connect(self, timeout: float | None = None) -> float:
        """How long the session lives.

        The stock board asks for the version with a command that servers from 3.5 on refuse, and puts a
        watch on the jobs: each claim of anybody would cost everybody a look.
        """
        del timeout
        granted: float = self._client.open()
        self._client.ensure_path(self.path)
        return granted

    def post_once(self, name: str) -> bool:
        """Posts a job as a node that is the same for everyone; false where it is there."""
        uid = key(name)
        posting = base.format_posting(str(uid), name, priority=base.JobPriority.NORMAL)
        value = misc.binary_encode(jsonutils.dumps(posting))
        try:
            self._client.create(f"{self._job_base}{uid.int}", value, makepath=True)
        except zk.NodeExistsError:
            return False
        return True

    def jobs(self) -> tuple[list[OrderedJob], list[OrderedJob]]:
        """All jobs, oldest first, and those without an owner: the stock board asks for each by itself."""
        try:
            names = set(self._client.get_children(self.path))
        except zk.NoNodeError:
            names = set()  # the board was lost; what is posted makes it anew
        posted = {
            n for n in names if n.startswith(self.JOB_PREFIX) and not n.endswith(self.LOCK_POSTFIX)
        }
        new = sorted(posted - self._seen.keys())
        asked = [self._client.get_async(f"{self.path}/{name}") for name in new]
        answers = gathered(asked)
        known = {name: job for name, job in self._seen.items() if name in posted}
        for name, answer in zip(new, answers, strict=True):
            job = self._read(name, answer)
            if job is not None:
                known[name] = job
        self._seen = known
        every = sorted(known.values())
        return every, [job for job in every if _name(job.lock_path) not in names]

    def _read(self, name: str, answer: Any) -> OrderedJob | None:  # noqa: ANN401 - kazoo's
        if isinstance(answer, zk.NoNodeError):
            return None
        if isinstance(answer, Exception):
            raise answer
        value, stat = answer
        try:
            posting = misc.decode_json(value)
            job = OrderedJob(
                self, posting["name"], self._client, f"{self.path}/{name}", posting["uuid"]
            )
        except (ValueError, TypeError, KeyError):
            LOG.warning("%s/%s on the board is no job", self.path, name)
            return None
        job.posted_by(stat.czxid)
        return job

    # -- claims -------------------------------------------------------------------------------

    def fence(self) -> Fence:
        """The one of this session."""
        if self._fence is None or self._fence.session != self._client.session:
            self._fence = self._client.fence(self.path)
        return self._fence

    def take(self, claim: Claim) -> bool:
        """Makes a claim; false where somebody was faster or the job is gone."""
        try:
            with self._client.bound(claim.fence):
                self.claim(claim.job, claim.owner)
        except exceptions.NotFound:
            return False
        except exceptions.UnclaimableJob as fault:
            if _is_gone(claim.fence, fault):
                self._fence = None  # the session is over or the board was lost: another one is made
            return False
        return True

    def ours(self, claims: Sequence[Claim], end: float) -> list[bool]:
        """Which of them hold, seen behind a write of the same session.

        A server that is cut off from the others reads on for a while when the session is over; it
        cannot write.
        """
        fences = {claim.fence for claim in claims}
        writes = {fence: self._client.transaction() for fence in fences}
        for fence, write in writes.items():
            write.check(fence.path, -1)
        alive_asked = [write.commit_async() for write in writes.values()]
        asked = [self._client.get_async(claim.job.lock_path) for claim in claims]
        alive = dict(zip(writes, gathered(alive_asked, end), strict=True))
        answers = gathered(asked, end)
        if self._fence in fences and not _passed(alive[self._fence]):
            self._fence = None
        return [
            _passed(alive[claim.fence]) and _is(claim, answer)
            for claim, answer in zip(claims, answers, strict=True)
        ]

    def let_go(self, claims: Sequence[Claim], end: float) -> None:
        """Gives claims back that were just seen to hold, all at once."""
        asked = []
        for claim in claims:
            with self._client.bound(claim.fence):
                write = self._client.transaction()
            write.delete(claim.job.lock_path)
            asked.append(write.commit_async())
        for answer in gathered(asked, end):
            _passed(answer)

    def finish(self, claim: Claim) -> None:
        """Takes its job off the board; one that is gone or somebody else's is left alone."""
        self._end(claim, self.consume)

    def give_back(self, claim: Claim) -> None:
        """Lets others claim the job, as above."""
        self._end(claim, self.abandon)

    def _end(self, claim: Claim, how: Callable[[OrderedJob, str], None]) -> None:
        try:
            with self._client.bound(claim.fence):
                how(claim.job, claim.owner)
        except exceptions.NotFound:
            # The job or its lock has vanished: a lock that was left would be kept for the session's life.
            end = time.monotonic() + self._client.patience_s
            if self.ours([claim], end) == [True]:
                self.let_go([claim], end)
        except exceptions.JobFailure as fault:
            if _is_of_the_board(fault):
                raise

    def _wrap(
        self,
        job_uuid: str,
        job_path: str | None,
        fail_msg_tpl: str = "Failure: %s",
        ensure_known: bool = True,  # noqa: FBT001, FBT002 - TaskFlow's
    ) -> AbstractContextManager[None]:
        """The stock board knows only jobs that its watch has told it of; the server knows best."""
        del ensure_known
        wrapped: AbstractContextManager[None] = super()._wrap(
            job_uuid, job_path, fail_msg_tpl, ensure_known=False
        )
        return wrapped


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1]


def _is_gone(fence: Fence, fault: BaseException) -> bool:
    failed = getattr(fault.__cause__, "failures", ())
    return any(part.path == fence.path and isinstance(why, zk.NoNodeError) for part, why in failed)


def _is_of_the_board(fault: BaseException) -> bool:
    """Whether it is the board that fails, and not what it was asked to do."""
    cause = fault.__cause__
    if isinstance(cause, KazooTransactionException):
        return False  # it was undone: something of it is not as it was believed
    return isinstance(cause, (zk.KazooException, KazooTimeoutError))


def _passed(answer: Any) -> bool:  # noqa: ANN401 - kazoo's
    """Whether a transaction was carried out; raises where that is not known."""
    if isinstance(answer, Exception):
        raise answer
    return not any(isinstance(part, Exception) for part in answer)


def _is(claim: Claim, answer: Any) -> bool:  # noqa: ANN401 - kazoo's
    if isinstance(answer, zk.NoNodeError):
        return False
    if isinstance(answer, Exception):
        raise answer
    value, stat = answer
    try:
        owner = misc.decode_json(value).get("owner")
    except (ValueError, TypeError):
        return False
    return bool(owner == claim.owner and stat.ephemeralOwner == claim.fence.session)
