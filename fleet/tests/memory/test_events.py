from __future__ import annotations

from datetime import datetime

import pytest
import sqlalchemy as sa

from reroot_fleet.memory import events
from reroot_fleet.memory.database import Memory
from reroot_fleet.memory.schema import events as table
from reroot_fleet.values.event import Event, What
from tests.memory.given import NOW, event


def test_they_come_back_as_they_were_written_in_their_order(memory: Memory) -> None:
    with memory.begin() as c:
        first = events.append(c, event(What.STEP_BEGUN, "web1", step="check"))
        events.append_all(c, [event(What.STEP_DONE, "web1", 1, step="check")])
    with memory.read() as c:
        both = events.read(c, host="web1")
        assert [e.what for e in both] == [What.STEP_BEGUN, What.STEP_DONE]
        assert both[0] == first
        assert both[0].at == NOW
        assert both[0].detail == {"step": "check"}
        assert events.read(c, after=both[0].number or 0) == both[1:]
        assert list(events.read_all(c)) == both
        assert events.latest(c, limit=1) == both[1:]
        assert events.last_number(c) == both[1].number


@pytest.mark.parametrize("verb", ["UPDATE events SET who = 'nobody'", "DELETE FROM events"])
def test_nobody_changes_or_deletes_one(memory: Memory, verb: str) -> None:
    with memory.begin() as c:
        events.append(c, event(What.NOTE, "web1"))
    with pytest.raises(sa.exc.DatabaseError, match="append-only"), memory.begin() as c:
        c.execute(sa.text(verb))
    with memory.read() as c:
        assert c.execute(sa.select(sa.func.count()).select_from(table)).scalar() == 1


def test_truncate_is_refused_too(memory: Memory) -> None:
    if memory.engine.dialect.name != "postgresql":
        pytest.skip("SQLite has no truncate")
    with pytest.raises(sa.exc.DatabaseError, match="append-only"), memory.begin() as c:
        c.execute(sa.text("TRUNCATE events"))


def test_a_time_without_a_zone_is_refused(memory: Memory) -> None:
    naive = Event(at=datetime(2026, 1, 1), who="a", what=What.NOTE)  # noqa: DTZ001
    with pytest.raises(sa.exc.StatementError, match="zone"), memory.begin() as c:
        events.append(c, naive)
