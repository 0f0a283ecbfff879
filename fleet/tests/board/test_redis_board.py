"""The guarded board, on a real Redis; and the lease that its holder believes in."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING

import pytest

from reroot_fleet.board.lease import Lease
from reroot_fleet.board.redis_board import RedisBoard
from reroot_fleet.board.seam import BoardFault
from tests.services.process import free_port

if TYPE_CHECKING:
    from tests.services.redis import Redis

pytestmark = pytest.mark.redis


def boards(server: Redis, *names: str, ttl_s: float = 60.0) -> list[RedisBoard]:
    space = uuid.uuid4().hex
    return [
        RedisBoard(n, host="127.0.0.1", port=server.port, ttl_s=ttl_s, namespace=space)
        for n in names
    ]


def test_a_job_is_posted_once_and_claimed_by_one(redis_server: Redis) -> None:
    one, two = boards(redis_server, "one", "two")
    assert one.post("n/a/1")
    assert not two.post("n/a/1")
    assert one.post("n/b/1")
    assert one.listed() == {"n/a/1", "n/b/1"}
    (a, b), (again, _) = one.free(), two.free()
    assert (a.job, b.job) == ("n/a/1", "n/b/1")  # the oldest first
    assert one.claim(a)
    assert not two.claim(again)
    assert [p.job for p in two.free()] == ["n/b/1"]


def test_a_claim_expires_with_its_holder_and_only_its_holder_renews_it(redis_server: Redis) -> None:
    one, two = boards(redis_server, "one", "two", ttl_s=0.5)
    one.post("n/a/1")
    (posting,) = one.free()
    assert one.claim(posting)
    assert one.renew([posting]) == frozenset()
    end = time.monotonic() + 60
    while not two.free() and time.monotonic() < end:
        time.sleep(0.05)
    (free,) = two.free()
    two.ttl_s = 60
    assert two.claim(free)
    assert one.renew([posting]) == {"n/a/1"}
    # Who has lost it can neither take it off nor give it back.
    one.consume(posting)
    one.abandon(posting)
    assert two.renew([free]) == frozenset()
    two.consume(free)
    assert two.listed() == frozenset()


def test_a_board_that_does_not_answer_is_told_as_such() -> None:
    with pytest.raises(BoardFault, match="The memory has every job"):
        RedisBoard("one", host="127.0.0.1", port=free_port(), ttl_s=1.0)


def test_a_lease_ends_before_its_claim_and_counts_from_when_it_was_asked_for() -> None:
    lease = Lease(10.0, asked=100.0)
    assert lease.holds(107.4)
    assert not lease.holds(107.6)
    lease.renewed(asked=105.0)
    assert lease.holds(112.4)
    lease.lose()
    lease.renewed(asked=200.0)
    assert not lease.holds(200.0)
