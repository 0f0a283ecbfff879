"""Which conductors there are, and when each was last heard of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from reroot_fleet.memory.schema import conductors

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection


_BEAT = sa.update(conductors).where(conductors.c.name == sa.bindparam("which"))
_EVERY = sa.select(conductors).order_by(conductors.c.name)


@dataclass(frozen=True, slots=True)
class Sign:
    """A conductor's sign of life."""

    name: str
    host: str
    pid: int
    version: str
    started: datetime
    seen: datetime
    slots: int
    """How many jobs it takes at once."""
    running: int
    state: str
    """`running`, `draining` (takes no new job) or `stopped`."""


def beat(connection: Connection, sign: Sign) -> None:
    """Write a sign of life down."""
    values = {name: getattr(sign, name) for name in Sign.__slots__}
    if connection.execute(_BEAT, {"which": sign.name, **values}).rowcount == 0:
        connection.execute(sa.insert(conductors).values(values))


def every(connection: Connection) -> list[Sign]:
    """Every conductor that was ever heard of, by name."""
    rows = connection.execute(_EVERY)
    return [Sign(**row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name


def forget(connection: Connection, name: str) -> None:
    """Drop one that ended and will not come back."""
    connection.execute(sa.delete(conductors).where(conductors.c.name == name))
