"""Templates, and the few words that they need."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import quote
from zoneinfo import ZoneInfo

import jinja2

from reroot_fleet.policy.overview import TONES, Tone, span
from reroot_fleet.policy.why import words
from reroot_fleet.values.event import What
from reroot_fleet.values.job import JobState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reroot_fleet.values.night import Night

_EVENT_TONES: Mapping[What, Tone] = {
    What.JOB_DONE: Tone.GOOD,
    What.GATE_PASSED: Tone.GOOD,
    What.JOB_HELD: Tone.BAD,
    What.JOB_LATE: Tone.BAD,
    What.NIGHT_HALTED: Tone.BAD,
    What.ALERT_RAISED: Tone.BAD,
    What.JOB_REVERTED: Tone.WARN,
    What.JOB_REFUSED: Tone.WARN,
    What.STEP_FAILED: Tone.WARN,
    What.STEP_REVERTED: Tone.WARN,
    What.NIGHT_PAUSED: Tone.WARN,
    What.CLASS_STOPPED: Tone.WARN,
    What.GO_REFUSED: Tone.WARN,
}


@cache
def templates() -> jinja2.Environment:
    """The page's templates; everything in them is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("reroot_fleet.page"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {
        "span": span,
        "segment": lambda text: quote(str(text), safe=""),
        "tone": lambda state: TONES[JobState(state)],
        "event_tone": lambda event: _EVENT_TONES.get(event.what, Tone.IDLE),
        "told": words,
    }
    return environment


def clock(night: Night | None, at: datetime, form: str = "%H:%M:%S") -> str:
    """A time by the site's clock."""
    zone = ZoneInfo(night.policy.window.zone) if night is not None else UTC
    return at.astimezone(zone).strftime(form)
