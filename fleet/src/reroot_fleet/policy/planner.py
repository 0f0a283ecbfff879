"""The planner: which jobs start now, which do not and why, what the budget stops. Pure.

It is asked again and again, and decides from the state alone; whoever carries a decision out may die in
the middle of it, and the next decision is right again.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from reroot_fleet.policy import budget
from reroot_fleet.policy.alerting import alerts
from reroot_fleet.policy.decision import Decision, Stop, StopKind, Withdrawal
from reroot_fleet.policy.history import History
from reroot_fleet.policy.queue import Queue
from reroot_fleet.policy.site import Site
from reroot_fleet.policy.starting import Starting
from reroot_fleet.policy.taken import taken
from reroot_fleet.values.job import Job, JobState
from reroot_fleet.values.night import Night, NightState

NO_HISTORY = History()


def decide(
    now: datetime,
    night: Night,
    jobs: Iterable[Job],
    site: Site,
    history: History = NO_HISTORY,
) -> Decision:
    """What follows from the state of a night at a moment.

    `jobs` are the night's, in the order in which they should go.
    """
    queued, begun = _parted(jobs)
    return decide_on(now, night, begun, Queue.of(queued, site), site, history)


def decide_on(
    now: datetime,
    night: Night,
    begun: list[Job],
    queue: Queue,
    site: Site,
    history: History = NO_HISTORY,
) -> Decision:
    """The same, where the queue is sorted already: it was asked before, and has not changed."""
    tally = budget.tally(begun, site, night, now)
    stops = budget.stops(night, tally)
    withdraw = _withdrawals(night, begun, site, stops, tally)
    places = taken(begun, site, history, night.policy.limits, now)
    start = Starting(now, night, begun, site, history, stops, places)
    why_nothing = _why_nothing_starts(night, now, stops)
    if why_nothing is None:
        start.consider(queue)
    else:
        start.withheld[why_nothing] = queue.whole.behind(0)
    return Decision(
        post=tuple(start.post),
        withheld={why: tuple(ids) for why, ids in start.withheld.items() if ids},
        stop=stops,
        withdraw=withdraw,
        late=tuple(j.id for j in tally.late),
        gates=tuple(start.gates),
        alerts=alerts(night, begun, tally, stops, now),
        look_again=_look_again(now, night, begun, start),
    )


def _parted(jobs: Iterable[Job]) -> tuple[list[Job], list[Job]]:
    """Those that wait, and those that were let go; in one pass, for there may be a hundred thousand."""
    waits = JobState.QUEUED
    queued: list[Job] = []
    begun: list[Job] = []
    wait, go = queued.append, begun.append
    for job in jobs:
        wait(job) if job.state is waits else go(job)
    return queued, begun


def _look_again(
    now: datetime, night: Night, begun: Iterable[Job], start: Starting
) -> datetime | None:
    """The next moment at which time alone changes something."""
    moments = [start.look_again, night.window.opens, night.window.closes]
    for job in begun:
        if job.state.active and job.begun_go:
            moments.append(job.deadline)
        elif job.state.active and job.posted_at is not None:
            moments.append(job.posted_at + night.policy.start_within)
    return min((m for m in moments if m is not None and m > now), default=None)


def _why_nothing_starts(night: Night, now: datetime, stops: tuple[Stop, ...]) -> str | None:
    """One reason for all, where there is one."""
    for stop in stops:
        if stop.kind is not StopKind.CLASS:
            return f"the night is stopped: {stop.cause}"
    if night.state is not NightState.OPEN:
        because = f": {night.cause}" if night.cause else ""
        return f"the night is {night.state}{because}"
    if now < night.window.opens:
        return f"the window opens at {night.window.opens:%Y-%m-%d %H:%M} UTC"
    if not night.window.contains(now):
        return "the window is over"
    return None


def _withdrawals(
    night: Night,
    begun: Iterable[Job],
    site: Site,
    stops: tuple[Stop, ...],
    tally: budget.Tally,
) -> tuple[Withdrawal, ...]:
    """Jobs that a stop reaches: posted or claimed, and not yet at `go`."""
    halt = next((s.cause for s in stops if s.kind is StopKind.HALT), None)
    if halt is None and night.state in {NightState.HALTED, NightState.CLOSED}:
        halt = night.cause or f"the night is {night.state}"
    stopped = dict.fromkeys(night.stopped_classes, "its class was stopped")
    stopped |= {s.machine_class: s.cause for s in stops if s.machine_class is not None}
    never = {j.id for j in tally.never_begun}
    found = []
    for job in begun:
        if not job.state.active or job.begun_go:
            continue
        cause = halt or stopped.get(site.class_of(job))
        if cause is None and job.id in never:
            cause = f"it did not come to go within {night.policy.start_within}"
        if cause is not None:
            found.append(Withdrawal(job.id, cause))
    return tuple(found)
