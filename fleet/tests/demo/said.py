"""How the demo talks: what it does in its own words, and what happens in the fleet's."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from reroot_fleet.values.event import What

if TYPE_CHECKING:
    from reroot_fleet.values.event import Event

BEGAN = time.monotonic()


def say(line: str) -> None:
    """A line with the time since the beginning."""
    sys.stdout.write(f"{time.monotonic() - BEGAN:6.0f} s  {line}\n")
    sys.stdout.flush()


def heading(line: str) -> None:
    """What comes now."""
    sys.stdout.write(f"\n>>> {line}\n")
    sys.stdout.flush()


WORDS: dict[What, str] = {
    What.JOB_POSTED: "is let go, in wave {wave}",
    What.JOB_CLAIMED: "is taken by the conductor {conductor}",
    What.STEP_BEGUN: "{step}",
    What.STEP_FAILED: "{step} failed: {error}",
    What.GO_INTENDED: "go is intended, as the run {run} after {after}",
    What.GO_ACCEPTED: "the machine runs {run}",
    What.MACHINE_ANSWERED: "answers again",
    What.JOB_DONE: "DONE",
    What.JOB_REVERTED: "REVERTED: {cause}",
    What.JOB_REFUSED: "REFUSED: {cause}",
    What.JOB_HELD: "HELD: {cause}",
    What.JOB_TAKEN_UP: "answers after all, and goes on: {evidence}",
    What.JOB_WITHDRAWN: "withdrawn: {cause}",
    What.NIGHT_OPENED: "the night is open",
    What.NIGHT_PAUSED: "the night is PAUSED: {cause}",
    What.NIGHT_RESUMED: "the night goes on",
    What.NIGHT_HALTED: "the night is HALTED: {cause}",
    What.CLASS_STOPPED: "the class {class} is stopped: {cause}",
    What.GATE_PASSED: "the gate behind wave {wave} is open",
}


def tell(event: Event) -> None:
    """An event of the log, where people want to know it."""
    words = WORDS.get(event.what)
    if words is None:
        return
    known = {"cause": event.why, "after": "none", "conductor": "?", **event.detail}
    say(
        f"  {event.host or '':<6} {words.format(**{k: 'none' if v is None else v for k, v in known.items()})}"
    )
