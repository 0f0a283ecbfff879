"""What a conductor is told."""

from __future__ import annotations

from dataclasses import dataclass

from reroot_fleet.flow.desk import TICKET_S


@dataclass(frozen=True, slots=True)
class Settings:
    """Times are seconds of the real clock."""

    name: str
    """Its name in the memory and in events; unique among the conductors."""
    slots: int = 200
    """Jobs at once, waiting ones included."""
    threads: int = 64
    """Steps at once: a job that waits has no thread."""
    tick_s: float = 0.5
    look_s: float = 1.0
    """Between two looks at the board, while there are free slots."""
    plan_s: float = 5.0
    """Between two decisions of the planner; one conductor of all does it."""
    repost_s: float = 15.0
    """Between two comparisons of the board with the memory."""
    states_s: float = 3.0
    """Between two looks whether somebody has ended a job that waits here."""
    late_s: float = 20.0
    """Between two looks whether a held machine is to be asked again."""
    seen_s: float = 5.0
    """Between two writings of how far runs are."""
    sign_s: float = 10.0
    """Between two signs of life."""
    mute_s: float = 30.0
    """After which a conductor gives its jobs back whom the memory does not answer any more."""
    again_s: float = 5.0
    """After which a job is taken up again that was left because the memory did not answer."""
    ticket_s: float = TICKET_S
    """For how long a `go` is good; seconds of the day."""
    poll_first_s: float = 15.0
    poll_longest_s: float = 60.0
    """Between two questions to a machine that is waited for; seconds of the day."""
