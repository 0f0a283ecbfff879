"""The failure budget: what went wrong in a night, and what that stops.

One hold behind the commit point stops its class, two stop the night, more than the allowed share of
reverted ones pauses it. What is past its deadline counts as failed, whatever its conductor still hopes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from reroot_fleet.policy.decision import Stop, StopKind
from reroot_fleet.policy.site import Site
from reroot_fleet.values.host import MachineClass
from reroot_fleet.values.job import Job, JobState
from reroot_fleet.values.night import Night, NightState
from reroot_fleet.values.policy import Policy


@dataclass(slots=True)
class Tally:
    """What went wrong in a night."""

    holds: Counter[str] = field(default_factory=Counter)
    """Machines that need a person, by class."""
    held_hosts: list[str] = field(default_factory=list)
    reverted: int = 0
    posted: int = 0
    """Jobs that were let go, less those that a check refused or a stop took back."""
    late: list[Job] = field(default_factory=list)
    """Past `go` and past their deadline."""
    never_begun: list[Job] = field(default_factory=list)
    """Posted, and not at `go` in the time that they have for it."""

    @property
    def share_reverted(self) -> float:
        """Reverted ones among those that were let go."""
        return self.reverted / self.posted if self.posted else 0.0


def is_late(job: Job, now: datetime) -> bool:
    """Whether it is past `go` and past its deadline."""
    return job.state.active and job.begun_go and job.deadline is not None and now >= job.deadline


def never_begun(job: Job, policy: Policy, now: datetime) -> bool:
    """Whether it was posted and did not come to `go` in time."""
    return (
        job.state.active
        and not job.begun_go
        and job.posted_at is not None
        and now >= job.posted_at + policy.start_within
    )


def tally(begun: Iterable[Job], site: Site, night: Night, now: datetime) -> Tally:
    """Counts what went wrong among the night's jobs that were let go."""
    t, looked_at = Tally(), night.resumed_at
    for job in begun:
        if job.state in {JobState.REFUSED, JobState.WITHDRAWN}:
            continue
        t.posted += 1
        if job.state in {JobState.HELD, JobState.RESTORED} or is_late(job, now):
            t.holds[site.class_of(job)] += 1
            t.held_hosts.append(job.host)
            if job.state.active:
                t.late.append(job)
        elif job.state is JobState.REVERTED:
            # A person who resumes a night has looked at what had reverted until then.
            if looked_at is None or job.ended_at is None or job.ended_at > looked_at:
                t.reverted += 1
        elif never_begun(job, night.policy, now):
            t.reverted += 1
            t.never_begun.append(job)
    return t


def stops(night: Night, t: Tally) -> tuple[Stop, ...]:
    """What the budget stops that is not stopped yet."""
    budget = night.policy.budget
    found = [
        Stop(
            StopKind.CLASS,
            f"{_machines(n)} of the class {MachineClass.of_key(key)} held behind the commit point",
            key,
        )
        for key, n in sorted(t.holds.items())
        if n >= budget.holds_stop_class and key not in night.stopped_classes
    ]
    holds = t.holds.total()
    if holds >= budget.holds_stop_night and night.state in {NightState.OPEN, NightState.PAUSED}:
        hosts = ", ".join(sorted(t.held_hosts))
        found.append(
            Stop(StopKind.HALT, f"{_machines(holds)} held behind the commit point: {hosts}")
        )
    elif night.state is NightState.OPEN and t.share_reverted > budget.reverted_pauses:
        found.append(
            Stop(
                StopKind.PAUSE,
                f"{t.reverted} of {t.posted} machines reverted, more than "
                f"{budget.reverted_pauses:.1%}",
            )
        )
    return tuple(found)


def _machines(n: int) -> str:
    return "1 machine" if n == 1 else f"{n} machines"
