"""Alerts that wait to be sent, in the transaction of what they tell of.

An alert has a stable key and is triggered, acknowledged and resolved; raising one that is open
already writes nothing. Every channel takes the messages in their order and remembers what it has
delivered, so that a restart neither loses an alert nor sends one twice on purpose: a message that
was sent and not yet written down is sent again, and its key makes that harmless.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from reroot_fleet.memory import events, turns
from reroot_fleet.memory.schema import alerts, deliveries, outbox
from reroot_fleet.values.event import Event, What

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from sqlalchemy import Connection, Row

# A channel that is configured later does not tell of last week.
_STALE = timedelta(hours=24)


class Action(StrEnum):
    """What becomes of an alert."""

    TRIGGER = "trigger"
    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"


_TELLS = {
    Action.TRIGGER: What.ALERT_RAISED,
    Action.ACKNOWLEDGE: What.ALERT_ACKNOWLEDGED,
    Action.RESOLVE: What.ALERT_RESOLVED,
}


# What is asked again and again is made once, for to put a statement together costs more than to send it.
_STATE = sa.select(alerts.c.state).where(alerts.c.key == sa.bindparam("which")).with_for_update()
_ABOUT = (
    sa.select(outbox.c.night, outbox.c.host)
    .where(outbox.c.key == sa.bindparam("which"), outbox.c.action == Action.TRIGGER)
    .order_by(outbox.c.id.desc())
    .limit(1)
)
_NEWEST = (
    sa.select(outbox.c.key, sa.func.max(outbox.c.id).label("id"))
    .where(outbox.c.action == Action.TRIGGER)
    .group_by(outbox.c.key)
    .subquery()
)
_OPEN = (
    sa.select(alerts.c.key, alerts.c.state, outbox.c.at, outbox.c.summary)
    .join(_NEWEST, _NEWEST.c.key == alerts.c.key)
    .join(outbox, outbox.c.id == _NEWEST.c.id)
    .where(alerts.c.state != Action.RESOLVE)
    .order_by(outbox.c.id)
)


@dataclass(frozen=True, slots=True)
class Message:
    """One thing to tell."""

    at: datetime
    key: str
    action: Action
    summary: str
    severity: str = "critical"
    """PagerDuty's: `critical`, `error`, `warning` or `info`."""
    night: str | None = None
    host: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict, hash=False)
    number: int | None = None
    attempts: int = 0
    """How often this channel tried."""


@dataclass(frozen=True, slots=True)
class Open:
    """An alert that is not resolved."""

    key: str
    state: Action
    since: datetime
    summary: str


def put(connection: Connection, message: Message, *, who: str) -> bool:
    """Write a message down, if it changes something: an open alert is not triggered again."""
    before = connection.execute(_STATE, {"which": message.key}).scalar_one_or_none()
    if not _changes(before, message.action):
        return False
    if message.action is not Action.TRIGGER:
        message = _about_the_same(connection, message)
    values = {"state": str(message.action), "changed": message.at}
    if before is None:
        connection.execute(sa.insert(alerts).values(key=message.key, **values))
    else:
        connection.execute(sa.update(alerts).where(alerts.c.key == message.key).values(**values))
    connection.execute(
        sa.insert(outbox).values(
            at=message.at,
            key=message.key,
            action=str(message.action),
            severity=message.severity,
            summary=message.summary,
            night=message.night,
            host=message.host,
            detail=dict(message.detail),
        )
    )
    events.append(
        connection,
        Event(
            at=message.at,
            who=who,
            what=_TELLS[message.action],
            night=message.night,
            host=message.host,
            why=message.summary,
            detail={"key": message.key},
        ),
    )
    return True


def _about_the_same(connection: Connection, message: Message) -> Message:
    """What follows a trigger names its night and machine: a receiver may know nothing but those."""
    found = connection.execute(_ABOUT, {"which": message.key}).one_or_none()
    if found is None:
        return message
    return replace(message, night=message.night or found.night, host=message.host or found.host)


def _changes(before: str | None, action: Action) -> bool:
    is_open = before in {Action.TRIGGER, Action.ACKNOWLEDGE}
    if action is Action.TRIGGER:
        return not is_open
    if action is Action.ACKNOWLEDGE:
        return before == Action.TRIGGER
    return is_open


