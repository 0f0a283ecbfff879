"""Bringing a database to this release's schema, and refusing one that is not.

Schemas are numbered: 0001, 0002, … A migration only adds, so that conductors of the release before
go on during a rolling upgrade.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from reroot_fleet.memory.errors import MemoryFault, NewerSchema, OlderSchema

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from reroot_fleet.memory.database import Memory

# TaskFlow has its own `alembic_version` in the same database.
VERSION_TABLE = "fleet_schema"
_SCRIPTS = Path(__file__).parent / "migrations"
# Any number that nobody else locks: two commands that start on an empty database take turns.
_ADVISORY_LOCK = 0x7265726F6F74


def ours() -> str:
    """The newest schema that this release knows."""
    head = ScriptDirectory(str(_SCRIPTS)).get_current_head()
    if head is None:
        raise MemoryFault(
            "read the migrations of reroot-fleet", "there are none", then="install it again"
        )
    return head


def theirs(connection: Connection) -> str | None:
    """The database's schema, or nothing where it is empty."""
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    return context.get_current_revision()


def require_current(memory: Memory) -> None:
    """Fill an empty database; refuse one of a newer or older schema."""
    with memory.read() as connection:
        found = theirs(connection)
    if found is None:
        upgrade(memory)
        return
    _refuse_newer(memory, found)
    if found != ours():
        raise OlderSchema(memory.where, found, ours())


def upgrade(memory: Memory) -> tuple[str | None, str]:
    """Bring the database to this release's schema: from which, to which."""
    with memory.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
        found = theirs(connection)
        if found is not None:
            _refuse_newer(memory, found)
        config = Config()
        config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        return found, ours()


def _refuse_newer(memory: Memory, found: str) -> None:
    known = {script.revision for script in ScriptDirectory(str(_SCRIPTS)).walk_revisions()}
    if found not in known:
        raise NewerSchema(memory.where, found, ours())
