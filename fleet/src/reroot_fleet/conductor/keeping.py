"""Keeping the night: carries the planner's decisions out, and posts again what the board has lost.

One conductor of all does it at a time, by a lock of the database that ends with its holder. Whoever
dies in the middle leaves a transaction that never was, or a memory that says *posted* and a board that
does not: the next comparison mends that.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from reroot_fleet.conductor.begun import LET_GO, Begun
from reroot_fleet.flow import records
from reroot_fleet.memory import events, jobs, machines, nights, outbox, turns
from reroot_fleet.memory.errors import Conflict
from reroot_fleet.policy import planner
from reroot_fleet.policy.decision import Alert, Decision, StopKind
from reroot_fleet.policy.history import history
from reroot_fleet.policy.queue import Queue
from reroot_fleet.policy.site import Site, site
from reroot_fleet.values.event import Event, What
from reroot_fleet.values.job import Job, JobState
from reroot_fleet.values.night import Night, NightState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from sqlalchemy import Connection

    from reroot_fleet.board.seam import Board
    from reroot_fleet.machine.clock import Clock
    from reroot_fleet.memory.database import Memory

LOG = logging.getLogger(__name__)

T = TypeVar("T")
CACHED_S = 60.0
LIVE = (NightState.OPEN, NightState.PAUSED, NightState.HALTED)
OPEN_STATES = (JobState.POSTED, JobState.RUNNING)

NOTHING_LEFT = frozenset({JobState.HELD, JobState.DONE})


@dataclass(slots=True)
class KnownQueue:
    """A queue, and what tells whether it still is the one in the memory."""

    queue: Queue
    site: Site
    jobs: int
    """Of the night, in any state."""
    waiting: int


class Keeper:
    """Asks the planner, and does what it says."""

    def __init__(self, memory: Memory, board: Board, clock: Clock, who: str) -> None:
        self._memory = memory
        self._board = board
        self._clock = clock
        self._who = f"conductor {who}"
        self._sites: dict[str, tuple[tuple[object, ...], Site]] = {}
        self._queues: dict[str, KnownQueue] = {}
        self._begun: dict[str, Begun] = {}
        self._asked = 0.0
        self._seen: tuple[int, datetime | None] = (-1, None)
        self._gates: set[tuple[str, str, int, str | None]] = set()
        self._cache: dict[str, tuple[float, object]] = {}

    def keep(self, *, repost: bool) -> None:
        """One round."""
        try:
            with self._memory.begin() as c:
                mine = turns.take(c, turns.PLANNING)
                posted = self._plan(c) if mine else []
        except BaseException:
            # What was decided was not written: nothing that was remembered with it is true.
            self._queues.clear()
            self._begun.clear()
            self._seen = (-1, None)
            raise
        for job in posted:
            self._board.post(job)
        if repost and mine:
            self._repost()

    # -- what the board lost ------------------------------------------------------------------

    def _repost(self) -> None:
        with self._memory.read() as c:
            should = {job.id for job in jobs.select(c, states=OPEN_STATES)}
            rest = records.unfinished(c) - should
            # What a halt ended, and whose flow still has something to give back; a held one waits
            # for a person, and what is done is done.
            states = jobs.states_of(c, rest) if rest else {}
        should |= {job for job, state in states.items() if state not in NOTHING_LEFT}
        # The board is asked after the memory: what was taken off it in between has ended, and
        # whoever claims it finds that.
        lost = should - self._board.listed()
        for job in sorted(lost):
            if self._board.post(job):
                LOG.warning("%s was not on the board, and is posted again", job)

    # -- the planner --------------------------------------------------------------------------

    def _plan(self, c: Connection) -> list[str]:
        """The jobs that start now. Nothing is asked while nothing has happened.

        An event may be written before one of a lower number is, and then this one is not missed by its
        number: a round a minute asks all the same.
        """
        now, last = self._clock.now(), events.last_number(c)
        seen, look_again = self._seen
        fresh = self._clock.monotonic() < self._asked + CACHED_S
        if last == seen and look_again is not None and now < look_again and fresh:
            return []
        self._asked = self._clock.monotonic()
        posted: list[str] = []
        moments: list[datetime] = []
        live = nights.every(c, LIVE)
        for night in live:
            locked = nights.get(c, night.id, lock=True)
            if locked is None or locked.state not in LIVE:
                continue
            decision, begun = self._decide(c, locked, now)
            posted += self._carry_out(c, locked, decision, begun, now)
            moments += [m for m in (decision.look_again,) if m is not None]
        self._forget_alerts(c, live, now)
        self._seen = (events.last_number(c), min(moments, default=None))
        return posted

    def _decide(self, c: Connection, night: Night, now: datetime) -> tuple[Decision, list[Job]]:
        where = self._site(c, night)
        counts = jobs.counts(c, night=night.id)
        begun = self._begun_of(c, night.id, counts)
        queue = self._queue(c, night, where, counts)
        past = history(self._others(c, night), where, night.policy, now)
        return planner.decide_on(now, night, begun, queue, where, past), begun

    def _begun_of(self, c: Connection, night: str, counts: Mapping[JobState, int]) -> list[Job]:
        return self._begun.setdefault(night, Begun(night)).read(c, counts)

    def _queue(
        self, c: Connection, night: Night, where: Site, counts: Mapping[JobState, int]
    ) -> Queue:
        """The night's queue: read once, for it may be long, and again where others have changed it.

        Whoever queues a machine raises the number of all jobs, and whoever takes one back lowers the
        number of those that wait: where both are as they were, it is the same queue.
        """
        known = self._queues.get(night.id)
        now = (sum(counts.values()), counts[JobState.QUEUED])
        if known is None or known.site is not where or (known.jobs, known.waiting) != now:
            waiting = jobs.select(c, night=night.id, states=(JobState.QUEUED,))
            known = self._queues[night.id] = KnownQueue(Queue.of(waiting, where), where, *now)
        return known.queue

    def _others(self, c: Connection, night: Night) -> list[Job]:
        """The jobs of all other nights that were let go; over, they change by a person only."""
        found: list[Job] = []
        for other in nights.every(c):
            if other.id == night.id:
                continue
            if other.state in LIVE:
                found += self._begun_of(c, other.id, jobs.counts(c, night=other.id))
            else:
                found += self._cached(f"night {other.id}", partial(_begun_of, c, other.id))
        return found

    def _site(self, c: Connection, night: Night) -> Site:
        """The inventory under a night's limits: read again where an import has changed it."""
        version = machines.version(c)
        known = self._sites.get(night.id)
        if known is None or known[0] != version:
            known = self._sites[night.id] = version, site(machines.every(c), night.policy.limits)
        return known[1]

    def _cached(self, key: str, make: Callable[[], T]) -> T:
        """What changes by a person's command only is read once a minute."""
        until, value = self._cache.get(key, (0.0, None))
        now = self._clock.monotonic()
        if now >= until:
            value = make()
            self._cache[key] = (now + CACHED_S, value)
        return cast("T", value)

    def _carry_out(
        self, c: Connection, night: Night, decision: Decision, begun: list[Job], now: datetime
    ) -> list[str]:
        for stop in decision.stop:
            if stop.kind is StopKind.CLASS and stop.machine_class is not None:
                key = stop.machine_class
                nights.stop_class(c, night.id, key, now=now, who=self._who, cause=stop.cause)
            elif stop.kind is not StopKind.CLASS:
                to = NightState.HALTED if stop.kind is StopKind.HALT else NightState.PAUSED
                nights.move(c, night.id, to, expect=LIVE, now=now, who=self._who, cause=stop.cause)
        for withdrawal in decision.withdraw:
            self._withdraw(c, night, withdrawal.job, withdrawal.cause, now)
        posted = []
        for posting in decision.post:
            expect = jobs.Expected(states=(JobState.QUEUED,))
            event = self._event(night, What.JOB_POSTED, posting.job, now, wave=posting.wave)
            jobs.record(c, event, expect=expect)
            posted.append(posting.job)
        if posted:
            known = self._queues[night.id]
            known.queue = known.queue.without(frozenset(posted))
            known.waiting -= len(posted)
        self._tell_once(c, night, decision, now)
        self._alerts(c, night, decision.alerts, now)
        self._close(c, night, begun, now)
        return posted

    def _withdraw(self, c: Connection, night: Night, job: str, cause: str, now: datetime) -> None:
        """Takes a job back that has not begun `go`; one that has just done so goes on."""
        expect = jobs.Expected(states=(JobState.QUEUED, *OPEN_STATES), go=False)
        event = self._event(night, What.JOB_WITHDRAWN, job, now, cause=cause)
        try:
            jobs.record(c, event, expect=expect)
        except Conflict:
            LOG.info("%s is beyond being taken back", job)

    def _tell_once(self, c: Connection, night: Night, decision: Decision, now: datetime) -> None:
        for job in decision.late:
            told = {event.what for event in events.read(c, job=job)}
            if What.JOB_LATE not in told:
                jobs.record(c, self._event(night, What.JOB_LATE, job, now))
        for gate in decision.gates:
            mark = (night.id, gate.image, gate.wave, gate.machine_class)
            if mark not in self._gates:  # told again by the next process: it changes nothing
                self._gates.add(mark)
                detail = {"image": gate.image, "wave": gate.wave, "class": gate.machine_class}
                events.append(c, Event(now, self._who, What.GATE_PASSED, night.id, detail=detail))

    def _alerts(self, c: Connection, night: Night, wanted: Iterable[Alert], now: datetime) -> None:
        """Opens what is decided, and resolves what is not decided any more."""
        own = f"night/{night.id}"
        messages = [_message(night, alert, now) for alert in wanted]
        of_jobs = [m for m in messages if m.key != own]
        outbox.agree(c, f"job/{night.id}/", of_jobs, now=now, who=self._who)
        of_night = [m for m in messages if m.key == own] or [
            outbox.Message(now, own, outbox.Action.RESOLVE, f"Night {night.id} goes on", "info")
        ]
        for message in of_night:
            outbox.put(c, message, who=self._who)

    def _forget_alerts(self, c: Connection, live: Iterable[Night], now: datetime) -> None:
        """Resolves what was told of jobs of nights that are closed, and has found its end since."""
        decided = tuple(f"job/{night.id}/" for night in live)
        for alert in outbox.open_alerts(c):
            kind, _, job_id = alert.key.partition("/")
            if alert.key.startswith(decided):
                continue
            job = jobs.get(c, job_id) if kind == "job" else None
            if job is None or not job.state.ended or job.state is JobState.HELD:
                continue
            night = nights.get(c, job.night)
            if night is not None and night.state is NightState.CLOSED:
                text = f"{job.host} is {job.state}"
                over = outbox.Message(
                    now, alert.key, outbox.Action.RESOLVE, text, "info", job.night, job.host
                )
                outbox.put(c, over, who=self._who)

    def _close(self, c: Connection, night: Night, begun: list[Job], now: datetime) -> None:
        """A night whose window is over, or that was halted, ends with its last job."""
        over = now >= night.window.closes
        if any(j.state.active for j in begun) or not (over or night.state is NightState.HALTED):
            return
        if not over:
            return  # its alert stays until the morning
        self._begun.pop(night.id, None)
        for job in self._queues.pop(night.id).queue.whole.jobs:
            self._withdraw(c, night, job.id, "the window is over", now)
        nights.move(
            c,
            night.id,
            NightState.CLOSED,
            expect=LIVE,
            now=now,
            who=self._who,
            cause=night.cause,
        )

    def _event(
        self,
        night: Night,
        what: What,
        job: str,
        now: datetime,
        **detail: Any,  # noqa: ANN401 - JSON
    ) -> Event:
        host = job.removeprefix(f"{night.id}/").rsplit("/", 1)[0]
        return Event(now, self._who, what, night.id, host, job, detail=detail)


def _begun_of(c: Connection, night: str) -> list[Job]:
    return jobs.select(c, night=night, states=LET_GO)


def _message(night: Night, alert: Alert, now: datetime) -> outbox.Message:
    return outbox.Message(
        at=now,
        key=alert.key,
        action=outbox.Action.TRIGGER,
        summary=alert.summary,
        severity=str(alert.severity),
        night=night.id,
        host=alert.host,
        detail={} if alert.job is None else {"job": alert.job},
    )