def agree(
    connection: Connection,
    scope: str,
    wanted: Iterable[Message],
    *,
    now: datetime,
    who: str,
) -> tuple[int, int]:
    """Make the open alerts whose keys begin with the scope those that are wanted, and no others.

    Gives how many were triggered and how many resolved.
    """
    messages = {message.key: message for message in wanted}
    opened = open_alerts(connection)
    keys = {alert.key for alert in opened}
    new = [message for message in messages.values() if message.key not in keys]
    raised = sum(put(connection, message, who=who) for message in new)
    resolved = 0
    for alert in opened:
        if alert.key.startswith(scope) and alert.key not in messages:
            over = Message(now, alert.key, Action.RESOLVE, f"over: {alert.summary}", "info")
            resolved += put(connection, over, who=who)
    return raised, resolved


def claim(
    connection: Connection, channel: str, *, now: datetime, lease: timedelta, limit: int = 20
) -> list[Message]:
    """Take what is due for as long as a lease, so that two senders do not send it both."""
    if not turns.take(connection, f"alerts/{channel}"):
        return []
    messages = due(connection, channel, now=now, limit=limit)
    for message in messages:
        _note(connection, message, channel, tries=0, sent=None, not_before=now + lease, error=None)
    return messages


def due(connection: Connection, channel: str, *, now: datetime, limit: int = 20) -> list[Message]:
    """What a channel has to send now, oldest first, one message a key at a time."""
    mine = sa.and_(deliveries.c.message == outbox.c.id, deliveries.c.channel == channel)
    waiting = (
        sa.select(outbox, deliveries.c.attempts, deliveries.c.not_before)
        .outerjoin(deliveries, mine)
        .where(deliveries.c.sent.is_(None), outbox.c.at > now - _STALE)
        .order_by(outbox.c.id)
    )
    messages: list[Message] = []
    seen: set[str] = set()
    for row in connection.execute(waiting):
        # A resolve never overtakes its trigger.
        first = row.key not in seen
        seen.add(row.key)
        if first and (row.not_before is None or row.not_before <= now):
            messages.append(_message(row))
        if len(messages) == limit:
            break
    return messages


def delivered(connection: Connection, message: Message, channel: str, *, now: datetime) -> None:
    """Write down that a channel has sent a message."""
    _note(connection, message, channel, tries=1, sent=now, not_before=None, error=None)


def failed(
    connection: Connection, message: Message, channel: str, *, again_at: datetime, error: str
) -> None:
    """Write down that a channel could not send a message, and when it tries again."""
    _note(connection, message, channel, tries=1, sent=None, not_before=again_at, error=error)


def _note(
    connection: Connection,
    message: Message,
    channel: str,
    *,
    tries: int,
    **values: datetime | str | None,
) -> None:
    mine = sa.and_(deliveries.c.message == message.number, deliveries.c.channel == channel)
    attempts = message.attempts + tries
    update = sa.update(deliveries).where(mine).values(attempts=attempts, **values)
    if connection.execute(update).rowcount == 0:
        connection.execute(
            sa.insert(deliveries).values(
                message=message.number, channel=channel, attempts=attempts, **values
            )
        )


def open_alerts(connection: Connection) -> list[Open]:
    """Alerts that are triggered or acknowledged, oldest first."""
    return [
        Open(row.key, Action(row.state), row.at, row.summary) for row in connection.execute(_OPEN)
    ]


def undelivered(connection: Connection, channel: str, *, now: datetime) -> tuple[int, str | None]:
    """How many messages a channel has not sent, and the last error."""
    mine = sa.and_(deliveries.c.message == outbox.c.id, deliveries.c.channel == channel)
    statement = (
        sa.select(deliveries.c.error)
        .select_from(outbox)
        .outerjoin(deliveries, mine)
        .where(deliveries.c.sent.is_(None), outbox.c.at > now - _STALE)
        .order_by(outbox.c.id)
    )
    errors = connection.execute(statement).scalars().all()
    return len(errors), next((e for e in reversed(errors) if e), None)


def _message(row: Row[Any]) -> Message:
    return Message(
        at=row.at,
        key=row.key,
        action=Action(row.action),
        summary=row.summary,
        severity=row.severity,
        night=row.night,
        host=row.host,
        detail=row.detail,
        number=row.id,
        attempts=row.attempts or 0,
    )
