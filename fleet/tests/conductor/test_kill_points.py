"""A conductor is killed, or stopped and continued, at writes of a job's life: a sample of the table.

`make bench-fleet` does it at every write.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import psycopg
import pytest

from reroot_fleet.simulation import kill_table

if TYPE_CHECKING:
    from pathlib import Path

    from tests.services.postgres import Postgres
    from tests.services.redis import Redis

pytestmark = [pytest.mark.postgres, pytest.mark.redis]

EVERY = 13
"""One in so many of the points: each has its turn in some order of writes and ways."""


def test_nothing_is_lost_and_nothing_is_begun_twice(
    tmp_path: Path, postgres: Postgres, redis_server: Redis
) -> None:
    template = postgres.database()
    kill_table.fill(tmp_path / "fill", (template, redis_server.port))
    lock, numbers = threading.Lock(), iter(range(1000))

    def where() -> kill_table.Where:
        base, name = template.rsplit("/", 1)
        with lock, psycopg.connect(f"{base}/postgres", autocommit=True) as c:
            copy = f"life_{os.getpid()}_{next(numbers)}"
            c.execute(f'CREATE DATABASE "{copy}" TEMPLATE "{name}"'.encode())
        return f"{base}/{copy}", redis_server.port

    writes = kill_table.trace(tmp_path / "trace", where())
    assert "machine go" in writes
    rows = kill_table.table(tmp_path, where, kill_table.all_points(writes)[::EVERY])
    bad = [row for row in rows if not row.good]
    assert not bad, kill_table.told(bad) + bad[0].log
    assert sum(row.sprung for row in rows) > len(rows) / 2
