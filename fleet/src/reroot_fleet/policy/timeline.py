"""What became of each step of a job, from its events: when, how long, how often, how it ended."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from reroot_fleet.values.atoms import ORDER, Atom
from reroot_fleet.values.event import Event, What


class Result(StrEnum):
    """How a step ended."""

    AHEAD = "ahead"
    """It was not begun."""
    RUNNING = "running"
    DONE = "done"
    RETRIED = "waits to be tried again"
    FAILED = "failed"
    REVERTED = "reverted"


@dataclass(frozen=True, slots=True)
class StepSpan:
    """What became of one step."""

    atom: Atom
    result: Result = Result.AHEAD
    begun: datetime | None = None
    """When it was begun first."""
    ended: datetime | None = None
    tries: int = 0
    errors: tuple[str, ...] = ()

    @property
    def took(self) -> timedelta | None:
        """From its first beginning to its end, pauses included."""
        return self.ended - self.begun if self.begun and self.ended else None


ENDS: dict[What, Result] = {
    What.JOB_HELD: Result.FAILED,
    What.JOB_REVERTED: Result.FAILED,
    What.JOB_REFUSED: Result.FAILED,
    What.JOB_WITHDRAWN: Result.REVERTED,
    What.JOB_RESTORED: Result.FAILED,
}
"""How a job's end leaves the step that it was in."""


@dataclass(slots=True)
class _Steps:
    spans: dict[Atom, StepSpan] = field(default_factory=lambda: {a: StepSpan(a) for a in ORDER})

    def set(self, atom: Atom, **fields: object) -> None:
        self.spans[atom] = replace(self.spans[atom], **fields)  # type: ignore[arg-type]


def timeline(events: Iterable[Event]) -> tuple[StepSpan, ...]:
    """Every step of a job, in the flow's order, from the job's own events."""
    steps, current = _Steps(), None
    for event in events:
        name = event.detail.get("step")
        atom = Atom(name) if name in set(Atom) else None
        if event.what in ENDS and current is not None:
            steps.set(current, result=ENDS[event.what], ended=event.at)
        if atom is None:
            continue
        span = steps.spans[atom]
        match event.what:
            case What.STEP_BEGUN:
                current = atom
                steps.set(
                    atom,
                    result=Result.RUNNING,
                    begun=span.begun or event.at,
                    ended=None,
                    tries=span.tries + 1,
                )
            case What.STEP_DONE:
                current = None
                steps.set(atom, result=Result.DONE, begun=span.begun or event.at, ended=event.at)
            case What.STEP_FAILED:
                error = str(event.detail.get("error", ""))
                result = Result.RETRIED if event.detail.get("again_at") else Result.FAILED
                steps.set(atom, result=result, ended=event.at, errors=(*span.errors, error))
            case What.STEP_REVERTED:
                steps.set(atom, result=Result.REVERTED, ended=event.at)
            case _:
                pass
    return tuple(steps.spans[a] for a in ORDER)


def short(length: timedelta) -> str:
    """A length of time for a drawing: `48 s`, `12 min`, `1 h 05`."""
    seconds = int(length.total_seconds())
    if seconds < 90:
        return f"{seconds} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02}"
