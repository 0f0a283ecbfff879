"""Whole nights with real conductors, a real board and a real memory, of simulated machines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reroot_fleet.policy.fold import fold
from reroot_fleet.simulation.stage import Stage, hosts, policy
from reroot_fleet.values.job import JobState

if TYPE_CHECKING:
    from pathlib import Path

    from tests.services.postgres import Postgres
    from tests.services.redis import Redis

pytestmark = [pytest.mark.postgres, pytest.mark.redis]
QUICK = {"tick_s": 0.05, "look_s": 0.1, "plan_s": 0.2, "repost_s": 1.0, "states_s": 0.3}


def test_one_machine_goes_through_every_step(
    tmp_path: Path, postgres: Postgres, redis_server: Redis
) -> None:
    with Stage(tmp_path, postgres.database(), redis_server.port, 600, settings=QUICK) as stage:
        inventory = hosts(1)
        stage.world(inventory)
        stage.fill(inventory, policy(1))
        stage.conductor("a")
        assert stage.wait_until_over(30), stage.log()
        (job,) = stage.jobs()
        assert job.state is JobState.DONE, stage.log()
        (seen,) = stage.socket.seen()
        assert [run for _, run in seen.accepted] == [job.run]
        assert seen.hooks == ("drain", "confirm", "undrain")
        assert fold(stage.events()).jobs[job.id] == job
