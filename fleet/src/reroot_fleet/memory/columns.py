"""The kinds of columns that the tables are made of, the same on PostgreSQL and SQLite.

A time without a zone is refused at the edge: inside the fleet every time is aware and UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import Dialect


class Utc(sa.TypeDecorator[datetime]):
    """An aware time, kept as UTC. SQLite has no zones: there it is stored without one."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a naive time, and turn others into UTC."""
        if value is None:
            return None
        if value.tzinfo is UTC and dialect.name != "sqlite":
            return value
        if value.tzinfo is None:
            message = f"store the time {value.isoformat()}: it names no zone"
            raise ValueError(message)
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the zone back that SQLite has lost."""
        del dialect
        if value is None or value.tzinfo is UTC:
            return value
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


# What is looked into by people and programs, never joined on.
Document: sa.types.TypeEngine[Any] = sa.JSON().with_variant(JSONB(), "postgresql")

# Rows are counted from one; SQLite counts by itself only in a column of exactly its own type.
Counter = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
