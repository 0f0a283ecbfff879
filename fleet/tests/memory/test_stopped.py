"""A program that stops in the middle of a transaction keeps nobody waiting for long."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from reroot_fleet.memory.database import open_memory
from reroot_fleet.memory.errors import Unreachable
from reroot_fleet.memory.schema import turns

if TYPE_CHECKING:
    from tests.services.postgres import Postgres

pytestmark = pytest.mark.postgres


def test_a_transaction_that_stands_still_is_ended_and_its_locks_with_it(
    postgres: Postgres,
) -> None:
    address = postgres.database()
    stopped, other = open_memory(address, idle_s=1), open_memory(address, idle_s=1)
    with stopped.begin() as c:
        c.execute(sa.insert(turns).values(name="n"))
    lock = sa.select(turns).with_for_update()

    def stand_still() -> None:
        with stopped.begin() as c:
            c.execute(lock)
            begun = time.monotonic()
            with other.begin() as d:
                assert len(d.execute(lock).all()) == 1
            assert time.monotonic() - begun < 60
            c.execute(lock)

    with pytest.raises(Unreachable):
        stand_still()
    with stopped.begin() as c:  # and it goes on with another connection
        assert len(c.execute(lock).all()) == 1
    stopped.close()
    other.close()
