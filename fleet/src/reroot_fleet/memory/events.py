"""The log of everything that happened: written once, read often, never changed."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from reroot_fleet.memory.schema import events
from reroot_fleet.values.event import Event, What

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy import Connection, Row, TextClause

# So many rows at a time where all of a log is read.
_PAGE = 5000
# Made once: to put a statement together costs more than to send it.
_INSERT = sa.insert(events)
_APPEND = _INSERT.returning(events.c.id)
_FEW = 8
"""So many rows are one statement; of more, each is one."""
_LAST = sa.select(sa.func.max(events.c.id))


def append(connection: Connection, event: Event) -> Event:
    """Write one event down: the same with its number."""
    number = connection.execute(_APPEND, _columns(event)).scalar_one()
    return Event(**{name: getattr(event, name) for name in _FIELDS}, number=number)


def append_all(connection: Connection, many: Iterable[Event]) -> int:
    """Write many down, in their order: how many."""
    rows = [_columns(event) for event in many]
    if len(rows) > _FEW:
        connection.execute(_INSERT, rows)
    elif rows:
        numbered = {
            f"{name}_{n}": value for n, row in enumerate(rows) for name, value in row.items()
        }
        connection.execute(_insert_of(len(rows)), numbered)
    return len(rows)


@cache
def _insert_of(count: int) -> TextClause:
    """So many rows in one statement. As text: an `Insert` of several rows is put together at every use."""
    places = [[f"{name}_{n}" for name in _FIELDS] for n in range(count)]
    rows = ", ".join(f"({', '.join(f':{place}' for place in row)})" for row in places)
    typed = [
        sa.bindparam(place, type_=events.c[name].type)
        for row in places
        for name, place in zip(_FIELDS, row, strict=True)
    ]
    text = f"INSERT INTO {events.name} ({', '.join(_FIELDS)}) VALUES {rows}"  # noqa: S608 - our names
    return sa.text(text).bindparams(*typed)


def read(
    connection: Connection,
    *,
    after: int = 0,
    night: str | None = None,
    host: str | None = None,
    job: str | None = None,
    limit: int | None = None,
) -> list[Event]:
    """The events behind a number, oldest first."""
    statement = sa.select(events).where(events.c.id > after).order_by(events.c.id)
    for column, value in ((events.c.night, night), (events.c.host, host), (events.c.job, job)):
        if value is not None:
            statement = statement.where(column == value)
    if limit is not None:
        statement = statement.limit(limit)
    return [_event(row) for row in connection.execute(statement)]


def read_all(connection: Connection, *, night: str | None = None) -> Iterator[Event]:
    """Every event, oldest first, some thousand at a time."""
    after = 0
    while page := read(connection, after=after, night=night, limit=_PAGE):
        yield from page
        after = page[-1].number or after


def latest(
    connection: Connection, *, night: str | None = None, host: str | None = None, limit: int = 50
) -> list[Event]:
    """The last events, newest first."""
    statement = sa.select(events).order_by(events.c.id.desc()).limit(limit)
    if night is not None:
        statement = statement.where(events.c.night == night)
    if host is not None:
        statement = statement.where(events.c.host == host)
    return [_event(row) for row in connection.execute(statement)]


def last_number(connection: Connection, *, night: str | None = None) -> int:
    """The number of the last event; 0 where there is none."""
    statement = _LAST
    if night is not None:
        statement = statement.where(events.c.night == night)
    return connection.execute(statement).scalar() or 0


_FIELDS = ("at", "who", "what", "night", "host", "job", "why", "detail")


def _columns(event: Event) -> dict[str, Any]:
    columns = {name: getattr(event, name) for name in _FIELDS}
    return columns | {"what": str(event.what), "detail": dict(event.detail)}


def _event(row: Row[Any]) -> Event:
    return Event(
        at=row.at,
        who=row.who,
        what=What(row.what),
        night=row.night,
        host=row.host,
        job=row.job,
        why=row.why,
        detail=row.detail,
        number=row.id,
    )
