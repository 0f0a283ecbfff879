"""TaskFlow's Redis board with what it lacks.

Claims that expire, a renewal that compares the owner, a job that cannot be posted twice, and a look
that costs one round trip, and reads only what nobody has claimed.

Redis has to run with its append-only file on; `doctor` asks it. Where it was lost all the same, the
conductors' reconciler posts again what the memory says is posted.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import redis
from oslo_utils import timeutils
from taskflow import exceptions
from taskflow.jobs import base
from taskflow.jobs.backends.impl_redis import RedisJob, RedisJobBoard

from reroot_fleet.board.key import key
from reroot_fleet.board.seam import BoardFault, Posting

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_RENEW = """
local lost = {}
for i, key in ipairs(KEYS) do
    if redis.call("get", key) == ARGV[1] then
        redis.call("pexpire", key, ARGV[2])
    else
        table.insert(lost, i)
    end
end
return lost
"""
"""The stock `extend_expiry` extends whoever's claim it is; this one only its own."""


_UNCLAIMED = """
local all, free = redis.call("hgetall", KEYS[1]), {}
for i = 1, #all, 2 do
    if redis.call("exists", ARGV[1] .. all[i] .. ARGV[2]) == 0 then
        table.insert(free, all[i])
        table.insert(free, all[i + 1])
    end
end
return free
"""
"""Of some hundred jobs on the board a few are free; the others are not read again and again."""


class ExpiringRedisBoard(RedisJobBoard):  # type: ignore[misc]  # TaskFlow has no types
    """The stock board, where a job's key follows from its id."""

    _names: dict[bytes, str] = {}  # noqa: RUF012 - replaced, and never changed

    def post_once(self, name: str) -> bool:
        """Posts a job under a key that is the same for everyone; false where it is there."""
        uid = str(key(name))
        posting = base.format_posting(
            uid, name, created_on=timeutils.utcnow(), priority=base.JobPriority.NORMAL
        )
        posting["sequence"] = self._client.incr(self.sequence_key)
        raw_key = uid.encode("latin-1")
        return bool(self._client.hsetnx(self.listings_key, raw_key, self._dumps(posting)))

    def names(self) -> frozenset[str]:
        """What all jobs are called. A job's key follows from its name: each is read once."""
        keys: list[bytes] = self._client.hkeys(self.listings_key)
        known = self._names
        if not known.keys() >= set(keys):
            known = {job.key: job.name for job in self._fetch_jobs()}
        self._names = {key: known[key] for key in keys if key in known}
        return frozenset(self._names.values())

    def unclaimed(self) -> list[RedisJob]:
        """Those without an owner, oldest first: the stock order is newest first."""
        places = self.join(b""), self.OWNED_POSTFIX
        found: list[bytes] = self._client.eval(_UNCLAIMED, 1, self.listings_key, *places)
        try:
            free = [self._job(*pair) for pair in zip(found[::2], found[1::2], strict=True)]
        except (ValueError, TypeError, KeyError, exceptions.JobFailure):
            self._fetch_jobs()  # the stock board tells of what it cannot read, and takes it off
            return []
        return sorted(free, key=lambda job: int(job.sequence))

    def _job(self, raw_key: bytes, raw_posting: bytes) -> RedisJob:
        posting = self._loads(raw_posting)
        return RedisJob(
            self,
            posting["name"],
            posting["sequence"],
            raw_key,
            uuid=posting["uuid"],
            created_on=posting["created_on"],
            priority=base.JobPriority.convert(posting.get("priority", base.JobPriority.NORMAL)),
        )

    def renew(self, jobs: list[RedisJob], who: str, ttl_s: float) -> list[int]:
        """Extends our claims; the places in the list of those that are not ours."""
        lost: list[int] = self._client.eval(
            _RENEW, len(jobs), *[j.owner_key for j in jobs], who.encode(), int(ttl_s * 1000)
        )
        return [place - 1 for place in lost]


class RedisBoard:
    """A board in Redis."""

    def __init__(
        self,
        who: str,
        *,
        host: str,
        port: int,
        ttl_s: float = 15.0,
        namespace: str = "reroot-fleet",
        options: dict[str, Any] | None = None,
    ) -> None:
        self.ttl_s = ttl_s
        self._who = who
        # A question to a board that does not answer must end long before a claim does.
        conf = {
            "host": host,
            "port": port,
            "namespace": namespace,
            "socket_timeout": ttl_s / 5,
            "socket_connect_timeout": ttl_s / 5,
            **(options or {}),
        }
        self._board = ExpiringRedisBoard("fleet", conf)
        with _told(f"connect to the board at {host}:{port}"):
            self._board.connect()

    def post(self, job: str) -> bool:
        """Posts a job once."""
        with _told(f"post {job}"):
            return self._board.post_once(job)

    def listed(self) -> frozenset[str]:
        """All jobs."""
        with _told("look at the board"):
            return self._board.names()

    def free(self) -> tuple[Posting, ...]:
        """Unclaimed ones, oldest first."""
        with _told("look at the board"):
            return tuple(Posting(job.name, job) for job in self._board.unclaimed())

    def claim(self, posting: Posting) -> bool:
        """Claims one, with its expiry."""
        with _told(f"claim {posting.job}"):
            try:
                self._board.claim(posting.handle, self._who, expiry=self.ttl_s)
            except (exceptions.UnclaimableJob, exceptions.NotFound):
                return False
        return True

    def renew(self, postings: Collection[Posting]) -> frozenset[str]:
        """Renews all in one round trip."""
        ours = list(postings)
        if not ours:
            return frozenset()
        with _told("renew the claims"):
            lost = self._board.renew([p.handle for p in ours], self._who, self.ttl_s)
        return frozenset(ours[place].job for place in lost)

    def consume(self, posting: Posting) -> None:
        """Takes it off the board."""
        with _told(f"take {posting.job} off the board"):
            try:
                self._board.consume(posting.handle, self._who)
            except exceptions.NotFound:
                return  # the board was lost, or somebody took it off: the memory knows how it ended
            except exceptions.JobFailure as fault:
                if isinstance(fault.__cause__, redis.RedisError):
                    raise
                return  # it is somebody else's now, who will find it ended and take it off

    def abandon(self, posting: Posting) -> None:
        """Gives it back."""
        with _told(f"give {posting.job} back"):
            try:
                self._board.abandon(posting.handle, self._who)
            except exceptions.NotFound:
                return  # as above
            except exceptions.JobFailure as fault:
                if isinstance(fault.__cause__, redis.RedisError):
                    raise
                return

    def close(self) -> None:
        """Ends the connection."""
        self._board.close()


@contextmanager
def _told(attempted: str) -> Iterator[None]:
    try:
        yield
    except (redis.RedisError, exceptions.JobFailure) as fault:
        raise BoardFault(
            f"{attempted}: {fault}. The memory has every job; nothing new begins until the board"
            " answers, and what it lost is posted again"
        ) from fault
