"""Which alerts are open: decided anew each time, so that an alert is resolved by its trouble's end.

One alert for a stopped night, not forty: while it is halted, its held machines are named in that one.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from reroot_fleet.policy.budget import Tally, is_late
from reroot_fleet.policy.decision import Alert, Severity, Stop, StopKind
from reroot_fleet.values.host import MachineClass
from reroot_fleet.values.job import Job, JobState
from reroot_fleet.values.night import Night, NightState


def alerts(
    night: Night, begun: Iterable[Job], tally: Tally, stops: tuple[Stop, ...], now: datetime
) -> tuple[Alert, ...]:
    """The alerts of a night that are open now."""
    halt = _cause(night, NightState.HALTED, stops, StopKind.HALT)
    if halt is not None:
        hosts = sorted({h for h in tally.held_hosts if h not in halt})
        held = f"; machines that need a person: {', '.join(hosts)}" if hosts else ""
        text = f"Night {night.id} is halted: {halt}{held}"
        return (Alert(f"night/{night.id}", Severity.CRITICAL, text, night.id),)
    found = [_held(night, j) for j in begun if j.state is JobState.HELD]
    found += [_late(night, j) for j in tally.late if is_late(j, now)]
    pause = _cause(night, NightState.PAUSED, stops, StopKind.PAUSE)
    if pause is not None and not pause.startswith(BY_A_PERSON):
        text = f"Night {night.id} is paused: {pause}"
        found.insert(0, Alert(f"night/{night.id}", Severity.ERROR, text, night.id))
    return tuple(found)


BY_A_PERSON = "operator"
"""A cause that begins so is a person's own pause: nobody is woken up for it."""


def _cause(night: Night, state: NightState, stops: tuple[Stop, ...], kind: StopKind) -> str | None:
    if night.state is state:
        return night.cause or f"the night is {state}"
    return next((s.cause for s in stops if s.kind is kind), None)


def _held(night: Night, job: Job) -> Alert:
    why = job.cause or "behind the commit point and not done"
    text = f"{job.host} needs a person: {why}"
    return Alert(f"job/{job.id}", Severity.CRITICAL, text, night.id, job.host, job.id)


def _late(night: Night, job: Job) -> Alert:
    by = f"{job.deadline:%Y-%m-%d %H:%M} UTC" if job.deadline else "its deadline"
    text = f"{job.host} should have ended by {by}, and is at {job.step or 'an unknown step'}"
    return Alert(f"job/{job.id}", Severity.CRITICAL, text, night.id, job.host, job.id)


def class_words(key: str) -> str:
    """A class for people."""
    return str(MachineClass.of_key(key))
