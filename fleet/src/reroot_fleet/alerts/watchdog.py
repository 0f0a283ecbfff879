"""The one trouble that no conductor can tell of: that none of them is alive while a night is open.

Pure; the page asks it, since the page is what still runs then.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from reroot_fleet.memory.outbox import Action, Message
from reroot_fleet.values.night import NightState

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from reroot_fleet.memory.conductors import Sign
    from reroot_fleet.values.night import Night

KEY = "fleet/conductors"
SILENT = timedelta(minutes=3)


def alive(signs: Iterable[Sign], now: datetime) -> list[Sign]:
    """The conductors that were heard of a short time ago."""
    return [s for s in signs if s.state != "stopped" and now - s.seen <= SILENT]


def watch(nights: Iterable[Night], signs: Iterable[Sign], now: datetime) -> Message:
    """The message for how it stands; the memory drops one that changes nothing."""
    waiting = [n for n in nights if n.state is NightState.OPEN and n.window.contains(now)]
    if waiting and not alive(signs, now):
        names = ", ".join(n.id for n in waiting)
        text = (
            f"No conductor was heard of for {SILENT.seconds // 60} minutes while {names} is open:"
            " nothing is watched and nothing new begins; start one"
        )
        return Message(now, KEY, Action.TRIGGER, text, night=waiting[0].id)
    return Message(now, KEY, Action.RESOLVE, "a conductor is alive, or no night is open", "info")
