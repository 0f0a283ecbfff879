"""A program that stops in the middle of a transaction keeps nobody waiting for long; and a restart."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from reroot_fleet.memory.database import PING_S, open_memory
from reroot_fleet.memory.errors import Unreachable
from reroot_fleet.memory.schema import turns
from tests.services.postgres import drop_connections

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


def test_a_connection_that_rested_is_asked_whether_it_is_alive(postgres: Postgres) -> None:
    address = postgres.database()
    memory = open_memory(address)
    with memory.begin() as c, memory.begin() as d:  # two of them rest
        c.execute(sa.select(turns))
        d.execute(sa.select(turns))
    drop_connections(address)
    time.sleep(PING_S)
    for _ in range(2):
        with memory.begin() as c:
            c.execute(sa.select(turns))
    memory.close()


def test_a_connection_that_has_just_been_used_is_not(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = open_memory(postgres.database())
    asked: list[object] = []
    ping = memory.engine.dialect.do_ping

    def counted(connection: Any) -> bool:
        asked.append(connection)
        return ping(connection)

    monkeypatch.setattr(memory.engine.dialect, "do_ping", counted)
    for pause, times in ((0.0, 0), (0.0, 0), (PING_S, 1)):
        time.sleep(pause)
        asked.clear()
        with memory.begin() as c:
            c.execute(sa.select(turns))
        assert len(asked) <= times
    assert len(asked) == 1
    memory.close()
