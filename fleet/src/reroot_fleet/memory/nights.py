"""Nights: their windows, their policy, and how they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from reroot_fleet.memory import codec, events
from reroot_fleet.memory.errors import Conflict
from reroot_fleet.memory.schema import nights
from reroot_fleet.values.event import Event, What
from reroot_fleet.values.night import Night, NightState, Window
from reroot_fleet.values.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy import Connection, Row

# Statements are made once, for to put one together costs more than to send it.
_ONE = sa.select(nights).where(nights.c.id == sa.bindparam("which"))
_LOCKED = _ONE.with_for_update()
_EVERY = (
    sa.select(nights)
    .where(nights.c.state.in_(sa.bindparam("states", expanding=True)))
    .order_by(nights.c.opens.desc(), nights.c.id.desc())
)

_POLICIES = 100
"""So many are kept at most."""

_TELLS = {
    NightState.PLANNED: What.NIGHT_PLANNED,
    NightState.OPEN: What.NIGHT_OPENED,
    NightState.PAUSED: What.NIGHT_PAUSED,
    NightState.HALTED: What.NIGHT_HALTED,
    NightState.CLOSED: What.NIGHT_CLOSED,
}


def create(connection: Connection, night: Night, *, now: datetime, who: str, why: str = "") -> None:
    """Write a new night down."""
    if get(connection, night.id) is not None:
        raise Conflict(f"make the night {night.id}", "there is one of that name already")
    connection.execute(
        sa.insert(nights).values(
            id=night.id,
            state=night.state,
            opens=night.window.opens,
            closes=night.window.closes,
            policy=codec.write(night.policy),
            selector=night.selector,
            stopped_classes=sorted(night.stopped_classes),
            cause=night.cause,
            created=now,
            changed=now,
        )
    )
    detail = {
        "opens": night.window.opens.isoformat(),
        "closes": night.window.closes.isoformat(),
        "policy": night.policy.name,
        "selector": night.selector,
    }
    events.append(
        connection,
        Event(at=now, who=who, what=_TELLS[night.state], night=night.id, why=why, detail=detail),
    )


def move(
    connection: Connection,
    night: str,
    to: NightState,
    *,
    expect: Iterable[NightState],
    now: datetime,
    who: str,
    cause: str | None = None,
) -> Night:
    """Move a night, if it is in one of the expected states; the event is written with it."""
    expected = tuple(expect)
    before = get(connection, night, lock=True)
    if before is None:
        raise Conflict(f"make the night {night} {to}", "there is no such night")
    if before.state not in expected:
        raise Conflict(
            f"make the night {night} {to}",
            f"it is {before.state}, and would have to be {' or '.join(expected)}",
        )
    connection.execute(
        sa.update(nights).where(nights.c.id == night).values(state=to, cause=cause, changed=now)
    )
    resumed = before.state is NightState.PAUSED and to is NightState.OPEN
    if resumed:
        connection.execute(sa.update(nights).where(nights.c.id == night).values(resumed_at=now))
    what = What.NIGHT_RESUMED if resumed else _TELLS[to]
    events.append(
        connection,
        Event(at=now, who=who, what=what, night=night, why=cause or "", detail={"cause": cause}),
    )
    return _required(connection, night)


def stop_class(
    connection: Connection, night: str, key: str, *, now: datetime, who: str, cause: str
) -> bool:
    """Stop a class of machines in a night: whether it was not stopped before."""
    before = get(connection, night, lock=True)
    if before is None or key in before.stopped_classes:
        return False
    connection.execute(
        sa.update(nights)
        .where(nights.c.id == night)
        .values(stopped_classes=sorted({*before.stopped_classes, key}), changed=now)
    )
    detail = {"class": key, "cause": cause}
    events.append(
        connection,
        Event(at=now, who=who, what=What.CLASS_STOPPED, night=night, why=cause, detail=detail),
    )
    return True


def get(connection: Connection, night: str, *, lock: bool = False) -> Night | None:
    """One night. Locked, nobody else moves it or its jobs' postings until the transaction ends."""
    row = connection.execute(_LOCKED if lock else _ONE, {"which": night}).one_or_none()
    return None if row is None else _night(row)


def every(connection: Connection, states: Iterable[NightState] = tuple(NightState)) -> list[Night]:
    """The nights in these states, the newest window first."""
    rows = connection.execute(_EVERY, {"states": [str(state) for state in states]})
    return [_night(row) for row in rows]


def _required(connection: Connection, night: str) -> Night:
    found = get(connection, night)
    assert found is not None  # noqa: S101 - it was locked a moment ago
    return found


_policies: dict[str, tuple[Any, Policy]] = {}
"""The policies that were read last, with their documents: a night keeps its own, and is asked for often."""


def _policy(night: str, document: Any) -> Policy:  # noqa: ANN401 - JSON
    known = _policies.get(night)
    if known is None or known[0] != document:
        if len(_policies) >= _POLICIES:
            _policies.clear()
        known = _policies[night] = document, codec.read(Policy, document)
    return known[1]


def _night(row: Row[Any]) -> Night:
    return Night(
        id=row.id,
        window=Window(row.opens, row.closes),
        policy=_policy(row.id, row.policy),
        state=NightState(row.state),
        selector=row.selector,
        stopped_classes=frozenset(row.stopped_classes),
        cause=row.cause,
        resumed_at=row.resumed_at,
    )
