"""What must be true of every night, whatever was done to it: asked of the log and of the world."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from reroot_fleet.policy.fold import fold
from reroot_fleet.values.event import Event, What
from reroot_fleet.values.job import Job, JobState
from reroot_fleet.values.policy import HOURLY_CAP

if TYPE_CHECKING:
    from reroot_fleet.simulation.world import Seen
    from reroot_fleet.values.night import Night

ENDS = frozenset(
    {
        What.JOB_DONE,
        What.JOB_REVERTED,
        What.JOB_REFUSED,
        What.JOB_HELD,
        What.JOB_WITHDRAWN,
        What.JOB_RESTORED,
    }
)


@dataclass(frozen=True, slots=True)
class Whole:
    """Everything that is known of a night."""

    night: Night
    jobs: Sequence[Job]
    events: Sequence[Event]
    seen: Sequence[Seen]
    begins: datetime


def broken(n: Whole) -> list[str]:
    """Every invariant that does not hold, with whom."""
    return [*_ended(n), *_once(n), *_limits(n), *_window(n), *_log(n), *_given_back(n)]


def _ended(n: Whole) -> Iterable[str]:
    for job in n.jobs:
        if not job.state.ended:
            yield f"{job.id} did not end: {job.state} at {job.step}"


def _once(n: Whole) -> Iterable[str]:
    attempts = Counter(job.host for job in n.jobs)
    for seen in n.seen:
        if len(seen.accepted) > attempts[seen.name]:
            yield f"{seen.name} began {len(seen.accepted)} runs for {attempts[seen.name]} jobs"
    runs = {job.host: job.run for job in n.jobs}
    for seen in n.seen:
        for _, run in seen.accepted:
            if attempts[seen.name] == 1 and runs[seen.name] != run:
                yield f"{seen.name} began {run}, which is no job's"


def _limits(n: Whole) -> Iterable[str]:
    limit, now, most = n.night.policy.limits.total, 0, 0
    posted: list[datetime] = []
    let_go: set[str | None] = set()
    for event in n.events:
        if event.what is What.JOB_POSTED:
            let_go.add(event.job)
            now += 1
            posted.append(event.at)
        elif event.what is What.JOB_TAKEN_UP:
            now += 1  # it was let go before, and has its place again
        elif event.what in ENDS:
            now -= event.job in let_go  # what was withdrawn before it was posted took no place
        most = max(most, now)
    if most > limit:
        yield f"{most} at once, and the limit is {limit}"
    cap = min(HOURLY_CAP, n.night.policy.limits.hour)
    for place, at in enumerate(posted):
        if place >= cap and at - posted[place - cap] < timedelta(minutes=59):
            yield f"more than {cap} were posted in the hour before {at:%H:%M}"
            break


def _window(n: Whole) -> Iterable[str]:
    halted = next((e.at for e in n.events if e.what is What.NIGHT_HALTED), None)
    for event in n.events:
        if event.what is not What.GO_INTENDED:
            continue
        if not n.night.window.contains(event.at):
            yield f"{event.job} intended `go` outside of the window"
        if halted is not None and event.at > halted:
            yield f"{event.job} intended `go` after the halt"
    # The machine itself tells when it obeyed: a ticket's life after the intent at most.
    latest = None if halted is None else (halted - n.begins).total_seconds() + 120
    for seen in n.seen:
        for at, run in seen.accepted:
            if latest is not None and at > latest:
                yield f"{seen.name} began {run} after the halt"


def _log(n: Whole) -> Iterable[str]:
    folded = fold(n.events)
    for odd in folded.odd:
        yield f"the log has an event without a place: {odd.what} of {odd.job}"
    for job in n.jobs:
        if folded.jobs.get(job.id) != job:
            yield f"the log does not reproduce {job.id}"


def _given_back(n: Whole) -> Iterable[str]:
    states = {job.host: job.state for job in n.jobs}
    for seen in n.seen:
        if states.get(seen.name) is JobState.HELD:
            continue  # it stays out until a person has looked
        if "drain" in seen.hooks and seen.hooks[-1] != "undrain":
            yield f"{seen.name} was left out of the load balancer"
