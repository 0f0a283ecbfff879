from __future__ import annotations

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from reroot_fleet.memory import append_only, migrate
from reroot_fleet.memory.database import Memory, connect, open_memory
from reroot_fleet.memory.errors import MemoryFault, NewerSchema, OlderSchema, Unreachable
from reroot_fleet.memory.schema import metadata


def test_the_migrations_make_the_tables_that_the_code_knows(memory: Memory) -> None:
    with memory.read() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "version_table": migrate.VERSION_TABLE,
                "target_metadata": metadata,
                "compare_type": True,
            },
        )
        assert compare_metadata(context, metadata) == []
        assert append_only.is_kept(connection)


def test_a_database_of_a_newer_schema_is_refused_and_named(database: str) -> None:
    opened = open_memory(database)
    with opened.begin() as connection:
        connection.execute(sa.text("UPDATE fleet_schema SET version_num = '9000'"))
    opened.close()
    with pytest.raises(NewerSchema, match=r"its schema is 9000, and this release .* up to 0"):
        open_memory(database)


def test_a_database_of_an_older_schema_is_not_migrated_by_the_way(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_memory(database).close()
    monkeypatch.setattr(migrate, "ours", lambda: "0999")
    with pytest.raises(OlderSchema, match="reroot-fleet migrate"):
        open_memory(database)


def test_an_upgrade_of_what_is_up_to_date_changes_nothing(memory: Memory) -> None:
    assert migrate.upgrade(memory) == (migrate.ours(), migrate.ours())


def test_a_database_that_does_not_answer_is_told_of_without_its_password() -> None:
    memory = connect("postgresql://fleet:secret@127.0.0.1:1/fleet")
    with pytest.raises(Unreachable) as told, memory.read():
        pass
    assert "127.0.0.1" in str(told.value)
    assert "secret" not in str(told.value)


@pytest.mark.parametrize("address", ["", "mysql://root@localhost/fleet", "fleet.db"])
def test_an_address_of_no_known_database_is_refused(address: str) -> None:
    with pytest.raises(MemoryFault):
        connect(address)
