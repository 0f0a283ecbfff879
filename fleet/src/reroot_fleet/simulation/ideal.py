"""How long a night would take if the fleet cost nothing: the same machines, let go in the same order.

Each is let go as soon as its class's canary is over, the hourly cap has room and a place is free, and takes
as long as it takes by itself: slow ones their time, silent ones until their plan's deadlines have passed.
Connections that fail, pauses between two tries and between two looks, and every second of a conductor are the
fleet's, and are not in it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from reroot_fleet.simulation.fate import End

if TYPE_CHECKING:
    from reroot_fleet.simulation.model import Model

HOUR_S = timedelta(hours=1).total_seconds()


@dataclass(frozen=True, slots=True)
class Turn:
    """A machine's turn, in the order in which they were let go."""

    host: str
    machine_class: str
    canary: bool


def night_s(
    turns: Iterable[Turn], models: Mapping[str, Model], *, at_once: int, hourly: int
) -> float:
    """The night's length, in the day's seconds."""
    opens: dict[str, float] = {}
    begun: list[float] = []
    ends: list[float] = []
    now = over = 0.0
    for turn in turns:
        if not turn.canary:
            now = max(now, opens.get(turn.machine_class, 0.0))
        if len(begun) >= hourly:
            now = max(now, begun[-hourly] + HOUR_S)
        while ends and ends[0] <= now:
            heapq.heappop(ends)
        if len(ends) >= at_once:
            now = max(now, heapq.heappop(ends))
        end = now + alone_s(models[turn.host])
        begun.append(now)
        heapq.heappush(ends, end)
        over = max(over, end)
        if turn.canary:
            opens[turn.machine_class] = max(end, opens.get(turn.machine_class, 0.0))
    return over


def alone_s(model: Model) -> float:
    """What a machine takes by itself, from its first check until its job can end."""
    p, slow, end = model.pace, model.fate.pace, model.fate.end(0)
    # Its checks, its plan, and the plan once more right before `go`.
    before = (3 * p.check + p.copy) * slow
    new_os = (p.old_os + p.ram + p.boot) * slow
    match end:
        case End.DONE:
            return before + new_os + p.confirm * slow
        case End.UNCONFIRMED:
            return before + new_os
        case End.REVERTED:
            return before + p.old_os * slow
        case End.OLD_OS_BACK:
            return before + (p.old_os + p.ram / 3 + p.boot) * slow
        case End.HELD if model.fate.ram_ssh:
            return before + (p.old_os + p.ram / 2) * slow
        case _:
            return before + p.deadlines
