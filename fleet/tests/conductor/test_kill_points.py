"""A conductor is killed, or stopped and continued, at writes of a job's life.

A sample of the table on a Redis, each write once on a ZooKeeper; `tests.bench` does each write in every way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reroot_fleet.simulation import kill_table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.services.postgres import Postgres
    from tests.services.redis import Redis
    from tests.services.zookeeper import Zookeeper

pytestmark = pytest.mark.postgres

EVERY = 7
"""One in so many of the points: each has its turn in some order of writes and ways."""
Points = list[tuple[int, str, kill_table.How]]


def sample(writes: list[str]) -> Points:
    return kill_table.all_points(writes)[::EVERY]


def judged(
    tmp_path: Path,
    where: Callable[[], kill_table.Where],
    points: Callable[[list[str]], Points],
) -> None:
    writes = kill_table.trace(tmp_path / "trace", where())
    assert "machine go" in writes
    rows = kill_table.table(tmp_path, where, points(writes))
    bad = [row for row in rows if not row.good]
    assert not bad, kill_table.told(bad) + bad[0].log
    assert sum(row.sprung for row in rows) > len(rows) / 2


@pytest.mark.redis
def test_nothing_is_lost_and_nothing_is_begun_twice(
    tmp_path: Path, postgres: Postgres, redis_server: Redis
) -> None:
    judged(tmp_path, lambda: (postgres.database(), redis_server.address), sample)


def test_nothing_is_lost_and_nothing_is_begun_twice_on_a_zookeeper(
    tmp_path: Path, postgres: Postgres, zookeeper_server: Zookeeper
) -> None:
    def where() -> kill_table.Where:
        return postgres.database(), zookeeper_server.board()

    judged(tmp_path, where, kill_table.every_write)
