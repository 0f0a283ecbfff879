"""The machines that an inventory named."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa

from reroot_fleet.memory import codec, events
from reroot_fleet.memory.schema import machines
from reroot_fleet.values.event import Event, What
from reroot_fleet.values.host import Host

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy import Connection


# What conductors ask again and again; to put a statement together costs more than to send it.
_ONE = sa.select(machines.c.host).where(machines.c.name == sa.bindparam("which"))
_VERSION = sa.select(
    sa.func.count(), sa.func.max(machines.c.imported), sa.func.max(machines.c.removed)
)


class Imported(NamedTuple):
    """What an import did: names, sorted."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    same: int


def replace_all(
    connection: Connection, hosts: Iterable[Host], *, now: datetime, who: str, why: str = ""
) -> Imported:
    """Make the inventory these hosts: add, change, and mark as removed what is not among them."""
    wanted = {host.name: host for host in hosts}
    present = {host.name: host for host in every(connection)}
    known = set(connection.execute(sa.select(machines.c.name)).scalars())
    added = sorted(set(wanted) - set(present))
    # The labels do not take part in equality: compare what is written.
    documents = {name: codec.write(host) for name, host in wanted.items()}
    changed = sorted(
        name for name in wanted if name in present and codec.write(present[name]) != documents[name]
    )
    removed = sorted(set(present) - set(wanted))
    rows = [
        {"name": n, "host": documents[n], "imported": now, "removed": None}
        for n in added
        if n not in known
    ]
    if rows:
        connection.execute(sa.insert(machines), rows)
    for name in [*changed, *(n for n in added if n in known)]:
        connection.execute(
            sa.update(machines)
            .where(machines.c.name == name)
            .values(host=documents[name], imported=now, removed=None)
        )
    for name in removed:
        connection.execute(sa.update(machines).where(machines.c.name == name).values(removed=now))
    told = [
        *((n, What.HOST_IMPORTED) for n in added),
        *((n, What.HOST_CHANGED) for n in changed),
        *((n, What.HOST_REMOVED) for n in removed),
    ]
    events.append_all(
        connection, (Event(at=now, who=who, what=what, host=n, why=why) for n, what in told)
    )
    same = len(wanted) - len(added) - len(changed)
    return Imported(tuple(added), tuple(changed), tuple(removed), same)


def version(connection: Connection) -> tuple[object, ...]:
    """Changes with every change of the inventory, and costs no more than a count."""
    return tuple(connection.execute(_VERSION).one())


def every(connection: Connection) -> list[Host]:
    """Every machine of the inventory, by name."""
    statement = sa.select(machines.c.host).where(machines.c.removed.is_(None))
    rows = connection.execute(statement.order_by(machines.c.name)).scalars()
    return [codec.read(Host, row) for row in rows]


def get(connection: Connection, name: str) -> Host | None:
    """One machine, also one that the inventory does not name any more."""
    row = connection.execute(_ONE, {"which": name}).scalar_one_or_none()
    return None if row is None else codec.read(Host, row)
