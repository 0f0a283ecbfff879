"""How often each step is tried again, after which pauses, and what comes when that was in vain.

A table, and a pure function. The pauses are held in the memory (`again_at` of the job), never in a
thread: whoever takes the job over keeps them.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from reroot_fleet.values.atoms import Atom


class InVain(StrEnum):
    """What comes when all tries failed."""

    REVERT = "revert"
    """Everything is undone; the old OS is as it was."""
    HOLD = "hold"
    """A person is needed; nothing is undone, for nobody knows from here what is true."""
    GO_ON = "go on"
    """It was evidence only."""


@dataclass(frozen=True, slots=True)
class Patience:
    """One step's."""

    tries: int
    first: timedelta
    factor: float
    longest: timedelta
    in_vain: InVain


def _p(tries: int, first_s: float, factor: float, longest_s: float, in_vain: InVain) -> Patience:
    return Patience(
        tries, timedelta(seconds=first_s), factor, timedelta(seconds=longest_s), in_vain
    )


PATIENCE: dict[Atom, Patience] = {
    Atom.CHECK: _p(6, 10, 2, 300, InVain.REVERT),
    # A copy goes on where it broke off, so that many tries cost little.
    Atom.COPY: _p(8, 15, 2, 300, InVain.REVERT),
    Atom.REHEARSE: _p(4, 20, 2, 300, InVain.REVERT),
    Atom.DRAIN: _p(4, 10, 2, 120, InVain.REVERT),
    # Before the machine says that a run exists, asking again is harmless: the machine is the fence.
    # After the last try it is taken back: that finds out whether one was begun, and holds if so.
    Atom.GO: _p(10, 10, 2, 120, InVain.REVERT),
    Atom.SILENCE: _p(3, 10, 2, 60, InVain.GO_ON),
    # Its waiting is bounded by the plan's deadlines; these are failures of asking.
    Atom.ANSWER: _p(20, 10, 2, 120, InVain.HOLD),
    Atom.CONFIRM: _p(8, 15, 2, 300, InVain.HOLD),
    Atom.UNDRAIN: _p(8, 15, 2, 300, InVain.HOLD),
    Atom.RELEASE: _p(8, 5, 2, 60, InVain.HOLD),
}


def pause(atom: Atom, tries: int, dice: random.Random) -> timedelta | None:
    """How long to wait after the try of that number failed, from 1; `None`: it was the last.

    With jitter, so that machines that failed together do not come back together.
    """
    rule = PATIENCE[atom]
    if tries >= rule.tries:
        return None
    grown = min(rule.first * rule.factor ** (tries - 1), rule.longest)
    return grown * dice.uniform(0.8, 1.2)
