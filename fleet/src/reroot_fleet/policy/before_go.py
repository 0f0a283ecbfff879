"""The last question before `go`: asked by the conductor right before, with the night read anew."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from reroot_fleet.policy.needs import needs
from reroot_fleet.values.job import Job, JobState
from reroot_fleet.values.night import Night, NightState
from reroot_fleet.values.policy import Policy, Rehearsal


class May(StrEnum):
    """The answer."""

    GO = "go"
    WAIT = "wait"
    """Ask again: the night is paused, and there is still time."""
    WITHDRAW = "withdraw"
    """Not tonight; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """May it go, and why not."""

    may: May
    why: str = ""


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """A rehearsal that came back."""

    at: datetime
    image: str
    consent: str | None
    passed: bool


def may_go(
    now: datetime, night: Night, job: Job, machine_class: str, rehearsal: Rehearsed | None = None
) -> Answer:
    """Whether `go` may be said now, by a job that is claimed."""
    why = _why_never(now, night, job, machine_class, rehearsal)
    if why is not None:
        return Answer(May.WITHDRAW, why)
    if night.state is NightState.PAUSED:
        return Answer(May.WAIT, f"the night is paused: {night.cause or 'by a person'}")
    return Answer(May.GO)


def _why_never(
    now: datetime, night: Night, job: Job, machine_class: str, rehearsal: Rehearsed | None
) -> str | None:
    if job.state is not JobState.RUNNING:
        return f"the job is {job.state}"
    if night.state not in {NightState.OPEN, NightState.PAUSED}:
        return f"the night is {night.state}"
    if machine_class in night.stopped_classes:
        return "its class is stopped"
    if not night.window.contains(now):
        return "the window is not open"
    if now + needs(job, night.policy) > night.window.closes:
        return "its deadlines end after the window does"
    if rehearses(night.policy, job):
        return why_not_rehearsed(now, job, rehearsal, night.policy.rehearsal_max_age)
    return None


def rehearses(policy: Policy, job: Job) -> bool:
    """Whether a job may say `go` only behind a rehearsal."""
    asked = job.override is not None and job.override.rehearse
    return policy.rehearsal is Rehearsal.REQUIRED or (
        asked and policy.rehearsal is Rehearsal.OPTIONAL
    )


def why_not_rehearsed(
    now: datetime, job: Job, rehearsal: Rehearsed | None, max_age: timedelta
) -> str | None:
    """Why a rehearsal does not count for a job; `None` where it does."""
    if rehearsal is None:
        return "it was not rehearsed"
    if not rehearsal.passed:
        return "its rehearsal found something"
    if rehearsal.image != job.image_wanted:
        return "another image was rehearsed"
    if rehearsal.consent is None or rehearsal.consent != job.consent:
        return "its plan is another than the one that was rehearsed"
    if now - rehearsal.at > max_age:
        return f"its rehearsal is older than {max_age.days} days"
    return None
