"""What is ZooKeeper's alone: sessions, and what becomes of claims while it does not answer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from reroot_fleet.board.seam import BoardFault
from reroot_fleet.board.zookeeper_address import parse
from reroot_fleet.board.zookeeper_board import ZookeeperBoard
from reroot_fleet.board.zookeeper_client import QUESTIONS
from reroot_fleet.talk.board import look_at_board
from tests.services.place import end_session
from tests.services.process import free_port, wait_until
from tests.services.zookeeper import Ensemble, Zookeeper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from reroot_fleet.board.seam import Posting

pytestmark = pytest.mark.zookeeper
TTL_S = 10.0
PATIENCE_S = 120.0
BUSY_S = 1.0
"""Between a wait's end and the line behind it, where the machine has other things to do."""


@pytest.fixture
def server() -> Iterator[Zookeeper]:
    """One of the test's own: it is stopped and killed."""
    with Zookeeper() as made:
        yield made
        if made.service.process is not None:
            made.service.go_on()


def boards(server: Zookeeper, *names: str, ttl_s: float = TTL_S) -> list[ZookeeperBoard]:
    where = parse(server.board())
    return [connected(n, where.hosts, where.path, ttl_s) for n in names]


def connected(name: str, hosts: str, path: str, ttl_s: float) -> ZookeeperBoard:
    """A board of a server that may be slow to greet for the first time, where the machine is busy."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            return ZookeeperBoard(name, hosts=hosts, path=path, ttl_s=ttl_s)
        except BoardFault:
            if time.monotonic() > end:
                raise


def until(what: Callable[[], object]) -> bool:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.05)
    return False


def took(what: Callable[[], object]) -> float:
    begun = time.monotonic()
    what()
    return time.monotonic() - begun


def test_a_session_that_ended_has_lost_its_claims_and_the_next_one_claims(
    zookeeper_server: Zookeeper,
) -> None:
    one, two = boards(zookeeper_server, "one", "two")
    one.post("n/a/1")
    (posting,) = one.free()
    assert one.claim(posting)
    before = one._client.session
    end_session(one)
    assert until(lambda: one._client.session not in {None, before})
    (free,) = one.free()
    assert one.claim(free)
    # By the same conductor, in another session: the first claim is not this one.
    assert one.renew([posting]) == {"n/a/1"}
    assert one.renew([free]) == frozenset()
    one.consume(posting)
    one.abandon(posting)
    assert one.renew([free]) == frozenset()
    assert two.free() == ()
    assert two.listed() == {"n/a/1"}
    for board in (one, two):
        board.close()


def test_what_was_asked_in_a_session_is_not_done_in_the_next(zookeeper_server: Zookeeper) -> None:
    one, two = boards(zookeeper_server, "one", "two")
    one.post("n/a/1")
    (posting,) = one.free()
    assert one.claim(posting)
    claim = posting.handle.claim
    before = one._client.session
    end_session(one)
    assert until(lambda: one._client.session not in {None, before})
    (free,) = two.free()
    assert two.claim(free)
    # As if it had asked who owns the job before, and were stopped between the question and the write.
    one._board.let_go([claim], time.monotonic() + PATIENCE_S)
    assert two.renew([free]) == frozenset()
    assert not one._board.take(claim)
    two.abandon(free)
    assert not one._board.take(claim)
    assert len(two.free()) == 1
    for board in (one, two):
        board.close()


def test_a_server_that_hangs_costs_a_fifth_each_time_and_at_last_the_claims(
    server: Zookeeper,
) -> None:
    one, two = boards(server, "one", "two")
    one.post("n/a/1")
    one.post("n/b/1")
    a, b = one.free()
    assert one.claim(a)
    server.service.pause()
    # As long as the connection is believed in, it is not known.
    with pytest.raises(BoardFault, match=r"renew the claims: .*The memory has every job"):
        one.renew([a])
    for what in (one.free, one.listed, lambda: one.post("n/c/1"), lambda: one.claim(b)):
        asked = time.monotonic()
        with pytest.raises(BoardFault, match="The memory has every job"):
            what()
        assert time.monotonic() - asked < 2 * TTL_S / QUESTIONS + BUSY_S
    lost = []

    def renewed() -> bool:
        asked = time.monotonic()
        try:
            lost.append(one.renew([a]))
        except BoardFault:
            lost.append(frozenset())
        assert time.monotonic() - asked < TTL_S / QUESTIONS + BUSY_S
        return bool(lost[-1])

    assert until(renewed)
    assert lost[-1] == {"n/a/1"}
    server.service.go_on()
    # The claims that it gave up or does not know of are not kept by a session that goes on.
    assert until(lambda: len(_free(two, one)) >= 2)
    assert two.claim(two.free()[0])
    for board in (one, two):
        board.close()


def _free(who: ZookeeperBoard, heart: ZookeeperBoard) -> tuple[object, ...]:
    try:
        heart.renew([])
        return who.free()
    except BoardFault:
        return ()


def test_a_claim_that_arrives_when_nobody_waits_for_it_is_given_back(
    server: Zookeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = boards(server, "one", "two", ttl_s=5.0)
    one.post("n/a/1")
    (posting,) = one.free()
    get = one._client.get

    def hangs(path: str) -> object:
        found = get(path)
        server.service.pause()
        return found

    with monkeypatch.context() as patched:
        patched.setattr(one._client, "get", hangs)
        with pytest.raises(BoardFault, match="claim n/a/1: ZooKeeper does not answer"):
            one.claim(posting)
    server.service.go_on()
    # What was asked is done now, in a session that lives on.
    assert until(lambda: _claimed(two))
    assert until(lambda: len(_free(two, one)) == 1)
    (again,) = one.free()
    assert one.claim(again)
    assert one.renew([again]) == frozenset()
    for board in (one, two):
        board.close()


def _claimed(board: ZookeeperBoard) -> bool:
    try:
        return not board.free()
    except BoardFault:
        return False


def test_a_break_that_is_over_soon_costs_nothing(server: Zookeeper) -> None:
    one, two = boards(server, "one", "two", ttl_s=60.0)
    one.post("n/a/1")
    (posting,) = one.free()
    assert one.claim(posting)
    server.kill()
    server.start()
    assert _first_known(one, posting) == frozenset()
    assert until(lambda: _listed(two) == {"n/a/1"})
    assert two.free() == ()
    one.consume(posting)
    assert two.listed() == frozenset()
    for board in (one, two):
        board.close()


def _listed(board: ZookeeperBoard) -> frozenset[str]:
    try:
        return board.listed()
    except BoardFault:
        return frozenset()


def test_what_could_not_be_given_back_is_given_back_later(server: Zookeeper) -> None:
    one, two = boards(server, "one", "two", ttl_s=60.0)
    one.post("n/a/1")
    one.post("n/b/1")
    a, b = one.free()
    assert one.claim(a)
    assert one.claim(b)
    server.kill()
    assert until(lambda: one._client.session is None)
    with pytest.raises(BoardFault, match=r"give n/a/1 back: .*not connected"):
        one.abandon(a)
    with pytest.raises(BoardFault, match=r"take n/b/1 off the board: .*not connected"):
        one.consume(b)
    server.start()
    assert until(lambda: len(_free(two, one)) == 2)
    for board in (one, two):
        board.close()


def test_a_server_that_never_answers_is_given_up(server: Zookeeper) -> None:
    server.service.pause()
    with pytest.raises(BoardFault, match="connect to the board"):
        boards(server, "one", ttl_s=2.0)


def test_the_next_server_is_tried_soon(zookeeper_server: Zookeeper, server: Zookeeper) -> None:
    server.service.pause()
    where = parse(zookeeper_server.board())
    hosts = f"127.0.0.1:{free_port()},{server.hosts},{where.hosts}"
    board = ZookeeperBoard("one", hosts=hosts, path=where.path, ttl_s=20.0)
    assert board.post("n/a/1")
    board.close()


def test_claims_outlive_a_server_that_hangs_and_one_that_dies_but_not_most_of_them() -> None:
    with Ensemble() as ensemble:
        one, two = (
            ZookeeperBoard(n, hosts=ensemble.hosts, path="/fleet", ttl_s=60.0)
            for n in ("one", "two")
        )
        one.post("n/a/1")
        (posting,) = one.free()
        assert one.claim(posting)
        for end in ("hangs", "dies"):
            its = ensemble.servers[_connected_to(one, ensemble)]
            if end == "hangs":
                its.service.pause()
            else:
                its.kill()
            # As its heart beats: it finds another server while the session lives.
            assert _first_known(one, posting) == frozenset()
            assert ensemble.servers[_connected_to(one, ensemble)] is not its
            if end == "hangs":
                its.service.go_on()
                wait_until(its.answers)
        assert until(lambda: _listed(two) == {"n/a/1"})
        assert two.free() == ()
        ensemble.servers[_connected_to(one, ensemble)].kill()
        with pytest.raises(BoardFault, match="The memory has every job"):
            one.listed()
        assert until(lambda: _beaten(one, posting) == frozenset({"n/a/1"}))
        for board in (one, two):
            board.close()


def _connected_to(board: ZookeeperBoard, ensemble: Ensemble) -> int:
    wait_until(lambda: board._client.session is not None)
    port = board._client._connection._socket.getpeername()[1]
    return [server.port for server in ensemble.servers].index(port)


def _first_known(board: ZookeeperBoard, posting: Posting) -> frozenset[str] | None:
    """What the heart is told by the first beat that is not in vain."""
    end = time.monotonic() + PATIENCE_S
    while (found := _beaten(board, posting)) is None and time.monotonic() < end:
        time.sleep(0.05)
    return found


def _beaten(board: ZookeeperBoard, posting: Posting) -> frozenset[str] | None:
    try:
        return board.renew([posting])
    except BoardFault:
        return None


def test_a_claim_lives_as_long_as_the_servers_grant() -> None:
    with Zookeeper(longest_s=5.0) as short:
        (one,) = boards(short, "one", ttl_s=40.0)
        assert one.ttl_s == pytest.approx(5.0)
        assert one._client.patience_s == pytest.approx(5.0 / QUESTIONS)
        one.close()


def test_doctor_tells_the_version_and_who_does_not_answer(zookeeper_server: Zookeeper) -> None:
    how, words = look_at_board(zookeeper_server.board())
    assert how == "ok"
    assert words.startswith("ZooKeeper 3.")
    assert words.endswith("standalone")
    port = free_port()
    how, words = look_at_board(f"zookeeper://{zookeeper_server.hosts},127.0.0.1:{port}/jobs")
    assert how == "warn"
    assert f"127.0.0.1:{port} does not answer" in words
    with pytest.raises(ConnectionError, match=f"127.0.0.1:{port} does not answer"):
        look_at_board(f"zookeeper://127.0.0.1:{port}/jobs")
