"""Taking turns: what may be done by one only, such as deciding which jobs are posted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from reroot_fleet.memory.schema import turns

if TYPE_CHECKING:
    from sqlalchemy import Connection

PLANNING = "planning"
_ROW = sa.select(turns.c.name).where(turns.c.name == sa.bindparam("which"))
_FREE = _ROW.with_for_update(skip_locked=True)


def take(connection: Connection, name: str) -> bool:
    """Take the turn until the transaction ends; false where somebody else has it.

    The lock is the database's, so it ends with its holder. On SQLite every writer is alone anyway.
    """
    if connection.dialect.name != "postgresql":
        return True
    if connection.execute(_FREE, {"which": name}).one_or_none() is not None:
        return True
    if connection.execute(_ROW, {"which": name}).one_or_none() is not None:
        return False
    from sqlalchemy.dialects.postgresql import insert  # noqa: PLC0415 - of one dialect only

    connection.execute(insert(turns).values(name=name).on_conflict_do_nothing())
    return connection.execute(_FREE, {"which": name}).one_or_none() is not None
