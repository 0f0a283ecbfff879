"""What machines said by day: may they go, what would happen; and which findings are accepted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from reroot_fleet.memory import events
from reroot_fleet.memory.schema import acceptances, rehearsals, surveys
from reroot_fleet.values.event import Event, What

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy import Connection, Row


@dataclass(frozen=True, slots=True)
class Survey:
    """One machine's answer to `check` and `plan`."""

    at: datetime
    host: str
    image: str
    """Digest."""
    may_go: bool
    codes: tuple[str, ...] = ()
    """Of the checks that refused, and of findings nobody accepted yet."""
    reason: str = ""
    consent: str | None = None
    deadlines_s: int | None = None
    machine_class: str = ""
    """Its key."""
    detail: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """One rehearsal that came back."""

    at: datetime
    host: str
    image: str
    consent: str
    run: str
    passed: bool
    detail: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A finding that a person accepted for every machine that has it."""

    finding: str
    at: datetime
    who: str
    why: str


def record(connection: Connection, survey: Survey, *, who: str) -> None:
    """Write a survey's answer down."""
    values = {name: getattr(survey, name) for name in Survey.__slots__}
    values |= {"codes": list(survey.codes), "detail": dict(survey.detail)}
    connection.execute(sa.insert(surveys).values(values))
    detail = {
        "may_go": survey.may_go,
        "codes": list(survey.codes),
        "class": survey.machine_class,
        "image": survey.image,
    }
    events.append(
        connection,
        Event(
            at=survey.at,
            who=who,
            what=What.SURVEYED,
            host=survey.host,
            why=survey.reason,
            detail=detail,
        ),
    )


def latest(
    connection: Connection, *, host: str | None = None, image: str | None = None
) -> list[Survey]:
    """The newest answer of every machine, by name; of one image or, for each, of its newest."""
    newest = sa.select(sa.func.max(surveys.c.id)).group_by(surveys.c.host)
    if image is not None:
        newest = newest.where(surveys.c.image == image)
    if host is not None:
        newest = newest.where(surveys.c.host == host)
    statement = sa.select(surveys).where(surveys.c.id.in_(newest)).order_by(surveys.c.host)
    return [_survey(row) for row in connection.execute(statement)]


def record_rehearsal(connection: Connection, rehearsed: Rehearsed) -> None:
    """Write a rehearsal down. The run it belongs to writes the event."""
    values = {name: getattr(rehearsed, name) for name in Rehearsed.__slots__}
    connection.execute(sa.insert(rehearsals).values(values | {"detail": dict(rehearsed.detail)}))


def rehearsal(
    connection: Connection, host: str, image: str, consent: str, *, since: datetime
) -> Rehearsed | None:
    """The newest rehearsal of this image and consent that passed at or after a time."""
    columns = [rehearsals.c[name] for name in Rehearsed.__slots__]
    statement = (
        sa.select(*columns)
        .where(
            rehearsals.c.host == host,
            rehearsals.c.image == image,
            rehearsals.c.consent == consent,
            rehearsals.c.passed,
            rehearsals.c.at >= since,
        )
        .order_by(rehearsals.c.at.desc())
        .limit(1)
    )
    row = connection.execute(statement).one_or_none()
    return None if row is None else Rehearsed(*row)


def accept(connection: Connection, acceptance: Acceptance) -> bool:
    """Accept a finding for the whole fleet: whether it was not accepted before."""
    known = sa.select(acceptances.c.finding).where(acceptances.c.finding == acceptance.finding)
    if connection.execute(known).one_or_none() is not None:
        return False
    values = {name: getattr(acceptance, name) for name in Acceptance.__slots__}
    connection.execute(sa.insert(acceptances).values(values))
    events.append(
        connection,
        Event(
            at=acceptance.at,
            who=acceptance.who,
            what=What.FINDING_ACCEPTED,
            why=acceptance.why,
            detail={"finding": acceptance.finding},
        ),
    )
    return True


def accepted(connection: Connection) -> list[Acceptance]:
    """Every accepted finding."""
    rows = connection.execute(sa.select(acceptances).order_by(acceptances.c.finding))
    return [Acceptance(row.finding, row.at, row.who, row.why) for row in rows]


def _survey(row: Row[Any]) -> Survey:
    return Survey(
        at=row.at,
        host=row.host,
        image=row.image,
        may_go=row.may_go,
        codes=tuple(row.codes),
        reason=row.reason,
        consent=row.consent,
        deadlines_s=row.deadlines_s,
        machine_class=row.machine_class,
        detail=row.detail,
    )
