"""How a step ends where it does not simply return. None of these is an error of the program."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from reroot_fleet.values.job import JobState


class Watch(StrEnum):
    """What ends a wait before its time."""

    NOTHING = "nothing"
    GONE = "gone"
    """The machine is silent, or its run has ended."""
    SETTLED = "settled"
    """The machine answers, and its run does not go on any more."""
    REHEARSED = "rehearsed"
    CONFIRMED = "confirmed"
    """The first boot of the new OS has compared itself with the plan."""


class NotYet(Exception):  # noqa: N818 - a step's word
    """Nothing is wrong; there is something to wait for. It is no try."""

    def __init__(self, until: datetime, watch: Watch = Watch.NOTHING) -> None:
        super().__init__(f"not before {until.isoformat()}")
        self.until = until
        self.watch = watch


class Again(Exception):  # noqa: N818 - a step's word
    """It failed, and trying again may mend it."""


class End(Exception):  # noqa: N818 - a step's word
    """The job ends here, before the commit point: what was done is undone."""

    def __init__(self, state: JobState, cause: str, codes: tuple[str, ...] = ()) -> None:
        super().__init__(f"{state}: {cause}")
        self.state = state
        self.cause = cause
        self.codes = codes


class Hold(Exception):  # noqa: N818 - a step's word
    """A person is needed. Nothing is undone, and nobody says `go` again."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


@dataclass(frozen=True, slots=True)
class Wait:
    """What a flow that was left waits for."""

    until: datetime
    watch: Watch = Watch.NOTHING
