"""Whole nights with real conductors, a real board and a real memory, of simulated machines."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from reroot_fleet.memory import nights
from reroot_fleet.memory.look import look
from reroot_fleet.policy.fold import fold
from reroot_fleet.simulation.fate import End, Fate, Odds
from reroot_fleet.simulation.invariants import Whole, broken
from reroot_fleet.simulation.model import BRISK, Model
from reroot_fleet.simulation.stage import BEGINS, NIGHT, Stage, hosts, policy
from reroot_fleet.simulation.world import World
from reroot_fleet.values.event import What
from reroot_fleet.values.job import JobState
from reroot_fleet.values.night import NightState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.services.place import Place
    from tests.services.postgres import Postgres

pytestmark = pytest.mark.postgres
QUICK = {
    "tick_s": 0.1,
    "look_s": 0.3,
    "plan_s": 0.5,
    "repost_s": 1.0,
    "states_s": 0.3,
    "threads": 16,
}
LONG_S = 240.0


@pytest.fixture
def stage(tmp_path: Path, postgres: Postgres, place: Place) -> Iterator[Stage]:
    where = postgres.database(), place.address
    with Stage(tmp_path, *where, scale=20, ttl_s=4.0, settings=QUICK) as made:
        yield made


def judged(stage: Stage) -> list[str]:
    with stage.memory.read() as c:
        night = nights.get(c, NIGHT)
    assert night is not None
    return broken(Whole(night, stage.jobs(), stage.events(), stage.socket.seen(), BEGINS))


def of_fates(**fates: Fate) -> World:
    return World({name: Model(name, fate, BRISK) for name, fate in fates.items()})


def until(what: Callable[[], object], limit_s: float = LONG_S) -> bool:
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.1)
    return False


def test_how_far_a_run_is_in_ram_is_seen_by_whoever_looks_on(stage: Stage) -> None:
    slow = replace(BRISK, ram=400)
    fate = Fate([End.HELD], ram_ssh=True)
    stage.serve(World({"shop0000": Model("shop0000", fate, slow)}))
    stage.fill(hosts(1), policy(1))
    stage.settings = {**QUICK, "seen_s": 0.1, "poll_first_s": 1.0, "poll_longest_s": 1.0}
    stage.conductor("a")

    def word() -> str:
        with stage.memory.read() as c:
            night = nights.get(c, NIGHT)
            assert night is not None
            (customer,) = look(c, night, stage.scene.clock.now()).overview.customers
        return customer.machines[0].word

    assert until(lambda: " in RAM" in word(), 60), stage.log()
    # It holds there, and a person knows of it long before the plan's deadlines have passed.
    assert stage.wait_until_over(60), stage.log()
    (job,) = stage.jobs()
    assert (job.state, word()) == (JobState.HELD, "held")
    assert "holds in the RAM environment" in (job.cause or "")
    assert judged(stage) == []


def test_one_machine_goes_through_every_step(stage: Stage) -> None:
    stage.world(hosts(1), pace=BRISK)
    stage.fill(hosts(1), policy(1))
    stage.conductor("a")
    assert stage.wait_until_over(LONG_S), stage.log()
    (job,) = stage.jobs()
    assert job.state is JobState.DONE, stage.log()
    (seen,) = stage.socket.seen()
    assert [run for _, run in seen.accepted] == [job.run]
    assert seen.hooks == ("drain", "confirm", "undrain")
    assert fold(stage.events()).jobs[job.id] == job
    # It leaves the board, and nothing of its flow is left to do.
    assert judged(stage) == []


def test_every_end_is_told_as_what_it_is(stage: Stage) -> None:
    # Each of a class of its own: a canary that fails would keep the others from starting.
    inventory = hosts(6, classes=6)
    names = [h.name for h in inventory]
    fates = dict(
        zip(
            names,
            (
                Fate([End.REVERTED]),
                Fate([End.OLD_OS_BACK]),
                Fate([End.COMMITTED]),
                Fate([End.UNCONFIRMED]),
                Fate(wrong_key=True),
                Fate(refuses="memory"),
            ),
            strict=True,
        )
    )
    stage.serve(of_fates(**fates))
    stage.fill(inventory, policy(6))
    stage.conductor("a")
    assert until(lambda: sum(j.state.ended for j in stage.jobs()) >= 5), stage.log()
    states = {j.host: j.state for j in stage.jobs()}
    assert states[names[0]] is JobState.REVERTED, stage.log()
    assert states[names[1]] is JobState.REVERTED
    assert states[names[3]] is JobState.HELD
    assert states[names[4]] is JobState.REFUSED
    assert states[names[5]] is JobState.REFUSED
    # The committed one waits for its plan's deadlines, and is never told `go` again.
    assert states[names[2]] is JobState.RUNNING
    seen = {s.name: s for s in stage.socket.seen()}
    assert seen[names[0]].hooks == ("drain", "undrain")
    assert seen[names[3]].hooks == ("drain",)
    assert seen[names[2]].gos == 1
    assert seen[names[4]].gos == seen[names[5]].gos == 0


def test_a_halt_reaches_jobs_that_are_claimed_and_have_not_begun_go(stage: Stage) -> None:
    inventory = hosts(4)
    # They are slow before `go`: all of them are claimed when the halt comes.
    stage.serve(of_fates(**{h.name: Fate(pace=60.0) for h in inventory}))
    stage.fill(inventory, policy(4))
    stage.conductor("a")
    assert until(lambda: sum(j.state is JobState.RUNNING for j in stage.jobs()) >= 1), stage.log()
    with stage.memory.begin() as c:
        nights.move(
            c, NIGHT, NightState.HALTED, expect=(NightState.OPEN,),
            now=stage.scene.clock.now(), who="operator test", cause="a test",
        )  # fmt: skip
    assert until(lambda: not any(j.state.active for j in stage.jobs())), stage.log()
    assert {s.gos for s in stage.socket.seen()} == {0}
    assert {j.state for j in stage.jobs()} <= {JobState.WITHDRAWN, JobState.QUEUED}
    assert all("drain" not in s.hooks or s.hooks[-1] == "undrain" for s in stage.socket.seen())


def test_a_night_of_sixty_with_faults_and_a_conductor_killed_and_one_stopped(stage: Stage) -> None:
    inventory = hosts(60, classes=3)
    odds = Odds(reverted=0.05, old_os_back=0.05, wrong_key=0.03, refused_check=0.03,
                held=0, silent=0, slow=0, flaky=0.3, flake=0.05, skewed=0.3)  # fmt: skip
    stage.world(inventory, seed=7, odds=odds, pace=BRISK)
    stage.fill(inventory, policy(60, at_once=40))
    first, second = stage.conductor("a"), stage.conductor("b")
    assert until(lambda: sum(j.begun_go for j in stage.jobs()) >= 5), stage.log()
    first.kill()
    assert until(lambda: sum(j.begun_go for j in stage.jobs()) >= 20), stage.log()
    os.kill(second.pid or 0, signal.SIGSTOP)
    stage.conductor("c")
    time.sleep(stage.ttl_s * 2)
    os.kill(second.pid or 0, signal.SIGCONT)
    assert stage.wait_until_over(LONG_S), stage.log()
    assert judged(stage) == []
    done = sum(j.state is JobState.DONE for j in stage.jobs())
    assert done >= 45


def test_a_board_that_was_lost_is_posted_again(stage: Stage, place: Place) -> None:
    inventory = hosts(4)
    stage.world(inventory, pace=BRISK)
    stage.fill(inventory, policy(4))
    stage.conductor("a")
    assert until(lambda: any(j.begun_go for j in stage.jobs())), stage.log()
    place.lose()
    assert stage.wait_until_over(LONG_S), stage.log()
    assert {j.state for j in stage.jobs()} == {JobState.DONE}
    assert judged(stage) == []


def test_go_is_not_begun_where_the_window_would_close_first(stage: Stage) -> None:
    from reroot_fleet.values.night import Window  # noqa: PLC0415 - this test alone

    window = Window(BEGINS - timedelta(hours=1), BEGINS + timedelta(minutes=70))
    # The planner lets it go; until it comes to `go`, too much of the window is gone.
    stage.serve(of_fates(shop0000=Fate(pace=400.0)))
    stage.fill(hosts(1), policy(1), window=window)
    stage.conductor("a")
    assert stage.wait_until_over(LONG_S), stage.log()
    (job,) = stage.jobs()
    assert job.state is JobState.WITHDRAWN, stage.log()
    assert stage.socket.seen()[0].gos == 0
    assert What.GO_INTENDED not in {e.what for e in stage.events()}
