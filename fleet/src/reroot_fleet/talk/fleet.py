"""What every command begins with: the settings, the open memory, who asks, and when."""

from __future__ import annotations

import getpass
import os
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from reroot_fleet.memory import events, nights
from reroot_fleet.memory.database import Memory, open_memory
from reroot_fleet.values.event import Event, What
from reroot_fleet.values.night import Night, NightState
from reroot_fleet.values.problem import Place, Problem
from reroot_fleet.values.settings import Settings, parse_settings

if TYPE_CHECKING:
    from sqlalchemy import Connection

DEFAULT_FILE = "/etc/reroot-fleet/fleet.toml"
LIVE = (NightState.PLANNED, NightState.OPEN, NightState.PAUSED)


@cache
def settings() -> Settings:
    """The settings of `REROOT_FLEET_SETTINGS`, else of the default file, else none."""
    named = os.environ.get("REROOT_FLEET_SETTINGS")
    path = Path(named or DEFAULT_FILE)
    if named is None and not path.exists():
        return parse_settings("", DEFAULT_FILE, os.environ)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Problem("read the fleet's settings", str(error), at=Place(str(path))) from error
    return parse_settings(text, str(path), os.environ)


@cache
def memory() -> Memory:
    """The open memory; refused where its schema is another."""
    return open_memory(settings().database)


def who() -> str:
    """The person who asks."""
    if found := os.environ.get("REROOT_FLEET_OPERATOR") or os.environ.get("SUDO_USER"):
        return found
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def now() -> datetime:
    """The time of day."""
    return datetime.now(UTC)


def ordered(c: Connection, command: str, *, night: str | None = None, why: str = "") -> None:
    """Write an operator's command down."""
    event = Event(
        now(), who(), What.OPERATOR_COMMAND, night=night, why=why, detail={"command": command}
    )
    events.append(c, event)


def night_or_only(c: Connection, named: str | None, states: tuple[NightState, ...] = LIVE) -> Night:
    """The night that is named, else the only one in these states."""
    if named is not None:
        found = nights.get(c, named)
        if found is None:
            known = [n.id for n in nights.every(c)][:5]
            then = f"there are {', '.join(known)}" if known else "`reroot-fleet queue` makes one"
            raise Problem(f"find the night {named}", "there is none of that name", then=then)
        return found
    live = nights.every(c, states)
    if len(live) == 1:
        return live[0]
    why = (
        f"{len(live)} nights are {' or '.join(states)}"
        if live
        else "none is " + " or ".join(states)
    )
    raise Problem(
        "find the night", why, then=f"name one: {', '.join(n.id for n in live)}" if live else ""
    )


def newest_night(c: Connection, named: str | None) -> Night:
    """The night that is named, else the newest."""
    if named is None:
        every = nights.every(c)
        if every:
            started = [n for n in every if n.state is not NightState.PLANNED]
            return (started or every)[0]
    return night_or_only(c, named, tuple(NightState))
