"""What keeps the events append-only: triggers in the database itself, not a promise in code.

They refuse update, delete and (PostgreSQL) truncate, whoever asks. Who owns the database can drop
them; doctor says when they are missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from sqlalchemy import Connection

_POSTGRESQL = (
    """
    CREATE FUNCTION reroot_fleet_events_are_append_only() RETURNS trigger
    LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'the events of reroot-fleet are append-only: % is refused', TG_OP;
    END
    $$
    """,
    """
    CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION reroot_fleet_events_are_append_only()
    """,
)

_SQLITE = tuple(
    f"""
    CREATE TRIGGER events_append_only_{verb.lower()} BEFORE {verb} ON events
    BEGIN
        SELECT RAISE(ABORT, 'the events of reroot-fleet are append-only: {verb} is refused');
    END
    """
    for verb in ("UPDATE", "DELETE")
)

_NAMES = {
    "postgresql": "SELECT tgname FROM pg_trigger WHERE tgname LIKE 'events_append_only%'"
    " AND tgrelid = 'events'::regclass AND tgenabled IN ('O', 'A')",
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    " AND name LIKE 'events_append_only%'",
}
_EXPECTED = {"postgresql": 1, "sqlite": 2}


def statements(dialect: str) -> tuple[str, ...]:
    """The statements that make the triggers, for a database of this dialect."""
    return _POSTGRESQL if dialect == "postgresql" else _SQLITE


def is_kept(connection: Connection) -> bool:
    """Whether the triggers are there."""
    dialect = connection.dialect.name
    names = connection.execute(sa.text(_NAMES[dialect])).scalars().all()
    return len(names) >= _EXPECTED[dialect]
