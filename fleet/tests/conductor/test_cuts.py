"""The ways between the parts are cut, and the parts restarted: nothing is lost, and nothing stands still."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING
from unittest.mock import MagicMock

import pytest

from reroot_fleet.board.lease import Lease
from reroot_fleet.conductor.conductor import Conductor, Seat
from reroot_fleet.conductor.settings import Settings
from reroot_fleet.flow.outcome import Wait
from reroot_fleet.memory import sightings
from reroot_fleet.memory.database import open_memory
from reroot_fleet.memory.errors import Unreachable
from reroot_fleet.simulation.model import Pace
from reroot_fleet.simulation.stage import BEGINS, Stage, hosts, policy
from reroot_fleet.values.event import What
from reroot_fleet.values.job import JobState
from reroot_fleet.values.sighting import Sighting
from tests.conductor.test_a_night import LONG_S, QUICK, judged, until
from tests.hand_clock import HandClock
from tests.services.cut import Cut
from tests.services.postgres import Postgres
from tests.services.redis import Redis

if TYPE_CHECKING:
    from pathlib import Path

    from tests.services.place import Place

pytestmark = pytest.mark.postgres
TTL_S = 4.0
MUTE_S = 3.0
PACE = Pace(look=0.2, check=1, copy=2, rehearse=10, old_os=6, ram=100, boot=6, confirm=4)


def b_does_all_and_a_comes_back(stage: Stage, way: Cut) -> None:
    assert stage.wait_until_over(LONG_S), stage.log()
    assert {j.state for j in stage.jobs()} == {JobState.DONE}
    way.mend()
    time.sleep(TTL_S)
    assert judged(stage) == []
    ends = [e.who for e in stage.events() if e.what is What.JOB_DONE]
    assert set(ends) == {"conductor b"}


def test_a_conductor_that_is_cut_off_from_the_memory_gives_its_jobs_back(
    tmp_path: Path, postgres: Postgres, place: Place
) -> None:
    database = postgres.database()
    settings = {**QUICK, "mute_s": MUTE_S, "sign_s": 1.0}
    with (
        Cut(postgres.port) as way,
        Stage(tmp_path, database, place.address, scale=20, ttl_s=TTL_S, settings=settings) as stage,
    ):
        stage.world(hosts(4), pace=PACE)
        stage.fill(hosts(4), policy(4))
        through = database.replace(f":{postgres.port}/", f":{way.port}/")
        stage.conductor("a", database=through)
        assert until(lambda: sum(j.begun_go for j in stage.jobs()) >= 1), stage.log()
        way.cut()
        stage.conductor("b")
        # It still reaches the board, and would renew its claims for as long as it lives.
        b_does_all_and_a_comes_back(stage, way)


def test_a_conductor_that_is_cut_off_from_the_board_begins_nothing_and_others_go_on(
    tmp_path: Path, postgres: Postgres, redis_server: Redis
) -> None:
    where = postgres.database(), redis_server.address
    with (
        Cut(redis_server.port) as way,
        Stage(tmp_path, *where, scale=20, ttl_s=TTL_S, settings=QUICK) as stage,
    ):
        stage.world(hosts(4), pace=PACE)
        stage.fill(hosts(4), policy(4))
        through = redis_server.address.replace(f":{redis_server.port}/", f":{way.port}/")
        stage.conductor("a", board=through)
        assert until(lambda: sum(j.begun_go for j in stage.jobs()) >= 1), stage.log()
        way.cut()
        stage.conductor("b")
        b_does_all_and_a_comes_back(stage, way)


def test_a_job_whose_claim_was_lost_while_it_was_worked_on_does_not_wait_here(
    tmp_path: Path, place: Place
) -> None:
    board = place.board("a")
    memory = open_memory(f"sqlite:///{tmp_path}/fleet.sqlite")
    never = MagicMock()
    ours = Conductor(Settings("a"), memory, board, HandClock(), never, never, "a")
    assert board.post("n/shop1/1")
    (posting,) = board.free()
    assert board.claim(posting)
    seat = ours._seats[posting.job] = Seat(posting, Lease(60.0, 0.0))
    seat.lease.lose()
    ours._let_wait(seat, Wait(BEGINS + timedelta(hours=8)))
    assert ours.free == Settings("a").slots
    assert [p.job for p in board.free()] == ["n/shop1/1"]
    memory.close()


def test_what_was_seen_is_written_when_the_memory_answers_again(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = open_memory(f"sqlite:///{tmp_path}/fleet.sqlite")
    never = MagicMock()
    ours = Conductor(Settings("a"), memory, place.board("a"), HandClock(), never, never, "a")
    ours._unwritten = {"n/shop1/1": Sighting("wipe", 43), "n/shop2/1": Sighting("wipe", 1)}
    away = MagicMock(side_effect=Unreachable("a database", "it is away"))
    kept: dict[str, Sighting] = {}
    with monkeypatch.context() as patched:
        patched.setattr(sightings, "keep", away)
        with pytest.raises(Unreachable):
            ours._tell_seen()
    ours._unwritten["n/shop2/1"] = Sighting("unpack", 2)
    monkeypatch.setattr(sightings, "keep", lambda _c, seen, **_kw: kept.update(seen))
    ours._tell_seen()
    assert kept == {"n/shop1/1": Sighting("wipe", 43), "n/shop2/1": Sighting("unpack", 2)}
    assert ours._unwritten == {}
    memory.close()


def test_database_and_board_are_killed_and_come_back_in_the_middle_of_a_night(
    tmp_path: Path,
) -> None:
    settings = {**QUICK, "mute_s": MUTE_S, "sign_s": 1.0}
    with (
        Postgres() as postgres,
        Redis() as redis,
        Stage(
            tmp_path, postgres.database(), redis.address, scale=20, ttl_s=TTL_S, settings=settings
        ) as stage,
    ):
        stage.world(hosts(8), pace=PACE)
        stage.fill(hosts(8), policy(8))
        for name in ("a", "b"):
            stage.conductor(name)
        assert until(lambda: sum(j.begun_go for j in stage.jobs()) >= 2), stage.log()
        postgres.kill()
        time.sleep(2 * MUTE_S)
        postgres.start()
        redis.kill()
        time.sleep(2 * TTL_S)
        redis.start()
        stage.memory.close()
        assert stage.wait_until_over(LONG_S), stage.log()
        assert {j.state for j in stage.jobs()} == {JobState.DONE}
        assert judged(stage) == []
