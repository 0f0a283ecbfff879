"""What a conductor may rely on, whichever board it is: on a real Redis and on a real ZooKeeper."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from reroot_fleet.board.opening import open_board
from reroot_fleet.board.seam import BoardFault
from reroot_fleet.values.problem import Problem
from tests.services.process import free_port

if TYPE_CHECKING:
    from reroot_fleet.board.seam import Board, Posting
    from tests.services.place import Place

PATIENCE_S = 60.0


def until_free(board: Board) -> tuple[Posting, ...]:
    end = time.monotonic() + PATIENCE_S
    while not (found := board.free()) and time.monotonic() < end:
        time.sleep(0.05)
    return found


def test_a_job_is_posted_once_and_claimed_by_one(place: Place) -> None:
    one, two = place.board("one"), place.board("two")
    assert one.post("n/a/1")
    assert not two.post("n/a/1")
    assert one.post("n/b/1")
    assert one.listed() == {"n/a/1", "n/b/1"}
    (a, b), (again, _) = one.free(), two.free()
    assert (a.job, b.job) == ("n/a/1", "n/b/1")  # the oldest first
    assert one.claim(a)
    assert not two.claim(again)
    assert [p.job for p in two.free()] == ["n/b/1"]
    assert two.listed() == {"n/a/1", "n/b/1"}


def test_the_oldest_is_first_also_of_many(place: Place) -> None:
    one, two = place.board("one"), place.board("two")
    names = [f"n/{n * 7919 % 101}/1" for n in range(40)]
    for number, name in enumerate(names):
        assert (one, two)[number % 2].post(name)
    assert [p.job for p in one.free()] == names
    assert [p.job for p in two.free()] == names


def test_the_names_of_the_jobs_are_those_of_now(place: Place) -> None:
    one, two = place.board("one"), place.board("two")
    for name in ("n/a/1", "n/b/1"):
        one.post(name)
    assert one.listed() == {"n/a/1", "n/b/1"}
    a, _ = two.free()
    assert two.claim(a)
    two.consume(a)
    assert one.listed() == {"n/b/1"}
    two.post("n/c/1")
    assert one.listed() == {"n/b/1", "n/c/1"}
    two.post("n/a/1")
    assert one.listed() == {"n/a/1", "n/b/1", "n/c/1"}


def test_a_job_is_given_back_and_taken_off_by_whoever_claimed_it(place: Place) -> None:
    one, two = place.board("one"), place.board("two")
    one.post("n/a/1")
    (posting,) = one.free()
    assert one.claim(posting)
    assert two.free() == ()
    one.abandon(posting)
    (other,) = two.free()
    assert two.claim(other)
    assert one.renew([posting]) == {"n/a/1"}
    # Who has given it back can neither take it off nor give it back once more.
    one.consume(posting)
    one.abandon(posting)
    assert one.renew([]) == frozenset()
    assert two.renew([other]) == frozenset()
    two.consume(other)
    assert two.listed() == one.listed() == frozenset()
    assert one.post("n/a/1")  # it may come again


def test_the_same_conductor_claims_a_job_again_and_its_first_claim_is_another(
    place: Place,
) -> None:
    one = place.board("one")
    one.post("n/a/1")
    (first,) = one.free()
    assert one.claim(first)
    one.abandon(first)
    (second,) = one.free()
    assert one.claim(second)
    assert one.renew([second]) == frozenset()


def test_a_claim_expires_with_its_holder_and_only_its_holder_renews_it(place: Place) -> None:
    one, two = place.board("one", ttl_s=place.short_s), place.board("two")
    one.post("n/a/1")
    (posting,) = one.free()
    assert one.claim(posting)
    assert one.renew([posting]) == frozenset()
    place.die(one)
    (free,) = until_free(two)
    assert two.claim(free)
    assert one.renew([posting]) == {"n/a/1"}
    # Who has lost it can neither take it off nor give it back.
    one.consume(posting)
    one.abandon(posting)
    assert two.renew([free]) == frozenset()
    two.consume(free)
    assert two.listed() == frozenset()


def test_a_board_that_was_lost_is_posted_again_and_its_claims_are_lost(place: Place) -> None:
    one, two = place.board("one"), place.board("two")
    one.post("n/a/1")
    one.post("n/b/1")
    a, b = one.free()
    assert one.claim(a)
    assert one.claim(b)
    place.lose()
    assert one.listed() == frozenset()
    assert one.free() == ()
    assert one.renew([a, b]) == {"n/a/1", "n/b/1"}
    one.consume(a)
    one.abandon(b)
    assert two.post("n/a/1")
    (again,) = one.free()
    assert one.claim(again)
    assert one.renew([again]) == frozenset()
    assert two.free() == ()


@pytest.mark.parametrize("kind", ["redis", "zookeeper"])
def test_a_board_that_refuses_is_told_as_such(kind: str) -> None:
    begun = time.monotonic()
    with pytest.raises(BoardFault, match=r"(?s)connect to the board .*The memory has every job"):
        open_board(f"{kind}://127.0.0.1:{free_port()}", "one", ttl_s=1.0)
    assert time.monotonic() - begun < PATIENCE_S


@pytest.mark.parametrize(
    "address",
    [
        "etcd://127.0.0.1",
        "fleet",
        "zookeeper://",
        "zookeeper://a:b/jobs",
        "zookeeper://who:word@a/jobs",
        "zookeeper://a//b",
    ],
)
def test_an_address_that_is_none_is_a_problem(address: str) -> None:
    with pytest.raises(Problem):
        open_board(address, "one")
